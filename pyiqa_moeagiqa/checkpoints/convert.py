"""The released PyTorch files as one self-describing checkpoint."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..archs.config import MoEAGIQAConfig
from .file import Checkpoint, CheckpointError, save
from .load import build_network, check_names, fit_crop_size
from .names import Weights, from_image_reward, from_released_regressor, from_timm

TIMM_VISUAL = 'vit_base_patch16_224.augreg_in21k_ft_in1k'


def convert_released(
    finetuned: str | Path,
    prior: str | Path | None = None,
    visual: str | Path | None = None,
    output: str | Path = 'moeagiqa.safetensors',
    dataset: str | None = None,
    config: MoEAGIQAConfig | None = None,
) -> Path:
    """Turn the released files into one checkpoint; returns its path.

    Args:
        finetuned: the fine-tuned ``best.pth`` (keys reward_model_state_dict, regressor_model_state_dict).
        prior: the pre-trained prior's ``best.pth`` (key vit_model_state_dict); None for v1, which has none.
        visual: the frozen ViT's weights under timm's names (.pth, .bin or .safetensors); None fetches timm's
            ``vit_base_patch16_224.augreg_in21k_ft_in1k``, what the released implementation used.
        output: the checkpoint to write.
        dataset: name of the data set it was trained on, for the header.
        config: the network's configuration; default: the released one, with the crop size that the file tells.

    Raises:
        CheckpointError: for a file that is missing or damaged, that could run code, or whose tensors do not make up
            the network: missing, extra and misshapen ones are listed.
    """
    state = read_torch(finetuned, ['reward_model_state_dict', 'regressor_model_state_dict'])
    weights = from_released_regressor(state['regressor_model_state_dict'])
    weights |= from_image_reward(state['reward_model_state_dict'])
    config = config or _released_config(weights, with_prior=prior is not None)
    if prior is not None:
        weights |= from_timm(read_torch(prior, ['vit_model_state_dict'])['vit_model_state_dict'], 'prior')
    weights |= from_timm(read_weights(visual) if visual else download_timm(TIMM_VISUAL), 'visual')
    network = build_network(config)
    weights = fit_crop_size(network, drop_unused_layers(weights, config))
    check_names(weights, network.state_dict(), finetuned)
    info: dict[str, Any] = {
        'model_name': 'moeagiqa-v2' if config.prior else 'moeagiqa-v1',
        'dataset': dataset or 'unknown',
        'licence': 'unknown: the licence of the converted files',
        'sources': [str(Path(file).name) for file in (finetuned, prior, visual) if file] or [],
        'figures': {},
    }
    return save(Checkpoint(config, weights, info), output)


def _released_config(weights: Weights, with_prior: bool) -> MoEAGIQAConfig:
    maps = weights.get('inject.w1')
    if (maps is not None) != with_prior:
        raise CheckpointError(
            'The fine-tuned file is of v2 and needs the prior it was trained with: give prior=.'
            if maps is not None
            else 'The fine-tuned file is of v1, which has no prior: give prior=None.'
        )
    crop_size = 224 if maps is None or maps.dim() != 4 else 16 * maps.shape[-1]
    return MoEAGIQAConfig(prior=with_prior, crop_size=crop_size)


def drop_unused_layers(weights: Weights, config: MoEAGIQAConfig) -> Weights:
    """Without the visual ViT's layers past the last one that is used, which the network does not have."""
    last = max(config.layers)

    def is_used(name: str) -> bool:
        if name.startswith('visual.norm.'):
            return config.norm_layers or config.reads_image_with_visual
        return not name.startswith('visual.blocks.') or int(name.split('.')[2]) < last

    if config.reads_image_with_visual:
        return weights
    return {name: tensor for name, tensor in weights.items() if is_used(name)}


def read_torch(path: str | Path, keys: list[str]) -> dict[str, Any]:
    """A PyTorch file's dictionary, read without running anything in it.

    Raises:
        CheckpointError: for a file that is missing, damaged, holds more than tensors, or lacks a key.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f'{path}: there is no such file.')
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch raises pickle, zip, runtime and end-of-file errors
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f'{path}: not read, because it is damaged or holds more than tensors ({reason})'
        ) from None
    if not isinstance(state, dict):
        raise CheckpointError(f'{path}: holds a {type(state).__name__}, not a dictionary of tensors.')
    missing = [key for key in keys if key not in state]
    if missing:
        there = ', '.join(map(repr, list(state)[:5]))
        raise CheckpointError(f'{path}: lacks {missing[0]!r}; it holds {there}.')
    return state


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """A flat dictionary of tensors from .safetensors or a PyTorch file; raises as ``read_torch`` does."""
    path = Path(path)
    if path.suffix == '.safetensors' and path.is_file():
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise CheckpointError(f'{path}: cut short or no safetensors file ({error}); copy it again.') from None
    state = read_torch(path, [])
    for key in ('state_dict', 'model', 'params', 'vit_model_state_dict'):
        if isinstance(state.get(key), dict):
            state = state[key]
    return {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}


def download_timm(name: str) -> dict[str, Tensor]:
    """The weights of a timm model, from timm's hub cache or the hub.

    Raises:
        CheckpointError: where they cannot be had.
    """
    import timm

    try:
        return timm.create_model(name, pretrained=True, num_classes=0).state_dict()
    except Exception as error:  # timm passes on whatever its hub client raises
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f'timm weights {name}: they could not be downloaded ({reason}); give their file instead.'
        ) from None
