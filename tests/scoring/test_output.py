"""Score files: rows stay through whatever stops a run, and nobody else's file is touched."""

import json
import math

import pandas as pd
import pytest

from pyiqa_moeagiqa.scoring.output import OutputError, ScoreFile
from pyiqa_moeagiqa.scoring.scale import Scale

MADE_BY = {'metric': 'moeagiqa', 'crops': 2, 'weights': 'abc'}
ROWS = [
    ('a.png', 'a cat', 0.123456789012345),
    ('b.png', 'say "cheese", please', 0.5),
    ('c.png', 'two\nlines', 0.25),
    ('d.png', 'None', 1 / 3),
    ('e.png', 'NA', 1e-9),
    ('f.png', 'a 🐈', 0.75),
    ('g.png', 'odd\u2028break\x85here\rand\r\nthere', 0.8),
    ('h.png', '', 0.9),
]
ENDINGS = pytest.mark.parametrize('ending', ['csv', 'jsonl', 'parquet'])
JOURNALS = pytest.mark.parametrize('ending', ['csv', 'jsonl'])


def write(path, rows=ROWS, close=True, made_by=MADE_BY):
    file = ScoreFile(path, made_by)
    for row in rows:
        file.add(*row)
    if close:
        file.close()
    return file


def rows_of(path, made_by=MADE_BY):
    file = ScoreFile(path, made_by)
    file.close()
    return [tuple(row.values()) for row in file.rows]


