"""The released files as one checkpoint; stand-ins in small, filled by the rule of tests/reference."""

import pytest
import torch
from reference.cases import GOLDEN, difference, given, tensors
from refusals import refuses
from safetensors.torch import save_file
from stand_ins import Attack, finetuned, released_config

from pyiqa_moeagiqa.archs.vit import image_token, layer_features
from pyiqa_moeagiqa.checkpoints import CheckpointError, convert_released, load_network, read
from pyiqa_moeagiqa.checkpoints.convert import _configuration, download_timm

TOLERANCE = 1e-5


@pytest.fixture
def convert(released, tmp_path):
    """Converts the stand-ins; what is given replaces the usual."""

    def run(version, **changes):
        given = {
            'finetuned': released[f'finetuned_{version}'],
            'prior': released['prior'] if version == 'v2' else None,
            'visual': released['visual'],
            'output': tmp_path / 'converted.safetensors',
            'config': released_config(version),
        }
        return convert_released(**given | changes)

    return run


@pytest.mark.parametrize('version', ['v1', 'v2'])
def test_the_header_says_what_it_is(convert, version):
    checkpoint = read(convert(version, dataset='AGIQA-3K', mos_range=(0, 5)))
    assert checkpoint.config == released_config(version)
    assert checkpoint.info['model_name'] == f'moeagiqa-{version}'
    assert checkpoint.info['dataset'] == 'AGIQA-3K'
    assert checkpoint.info['mos_range'] == [0, 5]
    assert checkpoint.info['sources']['finetuned'] == f'finetuned_{version}.pth'
    assert ('prior' in checkpoint.info['sources']) == (version == 'v2')
    assert {'licence', 'figures'} <= checkpoint.info.keys()


def test_the_encoders_answer_as_the_released_ones(convert):
    network, _ = load_network(convert('v2'))
    pixels = given('vit_pixels', 2, 3, 32, 32)
    ids, mask = torch.from_numpy(GOLDEN['blip_ids']), torch.from_numpy(GOLDEN['blip_mask'])
    with torch.inference_mode():
        layers, _ = layer_features(network.visual, pixels, network.config.layers)
        prior = image_token(network.prior, pixels)
        image = network.semantic.image_features(given('blip_pixels', 2, 3, 48, 48))
        words = network.semantic.text_features(ids, mask, image)
    assert difference(layers.flatten(2).transpose(1, 2), 'vit_layers_5_to_8') < TOLERANCE
    assert difference(prior, 'vit_class_token') < TOLERANCE
    assert difference(image, 'blip_image_embeds') < TOLERANCE
    assert difference(words, 'blip_text_features') < TOLERANCE


@pytest.mark.parametrize('version', ['v1', 'v2'])
def test_the_regressor_arrives_whole(convert, version):
    state = finetuned(version)['regressor_model_state_dict']
    weights = read(convert(version)).weights
    assert torch.equal(weights['project_semantic.weight'], state.pop('proj').T)
    if version == 'v2':
        assert torch.equal(weights['inject.project.weight'], state.pop('proj_prior').T)
        assert torch.equal(weights['inject.w2'], state['weight2'])
    encoders = ('visual.', 'prior.', 'semantic.')
    ours = [tensor for name, tensor in weights.items() if not name.startswith((*encoders, 'project', 'inject.project'))]
    assert len(ours) == len(state)
    for tensor in state.values():
        assert any(torch.equal(tensor, other) for other in ours if other.shape == tensor.shape)


@pytest.mark.parametrize('version', ['v1', 'v2'])
def test_a_converted_network_scores(convert, version):
    network, _ = load_network(convert(version))
    ids = torch.arange(70).reshape(2, 35)
    crops, view = torch.rand(2, 2, 3, 32, 32), torch.rand(2, 3, 48, 48)
    with torch.inference_mode():
        score = network(crops, view, ids, torch.ones_like(ids)).targets['quality'].score
    assert score.shape == (2, 2)
    assert score.isfinite().all()


def test_names_as_data_parallel_writes_them_are_taken(convert, released):
    before = read(convert('v2')).weights
    for path in released.values():
        content = torch.load(path, weights_only=False)
        states = content.values() if 'vit_model_state_dict' in content or 'epoch' in content else [content]
        for state in [state for state in states if isinstance(state, dict)]:
            for name in [name for name in state if isinstance(state[name], torch.Tensor)]:
                state[f'module.{name}'] = state.pop(name)
        torch.save(content, path)
    after = read(convert('v2')).weights
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_half_precision_is_taken(convert, released):
    content = torch.load(released['visual'])
    torch.save({name: tensor.half() for name, tensor in content.items()}, released['visual'])
    assert read(convert('v1')).weights['visual.cls_token'].dtype == torch.float32


def test_the_visual_weights_may_be_safetensors(convert, tmp_path):
    save_file(tensors('tiny_vit'), tmp_path / 'vit.safetensors')
    weights = read(convert('v1', visual=tmp_path / 'vit.safetensors')).weights
    assert torch.equal(weights['visual.cls_token'], tensors('tiny_vit')['cls_token'])


