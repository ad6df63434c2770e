"""Where a score comes from: its crops, the places of the image, the words of the prompt, and the experts.

Each place is blurred, and each word is left out, one at a time. The drop in the score is what that place or word gave to it.
"""

import warnings
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ..archs.hardware import images_at_once
from ..archs.tokenizer import PromptTokenizer, bert_tokenizer
from ..images.read import ImageBatch
from ..images.views import crop_sides, shown_part
from ..metrics.moeagiqa import Details, MoEAGIQAMetric
from ..metrics.notes import prompts_summary
from ..warn import warn_caller
from .occlusion import grid_of, occluded
from .scale import scale_of


class ExplanationError(ValueError):
    """A score that cannot be explained; the message is one sentence."""


@dataclass
class Explanation:
    """One image's score and its parts.

    Attributes:
        image: (3, H, W) as it was scored, uint8 or float in [0, 1].
        prompt: its prompt.
        target: the target that is scored, such as 'quality'.
        details: the metric's ``Details``.
        names: the name of each crop score: 'view', '1', '2', ...; 'image' if the network looks at no crops.
        boxes: (n, 4) of (y, x, height, width) in pixels: what each crop score looks at. Empty for 'image'. A view of the
            whole picture reaches beyond two of its edges, where it shows a mirror image of the picture.
        places: (h, w), what each of the h x w places that tile the image gives to its score: the score minus the score with
            the place and half of each neighbour blurred. Positive raises the score. The map tells what blur does: in a check on
            40 images, a slighter blur of the best place lowered the score more than one of the worst in 37, a single colour in 29,
            noise in 20. None if it was not asked for.
        words: the prompt's words that the network reads.
        word_shares: what each of these words gives to the score: the score minus the score for the prompt without the word.
        unread: words at the prompt's end that do not fit.
        mos: for each target, the result of ``Scale.of`` for its score.
    """

    image: Tensor
    prompt: str
    target: str
    details: Details
    names: list[str]
    boxes: list[tuple[int, int, int, int]]
    places: Tensor | None
    words: list[str]
    word_shares: list[float]
    unread: list[str]
    mos: dict[str, dict[str, float | None]] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The image's score for ``target``."""
        return self.details.scores[self.target].item()

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain values, ready for JSON."""
        details = self.details
        return {
            'prompt': self.prompt,
            'target': self.target,
            'scores': {name: score.item() for name, score in details.scores.items()},
            'interval': {name: ends[0].tolist() for name, ends in details.interval.items()},
            'mos': self.mos,
            'crops': [
                {'name': name, 'score': score, 'gate': gate, 'chosen': chosen}
                for name, score, gate, chosen in zip(
                    self.names,
                    details.crop_scores[0].tolist(),
                    details.gate[0].tolist(),
                    details.chosen[0].tolist(),
                    strict=True,
                )
            ],
            'boxes': self.boxes,
            'places': None if self.places is None else self.places.tolist(),
            'words': list(zip(self.words, self.word_shares, strict=True)),
            'unread': self.unread,
        }


@torch.no_grad()
def explain(metric: Any, image: Any, prompt: str, places: bool = True) -> Explanation:
    """Score an image for a prompt, and explain the score.

    Args:
        metric: ``pyiqa.create_metric('moeagiqa', ...)``, or its v1 or v2.
        image: a path, a PIL image or a tensor (1, 3, H, W) in [0, 1].
        prompt: the image's prompt.
        places: whether to fill ``Explanation.places``, which scores the image about 49 times more.

    Raises:
        ExplanationError: for another metric, or more than one image.
        ImageError, ValueError: for an image or prompt that cannot be scored.

    Example:
        >>> metric = pyiqa.create_metric('moeagiqa')
        >>> explain(metric, 'cat.png', 'a cat in the snow').word_shares
        [0.001, 0.012, 0.002, -0.001, 0.008]
    """
    net = getattr(metric, 'net', metric)
    if not isinstance(net, MoEAGIQAMetric):
        raise ExplanationError(f'{type(net).__name__} cannot be explained: it is no metric of this package.')
    images = net.read_images(image)
    if len(images) != 1:
        raise ExplanationError(f'{len(images)} images were given: one at a time is explained.')
    score, details = net(images, [prompt], return_details=True)
    config, tokenizer = net.network.config, net.tokenizer
    warn_caller(prompts_summary([prompt], tokenizer))
    words, unread = read_words(prompt, config.prompt_tokens, tokenizer)
    words = words if config.branches != 'visual' else []
    without = [' '.join(words[:n] + words[n + 1 :] + unread) for n in range(len(words))]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # warnings about the shortened prompts would not help the user
        word_shares = (score - net.matrix(images, without))[0].tolist()
        shares = score.cpu() - _place_scores(net, images[0].cpu(), prompt) if places else None
    names, boxes = _looked_at(images, details, net)
    return Explanation(
        image=images[0].cpu(),
        prompt=prompt,
        target=net.target,
        details=details,
        names=names,
        boxes=boxes,
        places=shares,
        words=words,
        word_shares=word_shares,
        unread=unread,
        mos={name: scale.of(score.item()) for name, score in details.scores.items() if (scale := scale_of(net, name))},
    )


def _place_scores(net: MoEAGIQAMetric, image: Tensor, prompt: str) -> Tensor:
    """Score an image once for each place blurred; returns the scores, (h, w)."""
    grid, scores = grid_of(*image.shape[-2:]), []
    copies = iter(tqdm(occluded(image, grid), 'places', grid[0] * grid[1], unit='place', disable=None))
    while some := ImageBatch(islice(copies, images_at_once(net.device))):
        scores.append(net(some, prompt).cpu())
    return torch.cat(scores).view(grid)


def read_words(prompt: str, length: int, tokenizer: PromptTokenizer | None = None) -> tuple[list[str], list[str]]:
    """Split a prompt at spaces into the words that its first ``length`` tokens reach into, and the words after them."""
    tokenizer = tokenizer or bert_tokenizer()
    encoding, last = tokenizer.encode(prompt), tokenizer.special[1]
    cut = len(encoding.ids) > length
    end = encoding.offsets[length - last - 1][1] if cut else len(prompt)  # the last token kept is [SEP] or the like
    words = prompt.split()
    read = len(prompt[:end].split())
    return words[:read], words[read:]


def _looked_at(
    images: ImageBatch, details: Details, net: MoEAGIQAMetric
) -> tuple[list[str], list[tuple[int, int, int, int]]]:
    """The names and boxes of what the crop scores belong to."""
    config = net.network.config
    if config.branches == 'semantic':
        return ['image'], []
    positions, (height, width) = details.crop_positions[0].tolist(), images[0].shape[-2:]
    sides = crop_sides(height, width, config.crop_size, len(positions), config.crop_scales).tolist()
    names = [str(1 + n) for n in range(len(positions))]
    boxes = [(y, x, rows, columns) for (y, x), (rows, columns) in zip(positions, sides, strict=True)]
    if config.view_is_crop:
        return ['view', *names], [shown_part(height, width, net.network.view_size, config.whole_view), *boxes]
    return names, boxes
