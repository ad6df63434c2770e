"""Tables as people have them: other names of columns, other delimiters, encodings and kinds of files."""

import codecs
import json
import zipfile

import pandas as pd
import pytest

from pyiqa_moeagiqa.data import table_files
from pyiqa_moeagiqa.data.check import check_table
from pyiqa_moeagiqa.data.columns import find_column
from pyiqa_moeagiqa.data.table import TableError, read_mos_table, read_table

WANTED = ['path', 'prompt', 'quality']
ROWS = [('a.png', 'a cat, in snow', '1.5'), ('b.jpg', 'a "dog"; two', '3')]


def assert_is_read(path):
    table = read_table(path, WANTED)
    assert [tuple(map(str, row)) for row in table[WANTED].itertuples(index=False)] == ROWS


NAMES = [
    *[(name, 'prompt', 'quality') for name in ('path', 'file_name', 'filename', 'file', 'image', 'img', 'image_path')],
    *[('path', name, 'quality') for name in ('prompt', 'text', 'caption', 'positive_prompt')],
    *[('path', 'prompt', name) for name in ('mos', 'MOS', 'score', 'rating', 'quality', 'Quality')],
    ('Image_Path', ' PROMPT ', 'Mos'),
]


@pytest.mark.parametrize('names', NAMES)
def test_columns_may_be_called_otherwise(tmp_path, names):
    pd.DataFrame(ROWS, columns=names).to_csv(tmp_path / 't.csv', index=False)
    assert_is_read(tmp_path / 't.csv')


def test_our_own_names_come_first():
    assert find_column(['Path', 'path', 'image'], 'path') == 'path'
    assert find_column(['caption', 'text'], 'prompt') == 'text'
    assert find_column(['score', 'mos'], 'quality') == 'mos'
    assert find_column(['score', 'mos'], 'alignment') is None


def test_what_would_do_is_said(tmp_path):
    (tmp_path / 't.csv').write_text('picture,prompt,quality\na.png,x,1\n')
    with pytest.raises(
        TableError, match=r"column 'path' is missing; there are 'picture', .*\(file_name, .* are also accepted"
    ):
        read_table(tmp_path / 't.csv', WANTED)


@pytest.mark.parametrize('delimiter', [',', ';', '\t'])
@pytest.mark.parametrize('ending', ['csv', 'tsv'])
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-be'])
def test_cells_are_parted_by_what_parts_the_header(tmp_path, delimiter, ending, encoding):
    path = tmp_path / f't.{ending}'
    text = pd.DataFrame(ROWS, columns=WANTED).to_csv(index=False, sep=delimiter)
    mark = codecs.BOM_UTF16_BE if encoding == 'utf-16-be' else b''
    path.write_bytes(mark + text.encode(encoding))
    assert_is_read(path)


def test_a_column_of_decimal_commas_is_of_numbers(tmp_path):
    (tmp_path / 't.csv').write_text('path;prompt;quality\na.png;1,5 cats;1,5\nb.png;2;3\n')
    table = read_table(tmp_path / 't.csv', WANTED)
    assert table['quality'].tolist() == ['1.5', '3']
    assert table['prompt'].tolist() == ['1,5 cats', '2']


@pytest.mark.parametrize('orient', ['records', 'list', 'columns'])
def test_json_is_a_list_of_objects_or_columns(tmp_path, orient):
    table = pd.DataFrame(ROWS, columns=WANTED)
    text = table.to_json() if orient == 'columns' else json.dumps(table.to_dict(orient))
    (tmp_path / 't.json').write_text(text)
    assert_is_read(tmp_path / 't.json')


def test_excel_is_read_and_its_rows_are_counted_as_it_counts_them(tmp_path):
    pytest.importorskip('openpyxl')
    pd.DataFrame(ROWS, columns=['Image', 'Caption', 'MOS']).to_excel(tmp_path / 't.xlsx', index=False)
    assert_is_read(tmp_path / 't.xlsx')
    with pytest.raises(TableError, match=r"in rows 2 \('a.png'\), 3 \('b.jpg'\)"):
        read_mos_table(tmp_path / 't.xlsx', None, ['quality'], (0, 5))


