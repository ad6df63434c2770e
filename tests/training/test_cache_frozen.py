"""``cache_frozen``: the encoders see each picture once, for all epochs and for other runs that have the same encoders."""

import shutil

import pytest
import torch
from pictures import build, make_table, options, short
from PIL import Image
from safetensors.torch import load_file

from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.checkpoints import Checkpoint, read, save
from pyiqa_moeagiqa.data import prompt_nr_dataset
from pyiqa_moeagiqa.data.table import TableError
from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.training.run import run

PICTURES = 24  # 12 for training, 7 for validation, 5 for the test


@pytest.fixture(scope='module')
def filled(tiny_checkpoint, tmp_path_factory):
    """A folder in which one run has filled the cache."""
    folder = tmp_path_factory.mktemp('filled')
    (folder / 'data').mkdir()
    make_table(folder / 'data')
    with pytest.MonkeyPatch.context() as patch:
        seen = count_encoded(patch)
        run(options_in(folder, tiny_checkpoint), folder / 'first')
    assert len(seen) == PICTURES
    return folder


def options_in(folder, checkpoint):
    opt = short(options(folder / 'data' / 'table.csv', checkpoint), total_epoch=2, cache_frozen=True)
    opt['train']['cache_folder'] = str(folder / 'cache')
    opt['datasets']['train'] |= {'random_crops': False, 'hflip': False}
    return opt


def count_encoded(patch):
    """A list that grows by one for each picture that the encoders see."""
    seen, encode = [], MoEAGIQA.encode

    def counting(network, crops, *others):
        seen.extend([1] * len(crops))
        return encode(network, crops, *others)

    patch.setattr(MoEAGIQA, 'encode', counting)
    return seen


@pytest.fixture
def opt(filled, tiny_checkpoint, tmp_path):
    """Options of another run, in a copy of that folder."""
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return options_in(tmp_path, tiny_checkpoint)


@pytest.fixture
def encoded(monkeypatch):
    return count_encoded(monkeypatch)


def test_another_run_with_other_experts_computes_nothing_and_decodes_nothing(opt, tmp_path, encoded, monkeypatch):
    def refuse(*given):
        raise AssertionError('an image was decoded')

    monkeypatch.setattr(prompt_nr_dataset, 'read_image', refuse)
    run(opt | {'network': opt['network'] | {'top_k': 2, 'dropout': 0.0}}, tmp_path / 'second')
    assert encoded == []


def test_other_numbers_of_experts_use_the_same_features(opt, tiny_checkpoint, tmp_path, encoded):
    checkpoint = read(tiny_checkpoint)
    network = MoEAGIQA(checkpoint.config.changed(experts=2, top_k=1))
    ours = network.state_dict()
    ours |= {name: tensor for name, tensor in checkpoint.weights.items() if not name.startswith('experts.')}
    path = save(Checkpoint(network.config, ours, {}), tmp_path / 'two.safetensors')
    run(opt | {'network': {'type': 'MoEAGIQA', 'weights': {'checkpoint': str(path)}}}, tmp_path / 'second')
    assert encoded == []


def changed_weights(opt, folder):
    checkpoint = read(opt['network']['weights']['checkpoint'])
    checkpoint.weights['visual.blocks.1.mlp.fc1.bias'] += 0.1
    path = save(checkpoint, folder / 'other.safetensors')
    return opt | {'network': opt['network'] | {'weights': {'checkpoint': str(path)}}}, PICTURES


def changed_heads(opt, folder):
    """The same weights, but another network: the number of heads shows in no tensor."""
    visual = {'embed_dim': 32, 'depth': 4, 'num_heads': 4}
    return opt | {'network': opt['network'] | {'visual_options': visual}}, PICTURES


def changed_image(opt, folder):
    Image.new('RGB', (70, 70), 'red').save(folder / 'data' / 'train3.png')
    return opt, 1


def changed_crops(opt, folder):
    train = opt['datasets']['train'] | {'crops': 3}
    return opt | {'datasets': opt['datasets'] | {'train': train}}, 12


@pytest.mark.parametrize('change', [changed_weights, changed_heads, changed_image, changed_crops])
def test_what_features_follow_from_has_features_of_its_own(opt, tmp_path, encoded, change):
    opt, expected = change(opt, tmp_path)
    run(opt, tmp_path / 'second')
    assert len(encoded) == expected


@pytest.mark.parametrize('workers', [0, 1])
def test_a_corrupt_file_stops_the_run_and_is_named(opt, tmp_path, workers):
    opt['datasets']['train']['num_worker_per_gpu'] = workers
    for path in (tmp_path / 'cache').rglob('*.safetensors'):
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(TableError, match=r'\.safetensors: cached features cannot be read') as error:
        run(opt | {'manual_seed': 2}, tmp_path / 'second')
    assert '\n' not in str(error.value)


