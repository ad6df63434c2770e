"""Where training starts: a whole checkpoint or the encoders' files, and never anything random in an encoder."""

import numpy as np
import pytest
import torch
from reference.cases import tensors
from refusals import refuses
from stand_ins import Attack, image_reward, released_config
from tiny import TINY, inputs

from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.checkpoints import Checkpoint, CheckpointError, save
from pyiqa_moeagiqa.checkpoints.start import start_network, start_prior
from pyiqa_moeagiqa.options import OptionError

OPTIONS = {'type': 'MoEAGIQA'} | released_config('v2').to_dict()


@pytest.fixture
def files(released, tmp_path):
    """The encoders' files as an option file names them."""
    torch.save(image_reward(), tmp_path / 'ImageReward.pt')
    return {
        'visual': str(released['visual']),
        'prior': str(released['prior']),
        'semantic': str(tmp_path / 'ImageReward.pt'),
    }


def start(weights, **changes):
    return start_network(OPTIONS | {'weights': weights} | changes)[0]


def frozen_names(network) -> set[str]:
    return {name for name, parameter in network.named_parameters() if not parameter.requires_grad}


def test_the_published_encoders_are_read_as_they_are(files):
    network = start(files)
    vit, blip = tensors('tiny_vit'), tensors('tiny_blip')
    assert torch.equal(network.visual.blocks[7].mlp.fc1.weight, vit['blocks.7.mlp.fc1.weight'])
    assert torch.equal(network.prior.blocks[11].mlp.fc1.weight, vit['blocks.11.mlp.fc1.weight'])
    key = 'encoder.layer.1.crossattention.self.key.weight'
    assert torch.equal(network.semantic.text.get_parameter(key), blip[f'text_encoder.{key}'])
    patches = network.semantic.vision.embeddings.patch_embedding.weight
    assert torch.equal(patches, blip['visual_encoder.patch_embed.proj.weight'])


def test_what_is_frozen_stays_so_and_the_rest_is_trained(files):
    network = start(files)
    assert frozen_names(network) == frozen_names(MoEAGIQA(released_config('v2')))
    assert not any(parameter.requires_grad for parameter in network.visual.parameters())
    assert network.local_ffn.local.weight.requires_grad


@pytest.mark.parametrize('weights', [None, {}, 'timm'])
def test_no_weights_no_network(weights):
    with refuses(OptionError, 'network section has no weights', 'visual: timm', 'checkpoint: moeagiqa'):
        start(weights)


def test_options_without_weights_are_refused():
    with pytest.raises(OptionError, match='network section has no weights'):
        start_network(OPTIONS)


def test_an_unknown_part_is_named_with_the_nearest(files):
    with pytest.raises(OptionError, match="'visuel': did you mean 'visual'"):
        start(files | {'visuel': 'timm'})


def test_an_unknown_option_is_named_with_the_nearest(files):
    with pytest.raises(OptionError, match="'wieghts': did you mean 'weights'"):
        start_network(OPTIONS | {'wieghts': {}})
    with pytest.raises(OptionError, match="'expert': did you mean 'experts'"):
        start(files, expert=3)


@pytest.mark.parametrize('part', ['visual', 'prior', 'semantic'])
def test_a_part_without_weights_is_named(files, part):
    del files[part]
    with pytest.raises(OptionError, match=f"lacks '{part}'"):
        start(files)


@pytest.mark.parametrize('value', [None, 3, ['a.pth']])
def test_a_part_that_is_no_file_name_is_named(files, value):
    with pytest.raises(OptionError) as refused:
        start(files | {'prior': value})
    assert 'prior' in str(refused.value)
    assert repr(value) in str(refused.value)


@pytest.mark.parametrize(
    ('part', 'case', 'name', 'ours'),
    [
        ('visual', 'tiny_vit', 'pos_embed', 'pos_embed'),
        ('prior', 'tiny_vit', 'pos_embed', 'pos_embed'),
        ('prior', 'tiny_vit', 'norm.weight', 'norm.weight'),
        ('semantic', 'tiny_blip', 'visual_encoder.norm.weight', 'vision.post_layernorm.weight'),
    ],
)
def test_tensors_that_a_file_lacks_are_named(files, part, case, name, ours):
    state = tensors(case)
    del state[name]
    torch.save(state, files[part])
    with refuses(CheckpointError, files[part], f'missing {ours}'):
        start(files)


@pytest.mark.parametrize('part', ['visual', 'prior', 'semantic'])
def test_a_file_that_is_not_there_is_named(files, part):
    with refuses(OptionError, f'network.weights option {part}', 'elsewhere.pth', 'no such file'):
        start(files | {part: 'elsewhere.pth'})


