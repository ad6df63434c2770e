"""Converts the released PyTorch files into one self-describing checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..archs.config import MoEAGIQAConfig
from ..archs.moeagiqa_arch import MoEAGIQA
from ..archs.prior_arch import PriorOptions
from ..archs.vit import build_vit
from ..options import quoted, shown
from ..whole_file import require_place
from .download import quiet_hub
from .file import Checkpoint, CheckpointError, require_file, save
from .load import check_names, fit_crop_size, outline
from .names import Weights, from_image_reward, from_released_regressor, without_data_parallel

REWARD, REGRESSOR, PRIOR = 'reward_model_state_dict', 'regressor_model_state_dict', 'vit_model_state_dict'


def convert_released(
    finetuned: str | Path,
    prior: str | Path | None = None,
    visual: str | Path | None = None,
    output: str | Path = 'moeagiqa.safetensors',
    dataset: str | None = None,
    config: MoEAGIQAConfig | None = None,
    mos_range: tuple[float, float] | None = None,
) -> Path:
    """Turn the released files into one checkpoint; returns its path.

    Args:
        finetuned: the fine-tuned ``best.pth`` (keys reward_model_state_dict, regressor_model_state_dict).
        prior: the pre-trained prior's ``best.pth`` (key vit_model_state_dict); None for v1, which has none.
        visual: the frozen ViT's weights under timm's names (.pth, .bin or .safetensors); None fetches timm's
            ``vit_base_patch16_224.augreg_in21k_ft_in1k``, which the released implementation used.
        output: the checkpoint to write.
        dataset: name of the data set it was trained on, for the header.
        config: the network's configuration; default: the released one, with the crop size that the file's tensors fit.
        mos_range: the data set's lowest and highest MOS, for the header.

    Raises:
        CheckpointError: for a file that is missing or damaged, that could run code, or whose tensors do not make up
            the network; the error lists missing, extra and misshapen tensors.
    """
    _require_output(Path(output))
    released = read_torch(finetuned, (REWARD, REGRESSOR))
    trained = from_released_regressor(tensors(released[REGRESSOR])) | from_image_reward(tensors(released[REWARD]))
    config = _configuration(config, trained, finetuned, prior)
    vits = {'visual': (visual or config.visual, read_weights(visual) if visual else download_timm(config.visual))}
    if prior is not None:
        vits['prior'] = (prior, tensors(read_torch(prior, (PRIOR,))[PRIOR]))
    network, parts = outline(config), {'finetuned': (finetuned, trained)}
    for part, (source, weights) in vits.items():
        used = drop_unused(weights, getattr(network, part), config)
        parts[part] = source, {f'{part}.{name}': tensor for name, tensor in used.items()}
    info: dict[str, Any] = {
        'model_name': config.model_name,
        'dataset': dataset or 'unknown',
        'mos_range': list(mos_range) if mos_range else 'unknown',
        'licence': 'unknown: the licence of the converted files',
        'sources': {part: Path(source).name for part, (source, _) in parts.items()},
        'figures': {},
    }
    return save(Checkpoint(config, _join(parts, network), info), output)


def _require_output(path: Path) -> None:
    try:
        require_place(path)
    except OSError as error:
        raise CheckpointError(f'{path}: it cannot be written ({error.strerror}); choose another place.') from None


def _configuration(
    config: MoEAGIQAConfig | None, weights: Weights, finetuned: str | Path, prior: str | Path | None
) -> MoEAGIQAConfig:
    """Return the given or the released configuration, and check that file, configuration and prior agree on v1 or v2."""
    is_v2 = any(name.startswith('inject.') for name in weights)
    if is_v2 and prior is None:
        raise CheckpointError(f'{finetuned}: a network of v2 needs the prior it was trained with; give its file.')
    if prior is not None and not is_v2:
        raise CheckpointError(f'{finetuned}: a network of v1 has no prior; leave out prior {prior}.')
    if config is not None and config.prior != is_v2:
        version = 'v2' if is_v2 else 'v1'
        raise CheckpointError(f'{finetuned}: a network of {version}, but config.prior is {config.prior}; change it.')
    maps = weights.get('inject.w1')
    size = {} if maps is None or maps.dim() != 4 else {'crop_size': 16 * maps.shape[-1]}
    return config or MoEAGIQAConfig(prior=is_v2, **size)


def _join(parts: Mapping[str, tuple[str | Path, Weights]], network: MoEAGIQA) -> Weights:
    """Return the whole network's weights, and check each file against the part of the network that it fills."""
    joined: Weights = {}
    for part, (source, weights) in parts.items():
        weights = fit_crop_size(network, weights)
        expected = {name: tensor for name, tensor in network.state_dict().items() if _filled_by(name) == part}
        check_names(weights, expected, source)
        joined |= weights
    return joined


