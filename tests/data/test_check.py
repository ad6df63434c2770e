"""A user's table is reported with its facts, and everything that is wrong is listed at once."""

import json
import shutil

import pytest
from tables import write_table

from pyiqa_moeagiqa.data.check import check_table
from pyiqa_moeagiqa.data.check_report import describe
from pyiqa_moeagiqa.data.table import TableError

ROWS = [['a.png', 'a cat', 1, 'train'], ['b.jpg', 'a cat', 2, 'test'], ['sub/c.webp', 'a dog', 4, 'test']]


@pytest.fixture
def write(pictures):
    """Write rows of path, prompt, quality and split as a table beside the pictures."""
    columns = ('path', 'prompt', 'quality', 'split')
    return lambda rows, name='table.csv', columns=columns: write_table(pictures / name, rows, columns)


def problems(report) -> dict[str, list[int]]:
    return {problem.problem: problem.rows for problem in report.problems}


@pytest.mark.parametrize('name', ['table.csv', 'table.jsonl', 'table.parquet'])
def test_the_facts_of_a_table_that_is_right(write, name):
    report = check_table(write(ROWS, name), mos_range=(0, 5))
    assert report.rows == 3
    assert report.images['kinds'] == {'PNG RGB': 1, 'JPEG RGB': 1, 'WEBP RGB': 1}
    assert [report.images[size] for size in ('smallest', 'median', 'largest')] == [[60, 50], [70, 90], [90, 70]]
    assert report.prompts == {'different': 2, 'images_per_prompt': [1, 1, 2], 'tokens': [4, 4, 4], 'cut_at_35': 0}
    assert report.mos['quality']['counts'] == [0, 0, 1, 0, 1, 0, 0, 0, 1, 0]
    assert report.mos['quality']['edges'][:2] == [0, 0.5]
    assert report.mos['quality']['mean'] == pytest.approx(7 / 3)
    assert report.splits == {'split': {'train': 1, 'val': 0, 'test': 2, 'none': 0, 'prompts_in_more_than_one': 1}}
    assert report.problems == []


def test_a_long_prompt_is_cut(write):
    rows = [['a.png', 'a cat ' * 17, 1, ''], ['b.jpg', 'a cat ' * 16, 1, '']]
    prompts = check_table(write(rows)).prompts
    assert prompts['tokens'] == [34, 34, 36]
    assert prompts['cut_at_35'] == 1


def test_everything_that_is_wrong_is_listed_at_once(write, pictures):
    shutil.copy(pictures / 'a.png', pictures / 'copy.png')
    (pictures / 'bad.png').write_bytes((pictures / 'a.png').read_bytes()[:500])
    rows = [
        *ROWS,
        ['gone.png', 'x', 1, 'train'],
        ['bad.png', 'x', 1, 'train'],
        ['sub/../b.jpg', 'x', 1, 'train'],
        ['copy.png', 'x', 1, 'train'],
        ['', ' ', 'much', 'tset'],
        ['sub/c.webp', 'x', 7, 'Train'],
    ]
    assert problems(check_table(write(rows), mos_range=(0, 5))) == {
        'there is no path': [9],
        'there is no such image file': [5],
        'the image cannot be read or is damaged': [6],
        'the same path appears twice': [3, 4, 7, 10],
        'the same picture is there under different names': [2, 8],
        'the prompt is empty': [9],
        "column 'quality' holds no number": [9],
        "column 'quality' is outside 0 to 5": [10],
        "column 'split' is none of train, val, test": [9, 10],
    }


def test_rows_are_counted_as_an_editor_shows_them(write, pictures):
    path = pictures / 'table.csv'
    path.write_text('path,prompt,quality\na.png,"two\nlines",1\n\ngone.png,x,1\n')
    assert problems(check_table(path)) == {'there is no such image file': [5]}


def test_every_group_of_copies_is_a_fault_of_its_own(write, pictures):
    for name in ('a', 'b'):
        source = next(pictures.glob(f'{name}.*'))
        shutil.copy(source, pictures / f'{name}2{source.suffix}')
    report = check_table(write([[name, 'x', 1, ''] for name in ('a.png', 'b.jpg', 'a2.png', 'b2.jpg')]))
    assert sorted(problem.rows for problem in report.problems) == [[2, 4], [3, 5]]


