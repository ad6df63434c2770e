"""Where a score comes from: its crops, the places in them, the words of the prompt, and the experts.

Places and words are left out one at a time, and what that takes from the score is what they gave to it.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..archs.ambient import plain_arithmetic
from ..archs.images import ImageBatch
from ..archs.metric_arch import Details, MoEAGIQAMetric
from ..archs.moeagiqa_arch import Features, MoEAGIQA, mean_over_crops
from ..archs.semantic import bert_tokenizer, tokenize
from ..archs.views import MAX_ASPECT, crop_sides
from .scale import scale_of

PROMPTS_AT_ONCE = 16  # the fused tokens of 15 crops take 6 MB a prompt
LONGEST_SIDE = 800  # of the map, in pixels


class ExplanationError(ValueError):
    """A score that cannot be explained, said in one sentence."""


@dataclass
class Explanation:
    """One image's score and what it is made of.

    Attributes:
        image: (3, H, W) as it was scored, uint8 or float in [0, 1].
        prompt: its prompt.
        target: what is scored.
        details: the metric's own.
        names: for each of the crops' scores, 'view', '1', '2', ...; 'image' where the network looks at no crops.
        boxes: (n, 3) of (y, x, side) in pixels: what each of them looks at. Empty for 'image'. A view of the whole picture
            reaches beyond two of its edges, where it shows its mirror image.
        places: (n, h, w), what each place gives to the score of its crop: that score minus the crop's score when the place's
            token is left out of the mean of all. Positive raises the score. As a mean, they are relative to the crop's
            other places: they add up to about 0, and say nothing of what all places have in common. A token has seen
            what is around it, too: this tells what the network pools there, not what a change of those pixels would do to the
            score. None without the visual branch, or where a crop has one token.
        words: the prompt's words that the network reads.
        word_shares: for each of them, what it gives to the image's score: that minus the score for the prompt without it.
        unread: words at the prompt's end that do not fit.
        mos: for each target what ``Scale.of`` says of its score.
    """

    image: Tensor
    prompt: str
    target: str
    details: Details
    names: list[str]
    boxes: list[tuple[int, int, int]]
    places: Tensor | None
    words: list[str]
    word_shares: list[float]
    unread: list[str]
    mos: dict[str, dict[str, float | None]] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The image's."""
        return self.details.scores[self.target].item()

    def place_map(self) -> np.ndarray | None:
        """``places`` over the image, where crops overlap their mean: (h, w), at most 800 pixels long; NaN where nothing looks."""
        if self.places is None:
            return None
        height, width = self.image.shape[-2:]
        scale = min(1, LONGEST_SIDE / max(height, width))
        rows, columns = (_centres(side, max(1, round(side * scale))) for side in (height, width))
        total, count = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
        for (top, left, side), places in zip(self.boxes, self.places.double().numpy(), strict=True):
            row, in_rows = _nearest(rows, top, side, places.shape[0])
            column, in_columns = _nearest(columns, left, side, places.shape[1])
            total[np.ix_(in_rows, in_columns)] += places[np.ix_(row, column)]
            count[np.ix_(in_rows, in_columns)] += 1
        return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)

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
def explain(metric: Any, image: Any, prompt: str) -> Explanation:
    """Score an image for a prompt, and say what the score is made of.

    Args:
        metric: ``pyiqa.create_metric('moeagiqa', ...)``, or the v1 or v2 of it.
        image: a path, a PIL image or a tensor (1, 3, H, W) in [0, 1].
        prompt: the image's.

    Raises:
        ExplanationError: for another metric or an ONNX graph, which does not say what is within it.
        ImageError, ValueError: for an image or prompt that cannot be scored.

    Example:
        >>> metric = pyiqa.create_metric('moeagiqa')
        >>> explain(metric, 'cat.png', 'a cat in the snow').word_shares
        [0.001, 0.012, 0.002, -0.001, 0.008]
    """
    net = getattr(metric, 'net', metric)
    if not isinstance(net, MoEAGIQAMetric):
        raise ExplanationError(f'{type(net).__name__} cannot be explained: it is no metric of this package.')
    if not isinstance(net.network, MoEAGIQA):
        raise ExplanationError(
            f'{net.checkpoint}: an ONNX graph cannot be explained; give the checkpoint it was made from.'
        )
    images = net.read_images(image)
    if len(images) != 1:
        raise ExplanationError(f'{len(images)} images were given: one at a time is explained.')
    _, details = net(images, [prompt], return_details=True)
    config, device = net.network.config, details.gate.device
    words, unread = read_words(prompt, config.prompt_tokens)
    without = [' '.join(words[:n] + words[n + 1 :] + unread) for n in range(len(words))]
    with plain_arithmetic(device):
        features = net.encode(images, list(details.crop_positions))
        places, scores = _leave_out(net.network, features, [prompt, *without], net.target)
    names, boxes = _looked_at(images, details, net)
    return Explanation(
        image=images[0].cpu(),
        prompt=prompt,
        target=net.target,
        details=details,
        names=names,
        boxes=boxes,
        places=places,
        words=words if config.branches != 'visual' else [],
        word_shares=(scores[0] - scores[1:]).tolist() if config.branches != 'visual' else [],
        unread=unread,
        mos={name: scale_of(net, name).of(score.item()) for name, score in details.scores.items()},
    )


