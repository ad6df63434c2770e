"""Users' tables: what is wrong is said with file, row and value; what is right is not guessed at."""

import json
import re
import shutil

import pandas as pd
import pytest
from tables import write_table

from pyiqa_moeagiqa.data.table import TableError, read_mos_table, read_table

COLUMNS = ['path', 'prompt', 'quality']


@pytest.fixture
def write(pictures):
    """Write rows as a table beside the pictures: by pandas, or a text as it is."""

    def write(rows, name='table.csv'):
        path = pictures / name
        if isinstance(rows, bytes | str):
            path.write_bytes(rows if isinstance(rows, bytes) else rows.encode())
            return path
        return write_table(path, rows, COLUMNS)

    return write


def read(path, targets=('quality',)):
    return read_mos_table(path, None, targets, (0, 5))


def fault(path, columns=COLUMNS) -> str:
    with pytest.raises(TableError) as error:
        read(path, columns[2:])
    message = str(error.value)
    assert message.startswith(f'{path}: ')
    assert '\n' not in message
    return message


ENDINGS = pytest.mark.parametrize('ending', ['csv', 'jsonl', 'parquet'])
WORDS = [
    'None',
    'NA',
    'null',
    'nan',
    '',
    '1.50',
    'True',
    '2024-01-01',
    'a 🐈, "quoted"',
    'two\nlines',
    'odd\u2028break',
]


@ENDINGS
def test_prompts_stay_the_text_they_are(write, ending):
    rows = [[f'{place}.png', word, 1.5] for place, word in enumerate(WORDS)]
    assert read_table(write(rows, f'table.{ending}'), COLUMNS)['prompt'].tolist() == WORDS


@ENDINGS
def test_paths_are_beside_the_table_and_mos_are_numbers(write, pictures, ending):
    table = read(write([['a.png', 'x', 1.5], ['sub/c.webp', 'y', 5]], f'table.{ending}'))
    assert table['path'].tolist() == [str(pictures / 'a.png'), str(pictures / 'sub/c.webp')]
    assert table['quality'].tolist() == [1.5, 5.0]


def test_paths_may_be_relative_to_another_folder(write, pictures):
    table = write([['c.webp', 'x', 1]])
    assert read_mos_table(table, pictures / 'sub', ['quality'], (0, 5))['path'][0] == str(pictures / 'sub' / 'c.webp')


@ENDINGS
def test_a_missing_column_is_named_with_those_there(write, ending):
    path = write([['a.png', 'x', 1]], f'table.{ending}')
    assert "column 'alignment' is missing; there are 'path', 'prompt', 'quality'." in fault(
        path, [*COLUMNS, 'alignment']
    )


@pytest.mark.parametrize('name', ['table.csv', 'table.jsonl'])
def test_an_unknown_encoding_is_located(write, name):
    good = 'path,prompt,quality\na.png,x,1\n' if name == 'table.csv' else '{"path": "a.png"}\n\n'
    assert 'row 3 is not UTF-8 text; save the file as UTF-8' in fault(
        write(good.encode() + 'bär'.encode('latin-1'), name)
    )


def test_a_byte_order_mark_is_no_part_of_the_first_column(write):
    assert len(read(write('\ufeffpath,prompt,quality\r\na.png,x,1\r\n'))) == 1


@pytest.mark.parametrize(
    ('name', 'text', 'words'),
    [
        ('table.csv', '', 'it has no rows'),
        ('table.csv', 'path,prompt,quality\n', 'it has no rows'),
        ('table.csv', 'path,prompt,quality\na.png,a cat, a dog,1\n', 'row 2 has 4 cells, the header has 3'),
        ('table.csv', 'path,prompt,quality\na.png,x,1\na.png,"open,1\n', 'row 3: unexpected end of data'),
        ('table.csv', 'path,prompt,quality,prompt\na.png,x,1,y\n', "column 'prompt' appears twice"),
        ('table.jsonl', '', 'it has no rows'),
        ('table.jsonl', '{"path": "a.png"}\n\n{"path": ', 'row 3: Expecting value'),
        ('table.jsonl', '["a.png"]\n', 'row 1 is not a JSON object'),
        ('table.parquet', 'path,prompt', 'cannot be read as PARQUET'),
        (
            'table.txt',
            'path,prompt',
            'table.txt: a table must end in .csv, .tsv, .jsonl, .json, .parquet, .xlsx',
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused(write, name, text, words):
    assert words in fault(write(text, name))


def test_a_table_that_is_not_there_is_named(pictures):
    assert fault(pictures / 'none.csv').endswith('there is no such file; check its name and folder.')
    assert fault(pictures).endswith('a folder, not a table; give a file.')


@pytest.mark.parametrize(('ending', 'first'), [('csv', 2), ('jsonl', 1), ('parquet', 1)])
def test_every_row_at_fault_is_listed_whatever_its_fault(write, ending, first):
    rows = [
        ['a.png', 'x', '1'],
        ['gone.png', 'x', '1'],
        ['b.jpg', 'x', '5.1'],
        ['./a.png', 'x', ''],
        ['sub/c.webp', 'x', '-1'],
    ]
    message = fault(write(rows, f'table.{ending}'))
    assert f"the same image appears twice in rows {first} ('a.png'), {first + 3} ('./a.png')" in message
    assert f"relative to {write([]).parent}) in row {first + 1} ('gone.png')" in message
    assert f"column 'quality' is outside 0 to 5 in rows {first + 2} ('5.1'), {first + 4} ('-1')" in message
    assert f"column 'quality' holds no number in row {first + 3} ('')" in message


def test_at_most_twenty_rows_are_shown(write):
    message = fault(write([[f'{place}.png', 'x', 1] for place in range(25)]))
    assert len(re.findall(r"\('\d+\.png'\)", message)) == 20
    assert message.endswith("21 ('19.png') and 5 more.")


def test_a_row_is_counted_by_the_line_on_which_it_begins(write):
    message = fault(write('path,prompt,quality\na.png,"two\nlines",1\n\ngone.png,"x\ny",1\nb.jpg,x,9\n'))
    assert "in row 5 ('gone.png')" in message
    assert "in row 7 ('9')" in message


@pytest.mark.parametrize('value', [None, 'none', [1], True, float('nan')])
def test_a_mos_that_is_no_number_is_listed(write, value):
    row = json.dumps({'path': 'a.png', 'prompt': 'x', 'quality': value})
    assert "column 'quality' holds no number in row 1" in fault(write(row + '\n', 'table.jsonl'))


@pytest.mark.parametrize(
    'rows', ['{"path": "a.png", "prompt": null, "quality": 1}', '{"path": "a.png", "prompt": 7, "quality": 1}']
)
def test_a_prompt_that_is_no_text_is_listed(write, rows):
    assert 'the prompt is not text in row 1' in fault(write(rows, 'table.jsonl'))


def test_a_row_without_path_is_listed(write):
    assert "there is no path in row 2 ('')" in fault(write([['', 'x', 1]]))


def test_parquet_keeps_its_own_columns(write, pictures):
    table = pd.DataFrame([['a.png', 'x', 1.0, 'test']], columns=[*COLUMNS, 'split']).astype({'prompt': 'category'})
    folder = pictures / 'split=train'
    folder.mkdir()
    table.set_index('path').to_parquet(folder / 'table.parquet')
    shutil.copy(pictures / 'a.png', folder)
    read_back = read(folder / 'table.parquet')
    assert read_back[['prompt', 'split']].to_numpy().tolist() == [['x', 'test']]
