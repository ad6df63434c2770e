"""Score files: rows stay through whatever stops a run, and nobody else's file is touched."""

import errno
import json
import math
import os

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


def plain(row):
    """A row without the hash of its file, which these rows have not."""
    return {name: cell for name, cell in row.items() if name != 'content'}


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
    return [tuple(plain(row).values()) for row in file.rows]


def ranked(rows):
    return [{'rank': 1 + n} | row for n, row in enumerate(sorted(rows, key=lambda row: -row['score']))]


@ENDINGS
def test_rows_are_read_back_as_they_were_written(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    write(path)
    assert rows_of(path) == ROWS
    assert sorted(path.name for path in tmp_path.iterdir()) == [f'scores.{ending}', f'scores.{ending}.run.json']


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
        assert list(table.columns) == ['path', 'prompt', 'score', 'content']
        assert table['prompt'].tolist() == [prompt for _, prompt, _ in ROWS[:3]]


def test_parquet_without_rows_has_its_columns_typed(tmp_path):
    write(tmp_path / 'scores.parquet', [])
    assert pd.read_parquet(tmp_path / 'scores.parquet')['score'].dtype == float


@ENDINGS
def test_a_row_torn_at_any_byte_costs_that_row_only(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    write(path, ROWS[:1])
    finished = path.read_bytes()
    journal = write(path, ROWS[1:3], close=False).journal
    whole = journal.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(finished)
        journal.write_bytes(whole[:end])
        write(path, ROWS[3:4], close=False)  # a run that goes on and is killed, too
        assert rows_of(path) == [*ROWS[: 2 if b'\n' in whole[:end] else 1], ROWS[3]]
        assert not journal.exists()


@ENDINGS
def test_a_run_killed_before_it_removed_the_journal_leaves_each_row_once(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    file = write(path, close=False)
    lines = file.journal.read_bytes()
    file.close()
    file.journal.write_bytes(lines)
    assert rows_of(path) == ROWS
    assert not file.journal.exists()


def test_a_csv_that_an_earlier_version_left_unfinished_goes_on_from_whole_rows_alone(tmp_path):
    path = tmp_path / 'scores.csv'
    write(path, ROWS[:2])
    whole = path.read_bytes()
    path.write_bytes(whole + b'c.png,"two')
    with pytest.raises(OutputError, match='is damaged'):
        ScoreFile(path, MADE_BY)
    path.write_bytes(whole)
    write(path, ROWS[2:])
    assert rows_of(path) == ROWS


FOREIGN = {
    'prompts.csv': 'path,prompt\na.png,x\nb.png,y',
    'header.csv': 'name,mos\n',
    'wider.csv': 'path,prompt,score,mos\na.png,x,1,2\n',
    'blank.jsonl': '\n\nmy notes',
    'large.jsonl': f'{{"path": "a.png", "prompt": "x", "score": 1{"0" * 400}, "content": ""}}\n',
    'quote.csv': 'size,count\n5" disk,3\n3 inch,4\n',
    'notes.csv': 'my notes',
    'words.csv': 'path,prompt,score\na.png,x,good\n',
    'one.jsonl': '{"path": "a.png", "prompt": "x"}',
    'two.jsonl': '{"path": "a.png", "prompt": "x"}\n{"path": "b.png"',
    'list.jsonl': '[1, 2]\n',
    'text.jsonl': 'my notes',
    'no.parquet': 'my notes',
    'notes.csv.jsonl': 'my notes',  # in the place of a journal
    'one.csv.jsonl': '{"path": "a.png", "prompt": "x"}',
    'list.csv.jsonl': '[1, 2]\n',
}


@pytest.mark.parametrize('name', FOREIGN)
def test_somebody_elses_file_is_refused_and_stays_as_it_was(tmp_path, name):
    path = tmp_path / name
    path.write_text(FOREIGN[name])
    with pytest.raises(OutputError, match=rf'{name}: .*name another --output'):
        ScoreFile(str(path).replace('.csv.jsonl', '.csv'), MADE_BY)
    assert path.read_text() == FOREIGN[name]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('rows', [0, 1])
def test_a_parquet_of_something_else_is_refused(tmp_path, rows):
    path = tmp_path / 'scores.parquet'
    pd.DataFrame({'path': ['a.png'], 'mos': [1.0]})[:rows].to_parquet(path)
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


@ENDINGS
def test_a_file_without_rows_takes_any_settings(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    path.touch()
    os.utime(path, (0, 0))
    write(path, [])
    write(path, made_by=(other := MADE_BY | {'crops': 15}))
    assert json.loads((tmp_path / f'scores.{ending}.run.json').read_text())['crops'] == 15
    os.utime(path, (0, 0))
    assert rows_of(path, other) == ROWS


@pytest.mark.parametrize('note', ['{', '[' * 100_000])
def test_a_damaged_note_is_named(tmp_path, note):
    write(tmp_path / 'scores.csv')
    (tmp_path / 'scores.csv.run.json').write_text(note)
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


@ENDINGS
@pytest.mark.parametrize(
    'scale', [Scale((0, 5), (-0.1, 0.2), range(101)), Scale((0, 5), None, None), Scale(None, None, None)]
)
def test_what_the_scale_says_stands_beside_the_score(tmp_path, ending, scale):
    path = tmp_path / f'scores.{ending}'
    for row in ROWS[:4], ROWS[4:]:
        file = ScoreFile(path, MADE_BY, scale)
        for values in row:
            file.add(*values, scale.of(values[2]))
        file.close()
    names, beside = ('path', 'prompt', 'score'), {'novelty': None, 'content': ''}
    expected = [dict(zip(names, row, strict=True)) | scale.of(row[2]) | beside for row in ROWS]
    file = ScoreFile(path, MADE_BY, scale)
    file.close()
    assert file.rows == expected


@ENDINGS
def test_scores_of_an_earlier_version_are_refused_and_stay(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    write(path)
    before = path.read_bytes()
    with pytest.raises(
        OutputError,
        match=r'path, prompt, score, mos, low, high, percentile, novelty, content .*name another --output, or rem',
    ):
        ScoreFile(path, MADE_BY, Scale((0, 5), None, None))
    with pytest.raises(OutputError, match="made with metric 'moeagiqa', now it is 'piqe'"):
        ScoreFile(path, MADE_BY | {'metric': 'piqe'}, Scale((0, 5), None, None))
    assert path.read_bytes() == before


@pytest.mark.parametrize('ending', ['csv', 'jsonl'])
def test_a_number_beside_the_score_that_is_not_finite_is_somebody_elses(tmp_path, ending):
    path, scale = tmp_path / f'scores.{ending}', Scale((0, 5), None, None)
    file = ScoreFile(path, MADE_BY, scale)
    file.add('a.png', 'a cat', 0.5, scale.of(0.5))
    file.close()
    path.write_text(path.read_text().replace('2.5', 'inf' if ending == 'csv' else 'Infinity'))
    with pytest.raises(OutputError, match='something else'):
        ScoreFile(path, MADE_BY, scale)


# -- one writer, files that go, disks that are full ------------------------------------------------------------------


@ENDINGS
def test_a_second_writer_is_refused(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    file = ScoreFile(path, MADE_BY)
    file.add(*ROWS[0])
    with pytest.raises(OutputError, match=rf'scores\.{ending}: another process is writing to it'):
        ScoreFile(path, MADE_BY)
    file.add(*ROWS[1])
    file.close()
    assert rows_of(path) == ROWS[:2]
    assert not list(tmp_path.glob('*.lock'))


def test_a_file_that_was_closed_leaves_the_next_writer_alone(tmp_path):
    first = ScoreFile(tmp_path / 'scores.csv', MADE_BY)
    first.close()
    second = ScoreFile(tmp_path / 'scores.csv', MADE_BY)
    first.close()
    with pytest.raises(OutputError, match='another process is writing to it'):
        ScoreFile(tmp_path / 'scores.csv', MADE_BY)
    second.close()


@ENDINGS
def test_a_file_that_is_removed_meanwhile_is_written_again(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    write(path, ROWS[:1])
    file = write(path, ROWS[1:2], close=False)
    path.unlink()
    file.journal.unlink()
    file.add(*ROWS[2])
    file.close()
    assert rows_of(path) == ROWS[:3]


@ENDINGS
@pytest.mark.parametrize('before', [0, 1])
def test_a_file_that_is_replaced_meanwhile_is_left_alone_and_no_row_is_lost(tmp_path, ending, before):
    path = tmp_path / f'scores.{ending}'
    write(path, ROWS[:before])
    file = write(path, ROWS[before:], close=False)
    path.rename(tmp_path / 'old')
    path.write_text('mine')
    with pytest.raises(OutputError, match=rf'scores\.{ending}: another program has changed it; repeat the command'):
        file.close()
    assert path.read_text() == 'mine'
    (tmp_path / 'old').replace(path)
    assert rows_of(path) == ROWS


class FullDisk:
    """A file on a disk that takes some bytes more."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        if not self.room:
            raise OSError(errno.ENOSPC, 'No space left on device')
        taken = self.file.write(data[: self.room])
        self.room -= taken
        return taken

    def __getattr__(self, name):
        return getattr(self.file, name)


@ENDINGS
def test_a_full_disk_is_said_with_the_files_name_and_costs_one_row(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    file = ScoreFile(path, MADE_BY)
    file.add(*ROWS[0])
    file._file = FullDisk(file._file, 7)
    for row in ROWS[1:3]:
        with pytest.raises(
            OutputError, match=rf'scores\.{ending}: it cannot be written \(no space left on device\); make room'
        ):
            file.add(*row)
    file._file = file._file.file  # there is room again
    file.add(*ROWS[3])
    del file
    assert rows_of(path) == [ROWS[0], ROWS[3]]


@ENDINGS
def test_a_disk_too_full_for_the_finished_file_keeps_the_rows(tmp_path, ending, monkeypatch):
    def no_room(*arguments):
        raise OSError(errno.ENOSPC, 'No space left on device')

    path = tmp_path / f'scores.{ending}'
    file = write(path, close=False)
    with monkeypatch.context() as patch:
        patch.setattr('pyiqa_moeagiqa.scoring.output.file_of', no_room)
        with pytest.raises(OutputError, match=rf'scores\.{ending}: it cannot be written \(no space left on device\)'):
            file.close()
    assert rows_of(path) == ROWS


def test_a_row_that_is_dropped_goes_and_its_new_score_survives_a_kill(tmp_path):
    path = tmp_path / 'scores.csv'
    write(path)
    file = ScoreFile(path, MADE_BY)
    file.drop({ROWS[0][:2], ROWS[2][:2]})
    file.close()
    assert rows_of(path) == [ROWS[1], *ROWS[3:]]
    file = ScoreFile(path, MADE_BY)
    file.drop({ROWS[1][:2]})
    file.add(*ROWS[1][:2], 0.625)
    del file  # as a kill does
    assert rows_of(path) == [(*ROWS[1][:2], 0.625), *ROWS[3:]]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'scores.csv').symlink_to(tmp_path / 'disk' / 'scores.csv')
    write(tmp_path / 'scores.csv')
    assert (tmp_path / 'scores.csv').is_symlink()
    assert len(pd.read_csv(tmp_path / 'disk' / 'scores.csv')) == len(ROWS)


def test_ordinary_files_alone_are_written(tmp_path):
    os.mkfifo(tmp_path / 'pipe.csv')
    (tmp_path / 'full.csv').symlink_to('/dev/full')
    (tmp_path / 'folder.csv').mkdir()
    for name in ('pipe', 'full', 'folder'):
        with pytest.raises(OutputError, match=rf'{name}\.csv: it is no ordinary file'):
            ScoreFile(tmp_path / f'{name}.csv', MADE_BY)


# -- what is beside a score, and the order ---------------------------------------------------------------------------

TWO_TARGETS = MADE_BY | {'target': 'quality', 'targets': ['quality', 'alignment']}


@ENDINGS
def test_the_other_targets_stand_in_columns_of_their_own(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    numbers = {'mos': 2.5, 'low': 2.0, 'high': 3.0, 'percentile': 40.0, 'alignment': 0.25, 'alignment_mos': 1.25}
    file = ScoreFile(path, TWO_TARGETS, with_numbers=True)
    file.add('a.png', 'a cat', 0.5, numbers, 'f00d')
    file.close()
    file = ScoreFile(path, TWO_TARGETS, with_numbers=True)
    file.close()
    expected = {'path': 'a.png', 'prompt': 'a cat', 'score': 0.5} | numbers | {'content': 'f00d'}
    assert file.rows == [
        expected | dict.fromkeys(['alignment_low', 'alignment_high', 'alignment_percentile', 'novelty'])
    ]


@ENDINGS
def test_a_ranked_file_is_sorted_once_it_is_closed_and_goes_on(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    for rows in ROWS[:3], ROWS[3:4]:
        file = ScoreFile(path, MADE_BY, ranked=ranked)
        for row in rows:
            file.add(*row)
        file.close()
    table = {'csv': pd.read_csv, 'parquet': pd.read_parquet}.get(ending, lambda path: pd.read_json(path, lines=True))
    assert list(table(path).columns) == ['rank', 'path', 'prompt', 'score', 'content']
    assert table(path)['path'].tolist() == ['b.png', 'd.png', 'c.png', 'a.png']
    assert sorted(path.name for path in tmp_path.iterdir()) == [f'scores.{ending}', f'scores.{ending}.run.json']


def test_a_score_file_that_is_ranked_later_is_sorted_though_nothing_is_new(tmp_path):
    write(tmp_path / 'scores.csv', ROWS[:3])
    ScoreFile(tmp_path / 'scores.csv', MADE_BY, ranked=ranked).close()
    assert pd.read_csv(tmp_path / 'scores.csv')['path'].tolist() == ['b.png', 'c.png', 'a.png']


@ENDINGS
def test_a_ranked_file_is_not_unsorted_but_a_killed_ranking_goes_on_either_way(tmp_path, ending):
    path = tmp_path / f'scores.{ending}'
    ScoreFile(path, MADE_BY, ranked=ranked).add(*ROWS[0])
    assert rows_of(path) == ROWS[:1]
    ScoreFile(path, MADE_BY, ranked=ranked).close()
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r'sorted by rank; go on with "moeagiqa rank", or name another --output'):
        ScoreFile(path, MADE_BY)
    assert path.read_bytes() == before


FORMULAS = ['=1+1', '+cmd', '-2', '@sum', "'=1", 'a cat', "it's"]


def test_texts_like_formulas_are_marked_in_csv_and_read_back_as_they_were(tmp_path):
    path = tmp_path / 'scores.csv'
    for words in FORMULAS[:3], FORMULAS[3:]:
        file = ScoreFile(path, MADE_BY, safe_cells=True)
        for word in words:
            file.add(f'{word}.png', word, -0.5)
        file.close()
    assert [row['prompt'] for row in file.rows] == FORMULAS
    table = pd.read_csv(path)
    assert table['prompt'].tolist() == ["'=1+1", "'+cmd", "'-2", "'@sum", "''=1", 'a cat', "it's"]
    assert table['score'].tolist() == [-0.5] * len(FORMULAS)


def test_a_file_keeps_the_way_in_which_its_cells_were_written(tmp_path):
    write(tmp_path / 'scores.csv', [("'=1.png", "'=1", 0.5)])
    file = ScoreFile(tmp_path / 'scores.csv', MADE_BY, safe_cells=True)
    file.close()
    assert file.rows[0]['prompt'] == "'=1"