@pytest.mark.parametrize(
    ('file', 'state', 'name', 'ours'),
    [
        ('finetuned_v2', 'regressor_model_state_dict', 'norm1.weight', 'fusion.norm_visual.weight'),
        ('finetuned_v2', 'regressor_model_state_dict', 'weight2', 'inject.w2'),
        ('finetuned_v2', 'regressor_model_state_dict', 'proj', 'project_semantic.weight'),
        (
            'finetuned_v2',
            'reward_model_state_dict',
            'blip.visual_encoder.norm.weight',
            'semantic.vision.post_layernorm.weight',
        ),
        ('prior', 'vit_model_state_dict', 'norm.bias', 'prior.norm.bias'),
        ('prior', 'vit_model_state_dict', 'pos_embed', 'prior.pos_embed'),
        ('visual', None, 'blocks.7.norm1.bias', 'visual.blocks.7.norm1.bias'),
    ],
)
def test_missing_misshapen_and_extra_tensors_are_listed_with_their_file(convert, released, file, state, name, ours):
    content = torch.load(released[file], weights_only=False)
    changed = content if state is None else content[state]
    tensor = changed.pop(name)
    changed['blip.strange.weight'] = torch.zeros(1)
    torch.save(content, released[file])
    with refuses(CheckpointError, released[file], f'missing {ours}', 'extra', 'strange.weight'):
        convert('v2')
    changed[name] = tensor.flatten()[:-1]
    torch.save(content, released[file])
    with refuses(CheckpointError, released[file], f'misshapen {ours}'):
        convert('v2')


def test_v1_with_a_prior_is_refused(convert, released):
    with refuses(CheckpointError, released['finetuned_v1'], 'v1', 'leave out', released['prior']):
        convert('v1', prior=released['prior'])


@pytest.mark.parametrize('config', [released_config('v2'), None])
def test_v2_without_its_prior_is_refused(convert, released, config):
    with refuses(CheckpointError, released['finetuned_v2'], 'v2', 'needs the prior'):
        convert('v2', prior=None, config=config)


def test_a_configuration_of_the_other_version_is_refused(convert, released):
    with refuses(CheckpointError, released['finetuned_v1'], 'config.prior is True'):
        convert('v1', config=released_config('v2'))


@pytest.mark.parametrize(('grid', 'crop_size'), [(14, 224), (24, 384)])
def test_the_crop_size_follows_from_the_file(grid, crop_size):
    config = _configuration(None, {'inject.w1': torch.zeros(1, 512, grid, grid)}, 'best.pth', 'prior.pth')
    assert config.crop_size == crop_size
    assert config.prior


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1000])


def folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize('which', ['finetuned', 'prior', 'visual'])
@pytest.mark.parametrize(
    ('damage', 'said'),
    [
        (lambda path: path.unlink(), 'no such file'),
        (folder, 'a folder'),
        (cut_short, 'cut short'),
        (lambda path: path.write_bytes(b''), 'cut short'),
        (lambda path: path.write_text('<!doctype html>'), 'cut short'),
        (lambda path: torch.save([torch.zeros(1)], path), 'holds a list'),
    ],
)
def test_a_file_that_cannot_be_read_is_named(convert, released, tmp_path, which, damage, said):
    path = released['finetuned_v2' if which == 'finetuned' else which]
    damage(path)
    with refuses(CheckpointError, path, said):
        convert('v2')
    assert not (tmp_path / 'converted.safetensors').exists()


@pytest.mark.parametrize('state', [{'weight': torch.zeros(1)}, {'regressor_model_state_dict': 3}])
def test_a_file_without_the_released_keys_is_named(convert, released, state):
    torch.save({'reward_model_state_dict': {}} | state, released['finetuned_v2'])
    with refuses(CheckpointError, released['finetuned_v2'], "lacks 'regressor_model_state_dict'", 'it holds'):
        convert('v2')


@pytest.mark.parametrize('which', ['finetuned', 'prior', 'visual'])
def test_code_in_a_released_file_is_never_run(convert, released, tmp_path, which):
    path, trace = released['finetuned_v2' if which == 'finetuned' else which], tmp_path / 'trace'
    torch.save(torch.load(path, weights_only=False) | {'attack': Attack(trace)}, path)
    with refuses(CheckpointError, path, 'could run code'):
        convert('v2')
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists(), 'the attack does not work, so it has shown nothing'


def test_nan_is_not_converted(convert, released, tmp_path):
    content = torch.load(released['visual'])
    content['cls_token'][0, 0, 0] = float('nan')
    torch.save(content, released['visual'])
    with refuses(CheckpointError, 'visual.cls_token', 'NaN'):
        convert('v1')
    assert not (tmp_path / 'converted.safetensors').exists()


def test_visual_weights_that_cannot_be_downloaded_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path))
    name = 'vit_tiny_patch16_224.augreg_in21k_ft_in1k'
    with refuses(CheckpointError, name, 'give their file'):
        download_timm(name)
