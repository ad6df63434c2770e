"""Annotation files are found, and what is no such file is named."""

import builtins
import sys

import numpy as np
import pytest
from downloads import write_sheet
from scipy.io import savemat

from pyiqa_moeagiqa.data.official import NAMES, read_official
from pyiqa_moeagiqa.data.official.files import find_file, read_column, read_sheet
from pyiqa_moeagiqa.data.table import TableError


def test_a_file_is_found_in_the_folder_first_and_then_below_it(tmp_path):
    for folder in ('a', 'a/b', 'a/c'):
        (tmp_path / folder).mkdir()
    (tmp_path / 'a' / 'b' / 'data.csv').touch()
    assert find_file(tmp_path, 'data.csv') == tmp_path / 'a' / 'b' / 'data.csv'
    (tmp_path / 'a' / 'c' / 'data.csv').touch()
    with pytest.raises(TableError, match=r'data\.csv appears twice \(.*b.*, .*c.*\)'):
        find_file(tmp_path, 'data.csv')
    (tmp_path / 'data.csv').touch()
    assert find_file(tmp_path, 'data.csv') == tmp_path / 'data.csv'


@pytest.mark.parametrize('name', NAMES)
def test_a_folder_without_the_official_files_is_named(tmp_path, name):
    with pytest.raises(TableError, match=rf'{tmp_path}: there is no [\w.-]+ in this folder or below it'):
        read_official(name, tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TableError, match='gone: there is no such folder'):
        find_file(tmp_path / 'gone', 'data.csv')


def test_a_sheets_cells_stay_text(tmp_path):
    write_sheet(tmp_path / 'a.xlsx', [('None', '1', 'x'), ('NA', '', 'y')])
    assert read_sheet(tmp_path / 'a.xlsx', ['word', 'number']).to_numpy().tolist() == [['None', '1'], ['NA', '']]


def test_a_file_that_is_no_usable_sheet_is_named(tmp_path):
    (tmp_path / 'a.xlsx').write_text('a,b')
    with pytest.raises(TableError, match=r'a\.xlsx: it cannot be read as an Excel workbook \(.+\)\.$'):
        read_sheet(tmp_path / 'a.xlsx', ['word'])
    write_sheet(tmp_path / 'a.xlsx', [('one',)])
    with pytest.raises(TableError, match=r'a\.xlsx: it has 1 columns, 2 are needed \(word, number\)'):
        read_sheet(tmp_path / 'a.xlsx', ['word', 'number'])


MATLAB = {
    'another key': ({'MOS': np.ones((3, 1))}, 'MOSz is missing; there are MOS'),
    'another length': ({'MOSz': np.ones((2, 1))}, r'MOSz must be 3 numbers, it is float64 of shape \(2, 1\)'),
    'no numbers': ({'MOSz': np.array(['a', 'b', 'c'])}, r'MOSz must be 3 numbers, it is <U1'),
}


@pytest.mark.parametrize('name', MATLAB)
def test_a_matlab_file_that_holds_something_else_is_named(tmp_path, name):
    content, words = MATLAB[name]
    savemat(tmp_path / 'a.mat', content)
    with pytest.raises(TableError, match=rf'a\.mat: {words}'):
        read_column(tmp_path / 'a.mat', 'MOSz', 3)


def test_a_file_that_is_no_matlab_file_is_named(tmp_path):
    (tmp_path / 'a.mat').write_text('60.1')
    with pytest.raises(TableError, match=r'a\.mat: it cannot be read as a MATLAB file'):
        read_column(tmp_path / 'a.mat', 'MOSz', 3)


@pytest.mark.parametrize(('name', 'module'), [('agiqa1k', 'h5py'), ('aigciqa2023', 'openpyxl')])
def test_a_missing_module_is_named_with_its_command(download, monkeypatch, name, module):
    real = builtins.__import__

    def without(wanted, *arguments, **options):
        if wanted.split('.')[0] == module:
            raise ImportError(f'No module named {module!r}')
        return real(wanted, *arguments, **options)

    source = download(name)
    for loaded in [loaded for loaded in sys.modules if loaded.split('.')[0] == module]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(TableError, match=rf"reading it needs {module}; .* pip install 'pyiqa-moeagiqa\[data\]'"):
        read_official(name, source)
