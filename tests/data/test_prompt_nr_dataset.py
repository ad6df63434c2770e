"""PromptNRDataset: what an item holds, which rows it has, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
import torch
import torch.distributed
from PIL import Image
from tiny import COMPACT_LIKE, made, saved
from torch.utils.data import DataLoader

from pyiqa_moeagiqa.data.prompt_nr_dataset import PromptNRDataset
from pyiqa_moeagiqa.data.table import TableError
from pyiqa_moeagiqa.images.read import read_image
from pyiqa_moeagiqa.images.views import crop_positions, free_places, take_crops
from pyiqa_moeagiqa.metrics.moeagiqa import MoEAGIQAMetric
from pyiqa_moeagiqa.options import OptionError

ROWS = {'train': 7, 'val': 3, 'test': 2}


@pytest.fixture
def table(tmp_path):
    """Twelve pictures of 40 x 50 noise; row n has MOS n / 4 and 5 - n / 4."""
    noise, rows = np.random.default_rng(0), []
    for place, split in enumerate([split for split, count in ROWS.items() for _ in range(count)]):
        name = f'{place}.png'
        Image.fromarray(noise.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / name)
        rows.append([name, f'a picture of {place}', place / 4, 5 - place / 4, split])
    rows[1][1] = 'None'
    path = tmp_path / 'table.csv'
    pd.DataFrame(rows, columns=['path', 'prompt', 'quality', 'alignment', 'split']).to_csv(path, index=False)
    return path


@pytest.fixture
def make(table):
    def make(phase='train', **options):
        default = {
            'meta_info_file': str(table),
            'mos_range': [0, 5],
            'crop_size': 16,
            'view_size': 32,
        }
        given = default | {'phase': phase} | options
        return PromptNRDataset({name: value for name, value in given.items() if value is not None})

    return make


def test_an_item_has_the_promised_shapes_and_ranges(make):
    item = make(crops=4, targets=['quality', 'alignment'])[2]
    shapes = {name: tuple(item[name].shape) for name in ('crops', 'view', 'mos_label')}
    assert shapes == {'crops': (4, 3, 16, 16), 'view': (3, 32, 32), 'mos_label': (2,)}
    for name in ('crops', 'view'):
        assert item[name].dtype == torch.float32
        assert 0 <= item[name].min() < item[name].max() <= 1
    assert item['img_path'].endswith('2.png')
    assert item['index'] == 2


def test_the_default_is_three_crops_in_training_and_fifteen_in_validation(make):
    assert len(make('train')[0]['crops']) == 3
    assert len(make('val')[0]['crops']) == 15


@pytest.mark.parametrize(('mos_range', 'expected'), [([0, 5], 0.4), ([-5, 5], 0.7), ([1, 6], 0.2)])
def test_mos_are_scaled_by_the_range(make, table, mos_range, expected):
    rows = pd.read_csv(table, keep_default_na=False)
    rows['quality'] = 2
    rows.to_csv(table, index=False)
    assert make(mos_range=mos_range)[0]['mos_label'].item() == pytest.approx(expected)


def test_a_range_that_is_left_out_is_the_known_data_sets_or_the_tables(make, table):
    rows = pd.read_csv(table, keep_default_na=False)
    rows['quality'] = [1.5 + 2 * (place % 2) for place in range(len(rows))]
    rows.to_csv(table, index=False)
    assert make(mos_range=None).mos_ranges == make('val', mos_range=None).mos_ranges == [(1.5, 3.5)]
    known = table.with_name('agiqa3k.csv')
    rows.to_csv(known, index=False)
    assert make(mos_range=None, meta_info_file=str(known)).mos_ranges == [(0, 5)]
    rows['quality'] = 2
    rows.to_csv(table, index=False)
    with pytest.raises(TableError, match=r'all MOS are 2, .* name their mos_range'):
        make(mos_range=None)


def test_an_index_chooses_the_numbered_split_as_pyiqas_script_counts(make, table):
    rows = pd.read_csv(table, keep_default_na=False)
    rows['image_1'] = rows['split'].iloc[::-1].to_numpy()
    rows.to_csv(table, index=False)
    chosen = make(split_column='image_0', split_index=2)
    assert chosen.table['path'].tolist() == make(split_column='image_1').table['path'].tolist()


@pytest.mark.parametrize('phase', ROWS)
def test_a_phase_has_its_own_rows(make, phase):
    dataset = make(phase)
    assert len(dataset) == ROWS[phase]
    first = {'train': 0, 'val': 7, 'test': 10}[phase]
    assert dataset[0]['img_path'].endswith(f'/{first}.png')
    assert dataset[0]['index'] == 0


def test_another_split_can_be_named(make):
    assert len(make('val', split='test')) == ROWS['test']


def test_several_splits_can_be_joined_in_the_tables_order(make, table):
    names = [item['img_path'].rpartition('/')[2] for item in make('val', split=['val', 'train'])]
    assert names == [f'{row}.png' for row in range(ROWS['train'] + ROWS['val'])]


def test_all_rows_whatever_their_split(make, table):
    assert len(make('val', split='all')) == sum(ROWS.values())
    pd.read_csv(table).drop(columns='split').to_csv(table, index=False)
    assert len(make('val', split='all', split_column='image_0')) == sum(ROWS.values())


def test_another_column_can_hold_the_splits(make, table):
    rows = pd.read_csv(table)
    rows.assign(prompt_1=['test'] * 5 + ['train'] * 7).to_csv(table, index=False)
    assert len(make('val', split='test', split_column='prompt_1')) == 5


def test_labels_weigh_by_their_deviation_and_one_on_average(make, table):
    rows = pd.read_csv(table)
    deviations = np.linspace(0.5, 2, len(rows))
    rows.assign(quality_std=deviations, alignment_std=1.0).to_csv(table, index=False)
    dataset = make(targets=['quality', 'alignment'], weight_by_std=True)
    weights = torch.stack([dataset[row]['mos_weight'] for row in range(ROWS['train'])])
    assert weights.mean(dim=0).tolist() == pytest.approx([1, 1])
    quality, alignment = weights.T
    assert quality.tolist() == sorted(quality.tolist(), reverse=True)
    assert (quality[0] / quality[6]).item() == pytest.approx(deviations[6] / deviations[0], rel=1e-5)
    assert alignment.tolist() == pytest.approx([1] * ROWS['train'])
    assert make(targets=['quality'])[0]['mos_weight'].tolist() == [1]


def test_a_missing_or_impossible_deviation_is_named(make, table):
    with pytest.raises(TableError, match="weight_by_std needs column 'quality_std', which is missing"):
        make(weight_by_std=True)
    rows = pd.read_csv(table)
    rows.assign(quality_std=[1.0, 0.0] + [1.0] * (len(rows) - 2)).to_csv(table, index=False)
    with pytest.raises(TableError, match="'quality_std' holds no deviation above 0"):
        make(weight_by_std=True)


def test_a_table_without_split_is_used_whole(make, table):
    pd.read_csv(table).drop(columns='split').to_csv(table, index=False)
    assert len(make('val')) == 12
    with pytest.raises(TableError, match="split column 'split' is missing"):
        make('val', split='test')


def test_a_split_that_no_row_has_is_refused_with_those_there(make):
    with pytest.raises(TableError, match="no row has split 'tset'; there are 'test', 'train', 'val'"):
        make(split='tset')


def test_training_crops_move_between_epochs(make):
    loader = DataLoader(make(batch_size_per_gpu=7), batch_size=7)
    (first,), (second,) = list(loader), list(loader)
    assert not torch.equal(first['crops'], second['crops'])
    assert torch.equal(first['view'], second['view'])


def test_training_crops_move_between_epochs_in_workers_too(make):
    loader = DataLoader(make(batch_size_per_gpu=7), batch_size=7, num_workers=1)
    assert not torch.equal(next(iter(loader))['crops'], next(iter(loader))['crops'])


def test_workers_that_stay_draw_as_those_that_are_started_anew(make):
    drawn = []
    for stay in (True, False):
        data = make(batch_size_per_gpu=7)
        loader = DataLoader(data, batch_size=7, num_workers=1, persistent_workers=stay)
        for epoch in (0, 1):
            data.set_epoch(3, epoch)
            drawn.append(next(iter(loader))['crops'])
    stayed, anew = drawn[:2], drawn[2:]
    assert torch.equal(stayed[0], anew[0])
    assert torch.equal(stayed[1], anew[1])
    assert not torch.equal(*stayed)


@pytest.mark.parametrize('options', [{'phase': 'val'}, {'phase': 'train', 'random_crops': False}])
def test_crops_that_do_not_move_are_the_metrics_own(make, options):
    item = make(crops=5, **options)[1]
    image = read_image(item['img_path'])
    assert torch.equal(item['crops'], take_crops(image, crop_positions(40, 50, 16, 5), 16))


def test_crops_and_view_of_a_network_as_the_compact_one_are_the_metrics_own(make, tmp_path, monkeypatch):
    path = saved(made(**COMPACT_LIKE), tmp_path / 'a.safetensors')
    metric, seen = MoEAGIQAMetric(pretrained_model_path=str(path)), []
    encode = metric.network.encode
    monkeypatch.setattr(metric.network, 'encode', lambda *given: seen.append(given) or encode(*given))
    same = {'crop_size': 64, 'view_size': 64, 'crops': 3, 'crop_scales': [80, 60, 0], 'whole_view': True}
    item = make('val', **same)[1]
    metric(item['img_path'], caption_list=['a picture'])
    ((crops, view),) = seen
    assert item['crops'].equal(crops[0])
    assert item['view'].equal(view[0])
    for name, value in {'crop_scales': [], 'whole_view': False}.items():
        other = make('val', **same | {name: value})[1]
        assert other['crops'].equal(crops[0]) == (name != 'crop_scales')
        assert other['view'].equal(view[0]) == (name != 'whole_view')


def test_random_crops_of_scales_lie_within_the_picture_and_reach_its_corners(make):
    dataset = make(crop_size=16, crops=400, crop_scales=[0, 40, 80])
    positions = dataset._positions(torch.zeros(3, 40, 50))
    free = free_places(40, 50, 16, 400, (0, 40, 80))
    assert (positions <= free).all()
    for scale in range(3):
        assert positions[scale::3].amax(0).tolist() == free[scale].tolist()
        assert positions[scale::3].amin(0).tolist() == [0, 0]


def test_other_looks_are_kept_under_other_keys(make):
    looks = [{}, {'crop_scales': [80]}, {'crop_scales': [80, 0]}, {'whole_view': True}]
    assert len({make('val', **look).key(0) for look in looks}) == 4
    assert make('val', crop_scales=[]).key(0) == make('val').key(0)


def test_random_crops_reach_every_corner(make):
    dataset = make(crop_size=39, crops=200)
    image = torch.zeros(3, 40, 50)
    positions = dataset._positions(image)
    assert positions.amin(0).tolist() == [0, 0]
    assert positions.amax(0).tolist() == [1, 11]


def test_training_images_are_mirrored_half_of_the_time(make):
    dataset = make(hflip=True, random_crops=False, crops=1)
    view = dataset[0]['view']
    views = [dataset[0]['view'] for _ in range(20)]
    same = [torch.allclose(view, other, atol=1e-5) for other in views]
    mirrored = [torch.allclose(view.flip(-1), other, atol=1e-5) for other in views]
    assert any(same)
    assert any(mirrored)
    assert all(a != b for a, b in zip(same, mirrored, strict=True))


@pytest.mark.parametrize(('batch', 'length'), [(1, 7), (2, 8), (3, 9), (4, 8), (7, 7)])
def test_training_is_padded_to_whole_batches_with_its_first_rows(make, batch, length):
    dataset = make(batch_size_per_gpu=batch)
    assert len(dataset) == length
    assert [dataset[place]['index'] for place in range(length)] == [place % 7 for place in range(length)]


def test_validation_is_not_padded(make):
    assert len(make('val', batch_size_per_gpu=2)) == ROWS['val']


def test_all_processes_count_for_the_padding(make, monkeypatch):
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    monkeypatch.setattr(torch.distributed, 'get_world_size', lambda: 3)
    assert len(make(batch_size_per_gpu=2)) == 12
    with pytest.raises(ValueError, match=r'makes batches of 9, but .* has 7 training images'):
        make(batch_size_per_gpu=3)


def test_a_data_set_ends(make):
    assert len(list(make('val'))) == ROWS['val']
    with pytest.raises(IndexError):
        make(batch_size_per_gpu=4)[8]


WRONG = {
    'unknown key': ({'crop_sizes': 16}, "'crop_sizes': did you mean 'crop_size'"),
    'batch above the set': ({'batch_size_per_gpu': 8}, 'batches of 8, but .* has 7 training images'),
    'no table': ({'meta_info_file': None}, 'meta_info_file is missing'),
    'table not there': ({'meta_info_file': 'none.csv'}, r'none\.csv: there is no such file'),
    'MOS range': ({'mos_range': [5, 0]}, r'mos_range is \[5, 0\]: it must be the lowest and highest'),
    'MOS out of range': ({'mos_range': [0, 1]}, r"'quality' is outside 0 to 1 in rows 7 \('1\.25'\)"),
    'no crops': ({'crops': 0}, 'crops is 0: it must be a whole number'),
    'targets as text': ({'targets': 'quality'}, r"targets is 'quality': it must be a list, each of text"),
    'no such target': ({'targets': ['beauty']}, "column 'beauty' is missing"),
    'flip as text': ({'hflip': 'no'}, "hflip is 'no': it must be true or false"),
    'scales as a number': ({'crop_scales': 512}, r'crop_scales is 512: it must be a list of at most 16 sides'),
    'scale below 0': ({'crop_scales': [-1]}, r'crop_scales is \[-1\]'),
    'view as text': ({'whole_view': 'yes'}, "whole_view is 'yes': it must be true or false"),
    'prefetching thread': ({'prefetch_mode': 'cpu'}, 'an unreadable image would stop pyiqa'),
}


@pytest.mark.parametrize('name', WRONG)
def test_a_wrong_option_is_refused_at_load(make, name):
    options, words = WRONG[name]
    with pytest.raises((OptionError, TableError, ValueError), match=words):
        make(**options)


@pytest.mark.parametrize('workers', [0, 2])
def test_a_corrupt_image_stops_the_loader_and_is_named(make, table, workers):
    image = table.parent / '3.png'
    image.write_bytes(image.read_bytes()[:300])
    with pytest.raises(ValueError, match=r'3\.png: the image is truncated'):
        list(DataLoader(make(), batch_size=1, num_workers=workers))
