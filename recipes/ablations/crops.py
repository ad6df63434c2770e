"""How many crops an image needs: trained compact networks, scoring with the view and 1 to 15 crops."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from scipy.stats import pearsonr, spearmanr
from torch import Tensor
from torch.utils.data import DataLoader

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA, mean_over_crops
from pyiqa_moeagiqa.archs.tokenizer import tokenize
from pyiqa_moeagiqa.checkpoints import load_network
from pyiqa_moeagiqa.data.feature_cache import as_features
from pyiqa_moeagiqa.data.prompt_nr_dataset import PromptNRDataset
from pyiqa_moeagiqa.training.run import compute_missing

from .features import images, open_model

COUNTS = (1, 2, 3, 5, 10, 15)


class ManyCrops:
    """The features of the test images' 15 crops, and what a network makes of the first of them.

    Args:
        options: of a row with ``COUNTS[-1]`` crops in validation.
        splits: columns of the table; an image that any of them tests is looked at.
    """

    def __init__(self, options: Mapping[str, Any], splits: tuple[str, ...]):
        self.options, model = options, open_model(options)
        for split in splits:
            compute_missing(model, self._images(split), model.caches['val'])
        self.cache = model.caches['val']

    def _images(self, split: str) -> PromptNRDataset:
        return images(self.options, split_column=split, split='test')

    def figures(self, network: Path, split: str) -> pd.DataFrame:
        """SRCC and PLCC of quality, and SRCC of alignment, by the number of crops."""
        data = self._images(split)
        data.cache = self.cache
        network, _ = load_network(network)
        return by_count(scores_by_crop(network, DataLoader(data, batch_size=32)), data.mos, network.config)


@torch.no_grad()
def scores_by_crop(network: MoEAGIQA, loader: DataLoader) -> Tensor:
    """(N, 1 + n, targets), the view first."""
    scores = []
    for batch in loader:
        ids, mask, _ = tokenize(batch['prompt'], network.config.prompt_tokens, network.tokenizer)
        answer = network.assess(as_features(batch['features']), ids, mask)
        scores.append(torch.stack([part.score for part in answer.targets.values()], dim=-1))
    return torch.cat(scores)


def by_count(scores: Tensor, mos: Tensor, config: MoEAGIQAConfig) -> pd.DataFrame:
    """One row per count of crops, from scores (N, 1 + n, targets) and ``mos`` (N, targets)."""
    rows = []
    for count in COUNTS:
        mean = torch.cat([mean_over_crops(part[:, : 1 + count], config) for part in scores.unbind(-1)], dim=1)
        rows.append(
            {
                'crops': count,
                'srcc': spearmanr(mean[:, 0], mos[:, 0]).statistic,
                'plcc': pearsonr(mean[:, 0], mos[:, 0]).statistic,
                'alignment_srcc': spearmanr(mean[:, 1], mos[:, 1]).statistic,
            }
        )
    return pd.DataFrame(rows)
