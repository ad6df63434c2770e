"""AGIQA-3K's images, prompts and opinion scores, damaged copies of them and photographs, with the encoders' features at hand."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.transforms.v2.functional import pil_to_tensor

from pyiqa_moeagiqa.archs.moeagiqa_arch import Features, MoEAGIQA
from pyiqa_moeagiqa.archs.tokenizer import tokenize
from pyiqa_moeagiqa.images.read import read_image

from .. import photographs
from ..damage import DAMAGE, STRENGTHS
from .features import extract

MOS_MAX = 5
DAMAGED_EVERY, COPIES = 4, 3  # of so many images one has so many damaged copies
SAMPLE, ROUNDING = 48, 0.02  # pictures that check stored features, and the largest relative difference
SIDES = (512, 768, 1024, 1536)  # a clean photograph is seen with as many pixels as squares of these


@dataclass
class Data:
    """Rows of the annotation file, damaged copies and photographs, and all that training reads of them.

    Attributes:
        table: N images: name, prompt, generator, family and the MOS.
        damaged: copies: row in ``table``, kind and strength (0 to 4) of the damage.
        photos: photographs: file, side, kind ('' for a clean one), strength (-1), reported.
        mos: (N, 2) quality and alignment in [0, 1].
        prompt: (N,) number of each image's prompt.
        prompt_mask: (prompts, L2) of each prompt's tokens.
        seen: the features of 'clean', 'damaged' and 'photos', row by row, and their 'means' over places.
    """

    table: pd.DataFrame
    damaged: pd.DataFrame
    photos: pd.DataFrame
    mos: Tensor
    prompt: Tensor
    prompt_mask: Tensor
    seen: dict[str, dict[str, Tensor]]

    def features(self, kind: str, rows: np.ndarray, places: bool = True) -> Features:
        """What the encoders see of pictures: of the whole view, then of the crops; without ``places`` their mean in one."""
        seen = self.seen[kind]
        degradation = seen['degradation'][rows].float() if places else seen['means'][rows][..., None, None]
        return Features(degradation, None, seen['image'][rows].float())

    def ids(self, prompts: Tensor) -> Tensor:
        """Prompts by number, in the place of token ids: see ``Words``."""
        return prompts[:, None].expand(-1, self.prompt_mask.shape[1])


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
    """AGIQA-3K's ``data.csv`` with the generator setting that the file names tell, and the family of the generator."""
    table = pd.read_csv(folder / 'data.csv', keep_default_na=False)
    table['generator'] = table['name'].str.replace(r'_\d+\.\w+$', '', regex=True)
    return table.assign(family=table['generator'].str.split('_').str[0])


def load(folder: Path, work: Path, network: MoEAGIQA) -> tuple[Data, Words]:
    """Everything training needs; features are computed where ``work`` does not hold them yet."""
    table = read_table(folder)
    prompts = sorted(table['prompt'].unique())
    numbers = table['prompt'].map({prompt: number for number, prompt in enumerate(prompts)})
    ids, mask, _ = tokenize(prompts, network.config.prompt_tokens)
    with torch.inference_mode():
        states = torch.cat([network.semantic.text(*part) for part in zip(ids.split(32), mask.split(32), strict=True)])  # fmt: skip
    mos = torch.tensor(table[['mos_quality', 'mos_align']].to_numpy() / MOS_MAX).float()
    damaged, photos = damaged_copies(len(table)), photo_table(work)
    paths = image_paths(folder, table['name'])
    pictures: dict[str, list[Callable[[], Tensor]]] = {
        'clean': [partial(read_image, path) for path in paths],
        'damaged': [
            partial(damaged_image, paths[one.row], one.kind, one.strength, one.Index) for one in damaged.itertuples()
        ],
        'photos': [partial(photograph, one) for one in photos.itertuples()],
    }
    seen = {kind: _kept(work / f'{kind}.safetensors', network, some) for kind, some in pictures.items()}
    return Data(table, damaged, photos, mos, torch.tensor(numbers.to_numpy()), mask, seen), Words(states.clone())


def image_paths(folder: Path, names: Iterable[str]) -> list[Path]:
    """Where in a folder the images of these names lie; SystemExit names the first that is missing."""
    places = {file.name: file for file in folder.rglob('*')}
    missing = [name for name in names if name not in places]
    if missing:
        raise SystemExit(
            f'{folder}: {len(missing)} images of data.csv are missing, such as {missing[0]}; unpack them there.'
        )
    return [places[name] for name in names]


def damaged_copies(images: int) -> pd.DataFrame:
    """Which images have which damaged copies: row, kind, strength."""
    random, copies = np.random.default_rng(0), []
    for row in range(0, images, DAMAGED_EVERY):
        kinds = random.choice(list(DAMAGE), COPIES, replace=False)
        copies += [(row, kind, random.integers(STRENGTHS)) for kind in kinds]
    return pd.DataFrame(copies, columns=['row', 'kind', 'strength'])


def damaged_image(path: Path, kind: str, strength: int, seed: int) -> Tensor:
    """(3, H, W), uint8."""
    image = Image.fromarray(read_image(path).permute(1, 2, 0).numpy())
    return pil_to_tensor(DAMAGE[kind](image, int(strength), seed))


def photo_table(work: Path) -> pd.DataFrame:
    """Every photograph at its sizes, and damaged in all ways: those that teach in two strengths, the reported ones in all."""
    rows = []
    files = [(file, False) for file in photographs.wallpapers(work)] + [(file, True) for file in photographs.reported()]
    for number, (file, reported) in enumerate(files):
        rows += [(file, side, '', -1, reported) for side in SIDES]
        random = np.random.default_rng(number)
        for kind in DAMAGE:
            strengths = range(STRENGTHS) if reported else sorted(random.choice(STRENGTHS, 2, replace=False))
            rows += [(file, SIDES[0], kind, strength, reported) for strength in strengths]
    return pd.DataFrame(rows, columns=['file', 'side', 'kind', 'strength', 'reported'])


def photograph(one) -> Tensor:
    """(3, H, W), uint8, of a row of ``photo_table``."""
    image = Image.fromarray(read_image(one.file).permute(1, 2, 0).numpy())
    image = photographs.of_area(image, one.side)
    return pil_to_tensor(DAMAGE[one.kind](image, int(one.strength), one.Index) if one.kind else image)


def _kept(file: Path, network: MoEAGIQA, pictures: list[Callable[[], Tensor]]) -> dict[str, Tensor]:
    """Load features from the file. Compute and store them if there is no file, or if a sample of them no longer holds."""
    seen = load_file(file) if file.exists() else None
    if seen is None or not _still_true(seen, network, pictures):
        seen = extract(network, pictures, file.stem)
        save_file(seen, file)
    means = [part.float().mean(dim=(3, 4)) for part in seen['degradation'].split(256)]
    return seen | {'means': torch.cat(means)}


def _still_true(stored: dict[str, Tensor], network: MoEAGIQA, pictures: list[Callable[[], Tensor]]) -> bool:
    """Whether every picture has stored features, and those of a sample equal newly computed ones but for rounding."""
    if len(stored['image']) != len(pictures):
        return False
    sample = np.linspace(0, len(pictures) - 1, SAMPLE).round().astype(int)
    return all(
        tensor.shape == stored[name][sample].shape
        and (tensor.float() - stored[name][sample].float()).abs().mean() < ROUNDING * tensor.float().abs().mean()
        for name, tensor in extract(network, [pictures[number] for number in sample], 'a sample').items()
    )