def _filled_by(name: str) -> str:
    first = name.split('.')[0]
    return first if first in ('visual', 'prior') else 'finetuned'


def drop_unused(weights: Weights, vit: nn.Module, options: MoEAGIQAConfig | PriorOptions) -> Weights:
    """Drop the weights of a ViT's classifier, and of other parts of the named ViT that the network's ``vit`` does not have."""
    with torch.device('meta'):
        whole = build_vit(options.visual, options.crop_size, **options.visual_options)
        whole.reset_classifier(1)
    unused = whole.state_dict().keys() - vit.state_dict().keys()
    return {name: tensor for name, tensor in weights.items() if name not in unused}


class _Skipped:
    """Stands in for a numpy number or dtype: the released files store their loss as one, and it is not needed."""

    def __init__(self, *args: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        pass


# numpy 2 has moved ``scalar``. torch matches these stand-ins by module and name, and calls no function of numpy.
_NUMPY_NAMES = (('numpy', 'dtype'), ('numpy.core.multiarray', 'scalar'), ('numpy._core.multiarray', 'scalar'))
_NUMPY: list[Any] = [type(name, (_Skipped,), {'__module__': module}) for module, name in _NUMPY_NAMES]


def read_torch(path: str | Path, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a PyTorch file's dictionary without running anything in it.

    Raises:
        CheckpointError: for a file that is missing, damaged, holds more than tensors, or lacks the dictionary that
            one of ``keys`` names.
    """
    path = Path(path)
    require_file(path)
    try:
        with torch.serialization.safe_globals(_NUMPY):
            state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception:  # torch raises pickle, zip, runtime and end-of-file errors; its text advises unsafe loading
        raise CheckpointError(
            f'{path}: not read, because it is cut short or holds more than tensors, which could run code; get it '
            'again from where it was released.'
        ) from None
    if not isinstance(state, Mapping):
        raise CheckpointError(
            f'{path}: holds a {type(state).__name__}, not a dictionary of tensors; give another file.'
        )
    for key in keys:
        if not isinstance(state.get(key), Mapping):
            there = ', '.join(map(shown, list(state)[:5]))
            raise CheckpointError(f'{path}: lacks {key!r} (it holds {there}); give the file that has it.')
    return dict(state)


def tensors(state: Mapping[str, Any]) -> Weights:
    """Return a state dictionary's tensors, floats in float32, under their names without DataParallel's prefix.

    Raises:
        CheckpointError: for a tensor with more numbers than the file stores (such as one number repeated), or a sparse one.
    """
    found = {name: value for name, value in state.items() if isinstance(value, Tensor) and isinstance(name, str)}
    for name, value in found.items():
        if value.layout != torch.strided or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise CheckpointError(f'{shown(name)}: its numbers are not stored one by one; get the file again.')
    floats = {name: value.float() if value.is_floating_point() else value for name, value in found.items()}
    return without_data_parallel(floats)


def read_weights(path: str | Path) -> Weights:
    """Read a flat dictionary of tensors from .safetensors or a PyTorch file; raises as ``read_torch`` does."""
    path = Path(path).expanduser()
    if path.suffix == '.safetensors' and path.is_file():
        from safetensors.torch import load_file

        try:
            return tensors(load_file(path))
        except CheckpointError:
            raise
        except Exception as error:  # for a type that torch lacks, safetensors raises various errors
            reason = quoted(error)
            raise CheckpointError(f'{path}: cut short or no safetensors file ({reason}); copy it again.') from None
    state = read_torch(path)
    for key in ('state_dict', 'model', 'params', PRIOR):
        if isinstance(state.get(key), Mapping):
            state = state[key]
    return tensors(state)


def download_timm(name: str) -> Weights:
    """Return the weights of a timm model, from timm's hub cache or the hub.

    Raises:
        CheckpointError: if they cannot be obtained.
    """
    import timm

    try:
        with quiet_hub():
            return timm.create_model(name, pretrained=True, num_classes=0).state_dict()
    except Exception as error:  # timm passes on every error of its hub client
        raise CheckpointError(
            f'timm weights {name}: they could not be downloaded ({quoted(error)}); give their file instead.'
        ) from None
