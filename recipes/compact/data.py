"""AGIQA-3K's images, prompts and opinion scores, with the encoders' features of each image at hand."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pyiqa_moeagiqa.archs.moeagiqa_arch import Features, MoEAGIQA
from pyiqa_moeagiqa.archs.semantic import tokenize

from . import features

MOS_MAX = 5
DEGRADED_EVERY = 3


@dataclass
class Data:
    """Rows of the annotation file and all that training reads of them; N images.

    Attributes:
        table: columns name, prompt, generator and the MOS.
        mos: (N, 2) quality and alignment in [0, 1].
        prompt: (N,) number of each image's prompt.
        prompt_mask: (prompts, L2) of each prompt's tokens.
        seen: 'clean' and 'degraded' features; every third image has a degraded copy.
    """

    table: pd.DataFrame
    mos: Tensor
    prompt: Tensor
    prompt_mask: Tensor
    seen: dict[str, dict[str, Tensor]]

    @property
    def mask(self) -> Tensor:
        """(N, L2) of each image's prompt."""
        return self.prompt_mask[self.prompt]

    def features(self, kind: str, rows: np.ndarray) -> Features:
        """What the encoders see of images: of the whole view, then of the crops."""
        rows = rows // DEGRADED_EVERY if kind == 'degraded' else rows
        seen = self.seen[kind]
        return Features(seen['degradation'][rows].float(), None, seen['image'][rows].float())

    def ids(self, rows: np.ndarray) -> Tensor:
        """Prompts by number, in the place of token ids: see ``Words``."""
        return self.prompt[rows][:, None].expand(-1, self.prompt_mask.shape[1])


class Words(nn.Module):
    """Stands for the frozen text encoder during training: its answers are looked up by the prompt's number.

    Args:
        states: (prompts, L2, D), the encoder's last hidden states.
    """

    def __init__(self, states: Tensor):
        super().__init__()
        self.states = states

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.states[ids[:, 0]]


def read_table(folder: Path) -> pd.DataFrame:
    """AGIQA-3K's ``data.csv`` with the generator setting that the file names tell."""
    table = pd.read_csv(folder / 'data.csv', keep_default_na=False)
    return table.assign(generator=table['name'].str.replace(r'_\d+\.\w+$', '', regex=True))


def load(folder: Path, cache: Path, network: MoEAGIQA) -> tuple[Data, Words]:
    """Everything training needs; features are computed where ``cache`` does not hold them yet."""
    table = read_table(folder)
    prompts = sorted(table['prompt'].unique())
    numbers = table['prompt'].map({prompt: number for number, prompt in enumerate(prompts)})
    ids, mask, _ = tokenize(prompts, network.config.prompt_tokens)
    with torch.inference_mode():
        states = torch.cat([network.semantic.text(*part) for part in zip(ids.split(32), mask.split(32), strict=True)])  # fmt: skip
    number = torch.tensor(numbers.to_numpy())
    mos = torch.tensor(table[['mos_quality', 'mos_align']].to_numpy() / MOS_MAX).float()
    seen = load_features(folder, cache, network, table['name'].tolist())
    return Data(table, mos, number, mask, seen), Words(states.clone())


def load_features(folder: Path, cache: Path, network: MoEAGIQA, names: list[str]) -> dict[str, dict[str, Tensor]]:
    """The two kinds of features, from ``cache`` or from the images."""
    paths = [next(folder.rglob(name)) for name in names]
    chosen = {'clean': paths, 'degraded': paths[::DEGRADED_EVERY]}
    seen = {}
    for kind, pictures in chosen.items():
        file = cache / f'{kind}.safetensors'
        if not file.exists():
            cache.mkdir(parents=True, exist_ok=True)
            save_file(features.extract(network, pictures, getattr(features, kind)), file)
        seen[kind] = load_file(file)
        grid = network.visual.patch_embed.grid_size[0] // network.config.token_pool
        if seen[kind]['degradation'].shape[-1] != grid:
            raise SystemExit(f'{file}: features of another configuration; remove the file.')
    return seen
