"""From where to where the MOS lies, given a score: quantiles of the error on prompts that training had not seen."""

import numpy as np

SHARE = 0.8


def quantiles(errors: np.ndarray) -> tuple[float, float]:
    """Between which two values ``SHARE`` of errors (MOS less score) lie, as many below as above."""
    low, high = np.quantile(errors, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return float(low), float(high)


def coverage(errors: np.ndarray, fold: np.ndarray) -> list[float]:
    """Per fold the share of errors within the quantiles of the other folds' errors."""
    shares = []
    for number in np.unique(fold):
        low, high = quantiles(errors[fold != number])
        held = errors[fold == number]
        shares.append(float(((low <= held) & (held <= high)).mean()))
    return shares
