"""A data set of several tables: each has its own range of MOS, deviations and place."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pyiqa_moeagiqa.data.prompt_nr_dataset import PromptNRDataset
from pyiqa_moeagiqa.data.table import TableError
from pyiqa_moeagiqa.options import OptionError


@pytest.fixture
def two(tmp_path):
    """Tables of two images and of three, with MOS to 5 and to 100; only the first has deviations."""
    files = []
    for name, mos in (('few', [1.0, 4.0]), ('many', [20.0, 50.0, 80.0])):
        (tmp_path / name).mkdir()
        rows = pd.DataFrame({'path': [f'{row}.png' for row in range(len(mos))], 'prompt': name, 'quality': mos})
        for path in rows['path']:
            Image.fromarray(np.zeros((40, 40, 3), dtype=np.uint8)).save(tmp_path / name / path)
        rows = rows.assign(quality_std=[0.5, '']) if name == 'few' else rows
        rows.to_csv(tmp_path / name / f'{name}.csv', index=False)
        files.append(str(tmp_path / name / f'{name}.csv'))
    return files


def make(files, **options):
    default = {'name': 'joint', 'phase': 'val', 'crop_size': 32, 'mos_range': [[0, 5], [0, 100]]}
    given = default | {'meta_info_file': files} | options
    return PromptNRDataset({name: value for name, value in given.items() if value is not None})


def test_each_tables_mos_are_scaled_by_its_own_range(two):
    data = make(two)
    assert [data[row]['mos_label'].item() for row in range(5)] == pytest.approx([0.2, 0.8, 0.2, 0.5, 0.8])
    assert [data[row]['set'].item() for row in range(5)] == [0, 0, 1, 1, 1]
    assert [data[row]['mos_std'].item() for row in range(5)] == pytest.approx([0.1, 0, 0, 0, 0])
    assert data.table['prompt'].tolist() == ['few'] * 2 + ['many'] * 3
    assert {name: rows.tolist() for name, rows in data.parts().items()} == {
        'joint/few': [0, 1],
        'joint/many': [2, 3, 4],
    }
    assert data.mos_ranges == [(0, 5), (0, 100)]


def test_without_a_range_each_table_has_that_of_its_own_mos(two):
    assert make(two, mos_range=None).mos_ranges == [(1, 4), (20, 80)]
    assert make(two, mos_range=[0, 200]).mos_ranges == [(0, 200)] * 2


def test_folders_of_images_are_one_for_each_table_too(two, tmp_path):
    swapped = make(two, dataroot_target=[str(tmp_path / 'many'), str(tmp_path / 'few')][::-1])
    assert swapped.table['path'][0] == str(tmp_path / 'few' / '0.png')
    with pytest.raises(TableError, match=r'no such image file .* in row 4 \(.2\.png.\)'):
        make(two, dataroot_target=str(tmp_path / 'few'))


def test_one_table_is_its_data_set(two):
    data = make(two[0], mos_range=[0, 5])
    assert {name: rows.tolist() for name, rows in data.parts().items()} == {'joint': [0, 1]}


WRONG = {
    'ranges': ({'mos_range': [[0, 5]]}, r'mos_range is \[\[0, 5\]\]: it must be one for all tables, or a list of 2'),
    'no range': ({'mos_range': [[0, 5], [5, 0]]}, 'it must be the lowest and highest possible value'),
    'folders': (
        {'dataroot_target': ['a']},
        r"dataroot_target is \['a'\]: it must be one for all tables, or a list of 2",
    ),
}


@pytest.mark.parametrize('name', WRONG)
def test_a_wrong_list_is_said(two, name):
    options, words = WRONG[name]
    with pytest.raises(OptionError, match=words):
        make(two, **options)


def test_the_same_table_or_image_twice_is_said(two, tmp_path):
    with pytest.raises(OptionError, match='it must be tables of different names'):
        make([two[0], two[0]])
    copy = tmp_path / 'few' / 'copy.csv'
    copy.write_text((tmp_path / 'few' / 'few.csv').read_text())
    with pytest.raises(TableError, match=r'0\.png: this image is in two of the tables'):
        make([two[0], str(copy)])
