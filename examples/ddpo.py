"""Fine-tunes Stable Diffusion by policy gradients, as DDPO does (Black et al., 'Training Diffusion Models with Reinforcement
Learning', ICLR 2024). The reward needs no gradient.

    python examples/ddpo.py PIPELINE --prompts prompts.txt --output lora/ [--epochs 50]

Denoising is a chain of Gaussian decisions. Each epoch samples images, compares each reward with the others of its prompt, and makes
the decisions of better images more likely, by at most --clip at a time. Only LoRA adapters learn. Watch the run with the guard of
guard.py: the metric can be fooled.
"""

import argparse
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from pipelines import adapters, decode, embed, load, predict_noise, start
from torch import Tensor
from torch.distributions import Normal

from pyiqa_moeagiqa import Reward


class Decision(NamedTuple):
    """One denoising step of all images: its time, latents before and after, and the log-probability of what was drawn, (N,)."""

    time: Tensor
    before: Tensor
    after: Tensor
    log_probability: Tensor


def next_latents(scheduler: DDIMScheduler, noise: Tensor, time: Tensor, latents: Tensor) -> Normal:
    """The distribution of the next latents: DDIM with eta = 1 (Song et al., ICLR 2021, equations 12 and 16)."""
    alphas = scheduler.alphas_cumprod.to(latents.device)
    earlier = time - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    alpha, alpha_next = alphas[time], alphas[earlier] if earlier >= 0 else scheduler.final_alpha_cumprod
    image = (latents - (1 - alpha).sqrt() * noise) / alpha.sqrt()
    variance = ((1 - alpha_next) / (1 - alpha) * (1 - alpha / alpha_next)).clamp(min=1e-6)
    mean = alpha_next.sqrt() * image + (1 - alpha_next - variance).clamp(min=0).sqrt() * noise
    return Normal(mean, variance.sqrt())


def log_probability(distribution: Normal, latents: Tensor) -> Tensor:
    """Of each image's latents, the mean over their values, (N,)."""
    return distribution.log_prob(latents).mean(dim=(1, 2, 3))


@torch.no_grad()
def sample(
    pipeline: StableDiffusionPipeline, embeddings: Tensor, latents: Tensor, guidance: float
) -> tuple[Tensor, list[Decision]]:
    """Denoise; return the images (N, 3, H, W) and the decisions that made them."""
    decisions = []
    for time in pipeline.scheduler.timesteps:
        noise = predict_noise(pipeline, latents, time, embeddings, guidance)
        distribution = next_latents(pipeline.scheduler, noise, time, latents)
        after = distribution.sample()
        decisions.append(Decision(time, latents, after, log_probability(distribution, after)))
        latents = after
    return decode(pipeline, latents), decisions


def advantages(rewards: Tensor, prompts: list[str]) -> Tensor:
    """Rewards (N,) less their prompt's mean, in standard deviations of all."""
    centred = torch.empty_like(rewards)
    for prompt in set(prompts):
        same = torch.tensor([other == prompt for other in prompts], device=rewards.device)
        centred[same] = rewards[same] - rewards[same].mean()
    return centred / (rewards.std() + 1e-6)


def train(options: argparse.Namespace) -> list[dict[str, float]]:
    """Sample and update in turns; return each epoch's mean reward and mean probability ratio of its first update."""
    prompts = options.prompts.read_text(encoding='utf-8').splitlines()
    pipeline, reward = (
        load(options.pipeline, options.rank, options.steps),
        Reward(options.target, pretrained_model_path=options.weights),
    )
    optimizer, pool = torch.optim.AdamW(adapters(pipeline), lr=options.rate), ThreadPoolExecutor(1)
    draw, rows = random.Random(0), []
    for epoch in range(options.epochs):
        batch = [prompt for prompt in draw.choices(prompts, k=options.prompts_at_once) for _ in range(options.batch)]
        embeddings, latents = embed(pipeline, batch), start(pipeline, len(batch), epoch)
        images, decisions = sample(pipeline, embeddings, latents, options.guidance)
        rewards, known = pool.submit(reward, images, batch, {}).result()  # as DDPO's trainers call it
        gain, ratios = advantages(rewards, batch).to(latents.device), []
        for decision in draw.sample(decisions, len(decisions)):
            noise = predict_noise(pipeline, decision.before, decision.time, embeddings, options.guidance)
            distribution = next_latents(pipeline.scheduler, noise, decision.time, decision.before)
            ratio = (log_probability(distribution, decision.after) - decision.log_probability).exp()
            clipped = ratio.clamp(1 - options.clip, 1 + options.clip)
            (-torch.min(ratio * gain, clipped * gain).mean()).backward()
            torch.nn.utils.clip_grad_norm_(adapters(pipeline), 1)
            optimizer.step()
            optimizer.zero_grad()
            ratios.append(ratio.mean().item())
        rows.append({'reward': rewards.mean().item(), 'first ratio': ratios[0]})
        print(f'epoch {epoch}:', *(f'{name} {values.float().mean():.3f}' for name, values in known.items()), flush=True)
    pipeline.unet.save_lora_adapter(options.output)
    return rows


def main(words: list[str] | None = None) -> list[dict[str, float]]:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('pipeline', help='a Stable Diffusion pipeline: a folder, or a name on the hub')
    parser.add_argument('--prompts', type=Path, required=True, help='a text file with a prompt on each line')
    parser.add_argument('--output', type=Path, required=True, help='folder for the adapters')
    parser.add_argument('--epochs', type=int, default=50)
    parser.add_argument('--prompts-at-once', type=int, default=4, help='prompts of an epoch')
    parser.add_argument('--batch', type=int, default=4, help='images of each of them')
    parser.add_argument('--steps', type=int, default=50, help='denoising steps of each image')
    parser.add_argument('--guidance', type=float, default=5.0)
    parser.add_argument('--clip', type=float, default=1e-4, help='how far the ratio of probabilities may go from 1')
    parser.add_argument('--rank', type=int, default=8, help='of the adapters')
    parser.add_argument('--rate', type=float, default=3e-4, help='learning rate')
    parser.add_argument('--target', default='quality', help='quality or alignment')
    parser.add_argument('--weights', help='another checkpoint to reward by, such as one of your own training')
    return train(parser.parse_args(words))


if __name__ == '__main__':
    main()