def read_words(prompt: str, length: int) -> tuple[list[str], list[str]]:
    """A prompt's words, between spaces, that ``length`` tokens reach into, and those after them."""
    encoding = bert_tokenizer().encode(prompt)
    cut = len(encoding.ids) > length
    end = encoding.offsets[length - 2][1] if cut else len(prompt)  # the last token kept is [SEP]
    words = prompt.split()
    read = len(prompt[:end].split())
    return words[:read], words[read:]


def _leave_out(network: MoEAGIQA, features: Features, prompts: list[str], target: str) -> tuple[Tensor | None, Tensor]:
    """``places`` for the first prompt, and the image's score for each of them."""
    config, visual = network.config, network.visual_tokens(features)
    device = next(network.parameters()).device
    ids, mask, _ = (
        part.to(device) if isinstance(part, Tensor) else part for part in tokenize(prompts, config.prompt_tokens)
    )
    places, scores = None, []
    for some, shown in zip(ids.split(PROMPTS_AT_ONCE), mask.split(PROMPTS_AT_ONCE), strict=True):
        count = len(some)
        own = Features(*(None if part is None else part.expand(count, *part.shape[1:]) for part in features))
        fused, matching = network.fuse(own, None if visual is None else visual.expand(count, -1, -1), some, shown)
        seen = own.degradation.flatten(3).movedim(3, 2) if config.linear else None  # (count, n, L1, D)
        answer = network.judge(fused.mean(2), None if seen is None else seen.mean(2), matching).targets[target].score
        if not scores and visual is not None and fused.shape[2] > 1:
            first = None if matching is None else tuple(part[:1] for part in matching)
            without = network.judge(_without_each(fused), _without_each(seen), first).targets[target].score
            places = (answer[:1] - without).T.unflatten(1, features.degradation.shape[-2:]).cpu()
        scores.append(mean_over_crops(answer, config)[:, 0])
    return places, torch.cat(scores).cpu()


def _without_each(tokens: Tensor | None) -> Tensor | None:
    """The means of the first prompt's tokens when each in turn is left out: (N, n, L1, C) -> (L1, n, C)."""
    if tokens is None:
        return None
    mean = tokens[0].mean(dim=1, keepdim=True)
    return (mean + (mean - tokens[0]) / (tokens.shape[2] - 1)).transpose(0, 1)


def _looked_at(
    images: ImageBatch, details: Details, net: MoEAGIQAMetric
) -> tuple[list[str], list[tuple[int, int, int]]]:
    """Names and boxes of what the crops' scores are of."""
    config = net.network.config
    if config.branches == 'semantic':
        return ['image'], []
    positions, (height, width) = details.crop_positions[0].tolist(), images[0].shape[-2:]
    sides = crop_sides(height, width, config.crop_size, len(positions), config.crop_scales).tolist()
    names = [str(1 + n) for n in range(len(positions))]
    boxes = [(y, x, side) for (y, x), side in zip(positions, sides, strict=True)]
    if config.view_is_crop:
        short = min(height, width)
        side = min(max(height, width), MAX_ASPECT * short) if config.whole_view else short  # whole: beyond two edges
        return ['view', *names], [((height - side) // 2, (width - side) // 2, side), *boxes]
    return names, boxes


def _centres(length: int, count: int) -> np.ndarray:
    """Middles of ``count`` equal parts of a length."""
    return (np.arange(count) + 0.5) * length / count


def _nearest(points: np.ndarray, start: int, side: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of ``count`` equal parts of [start, start + side) each point is in, of the points that are; and which are."""
    inside = np.flatnonzero((points >= start) & (points < start + side))
    return ((points[inside] - start) * count / side).astype(int), inside
