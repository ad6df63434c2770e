"""Fools the reward on purpose, and shows which guard notices.

    python examples/guard.py TABLE [--images 8] [--reach 8] [--steps 10] [--judges piqe]

TABLE has columns path and prompt, such as the CSV that ``moeagiqa prepare`` writes. Each step moves every pixel so that the
reward rises, by at most --reach of 255 grey values in all: people hardly see it, so the rise is the metric's error and no better
picture. ``Guard`` does for a trainer what it does here: call it with the same prompts every few updates.
"""

import argparse
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pyiqa
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from pyiqa_moeagiqa import Reward

NOVEL = 1  # above it an image is farther from the training images than 99 % of those that the metric was tested on
WORSE = 0.1  # share of its first value by which a judge may get worse
FRAGILE = 0.05  # of the reward that compression may take away beyond what it took at first


class Guard:
    """Watches a generator's images for signs that they please the reward alone.

    Args:
        reward: what the generator is trained by.
        judges: names of pyiqa's no-reference metrics that it is not trained by.
    """

    def __init__(self, reward: Reward, judges: list[str]):
        self.reward = reward
        self.judges = {name: pyiqa.create_metric(name, device=reward.metric.device) for name in judges}
        self.first: dict[str, float] = {}

    @torch.no_grad()
    def measure(self, images: list[Tensor], prompts: list[str]) -> dict[str, float]:
        """Mean of everything that is watched: the targets, what compression takes, each judge, the share of novel images."""
        rewards, known = self.reward(images, prompts, {})
        means = {name: known[name].mean().item() for name in self.reward.metric.network.config.targets}
        means['taken'] = (rewards - self.reward([compressed(image) for image in images], prompts)).mean().item()
        if 'novelty' in known:
            means['novel'] = (known['novelty'] > NOVEL).float().mean().item()
        for name, judge in self.judges.items():
            means[name] = sum(judge(image[None]).item() for image in images) / len(images)
        self.first = self.first or means
        return means

    def signs(self, means: dict[str, float]) -> list[str]:
        """What speaks against a rise of the reward, against the first measurement; empty if nothing does."""
        signs = [name for name, judge in self.judges.items() if self._is_worse(name, means, judge.lower_better)]
        targets = self.reward.metric.network.config.targets
        signs += [name for name in targets if self._is_worse(name, means, lower_better=False)]
        signs += ['taken'] * (means['taken'] > self.first['taken'] + FRAGILE)
        return signs + ['novel'] * (means.get('novel', 0) > self.first.get('novel', 0))

    def _is_worse(self, name: str, means: dict[str, float], lower_better: bool) -> bool:
        loss = (means[name] - self.first[name]) * (1 if lower_better else -1)
        return loss > WORSE * abs(self.first[name])


def compressed(image: Tensor) -> Tensor:
    """The image (3, H, W) as a JPEG of quality 75, which people hardly see: a good picture stays one, a trick may not."""
    jpeg = io.BytesIO()
    to_pil_image((image * 255).round().byte().cpu()).save(jpeg, 'JPEG', quality=75)
    with Image.open(jpeg) as read:
        return (pil_to_tensor(read) / 255).to(image.device)


def climb(reward: Reward, image: Tensor, start: Tensor, prompt: str, step: float, reach: float) -> Tensor:
    """Move an image (3, H, W) uphill by ``step`` in each pixel, not farther than ``reach`` from its start."""
    image = image.clone().requires_grad_()
    reward.loss(image, prompt).backward()
    moved = image.detach() - step * image.grad.sign()
    return moved.clamp(start - reach, start + reach).clamp(0, 1)


def fool(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Climb step by step; print and return what the guard measured, the first before any step."""
    table = pd.read_csv(options.table, keep_default_na=False).sample(frac=1, random_state=0)[: options.images]
    if missing := {'path', 'prompt'} - set(table):
        raise ValueError(f'the table has no column {min(missing)}')
    files, prompts = [options.table.parent / path for path in table['path']], list(table['prompt'])
    starts = [pil_to_tensor(Image.open(file).convert('RGB')) / 255 for file in files]
    reward, images = Reward(options.target, pretrained_model_path=options.weights), starts
    guard, rows = Guard(reward, options.judges), []
    for step in range(options.steps + 1):
        if step:
            each = zip(images, starts, prompts, strict=True)
            images = [climb(reward, *one, 2 * options.reach / options.steps / 255, options.reach / 255) for one in each]
        means = guard.measure(images, prompts)
        signs = guard.signs(means)
        figures = ', '.join(f'{name} {value:.3f}' for name, value in means.items())
        print(f'step {step}: {figures}; signs: {", ".join(signs) or "none"}', flush=True)
        rows.append(means | {'signs': signs})
    return rows


def main(words: list[str] | None = None) -> list[dict[str, Any]]:
    """Read the options and climb."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table', type=Path, help='CSV with columns path, relative to its folder, and prompt')
    parser.add_argument('--images', type=int, default=8)
    parser.add_argument('--reach', type=float, default=8, help='grey values by which a pixel may change (of 255)')
    parser.add_argument('--steps', type=int, default=10)
    parser.add_argument('--target', default='quality')
    parser.add_argument('--weights', help='another checkpoint to reward by, such as one of your own training')
    parser.add_argument('--judges', nargs='+', default=['piqe'], help="other no-reference metrics of pyiqa's")
    options = parser.parse_args(words)
    try:
        return fool(options)
    except (OSError, ValueError) as error:
        parser.error(f'{error} (the paths in {options.table} are relative to its folder)')


if __name__ == '__main__':
    main()
