"""Generates images of one prompt and keeps the best: its picture, its reward and the seed that makes it again.

    python examples/best_of_n.py PIPELINE --prompt 'a cat in the snow' [--count 16] [--enough 0.8] [--output best.png]

PIPELINE is any text-to-image pipeline of diffusers, a folder or a name on the hub. Each batch is rewarded as soon as it is there, and
with --enough no image is generated after one that is good enough.
"""

import argparse
import math
from pathlib import Path

import torch
from diffusers import AutoPipelineForText2Image
from PIL import Image

from pyiqa_moeagiqa import Reward


def best_of(options: argparse.Namespace) -> tuple[float, int, Image.Image]:
    """Generate batch by batch; return the best reward, its seed and its image."""
    pipeline = AutoPipelineForText2Image.from_pretrained(options.pipeline)
    pipeline.to('cuda' if torch.cuda.is_available() else 'cpu')
    reward, best = Reward(options.target, pretrained_model_path=options.weights), (-math.inf, 0, None)
    for first in range(0, options.count, options.batch):
        seeds = range(first, min(first + options.batch, options.count))
        prompts = [options.prompt] * len(seeds)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        images = pipeline(prompts, generator=generators, num_inference_steps=options.steps).images
        each = zip(reward(images, prompts).tolist(), seeds, images, strict=True)
        best = max(best, *each, key=lambda one: one[0])
        print(f'{seeds[-1] + 1} of {options.count} images: best reward {best[0]:.3f}, of seed {best[1]}', flush=True)
        if options.enough is not None and best[0] >= options.enough:
            break
    return best


def main(words: list[str] | None = None) -> tuple[float, int, Image.Image]:
    """Read the options, generate, and write the best image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('pipeline')
    parser.add_argument('--prompt', required=True)
    parser.add_argument('--count', type=int, default=16, help='how many images to generate at most')
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--steps', type=int, default=30, help='denoising steps of each image')
    parser.add_argument('--target', default='quality', help='quality or alignment')
    parser.add_argument('--weights', help='another checkpoint to reward by, such as one of your own training')
    parser.add_argument('--enough', type=float, help='a reward at which to stop')
    parser.add_argument('--output', type=Path, default=Path('best.png'))
    options = parser.parse_args(words)
    best = best_of(options)
    best[-1].save(options.output)
    return best


if __name__ == '__main__':
    main()