def test_a_missing_file_is_named_before_anything_is_downloaded(files, hub):
    with refuses(OptionError, 'network.weights option prior', 'moeagiqa_prior.yml'):
        start({'visual': 'timm', 'semantic': 'imagereward', 'prior': 'experiments/prior/models/net_best.safetensors'})
    assert hub.asked == []


@pytest.mark.parametrize('part', ['visual', 'prior', 'semantic'])
def test_code_in_a_file_is_never_run(files, part, tmp_path):
    trace = tmp_path / 'trace'
    torch.save({'cls_token': Attack(trace)}, files[part])
    with refuses(CheckpointError, files[part], 'could run code'):
        start(files)
    assert not trace.exists()


def test_nan_in_a_file_is_refused(files):
    torch.save(tensors('tiny_vit') | {'cls_token': torch.full((1, 1, 48), np.nan)}, files['prior'])
    with refuses(CheckpointError, files['prior'], 'cls_token', 'NaN'):
        start(files)


def test_a_prior_that_pyiqa_has_saved_is_taken(files, tmp_path):
    options = {'crop_size': 32, 'visual_options': OPTIONS['visual_options']}
    prior = start_prior({'weights': files['visual'], **options})
    torch.nn.init.normal_(prior.vit.norm.weight)
    torch.save({'params': prior.state_dict()}, tmp_path / 'net_best.pth')
    network = start(files | {'prior': str(tmp_path / 'net_best.pth')})
    assert torch.equal(network.prior.norm.weight, prior.vit.norm.weight)
    assert network.prior.state_dict().keys() == prior.vit.state_dict().keys()


def test_another_crop_size_interpolates_the_encoders(files):
    network = start(files, crop_size=48)
    assert network.visual.pos_embed.shape == network.prior.pos_embed.shape == (1, 1 + 9, 48)
    assert torch.equal(network.visual.pos_embed[:, 0], tensors('tiny_vit')['pos_embed'][:, 0])


def test_training_goes_on_from_a_checkpoint(file, checkpoint):
    network, info = start_network({'type': 'MoEAGIQA', 'weights': {'checkpoint': str(file)}})
    assert network.config == checkpoint.config
    assert info == checkpoint.info
    assert all(torch.equal(tensor, checkpoint.weights[name]) for name, tensor in network.state_dict().items())
    assert frozen_names(network) == frozen_names(MoEAGIQA(checkpoint.config))
    network(*inputs(network)).targets['quality'].score.sum().backward()
    assert network.local_ffn.local.weight.grad is not None


def test_options_change_a_checkpoints_configuration(file):
    options = {'weights': {'checkpoint': str(file)}, 'top_k': 1, 'crop_size': 96, 'dropout': 0.1}
    config = start_network(options)[0].config
    assert (config.top_k, config.crop_size, config.dropout) == (1, 96, 0.1)
    assert config.layers == TINY['layers']


def test_a_change_that_the_weights_do_not_fit_is_refused(file):
    with refuses(CheckpointError, file, 'missing experts.quality.experts.4.0.weight'):
        start_network({'weights': {'checkpoint': str(file)}, 'experts': 5})


def test_a_checkpoint_and_parts_together_are_refused(file, files):
    with pytest.raises(OptionError, match='either the checkpoint or the encoders'):
        start({'checkpoint': str(file), 'visual': files['visual']})


def test_a_part_may_come_from_a_checkpoint(files, with_prior, tmp_path):
    path = save(with_prior, tmp_path / 'other.safetensors')
    options = with_prior.config.to_dict() | {'weights': {part: str(path) for part in ('visual', 'prior', 'semantic')}}
    network = start_network(options)[0]
    for name in ('visual.norm.bias', 'prior.norm.bias', 'semantic.text.encoder.layer.1.output.dense.weight'):
        assert torch.equal(network.get_parameter(name), with_prior.weights[name])


def test_a_checkpoint_without_the_part_is_named(file, with_prior):
    options = with_prior.config.to_dict() | {'weights': {part: str(file) for part in ('visual', 'prior', 'semantic')}}
    with refuses(CheckpointError, file, 'missing cls_token'):
        start_network(options)


@pytest.mark.parametrize('branches', ['visual', 'semantic'])
def test_a_switched_off_branch_needs_no_weights(files, branches):
    kept = {'visual': ('visual', 'prior'), 'semantic': ('semantic',)}[branches]
    network = start({part: files[part] for part in kept}, branches=branches)
    assert hasattr(network, 'semantic') == (branches == 'semantic')


def test_a_started_network_is_saved_and_started_again(files, tmp_path):
    network = start(files)
    path = save(Checkpoint(network.config, network.state_dict(), {}), tmp_path / 'net.safetensors')
    again = start({'checkpoint': str(path)})
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in again.state_dict().items())
