"""Runs with LoRA adapters: what they train and write, that they go on exactly, and what is refused."""

import shutil

import pandas as pd
import pyiqa
import pytest
from pictures import build, make_table, options, same_weights, short
from refusals import refuses
from safetensors.torch import load_file

from pyiqa_moeagiqa.checkpoints import CheckpointError, read, save
from pyiqa_moeagiqa.checkpoints.complete import complete
from pyiqa_moeagiqa.models.training_model import TrainingModel
from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.training.run import run

BEST = 'models/net_best.safetensors'


@pytest.fixture(scope='module', autouse=True)
def own_home(tmp_path_factory):
    """Notes of these runs alone: others can have the same frozen tensors in other files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MOEAGIQA_HOME', str(tmp_path_factory.mktemp('home')))
        yield


@pytest.fixture(scope='module')
def folder(tiny_checkpoint, tmp_path_factory):
    """A short run with all that options can have, adapters among it, from ``source.safetensors``."""
    folder = tmp_path_factory.mktemp('adapters')
    (folder / 'data').mkdir()
    make_table(folder / 'data')
    shutil.copy(tiny_checkpoint, folder / 'source.safetensors')
    run(options_in(folder), folder / 'run')
    return folder


def options_in(folder, start='source.safetensors', **network):
    opt = short(options(folder / 'data' / 'table.csv', folder / start), total_epoch=2)
    return opt | {'network': opt['network'] | {'lora_rank': 4} | network}


def test_a_checkpoint_holds_adapters_and_heads_alone(folder):
    held, before = load_file(folder / 'run' / BEST), read(folder / 'source.safetensors').weights
    adapters = {name for name in held if '.lora_' in name}
    assert len(adapters) == 2 * 4 * 4  # A and B of four layers in each of four blocks
    assert all(
        name.startswith('visual.blocks.') and name.endswith(('.lora_A.weight', '.lora_B.weight')) for name in adapters
    )
    assert held.keys() - adapters == {name for name in before if not name.startswith(('visual.', 'semantic.text.'))}
    assert any(held[name].any() for name in adapters if name.endswith('lora_B.weight'))
    frozen = before.keys() - held.keys()
    whole = complete(read(folder / 'run' / BEST)).weights
    assert whole.keys() == before.keys()
    changed = {name for name in frozen if not whole[name].equal(before[name])}
    assert changed == {name.rsplit('.lora_', 1)[0] + '.weight' for name in adapters}


def test_it_scores_as_training_did(folder):
    metric = pyiqa.create_metric('moeagiqa', pretrained_model_path=str(folder / 'run' / BEST))
    table = pd.read_csv(folder / 'run' / 'predictions.csv').query('data == "bright_test"')
    scores = metric([folder / 'data' / path for path in table['path']], caption_list=list(table['prompt']))
    assert scores[:, 0].tolist() == pytest.approx(table['score'].tolist(), abs=1e-4)


def test_a_stopped_run_goes_on_to_the_same_bits(folder, tmp_path, monkeypatch):
    step = TrainingModel.optimize_parameters

    def stopped(model, iteration):
        if iteration == 5:  # the last state is of iteration 3, in the middle of an update
            raise KeyboardInterrupt
        step(model, iteration)

    monkeypatch.setattr(TrainingModel, 'optimize_parameters', stopped)
    with pytest.raises(KeyboardInterrupt):
        run(options_in(folder), tmp_path)
    monkeypatch.setattr(TrainingModel, 'optimize_parameters', step)
    run(options_in(folder), tmp_path)
    for file in (BEST, 'models/net_latest.safetensors'):
        assert same_weights(tmp_path / file, folder / 'run' / file)


def test_a_run_starts_from_it_and_its_own_checkpoint_is_completed_by_both(folder):
    opt = options_in(folder, f'run/{BEST}', lora_rank=2)
    run(short(opt, total_epoch=1), folder / 'further')
    held = load_file(folder / 'further' / BEST)
    assert held['visual.blocks.0.attn.qkv.lora_A.weight'].shape == (2, 32)
    start, end = (complete(read(folder / name / BEST)).weights for name in ('run', 'further'))
    assert start.keys() == end.keys()
    assert not start['visual.blocks.0.attn.qkv.weight'].equal(end['visual.blocks.0.attn.qkv.weight'])
    assert start['visual.blocks.0.attn.qkv.bias'].equal(end['visual.blocks.0.attn.qkv.bias'])


def test_a_base_that_has_changed_is_refused(folder):
    source = folder / 'source.safetensors'
    kept, changed = source.read_bytes(), read(source)
    changed.weights['visual.blocks.0.attn.qkv.weight'] += 1
    save(changed, source)
    try:
        with refuses(CheckpointError, folder / 'run' / BEST, 'have changed since'):
            complete(read(folder / 'run' / BEST))
    finally:
        source.write_bytes(kept)


def test_a_whole_checkpoint_needs_no_other_file(folder, tmp_path):
    opt = options_in(folder)
    run(short(opt, total_epoch=2, save_whole=True), tmp_path)
    held = read(tmp_path / BEST)
    assert 'frozen' not in held.info
    assert 'visual.blocks.0.attn.qkv.weight' in held.weights
    whole, partial = complete(held).weights, complete(read(folder / 'run' / BEST)).weights
    assert whole.keys() == partial.keys()
    assert all(tensor.equal(partial[name]) for name, tensor in whole.items())


def cached(folder, **network):
    opt = short(options_in(folder, **network), cache_frozen=True, cache_folder=str(folder / 'cache'))
    opt['datasets']['train'] |= {'random_crops': False, 'hflip': False}
    return opt


def test_features_that_training_changes_are_not_cached(folder, tmp_path):
    with refuses(OptionError, 'cache_frozen is true: it must be false', 'lora_towers'):
        build(cached(folder), tmp_path)


def test_the_features_below_the_semantic_networks_adapters_are(folder, tmp_path):
    changes = {'lora_towers': ['semantic'], 'frozen_share': 0.5}
    run(cached(folder, **changes), tmp_path / 'cached')
    assert list((folder / 'cache').rglob('*.safetensors'))
    opt = short(cached(folder, **changes), cache_frozen=None, cache_folder=None)
    run(opt, tmp_path / 'plain')
    assert same_weights(tmp_path / 'cached' / BEST, tmp_path / 'plain' / BEST, atol=5e-3)
