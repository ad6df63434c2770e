"""Checkpoints that strangers wrote: sizes without end, places that are not theirs, and shapes that no network has."""

import json
import os
from dataclasses import replace

import pytest
import torch
from refusals import refuses
from safetensors.torch import load_file, save_file
from stand_ins import INFO
from tiny import TINY

from pyiqa_moeagiqa.checkpoints import CheckpointError, load_network, read, read_header, save
from pyiqa_moeagiqa.checkpoints.convert import read_torch, read_weights
from pyiqa_moeagiqa.checkpoints.partial import fingerprint, note_sources
from pyiqa_moeagiqa.metrics.moeagiqa import MoEAGIQAMetric
from pyiqa_moeagiqa.models.state_file import read_state

HUGE = 2**31


def lie(file, tmp_path, config=None, info=None, tensors=None, raw=None):
    """The tiny checkpoint with another header or other tensors."""
    told = raw or json.dumps(TINY | (config or {}), default=list)
    metadata = {'format': 'moeagiqa-1', 'config': told, 'info': json.dumps(INFO | (info or {}))}
    save_file(load_file(file) | (tensors or {}), tmp_path / 'lie.safetensors', metadata)
    return tmp_path / 'lie.safetensors'


VIT, TEXT = TINY['visual_options'], TINY['semantic_options']


@pytest.mark.parametrize(
    'config',
    [
        *({name: HUGE} for name in ('channels', 'hidden', 'heads', 'experts', 'matching', 'token_pool', 'crop_size')),
        *({name: HUGE} for name in ('crops', 'prompt_tokens', 'lora_rank')),
        {'crops': 1024, 'crop_size': 4096},
        {'heads': 0},
        {'hidden': -3},
        {'layers': [HUGE]},
        {'visual_options': VIT | {'depth': HUGE}},
        {'visual_options': VIT | {'depth': 128}},
        {'visual_options': VIT | {'embed_dim': HUGE}},
        {'visual_options': VIT | {'embed_dim': 65_536, 'depth': 128}},
        {'visual_options': VIT | {'patch_size': 1}},
        {'visual_options': VIT | {'num_heads': 0}},
        {'visual': 'eva02_tiny_patch14_224', 'visual_options': {'embed_dim': 2**16, 'num_heads': 64, 'depth': 1}},
        {'semantic_options': TEXT | {'vocab_size': 2**40}},
        {'semantic_options': TEXT | {'num_hidden_layers': HUGE}},
        {'semantic_options': TEXT | {'max_position_embeddings': 2**40}},
        {'semantic_options': TEXT | {'max_position_embeddings': 2}},
        {'semantic_options': TEXT | {'hidden_act': 'x'}},
        {'semantic_options': TEXT | {'hidden_size': 33}},
        {'visual_options': VIT | {'colour': 3}},
    ],
    ids=str,
)
def test_a_size_that_the_tensors_do_not_have_is_refused_before_it_takes_memory(file, tmp_path, config):
    path = lie(file, tmp_path, config)
    with refuses(CheckpointError, path):
        load_network(path)


@pytest.mark.parametrize(
    'config',
    [
        {'visual': 'hf-hub:a/b'},
        {'visual': 'local-dir:/etc'},
        {'visual': '../x'},
        {'visual': 'resnet18'},
        {'visual': 'vit_tiny_patch16_224.of_tomorrow'},
        *(
            {'visual_options': VIT | {name: '/etc/passwd'}}
            for name in ('checkpoint_path', 'pretrained_cfg', 'cache_dir')
        ),
        {'visual_options': VIT | {'pretrained': True}},
        {'visual_options': VIT | {'pretrained_cfg_overlay': {'url': 'http://x'}}},
        {'visual_options': 'x'},
        {'semantic_options': TEXT | {'attn_implementation': 'a/b'}},
        {'semantic_options': TEXT | {'_attn_implementation': 'flash_attention_2'}},
        {'semantic_options': TEXT | {'auto_map': {'AutoModel': 'x.y'}}},
        {'semantic_options': TEXT | {'name_or_path': '/etc'}},
        {'semantic_options': [1]},
    ],
    ids=str,
)
def test_a_header_names_no_place_and_no_code(file, tmp_path, config):
    with refuses(CheckpointError, 'lie.safetensors'):
        load_network(lie(file, tmp_path, config))


@pytest.mark.parametrize(
    'raw',
    [
        '[' * 100_000,
        '{"a":' * 900 + '1' + '}' * 900,
        '9' * 5000,
        '[["layers"]]',
        '["layers"]',
        'null',
        '{"a\\ud800": 1}',
    ],
)
def test_a_header_that_is_no_configuration_is_refused(file, tmp_path, raw):
    path = lie(file, tmp_path, raw=raw)
    with refuses(CheckpointError, path) as refused:
        read_header(path)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    'tensor',
    [torch.tensor(1, dtype=torch.int8), torch.ones(3, dtype=torch.int8), torch.ones(2, 2, dtype=torch.complex64),
     torch.ones(2, dtype=torch.int64), torch.ones(2, dtype=torch.bool)],
    ids=lambda tensor: f'{tensor.dtype} {tuple(tensor.shape)}',
)  # fmt: skip
def test_a_tensor_that_no_weights_are_is_named(file, tmp_path, tensor):
    name = 'local_ffn.local.bias'
    with refuses(CheckpointError, name):
        read(lie(file, tmp_path, tensors={name: tensor, name + '.scale': torch.ones(1)}))


TRUE = 'a' * 64


