"""Is the map of places right? In how many images damage to its best place takes more from the score than to its worst.

    python benchmarks/occlusion.py FOLDER [--images 20] [--first 0] [--weights FILE]

FOLDER holds AGIQA-3K: its data.csv, sorted by generator, of which every n-th row is taken, and images/. The map blurs strongly, with
soft edges; the damage is a slighter blur, noise, or one colour, in a smaller square with hard edges. The figures in the README are of
the images from rows 0 and 60 together.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
import pyiqa
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur, gaussian_noise, to_dtype
from tqdm import tqdm

from pyiqa_moeagiqa.scoring.explain import explain

SIDE = 1 / 4  # of the short side; a window of the map has two sevenths
RADIUS = 1 / 128  # of the short side: the blur's standard deviation
NOISE = 0.1  # standard deviation, of 1


def damages(image: Tensor) -> dict[str, Tensor]:
    """The whole image (3, H, W) in [0, 1], damaged in three ways."""
    sigma = RADIUS * min(image.shape[-2:])
    torch.manual_seed(0)
    return {
        'blur': gaussian_blur(image, 2 * round(3 * sigma) + 1, sigma),
        'noise': gaussian_noise(image, sigma=NOISE),
        'one colour': image.mean(dim=(1, 2), keepdim=True).expand_as(image),
    }


def square(place: int, grid: tuple[int, int], size: tuple[int, int]) -> tuple[slice, slice, slice]:
    """Where the damage lies: in the middle of a place, moved to lie within the image."""
    side = round(SIDE * min(size))
    starts = [
        min(max(round((n + 0.5) * length / count - side / 2), 0), length - side)
        for n, length, count in zip(divmod(place, grid[1]), size, grid, strict=True)
    ]
    return slice(None), *(slice(start, start + side) for start in starts)


def check(metric: Any, file: Path, prompt: str) -> dict[str, bool]:
    """For each kind of damage whether it takes more from the score in the best place than in the worst."""
    explanation = explain(metric, file, prompt)
    image, places = to_dtype(explanation.image, torch.float32, scale=True), explanation.places
    best, worst = (square(int(place), places.shape, image.shape[-2:]) for place in (places.argmax(), places.argmin()))
    answers = {}
    for name, damaged in damages(image).items():
        copies = image.repeat(2, 1, 1, 1)
        for copy, where in zip(copies, (best, worst), strict=True):
            copy[where] = damaged[where]
        in_best, in_worst = metric(copies, caption_list=[prompt] * 2).flatten().tolist()
        answers[name] = in_best < in_worst
    return answers


def main() -> None:
    """Check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--images', type=int, default=20)
    parser.add_argument('--first', type=int, default=0, help='row of the first image: another takes other images')
    parser.add_argument('--weights', help='a checkpoint')
    options = parser.parse_args()
    table = pd.read_csv(options.folder / 'data.csv')
    table = table[options.first :: len(table) // options.images][: options.images]
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=options.weights, dtype='auto')
    pairs = zip(table['name'], table['prompt'], strict=True)
    shown = tqdm(pairs, total=len(table), unit='image', disable=None)
    rows = [check(metric, options.folder / 'images' / name, prompt) for name, prompt in shown]
    for name, right in pd.DataFrame(rows).sum().items():
        print(f'{name}: {right} of {len(rows)} images')


if __name__ == '__main__':
    main()
