"""Fine-tunes Stable Diffusion by the gradient of the reward, as ReFL does (Xu et al., 'ImageReward', NeurIPS 2023, algorithm 1).

    python examples/refl.py PIPELINE --prompts prompts.txt --output lora/ [--updates 100]

Each update denoises without gradients to a random late step, takes one step with them, predicts the finished image from there, and
descends minus its reward. Only LoRA adapters learn. Watch the run with the guard of guard.py: the metric can be fooled.
"""

import argparse
import random
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from pipelines import adapters, decode, embed, load, predict_noise, start
from torch import Tensor

from pyiqa_moeagiqa import Reward


def finished(pipeline: StableDiffusionPipeline, prompts: list[str], seed: int, last: int, guidance: float) -> Tensor:
    """Images (N, 3, H, W) as step number ``last`` predicts them; its gradient is that of this step alone."""
    embeddings, latents = embed(pipeline, prompts), start(pipeline, len(prompts), seed)
    times = pipeline.scheduler.timesteps
    with torch.no_grad():
        for time in times[:last]:
            noise = predict_noise(pipeline, latents, time, embeddings, guidance)
            latents = pipeline.scheduler.step(noise, time, latents).prev_sample
    noise = predict_noise(pipeline, latents, times[last], embeddings, guidance)
    return decode(pipeline, pipeline.scheduler.step(noise, times[last], latents).pred_original_sample)


def train(options: argparse.Namespace) -> list[float]:
    """Update the adapters; return the mean reward of the same finished images before and after."""
    prompts = options.prompts.read_text(encoding='utf-8').splitlines()
    pipeline, reward = (
        load(options.pipeline, options.rank, options.steps),
        Reward(options.target, pretrained_model_path=options.weights),
    )
    optimizer = torch.optim.AdamW(adapters(pipeline), lr=options.rate)
    draw, means = random.Random(0), []

    @torch.no_grad()
    def measure() -> None:
        shown = prompts[: options.batch]
        means.append(reward(finished(pipeline, shown, 0, options.steps - 1, options.guidance), shown).mean().item())

    measure()
    for update in range(1, options.updates + 1):
        batch = [draw.choice(prompts) for _ in range(options.batch)]
        last = draw.randrange(3 * options.steps // 4, options.steps)
        loss = reward.loss(finished(pipeline, batch, update, last, options.guidance), batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(adapters(pipeline), 1)
        optimizer.step()
        optimizer.zero_grad()
        print(f'update {update}: reward {-loss.item():.4f}', flush=True)
    measure()
    print(f'the same images: reward {means[0]:.4f} before, {means[1]:.4f} after')
    pipeline.unet.save_lora_adapter(options.output)
    return means


def main(words: list[str] | None = None) -> list[float]:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('pipeline', help='a Stable Diffusion pipeline: a folder, or a name on the hub')
    parser.add_argument('--prompts', type=Path, required=True, help='a text file with a prompt on each line')
    parser.add_argument('--output', type=Path, required=True, help='folder for the adapters')
    parser.add_argument('--updates', type=int, default=100)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--steps', type=int, default=40, help='denoising steps of each image')
    parser.add_argument('--guidance', type=float, default=5.0)
    parser.add_argument('--rank', type=int, default=8, help='of the adapters')
    parser.add_argument('--rate', type=float, default=1e-4, help='learning rate')
    parser.add_argument('--target', default='quality', help='quality or alignment')
    parser.add_argument('--weights', help='another checkpoint to reward by, such as one of your own training')
    return train(parser.parse_args(words))


if __name__ == '__main__':
    main()
