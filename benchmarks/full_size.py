"""Files with the names, shapes and sizes of the published ones, filled by the tests' rule instead of trained.

For speed, memory and wiring at full size; the scores mean nothing. Writes into a folder: ``visual.pth`` (timm's ViT),
``prior.pth`` (as the released prior's), ``ImageReward.pt``, ``finetuned_v1.pth`` and ``finetuned_v2.pth`` (as the
released fine-tuned ones).

    python benchmarks/full_size.py FOLDER
"""

import json
import re
import sys
from pathlib import Path

import timm
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'tests'))

from reference.weights_rule import fill  # noqa: E402


def filled(shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """A tensor for every name and shape."""
    return {name: torch.from_numpy(fill(name, tuple(shape))) for name, shape in shapes.items()}


def vit() -> dict[str, Tensor]:
    """timm's ViT-B/16, filled."""
    with torch.device('meta'):
        network = timm.create_model('vit_base_patch16_224', pretrained=False)
    return filled({name: tensor.shape for name, tensor in network.state_dict().items()})


CASES = json.loads((ROOT / 'tests' / 'reference' / 'reference_cases.json').read_text())['tensors']
# Each number of the tiny BLIP's shapes stands for one of the real one's.
VISION_SIZES = {10: 197, 64: 1024, 192: 3072, 256: 4096}
TEXT_SIZES = {48: 768, 96: 3072, 64: 1024, 200: 30524}
VISION_LAYERS, TEXT_LAYERS = 24, 12


def image_reward() -> dict[str, Tensor]:
    """ImageReward's BLIP: the tiny reference case's names with the real sizes and number of layers."""
    shapes = {}
    for name, shape in CASES['tiny_blip'].items():
        vision = name.startswith('visual_encoder')
        sizes = VISION_SIZES if vision else TEXT_SIZES | ({64: 512} if 'position' in name else {})
        real = torch.Size([1 if n == 1 else sizes.get(n, n) for n in shape])
        stem = 'blocks.0.' if vision else 'layer.0.'
        layers = range(VISION_LAYERS if vision else TEXT_LAYERS) if stem in name else [0]
        if re.search(r'(blocks|layer)\.[1-9]', name) is None:
            shapes |= {name.replace(stem, f'{stem[:-2]}{layer}.'): real for layer in layers}
    return {f'blip.{name}': tensor for name, tensor in filled(shapes).items() if 'position_ids' not in name}


def main(folder: Path) -> None:
    """Write all files into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    visual, reward = vit(), image_reward()
    torch.save(visual, folder / 'visual.pth')
    torch.save({'vit_model_state_dict': visual}, folder / 'prior.pth')
    torch.save(reward, folder / 'ImageReward.pt')
    for version in ('v1', 'v2'):
        head = filled({name: torch.Size(shape) for name, shape in CASES[f'regressor_{version}'].items()})
        state = {'reward_model_state_dict': reward, 'regressor_model_state_dict': head}
        torch.save(state, folder / f'finetuned_{version}.pth')


if __name__ == '__main__':
    main(Path(sys.argv[1]))
