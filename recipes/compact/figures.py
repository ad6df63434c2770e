"""What a scorer reached on prompts it never saw, beside the floor that no pixel is needed for."""

import numpy as np
import pandas as pd
from scipy.stats import pearsonr

from pyiqa_moeagiqa.leaderboard.statistics import pair_accuracy, srcc, within

DIFFERENT = 0.3  # MOS; pairs closer than that are not told apart by raters either


def figures(scores: np.ndarray, mos: np.ndarray, table: pd.DataFrame) -> dict[str, float]:
    """SRCC and PLCC over all images, SRCC within generator settings, and the share of pairs of one prompt in the right order.

    ``table`` has columns generator and prompt.
    """
    rated = table[['generator', 'prompt']].assign(score=scores, mos=mos)
    return {
        'srcc': srcc(rated),
        'plcc': float(pearsonr(scores, mos).statistic),
        'within': within(rated),
        'pairs': pair_accuracy(rated, DIFFERENT),
    }


def own_prompt_share(cosine: np.ndarray, prompts: np.ndarray) -> float:
    """How often an image is closer to its own prompt than to another one of the same images."""
    own = np.diag(cosine)[:, None]
    other = prompts[:, None] != prompts[None]
    return float((own > cosine)[other].mean())
