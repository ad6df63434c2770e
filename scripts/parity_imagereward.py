"""Our BLIP against image-reward's own, with weights that a rule fills.

The two need different versions of the same packages (requirements/imagereward.txt), so each half has its interpreter:

    golden FILE    what image-reward answers, written to FILE (.npz)
    compare FILE   what BlipSemantic answers, against FILE; exit code 1 if they differ
"""

import argparse
import importlib.util
import json
import sys
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

TOLERANCE = 1e-5
WORDS = 35  # image-reward's prompt length
CLS, SEP = 101, 102
# The text encoder's configuration is no part of image-reward's package; it comes with the weights. Here it is BERT-base
# with two more words.
BERT_BASE = {
    'model_type': 'bert',
    'vocab_size': 30524,
    'hidden_size': 768,
    'intermediate_size': 3072,
    'num_hidden_layers': 12,
    'num_attention_heads': 12,
    'max_position_embeddings': 512,
    'layer_norm_eps': 1e-12,
    'hidden_act': 'gelu',
    'pad_token_id': 0,
    'add_cross_attention': True,
}
SMALLER_TEXT = {
    'vocab_size': 3000,
    'hidden_size': 384,
    'intermediate_size': 1536,
    'num_hidden_layers': 6,
    'num_attention_heads': 6,
    'max_position_embeddings': 128,
}
SMALLER_VISION = {
    'hidden_size': 768,
    'intermediate_size': 3072,
    'num_hidden_layers': 12,
    'num_attention_heads': 12,
    'image_size': 96,
}
# `vit`, `image_size` and `med` go to image-reward, `vision` and `text` to BlipSemantic: what differs from its defaults.
# In the full case nothing does, so it holds the defaults themselves against image-reward.
CASES = {
    'medium': {
        'vit': 'base',
        'image_size': 96,
        'med': BERT_BASE | SMALLER_TEXT,
        'vision': SMALLER_VISION,
        'text': SMALLER_TEXT,
    },
    'full': {'vit': 'large', 'image_size': 224, 'med': BERT_BASE, 'vision': None, 'text': None},
}


def _weights_rule():
    """The tests' rule, by its path: image-reward's environment has neither the tests nor this package."""
    path = Path(__file__).parents[1] / 'tests' / 'reference' / 'weights_rule.py'
    spec = importlib.util.spec_from_file_location('weights_rule', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RULE = _weights_rule()


def prompts(case: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Three prompts of random words, the first without padding, as ids and mask (3, WORDS).

    As image-reward's tokenizer makes them, every one is [CLS] words [SEP]: [ENC] is not put in front. The vocabulary's
    last two rows, [DEC] and [ENC], are words of the first prompt so that they count.
    """
    vocabulary = CASES[case]['med']['vocab_size']
    ids = np.random.RandomState(zlib.crc32(case.encode())).randint(SEP + 1, vocabulary, (3, WORDS))
    ids[0, 1:3] = vocabulary - 2, vocabulary - 1
    ids[:, 0] = CLS
    mask = np.zeros_like(ids)
    for row, length in enumerate((WORDS, 20, 4)):
        ids[row, length - 1] = SEP
        ids[row, length:] = 0
        mask[row, :length] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def pixels(case: str) -> torch.Tensor:
    """Three normalised images (3, 3, S, S)."""
    size = CASES[case]['image_size']
    return torch.from_numpy(RULE.inputs(f'parity_{case}_pixels', (3, 3, size, size)))


def image_reward_blip(case: str) -> torch.nn.Module:
    """image-reward's BLIP, with the rule's weights."""
    from ImageReward.models.BLIP import blip_pretrain

    # The tokenizer's vocabulary would be downloaded, and the encoders never ask for it.
    blip_pretrain.init_tokenizer = lambda: None
    with TemporaryDirectory() as folder:
        config = Path(folder, 'med_config.json')
        config.write_text(json.dumps(CASES[case]['med']))
        blip = blip_pretrain.BLIP_Pretrain(
            med_config=str(config), image_size=CASES[case]['image_size'], vit=CASES[case]['vit']
        )
    for name, tensor in _floating(blip).items():
        tensor.copy_(torch.from_numpy(RULE.fill(name, tuple(tensor.shape))))
    return blip.eval()


def _floating(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}


@torch.inference_mode()
def golden(case: str) -> dict[str, np.ndarray]:
    """What image-reward's encoders answer, called as its `score_gard` does, and its tensors' names and shapes."""
    blip = image_reward_blip(case)
    ids, mask = prompts(case)
    image = blip.visual_encoder(pixels(case))
    text = blip.text_encoder(
        ids,
        attention_mask=mask,
        encoder_hidden_states=image,
        encoder_attention_mask=torch.ones(image.shape[:-1], dtype=torch.long),
        return_dict=True,
    ).last_hidden_state
    shapes = {name: list(tensor.shape) for name, tensor in _floating(blip).items()}
    return {
        f'{case}_image': image.numpy(),
        f'{case}_text': text.numpy(),
        f'{case}_shapes': np.array(json.dumps(shapes)),
    }


def write_golden(path: Path) -> None:
    """Write image-reward's answers in every case."""
    answers = {}
    for case in CASES:
        answers |= golden(case)
    np.savez(path, **answers)


def our_blip(case: str, shapes: dict[str, list[int]]) -> torch.nn.Module:
    """BlipSemantic with the rule's weights for image-reward's names."""
    from pyiqa_moeagiqa.archs.semantic import BlipSemantic
    from pyiqa_moeagiqa.checkpoints.names import from_image_reward

    semantic = BlipSemantic(vision=CASES[case]['vision'], text=CASES[case]['text'])
    weights = from_image_reward({name: torch.from_numpy(RULE.fill(name, tuple(shapes[name]))) for name in shapes})
    # Assigned, not copied: one set of the full weights is 1.7 GiB.
    semantic.load_state_dict({name.removeprefix('semantic.'): weights[name] for name in weights}, assign=True)
    return semantic.eval()


@torch.inference_mode()
def ours(case: str, shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """What BlipSemantic answers."""
    semantic = our_blip(case, shapes)
    image = semantic.image_features(pixels(case))
    text = semantic.text_features(*prompts(case), image)
    return {f'{case}_image': image.numpy(), f'{case}_text': text.numpy()}


def compare(path: Path) -> list[str]:
    """Print every answer's maximum absolute difference from the golden one; returns what differs too much."""
    expected = np.load(path)
    apart = []
    for case in CASES:
        for name, answer in ours(case, json.loads(str(expected[f'{case}_shapes']))).items():
            difference, largest = np.abs(answer - expected[name]).max(), np.abs(expected[name]).max()
            what = f'{name.replace("_", " ")} features'
            print(f'{what}: maximum absolute difference {difference:.1e}, values up to {largest:.1f}')
            if not difference <= TOLERANCE:  # NaN, too
                apart.append(what)
    return apart


def main() -> None:
    """Run the half that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('half', choices=['golden', 'compare'])
    parser.add_argument('file', type=Path)
    arguments = parser.parse_args()
    if arguments.half == 'golden':
        write_golden(arguments.file)
    elif apart := compare(arguments.file):
        sys.exit(f'BlipSemantic differs from image-reward by more than {TOLERANCE:g} in: {", ".join(apart)}')


if __name__ == '__main__':
    main()