@ENDINGS
def test_rows_are_read_back_as_they_were_written(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    write(path)
    assert rows_of(path) == ROWS


@ENDINGS
def test_a_second_run_adds_to_the_first(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    write(path, ROWS[:3])
    write(path, ROWS[3:])
    assert rows_of(path) == ROWS


@ENDINGS
def test_rows_are_on_disk_before_the_file_is_closed(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    write(path, close=False)
    assert rows_of(path) == ROWS


def test_pandas_reads_what_was_written(tmp_path):
    for name, read in (('s.csv', pd.read_csv), ('s.jsonl', lambda path: pd.read_json(path, lines=True)), ('s.parquet', pd.read_parquet)):  # fmt: skip
        write(tmp_path / name, ROWS[:3])
        table = read(tmp_path / name)
        assert list(table.columns) == ['path', 'prompt', 'score']
        assert table['prompt'].tolist() == [prompt for _, prompt, _ in ROWS[:3]]


def test_parquet_without_rows_has_its_columns_typed(tmp_path):
    write(tmp_path / 'scores.parquet', [])
    assert pd.read_parquet(tmp_path / 'scores.parquet')['score'].dtype == float


def test_a_finished_parquet_leaves_no_other_rows_file(tmp_path):
    write(tmp_path / 'scores.parquet')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['scores.parquet', 'scores.parquet.run.json']


@JOURNALS
def test_a_row_torn_at_any_byte_costs_that_row_only(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    write(path, ROWS[:2])
    before = path.stat().st_size
    write(path, ROWS[2:3])  # its prompt holds a line end
    whole = path.read_bytes()
    for end in range(before, len(whole)):
        path.write_bytes(whole[:end])
        assert rows_of(path) == ROWS[:2]
        assert path.read_bytes() == whole[:before]


@JOURNALS
def test_the_first_row_torn_at_any_byte_starts_afresh(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    write(path, ROWS[:1])
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        write(path, ROWS[:1])
        assert path.read_bytes() == whole


def test_a_torn_parquet_journal_costs_its_last_row_only(tmp_path):
    path = tmp_path / 'scores.parquet'
    journal = write(path, close=False).journal
    journal.write_bytes(journal.read_bytes()[:-5])
    assert rows_of(path) == ROWS[:-1]


FOREIGN = {
    'prompts.csv': 'path,prompt\na.png,x\nb.png,y',
    'header.csv': 'name,mos\n',
    'wider.csv': 'path,prompt,score,mos\na.png,x,1,2\n',
    'quote.csv': 'size,count\n5" disk,3\n3 inch,4\n',
    'notes.csv': 'my notes',
    'words.csv': 'path,prompt,score\na.png,x,good\n',
    'one.jsonl': '{"path": "a.png", "prompt": "x"}',
    'two.jsonl': '{"path": "a.png", "prompt": "x"}\n{"path": "b.png"',
    'list.jsonl': '[1, 2]\n',
    'text.jsonl': 'my notes',
    'no.parquet': 'my notes',
}


@pytest.mark.parametrize('name', FOREIGN)
def test_somebody_elses_file_is_refused_and_stays_as_it_was(tmp_path, name):
    path = tmp_path / name
    path.write_text(FOREIGN[name])
    with pytest.raises(OutputError, match=rf'{name}: .*name another --output'):
        ScoreFile(path, MADE_BY)
    assert path.read_text() == FOREIGN[name]
    assert list(tmp_path.iterdir()) == [path]


def test_a_parquet_of_something_else_is_refused(tmp_path):
    path = tmp_path / 'scores.parquet'
    pd.DataFrame({'path': ['a.png'], 'mos': [1.0]}).to_parquet(path)
    with pytest.raises(OutputError, match='something else than columns path, prompt, score'):
        ScoreFile(path, MADE_BY)
    assert list(tmp_path.iterdir()) == [path]


@ENDINGS
@pytest.mark.parametrize(('name', 'value'), [('metric', 'piqe'), ('crops', 15), ('weights', 'def')])
def test_scores_made_otherwise_are_not_mixed(tmp_path, ending, name, value):
    path = tmp_path / f'scores.{ending}'
    write(path)
    before = path.read_bytes()
    with pytest.raises(
        OutputError, match=rf'scores\.{ending}: .* made with {name} {MADE_BY[name]!r}, now it is {value!r}'
    ):
        ScoreFile(path, MADE_BY | {name: value})
    assert path.read_bytes() == before


def test_a_file_without_rows_takes_any_settings(tmp_path):
    write(tmp_path / 'scores.csv', [])
    write(tmp_path / 'scores.csv', made_by=MADE_BY | {'crops': 15})
    assert json.loads((tmp_path / 'scores.csv.run.json').read_text())['crops'] == 15


def test_a_damaged_note_is_named(tmp_path):
    write(tmp_path / 'scores.csv')
    (tmp_path / 'scores.csv.run.json').write_text('{')
    with pytest.raises(OutputError, match=r'scores\.csv\.run\.json: it is damaged'):
        ScoreFile(tmp_path / 'scores.csv', MADE_BY)


@pytest.mark.parametrize('name', ['scores.txt', 'scores', 'scores.csv.gz'])
def test_another_ending_is_refused(tmp_path, name):
    with pytest.raises(OutputError, match=rf'{name}: the output must end in \.csv, \.jsonl, \.parquet'):
        ScoreFile(tmp_path / name, MADE_BY)


def test_an_ending_in_capitals_is_taken(tmp_path):
    write(tmp_path / 'SCORES.CSV')
    assert rows_of(tmp_path / 'SCORES.CSV') == ROWS


def test_missing_folders_are_made(tmp_path):
    write(tmp_path / 'new' / 'deep' / 'scores.csv')
    assert len(rows_of(tmp_path / 'new' / 'deep' / 'scores.csv')) == len(ROWS)


@ENDINGS
def test_a_place_that_cannot_be_written_is_named(tmp_path, ending):
    (tmp_path / 'file').write_text('')
    path = tmp_path / 'file' / f'scores.{ending}'
    with pytest.raises(OutputError, match=rf'scores\.{ending}: it cannot be written \(.+\); name another --output'):
        ScoreFile(path, MADE_BY)


def test_a_score_that_is_not_finite_is_somebody_elses(tmp_path):
    (tmp_path / 'scores.csv').write_text(f'path,prompt,score\na.png,x,{math.nan}\n')
    with pytest.raises(OutputError, match='something else'):
        ScoreFile(tmp_path / 'scores.csv', MADE_BY)


SCALES = pytest.mark.parametrize(
    'scale', [Scale((0, 5), (-0.1, 0.2), range(101)), Scale((0, 5), None, None), Scale(None, None, None)]
)


def scaled_rows(path, scale):
    file = ScoreFile(path, MADE_BY, scale)
    file.close()
    return file.rows


@ENDINGS
@SCALES
def test_what_the_scale_says_stands_beside_the_score(tmp_path, ending, scale):
    path = tmp_path / f'scores.{ending}'
    for row in ROWS[:4], ROWS[4:]:
        file = ScoreFile(path, MADE_BY, scale)
        for values in row:
            file.add(*values)
        file.close()
    expected = [dict(zip(('path', 'prompt', 'score'), row, strict=True)) | scale.of(row[2]) for row in ROWS]
    assert scaled_rows(path, scale) == expected


@JOURNALS
@SCALES
def test_a_row_with_its_scale_torn_at_any_byte_costs_that_row_only(tmp_path, ending, scale):
    path = tmp_path / f'scores.{ending}'
    file = ScoreFile(path, MADE_BY, scale)
    file.add(*ROWS[1])
    before = path.stat().st_size
    file.add(*ROWS[2])
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        kept = scaled_rows(path, scale)
        assert [row['path'] for row in kept] == ([] if end < before else ['b.png'])
    path.write_bytes(whole)
    assert len(scaled_rows(path, scale)) == 2


@ENDINGS
def test_scores_of_an_earlier_version_are_refused_and_stay(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    write(path)
    before = path.read_bytes()
    with pytest.raises(
        OutputError, match=r'path, prompt, score, mos, low, high, percentile .*name another --output, or rem'
    ):
        ScoreFile(path, MADE_BY, Scale((0, 5), None, None))
    with pytest.raises(OutputError, match="made with metric 'moeagiqa', now it is 'piqe'"):
        ScoreFile(path, MADE_BY | {'metric': 'piqe'}, Scale((0, 5), None, None))
    assert path.read_bytes() == before


@JOURNALS
def test_a_number_beside_the_score_that_is_not_finite_is_somebody_elses(tmp_path, ending):
    path, scale = tmp_path / f'scores.{ending}', Scale((0, 5), None, None)
    ScoreFile(path, MADE_BY, scale).add('a.png', 'a cat', 0.5)
    path.write_text(path.read_text().replace('2.5', 'inf' if ending == 'csv' else 'Infinity'))
    with pytest.raises(OutputError, match='something else'):
        ScoreFile(path, MADE_BY, scale)