def test_a_table_without_any_prompt_is_one_of_photographs(write):
    report = check_table(write([[path, '', mos, split] for path, _, mos, split in ROWS]))
    assert report.problems == []
    assert report.prompts == {'different': 0}
    assert report.splits['split']['prompts_in_more_than_one'] == 0


@pytest.mark.parametrize('value', ['inf', 'nan', '', 'x'])
def test_without_a_range_any_number_is_taken_but_nothing_else(write, value):
    report = check_table(write([['a.png', 'x', -700, ''], ['b.jpg', 'x', value, '']]))
    assert problems(report) == {"column 'quality' holds no number": [3]}
    assert report.mos['quality']['lowest'] == report.mos['quality']['highest'] == -700


def test_split_columns_are_known_by_what_they_say(write):
    columns = ['path', 'prompt', 'alignment', 'fold', 'style', 'split']
    rows = [['a.png', 'x', 1, 'train', 'train', 'training'], ['b.jpg', 'y', 2, 'test', 'oil', '']]
    report = check_table(write([*rows, ['sub/c.webp', 'z', 3, '', 'oil', '']], columns=columns))
    assert report.splits['fold'] == {'train': 1, 'val': 0, 'test': 1, 'none': 1, 'prompts_in_more_than_one': 0}
    assert list(report.splits) == ['fold', 'split']
    assert problems(report) == {"column 'split' is none of train, val, test": [2]}


def test_cells_that_no_csv_could_hold_are_listed(pictures):
    rows = [
        {'path': 7, 'prompt': ['a'], 'quality': None, 'split': ['train']},
        {'path': 'a.png', 'prompt': None, 'quality': True, 'split': None},
    ]
    path = pictures / 'table.jsonl'
    path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
    report = check_table(path)
    assert problems(report) == {
        'there is no path': [1],
        'the prompt is not text': [1, 2],
        "column 'quality' holds no number": [1, 2],
        "column 'split' is none of train, val, test": [1],
    }
    assert json.loads(json.dumps(report.as_dict()))['mos'] == {'quality': {'numbers': 0}}


def test_other_columns_can_be_the_targets(write):
    path = write([['a.png', 'x', 1, 9]], columns=['path', 'prompt', 'quality', 'beauty'])
    assert list(check_table(path, ['beauty']).mos) == ['beauty']
    assert list(check_table(path).mos) == ['quality']


UNUSABLE = {
    'no such target': ({'targets': ['beauty']}, "column 'beauty' is missing"),
    'range upside down': ({'mos_range': (5, 0)}, 'The MOS range is 5 to 0: give two finite numbers'),
    'infinite range': ({'mos_range': (0, float('inf'))}, 'The MOS range is 0 to inf: give two finite numbers'),
}


@pytest.mark.parametrize('name', UNUSABLE)
def test_what_cannot_be_checked_is_said(write, name):
    options, words = UNUSABLE[name]
    with pytest.raises(TableError, match=words):
        check_table(write(ROWS), **options)


def test_a_table_without_mos_is_refused(write):
    with pytest.raises(TableError, match=r'none of its columns is quality, alignment, authenticity; .* --targets'):
        check_table(write([['a.png', 'x']], columns=['path', 'prompt']))


def test_at_most_twenty_rows_of_a_fault_are_shown(write):
    (problem,) = check_table(write([[f'{place}.png', 'x', 1, ''] for place in range(25)])).problems
    assert len(problem.rows) == 25
    assert describe(problem).startswith("there is no such image file in rows 2 ('0.png'), 3 ")
    assert describe(problem).endswith("21 ('19.png') and 5 more")


def test_the_real_part_has_five_pictures_under_several_names(prepared_part):
    report = check_table(prepared_part, mos_range=(0, 5))
    assert [len(problem.rows) for problem in report.problems] == [3, 2, 2, 2, 2]
    assert {problem.problem for problem in report.problems} == {'the same picture is there under different names'}
    assert report.images['kinds'] == {'JPEG RGB': 2384}
    assert report.prompts['different'] == 240
    for seed in range(10):
        assert report.splits[f'prompt_{seed}']['prompts_in_more_than_one'] == 0
        assert report.splits[f'image_{seed}']['prompts_in_more_than_one'] > 200
