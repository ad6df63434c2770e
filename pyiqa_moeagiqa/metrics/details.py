"""Combines the network's answers for crops and prompt windows into scores and details of each image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..archs.config import MoEAGIQAConfig
from ..archs.experts import ExpertScores
from ..archs.moeagiqa_arch import mean_over_crops
from ..archs.tokenizer import Windows


@dataclass
class Details:
    """How the scores came about, for one target.

    Attributes:
        scores: one (N, 1) tensor per target that the checkpoint has.
        interval: (N, 2) per target, the range that holds the MOS of most images with such a score (80 % for the default); empty for a
            checkpoint that was not calibrated.
        novelty: (N,) how far each image is from those that the network was trained on. Above 1 an image is farther away
            than 99 % of the pictures that the network was tested on, and its score is a guess. None for a checkpoint
            without this figure.
        crop_scores: (N, n), before the mean; with ``view_is_crop`` (N, 1 + n), the view's first. For a prompt in windows,
            these and ``gate`` are means over its windows.
        crop_positions: (N, n, 2) of (y, x) of the crops; the view has none.
        gate: weights of all experts, (N, n, experts); with ``view_is_crop`` (N, 1 + n, experts), as for ``crop_scores``.
        chosen: (N, n, k), or (N, 1 + n, k): the experts that scored, best-weighted first; for a prompt in windows, those of its first window.
        cut_tokens: per image, how many tokens of its prompt did not fit.
    """

    scores: dict[str, Tensor]
    interval: dict[str, Tensor]
    novelty: Tensor | None
    crop_scores: Tensor
    crop_positions: Tensor
    gate: Tensor
    chosen: Tensor
    cut_tokens: list[int]


def details(
    targets: dict[str, ExpertScores],
    novelty: Tensor | None,
    positions: Tensor,
    windows: Windows,
    config: MoEAGIQAConfig,
    target: str,
    info: dict[str, Any],
) -> Details:
    """Build ``Details`` from the answers per image.

    Args:
        targets: per target, one answer per image, with scores (N, n).
        novelty: each image's, (N,), or None.
        positions: each image's crops, (N, n, 2).
        windows: the prompts' windows.
        config: the network's.
        target: the target whose crop scores, gate and chosen experts are given.
        info: the checkpoint's, which can hold intervals.
    """
    means = {name: mean_over_crops(answer.score, config) for name, answer in targets.items()}
    errors = info.get('interval', {})
    return Details(
        scores=means,
        interval={name: means[name] + means[name].new_tensor(errors[name]) for name in means if name in errors},
        novelty=novelty,
        crop_scores=targets[target].score,
        crop_positions=positions,
        gate=targets[target].gate,
        chosen=targets[target].chosen,
        cut_tokens=windows.cut,
    )


def joined(targets: dict[str, ExpertScores], windows: Windows) -> dict[str, ExpertScores]:
    """Merge the windows' answers (M, ...) into one per prompt (N, ...): the mean, weighted by tokens."""
    counts = torch.bincount(windows.prompt).tolist()
    if len(counts) == len(windows.prompt):
        return targets
    shares = windows.share.to(next(iter(targets.values())).score.device)

    def mean(answers: Tensor) -> Tensor:
        weighted = answers * shares.view(-1, *[1] * (answers.dim() - 1))
        return torch.stack([part.sum(dim=0) for part in weighted.split(counts)])

    return {
        name: ExpertScores(mean(score), mean(gate), torch.stack([part[0] for part in chosen.split(counts)]))
        for name, (score, gate, chosen) in targets.items()
    }


def together(answers: Sequence[dict[str, ExpertScores]]) -> dict[str, ExpertScores]:
    """Join several answers into one, in their order: per target (M, n) in all."""
    return {
        name: ExpertScores(*map(torch.cat, zip(*(answer[name] for answer in answers), strict=True)))
        for name in answers[0]
    }


def no_answers(config: MoEAGIQAConfig, crops: int, device: torch.device) -> dict[str, ExpertScores]:
    """Return the answer for no images: tensors of the usual shapes with N = 0."""
    looks = 1 if config.branches == 'semantic' else crops + config.view_is_crop
    empty = torch.zeros(0, looks, config.experts, device=device, dtype=torch.float32)
    answer = ExpertScores(empty[..., 0], empty, empty[..., : config.top_k].long())
    return dict.fromkeys(config.targets, answer)