def test_training_ends_where_it_does_without_cache(opt, tmp_path):
    run(short(opt, total_epoch=2, cache_frozen=None, cache_folder=None), tmp_path / 'plain')
    cached, plain = (load_file(tmp_path / name / 'models' / 'net_latest.safetensors') for name in ('first', 'plain'))
    for name, tensor in plain.items():
        torch.testing.assert_close(cached[name], tensor, atol=5e-3, rtol=0, msg=name)


def test_scores_with_and_without_cache_agree(opt, tmp_path):
    opt['train']['cache_folder'], scores = str(tmp_path / 'empty'), []
    for cached in (True, None):
        model, data = build(short(opt, cache_frozen=cached), tmp_path)
        model.feed_data(torch.utils.data.default_collate([data[row] for row in range(6)]))
        for _ in range(2):  # with the cache the second answer comes from the files
            model.test()
        scores.append(model.output_score)
    torch.testing.assert_close(*scores, atol=2e-3, rtol=0)
    assert scores[0].std() > 0


def with_view(opt, **train):
    """Random crops, whose views alone are kept."""
    opt = short(opt, total_epoch=2, cache_frozen='view', **train)
    data = opt['datasets']
    return opt | {'datasets': data | {'train': data['train'] | {'random_crops': True, 'hflip': False}}}


def test_kept_views_change_nothing_but_what_is_computed(opt, tmp_path, monkeypatch):
    views, encode_view = [], MoEAGIQA.encode_view
    monkeypatch.setattr(
        MoEAGIQA, 'encode_view', lambda net, view, *more: views.append(len(view)) or encode_view(net, view, *more)
    )
    opt = with_view(opt, cache_folder=str(tmp_path / 'views'), cache_validation=True)
    run(opt, tmp_path / 'kept')
    training, validation, measuring = 12, 7, 7 + 5  # each once; all else reads views, and crops with them in training
    assert sum(views) == training + validation + measuring
    run(short(opt, total_epoch=2, cache_frozen=None, cache_validation=None), tmp_path / 'plain')
    kept, plain = (load_file(tmp_path / name / 'models' / 'net_latest.safetensors') for name in ('kept', 'plain'))
    for name, tensor in plain.items():
        torch.testing.assert_close(kept[name], tensor, atol=1e-5, rtol=0, msg=name)


def test_a_file_in_the_place_of_the_cache_is_said_before_anything_is_computed(opt, tmp_path, encoded):
    (tmp_path / 'taken').write_text('x')
    with pytest.raises(OptionError, match=r"cache_folder is '.*taken': it is a file; name a folder"):
        run(short(opt, cache_folder=str(tmp_path / 'taken')), tmp_path / 'run')
    assert not encoded


def test_features_of_another_number_format_are_kept_apart(opt, tmp_path):
    opt = with_view(opt, cache_folder=str(tmp_path / 'new'), cache_validation=True)
    kept = [set(build(short(opt, amp=amp), tmp_path)[0].caches.values()) for amp in ('bfloat16', False)]
    rough, exact = ({cache.folder for cache in caches} for caches in kept)
    assert len(rough) == len(exact) == 2
    assert not rough & exact


def test_validation_reads_what_it_keeps_and_the_last_measurement_does_not(opt, tmp_path, encoded):
    opt = short(opt, total_epoch=2, cache_frozen=None, cache_validation=True, cache_folder=str(tmp_path / 'new'))
    opt['val'] = opt['val'] | {'val_freq': 2}  # three validations of seven pictures in six steps
    figures = run(opt, tmp_path / 'kept')['figures']
    training, filling, measuring = 24, 7, 7 + 5
    assert len(encoded) == training + filling + measuring
    kept = list((tmp_path / 'new').rglob('*.safetensors'))
    assert len(kept) == 7
    assert {tensor.dtype for path in kept for tensor in load_file(path).values()} == {torch.float32}
    opt['train'].pop('cache_validation')
    assert run(opt, tmp_path / 'plain')['figures'] == figures


def test_features_that_do_not_fit_the_disk_are_said_after_the_first_batch(opt, tmp_path, monkeypatch):
    opt['train']['cache_folder'] = str(tmp_path / 'empty')
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(TableError, match=r'of 8 more pictures take .* GB, but 0\.0 GB are free; make room') as error:
        run(opt, tmp_path / 'second')
    assert '\n' not in str(error.value)