def test_excel_without_openpyxl_says_how_to_get_it(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / 't.xlsx', 'w'):
        pass
    monkeypatch.setitem(__import__('sys').modules, 'openpyxl', None)
    with pytest.raises(TableError, match=r"openpyxl is not installed; pip install 'pyiqa-moeagiqa\[data\]'"):
        read_table(tmp_path / 't.xlsx', WANTED)


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, 'LARGEST_SHEET', 1 << 20)
    with zipfile.ZipFile(tmp_path / 't.xlsx', 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('xl/workbook.xml', bytes(2 << 20))
    with pytest.raises(TableError, match='it unpacks to more than 1 MiB'):
        read_table(tmp_path / 't.xlsx', WANTED)


DAMAGED = {
    'deep.json': b'[' * 100_000,
    'text.json': b'"x"',
    'mixed.json': b'[1, {"path": 2}]',
    'deep.jsonl': b'{"path":' * 100_000,
    'half.xlsx': b'PK\x03\x04 nothing',
    'half.parquet': b'PAR1 nothing PAR1',
    'odd.csv': b'\xff\xfea',
    'long.csv': b'path,prompt\na.png,"' + b'x' * 200_000 + b'"\n',
    'number.jsonl': b'{"path": ' + b'9' * 5000 + b'}\n',
}


@pytest.mark.parametrize('name', DAMAGED)
def test_a_damaged_table_is_one_sentence(tmp_path, name):
    (tmp_path / name).write_bytes(DAMAGED[name])
    with pytest.raises(TableError) as error:
        read_table(tmp_path / name, WANTED)
    assert str(error.value).startswith(f'{tmp_path / name}: ')
    assert '\n' not in str(error.value)


def test_a_number_too_large_for_a_mos_is_none(tmp_path, pictures):
    row = json.dumps({'path': str(pictures / 'a.png'), 'prompt': 'x', 'quality': 10**400})
    (tmp_path / 't.jsonl').write_text(row + '\n')
    with pytest.raises(TableError, match="column 'quality' holds no number in row 1"):
        read_mos_table(tmp_path / 't.jsonl', None, ['quality'], (0, 5))


# -- where images are --------------------------------------------------------------------------------------------------


def images_of(path):
    return read_mos_table(path, None, ['quality'], (0, 5))['path'].tolist()


def test_paths_of_windows_are_found(pictures):
    (pictures / 't.csv').write_text('path,prompt,quality\nsub\\c.webp,x,1\na.png,y,2\n')
    assert images_of(pictures / 't.csv') == [str(pictures / 'sub' / 'c.webp'), str(pictures / 'a.png')]


def test_paths_may_be_relative_to_the_working_directory(pictures, tmp_path, monkeypatch):
    (tmp_path / 'tables').mkdir()
    table = tmp_path / 'tables' / 't.csv'
    table.write_text('path,prompt,quality\npictures/a.png,x,1\npictures/b.jpg,y,2\n')
    monkeypatch.chdir(tmp_path)
    assert images_of(table) == ['pictures/a.png', 'pictures/b.jpg']
    assert check_table(table).problems == []
    table.write_text('path,prompt,quality\npictures/a.png,x,1\npictures/gone.png,y,2\n')
    with pytest.raises(TableError, match=rf'relative to {tmp_path}\) in row 3'):
        images_of(table)
    monkeypatch.chdir('/')
    with pytest.raises(TableError, match=rf'relative to {tmp_path}/tables or /\) in rows 2'):
        images_of(table)


def test_mos_under_another_name_are_checked(pictures):
    (pictures / 't.csv').write_text('image,caption,rating\na.png,x,1\nb.jpg,y,7\n')
    report = check_table(pictures / 't.csv', mos_range=(0, 5))
    assert [problem.problem for problem in report.problems] == ["column 'quality' is outside 0 to 5"]
