"""What the training examples share: a Stable Diffusion pipeline with adapters that learn, and its parts in a trainer's hands."""

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from peft import LoraConfig
from torch import Tensor

ATTENTION = ['to_q', 'to_k', 'to_v', 'to_out.0']


def load(name: str, rank: int, steps: int) -> StableDiffusionPipeline:
    """Load a pipeline from a folder or the hub, with DDIM in ``steps`` steps; only LoRA adapters of its UNet learn."""
    pipeline = StableDiffusionPipeline.from_pretrained(name, safety_checker=None, requires_safety_checker=False)
    pipeline.to('cuda' if torch.cuda.is_available() else 'cpu')
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        part.requires_grad_(False)
    pipeline.unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=ATTENTION))
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline.scheduler.set_timesteps(steps)
    return pipeline


def adapters(pipeline: StableDiffusionPipeline) -> list[Tensor]:
    """The parameters that learn."""
    return [parameter for parameter in pipeline.unet.parameters() if parameter.requires_grad]


@torch.no_grad()
def embed(pipeline: StableDiffusionPipeline, prompts: list[str]) -> Tensor:
    """Embeddings of no prompt, then of each prompt, (2 N, tokens, channels), as classifier-free guidance needs them."""
    embedded, nothing = pipeline.encode_prompt(prompts, pipeline.device, 1, do_classifier_free_guidance=True)
    return torch.cat([nothing, embedded])


def start(pipeline: StableDiffusionPipeline, count: int, seed: int) -> Tensor:
    """Noise that images begin with, (N, channels, h, w): the same for the same seed."""
    config, generator = pipeline.unet.config, torch.Generator().manual_seed(seed)
    noise = torch.randn(count, config.in_channels, config.sample_size, config.sample_size, generator=generator)
    return noise.to(pipeline.device) * pipeline.scheduler.init_noise_sigma


def predict_noise(
    pipeline: StableDiffusionPipeline, latents: Tensor, time: Tensor, embeddings: Tensor, guidance: float
) -> Tensor:
    """The noise in the latents (N, channels, h, w) by classifier-free guidance: without + guidance x (with - without)."""
    without, with_prompt = pipeline.unet(
        torch.cat([latents, latents]), time, encoder_hidden_states=embeddings
    ).sample.chunk(2)
    return without + guidance * (with_prompt - without)


def decode(pipeline: StableDiffusionPipeline, latents: Tensor) -> Tensor:
    """Images (N, 3, H, W) in [0, 1] of latents; gradients flow where pixels are not clipped."""
    decoded = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
    return (decoded / 2 + 0.5).clamp(0, 1)
