"""A score as a person reads it: in words, in numbers, and as places on a scale."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..scoring.result import Result
from ..scoring.scale import INTERVAL_SHARE, Scale

QUALITY = ('bad', 'poor', 'fair', 'good', 'excellent')  # as in ITU-T P.910, one for each fifth of the scale
FIT = ('hardly fits', 'fits a little', 'fits partly', 'fits well', 'fits very well')


@dataclass(frozen=True)
class Told:
    """One target's score of one picture.

    Attributes:
        target: such as 'quality'.
        word: such as 'good'.
        number: such as '3.42 of 5'; the score itself for a checkpoint without a MOS range.
        sentences: its interval and percentile, as far as the checkpoint knows them.
        mark: where the score lies on its scale, in percent.
        band: where its interval begins on the scale and how wide it is, in percent; None if it has none.
    """

    target: str
    word: str
    number: str
    sentences: list[str]
    mark: float
    band: tuple[float, float] | None


def told(result: Result, scales: Mapping[str, Scale]) -> list[Told]:
    """What a result says on each target, the metric's own first; nothing for a picture without a score.

    Args:
        result: of a picture.
        scales: of the metric, from ``scales_of``.
    """
    if result.score is None:
        return []
    scores = {target: result.score if target == next(iter(scales)) else result.scores[target] for target in scales}
    return [_told(target, score, scales[target]) for target, score in scores.items()]


def _told(target: str, score: float, scale: Scale) -> Told:
    words = FIT if target == 'alignment' else QUALITY
    word = words[min(max(int(len(words) * score), 0), len(words) - 1)]
    numbers, sentences, band = scale.of(score), [], None
    mos, low, high, percentile = numbers.values()
    if low is not None and high is not None and scale.interval is not None:
        sentences.append(
            f'Raters gave {low:.1f} to {high:.1f} to {100 * INTERVAL_SHARE:.0f} % of images with such a score.'
        )
        start, end = (_percent(score + error) for error in scale.interval)
        band = start, end - start
    if percentile is not None:
        sentences.append(f"{percentile:.0f} % of AGIQA-3K's images are rated lower.")
    number = f'{score:.3f}' if mos is None or scale.mos_range is None else f'{mos:.2f} of {scale.mos_range[1]:g}'
    return Told(target, word, number, sentences, _percent(score), band)


def _percent(score: float) -> float:
    return 100 * min(max(score, 0), 1)