def partial(checkpoint, tmp_path, weights, name='partial.safetensors', print_of_frozen=TRUE):
    """A checkpoint without its ViT, which a header like this says where to find."""
    held = {name: tensor for name, tensor in checkpoint.weights.items() if not name.startswith('visual.')}
    frozen = {'weights': weights, 'fingerprint': print_of_frozen}
    return save(replace(checkpoint, weights=held, info=INFO | {'frozen': frozen}), tmp_path / name)


def test_a_checkpoint_that_names_itself_is_refused(checkpoint, tmp_path):
    path = partial(checkpoint, tmp_path, {'checkpoint': 'partial.safetensors'})
    with refuses(CheckpointError, path, 'its own tensors'):
        load_network(path)


def test_a_circle_and_a_long_chain_are_refused(checkpoint, tmp_path):
    for number in range(20):
        last = partial(
            checkpoint, tmp_path, {'checkpoint': f'{(number + 1) % 20}.safetensors'}, f'{number}.safetensors'
        )
    with refuses(CheckpointError, last, 'a chain of more than'):
        load_network(last)


@pytest.mark.parametrize(
    'source', ['https://127.0.0.1:9/x', 'hf://owner/repository/x', 'file:///etc/passwd', 'http://127.0.0.1:9/x']
)
def test_a_header_opens_no_address(checkpoint, tmp_path, monkeypatch, source):
    opened = []
    monkeypatch.setattr('socket.socket.connect', lambda *where: opened.append(where))
    with refuses(CheckpointError, source, 'save_whole: true'):
        load_network(partial(checkpoint, tmp_path, {'checkpoint': source}))
    assert not opened


def test_of_a_path_only_a_file_beside_the_checkpoint_is_opened(checkpoint, file, tmp_path):
    (tmp_path / 'sent').mkdir()
    (tmp_path / 'elsewhere').mkdir()
    elsewhere = file.rename(tmp_path / 'elsewhere' / 'tiny.safetensors')
    print_of_frozen = fingerprint({n: t for n, t in checkpoint.weights.items() if n.startswith('visual.')})
    path = partial(checkpoint, tmp_path / 'sent', {'checkpoint': str(elsewhere)}, print_of_frozen=print_of_frozen)
    with refuses(CheckpointError, elsewhere, 'in its folder'):
        load_network(path)
    os.link(elsewhere, path.with_name('tiny.safetensors'))
    assert torch.equal(load_network(path)[0].visual.norm.weight, checkpoint.weights['visual.norm.weight'])


def test_what_ones_own_training_noted_is_opened_wherever_it_is(checkpoint, file, tmp_path):
    (tmp_path / 'sent').mkdir()
    print_of_frozen = fingerprint({n: t for n, t in checkpoint.weights.items() if n.startswith('visual.')})
    path = partial(checkpoint, tmp_path / 'sent', {'checkpoint': '/nowhere/else'}, print_of_frozen=print_of_frozen)
    note_sources(print_of_frozen, {'checkpoint': str(file)})
    assert load_network(path)[0].visual is not None


@pytest.mark.parametrize(
    'frozen',
    [3, 'x', [1], {'weights': {'checkpoint': 'x'}}, {'weights': [], 'fingerprint': TRUE}, {'fingerprint': TRUE},
     {'weights': {'visual': 3}, 'fingerprint': TRUE}, {'weights': {'checkpoint': 'x'}, 'fingerprint': '../../x'}],
    ids=str,
)  # fmt: skip
def test_frozen_parts_without_names_or_fingerprint_are_refused(file, tmp_path, frozen):
    path = lie(file, tmp_path, info={'frozen': frozen})
    with refuses(CheckpointError, path, 'save_whole: true'):
        load_network(path)


def test_a_pipe_is_no_checkpoint(tmp_path):
    os.mkfifo(tmp_path / 'pipe.safetensors')
    for read_it in (read, read_torch, read_state):
        with pytest.raises(CheckpointError, match='a pipe, a device'):
            read_it(tmp_path / 'pipe.safetensors')


def test_one_number_repeated_to_terabytes_is_refused(tmp_path):
    torch.save({'a': torch.zeros(1, dtype=torch.half).expand(2**40)}, tmp_path / 'large.pt')
    with pytest.raises(CheckpointError, match="'a': its numbers are not stored one by one"):
        read_weights(tmp_path / 'large.pt')


@pytest.mark.parametrize('content', [b'', b'x', b'\x80\x02.', b'PK\x03\x04' + bytes(100), b'\x08\x07'])
def test_a_damaged_state_is_refused(tmp_path, content):
    (tmp_path / 'latest.pt').write_bytes(content)
    with refuses(CheckpointError, 'latest.pt'):
        read_state(tmp_path / 'latest.pt')


def test_a_state_cut_anywhere_is_refused(tmp_path):
    torch.save({'trained': {'a': torch.ones(500)}, 'iter': 3}, tmp_path / 'whole.pt')
    whole = (tmp_path / 'whole.pt').read_bytes()
    for length in range(0, len(whole), 97):
        (tmp_path / 'cut.pt').write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r'cut\.pt'):
            read_state(tmp_path / 'cut.pt')


def test_a_text_encoder_without_room_for_prompts_is_refused(checkpoint, tmp_path):
    name = 'semantic.text.embeddings.word_embeddings.weight'
    weights = checkpoint.weights | {name: checkpoint.weights[name][:100]}
    config = type(checkpoint.config)(**TINY | {'semantic_options': TEXT | {'vocab_size': 100}})
    path = save(replace(checkpoint, config=config, weights=weights), tmp_path / 'few.safetensors')
    with refuses(CheckpointError, path, '100 words'):
        MoEAGIQAMetric(pretrained_model_path=str(path))
