"""Our ImageReward against image-reward's own, with weights that a rule fills: BLIP's features, and scores of pictures.

The two need different versions of the same packages (requirements/imagereward.txt), so each half has its interpreter:

    golden FILE    what image-reward answers, written to FILE (.npz)
    compare FILE   what this package answers, against FILE; exit code 1 if they differ
    fixture FILE   of what image-reward answers, the scores of the small case alone: the tests' fixture
"""

import argparse
import importlib.util
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

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


def _sizes(width: int, layers: int, heads: int) -> dict[str, int]:
    return {
        'hidden_size': width,
        'intermediate_size': 4 * width,
        'num_hidden_layers': layers,
        'num_attention_heads': heads,
    }


# What differs from the full size, in BlipSemantic's words. In the full case nothing does, so it holds the defaults
# themselves against image-reward.
CASES = {
    'small': {
        'vision': _sizes(64, 3, 4) | {'image_size': 48},
        'text': _sizes(48, 2, 4) | {'max_position_embeddings': 64},
    },
    'medium': {
        'vision': _sizes(768, 12, 12) | {'image_size': 96},
        'text': _sizes(384, 6, 6) | {'max_position_embeddings': 128},
    },
    'full': {'vision': {}, 'text': {}},
}
VOCABULARY = Path(__file__).parents[1] / 'pyiqa_moeagiqa' / 'archs' / 'bert_uncased_vocabulary.txt'


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
    vocabulary = BERT_BASE['vocab_size']
    ids = np.random.RandomState(zlib.crc32(case.encode())).randint(SEP + 1, vocabulary, (3, WORDS))
    ids[0, 1:3] = vocabulary - 2, vocabulary - 1
    ids[:, 0] = CLS
    mask = np.zeros_like(ids)
    for row, length in enumerate((WORDS, 20, 4)):
        ids[row, length - 1] = SEP
        ids[row, length:] = 0
        mask[row, :length] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def image_size(case: str) -> int:
    """Pixels on a side of what the network sees."""
    return CASES[case]['vision'].get('image_size', 224)


def pixels(case: str) -> torch.Tensor:
    """Three normalised images (3, 3, S, S)."""
    size = image_size(case)
    return torch.from_numpy(RULE.inputs(f'parity_{case}_pixels', (3, 3, size, size)))


def image_reward(case: str) -> torch.nn.Module:
    """image-reward's own model, made by its own code, with the rule's weights."""
    package = importlib.import_module('ImageReward.ImageReward')  # the package hides it behind the class of that name
    with TemporaryDirectory() as folder, _nothing_downloaded(), _sizes_of(case):
        config = Path(folder, 'med_config.json')
        config.write_text(json.dumps(BERT_BASE | CASES[case]['text']))
        model = package.ImageReward(str(config))
    model.preprocess = package._transform(image_size(case))
    for name, tensor in _floating(model).items():
        tensor.copy_(torch.from_numpy(RULE.fill(name, tuple(tensor.shape))))
    return model.eval()


def _nothing_downloaded() -> AbstractContextManager:
    """Context in which the tokenizer is made of the vocabulary that lies here."""
    blip = importlib.import_module('ImageReward.models.BLIP.blip')
    return patch.object(blip.BertTokenizer, 'from_pretrained', lambda name: blip.BertTokenizer(str(VOCABULARY)))


@contextmanager
def _sizes_of(case: str) -> Iterator[None]:
    """Context in which the sizes that are written into the package are the case's."""
    vision, text = CASES[case]['vision'], CASES[case]['text']
    if not vision:
        yield
        return
    package = importlib.import_module('ImageReward.ImageReward')
    blip = importlib.import_module('ImageReward.models.BLIP.blip_pretrain')
    vit = importlib.import_module('ImageReward.models.BLIP.vit').VisionTransformer(
        img_size=vision['image_size'],
        patch_size=16,
        embed_dim=vision['hidden_size'],
        depth=vision['num_hidden_layers'],
        num_heads=vision['num_attention_heads'],
    )
    head = package.MLP(text['hidden_size'])
    with (
        patch.object(blip, 'create_vit', lambda *sizes: (vit, vision['hidden_size'])),
        patch.object(package, 'MLP', lambda width: head),
    ):
        yield


