"""What a scorer reached on prompts it never saw, beside the floor that no pixel is needed for."""

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

DIFFERENT = 0.3  # MOS; pairs closer than that are not told apart by raters either


def pooled(scores: np.ndarray, mos: np.ndarray) -> dict[str, float]:
    """SRCC and PLCC over all images."""
    return {'srcc': float(spearmanr(scores, mos).statistic), 'plcc': float(pearsonr(scores, mos).statistic)}


def within(scores: np.ndarray, mos: np.ndarray, settings: np.ndarray) -> float:
    """Mean over generator settings of SRCC within each."""
    each = [spearmanr(scores[settings == one], mos[settings == one]).statistic for one in np.unique(settings)]
    return float(np.nanmean(each))


def pair_accuracy(scores: np.ndarray, mos: np.ndarray, prompts: np.ndarray) -> float:
    """Share of pairs of one prompt's images, at least ``DIFFERENT`` apart in MOS, that are put in the right order."""
    right = total = 0
    for prompt in np.unique(prompts):
        rows = np.flatnonzero(prompts == prompt)
        gap = mos[rows][:, None] - mos[rows][None]
        ordered = (scores[rows][:, None] - scores[rows][None])[gap > DIFFERENT]
        right += (ordered > 0).sum()
        total += ordered.size
    return float(right / total)


def figures(scores: np.ndarray, mos: np.ndarray, table: pd.DataFrame) -> dict[str, float]:
    """All of the above; ``table`` has columns generator and prompt."""
    settings, prompts = table['generator'].to_numpy(), table['prompt'].to_numpy()
    return pooled(scores, mos) | {
        'within': within(scores, mos, settings),
        'pairs': pair_accuracy(scores, mos, prompts),
    }


def own_prompt_share(cosine: np.ndarray, prompts: np.ndarray) -> float:
    """How often an image is closer to its own prompt than to another one of the same images."""
    own = np.diag(cosine)[:, None]
    other = prompts[:, None] != prompts[None]
    return float((own > cosine)[other].mean())