def _floating(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}


@torch.inference_mode()
def golden(case: str) -> dict[str, np.ndarray]:
    """What image-reward answers, its encoders called as its `score_gard` does, and its tensors' names and shapes."""
    model = image_reward(case)
    ids, mask = prompts(case)
    image = model.blip.visual_encoder(pixels(case))
    text = model.blip.text_encoder(
        ids,
        attention_mask=mask,
        encoder_hidden_states=image,
        encoder_attention_mask=torch.ones(image.shape[:-1], dtype=torch.long),
        return_dict=True,
    ).last_hidden_state
    scores = [[model.score(prompt, picture) for prompt in RULE.PROMPTS] for picture in RULE.pictures()]
    shapes = {name: list(tensor.shape) for name, tensor in _floating(model).items()}
    return {
        f'{case}_image': image.numpy(),
        f'{case}_text': text.numpy(),
        f'{case}_scores': np.array(scores),
        f'{case}_shapes': np.array(json.dumps(shapes)),
    }


def write_golden(path: Path) -> None:
    """Write image-reward's answers in every case."""
    answers = {}
    for case in CASES:
        answers |= golden(case)
    np.savez(path, **answers)


def write_fixture(path: Path) -> None:
    """Write image-reward's scores in the small case."""
    answers = golden('small')
    np.savez_compressed(path, scores=answers['small_scores'], shapes=answers['small_shapes'])


def our_metric(case: str, shapes: dict[str, list[int]]) -> torch.nn.Module:
    """The metric made from a file as ImageReward's own is, with the rule's weights."""
    from pyiqa_moeagiqa.archs import image_reward
    from pyiqa_moeagiqa.metrics.imagereward import ImageReward, ImageRewardMetric

    image_reward.ImageReward = partial(ImageReward, **CASES[case])
    with TemporaryDirectory() as folder:
        path = Path(folder, 'ImageReward.pt')
        torch.save({name: torch.from_numpy(RULE.fill(name, tuple(shapes[name]))) for name in shapes}, path)
        return ImageRewardMetric(str(path))


@torch.inference_mode()
def ours(case: str, shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """What this package answers."""
    metric = our_metric(case, shapes)
    semantic = metric.network.semantic
    image = semantic.image_features(pixels(case))
    text = semantic.text_features(*prompts(case), image)
    scores = [metric([picture] * len(RULE.PROMPTS), caption_list=RULE.PROMPTS).flatten() for picture in RULE.pictures()]
    return {f'{case}_image': image.numpy(), f'{case}_text': text.numpy(), f'{case}_scores': torch.stack(scores).numpy()}


def compare(path: Path) -> list[str]:
    """Print every answer's maximum absolute difference from the golden one; returns what differs too much."""
    expected = np.load(path)
    apart = []
    for case in CASES:
        for name, answer in ours(case, json.loads(str(expected[f'{case}_shapes']))).items():
            difference, largest = np.abs(answer - expected[name]).max(), np.abs(expected[name]).max()
            what = name.replace('_', ' ') + ('' if name.endswith('scores') else ' features')
            print(f'{what}: maximum absolute difference {difference:.1e}, values up to {largest:.1f}')
            if not difference <= TOLERANCE:  # NaN, too
                apart.append(what)
    return apart


def main() -> None:
    """Run the half that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('half', choices=['golden', 'compare', 'fixture'])
    parser.add_argument('file', type=Path)
    arguments = parser.parse_args()
    write = {'golden': write_golden, 'fixture': write_fixture}.get(arguments.half)
    if write:
        write(arguments.file)
    elif apart := compare(arguments.file):
        sys.exit(f'This package differs from image-reward by more than {TOLERANCE:g} in: {", ".join(apart)}')


if __name__ == '__main__':
    main()
