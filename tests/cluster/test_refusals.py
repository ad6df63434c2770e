"""What ``moeagiqa score --ray`` refuses, in one sentence and before a cluster is asked for."""

import os
import pickle
import sys
from contextlib import nullcontext, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import refused, run

from pyiqa_moeagiqa.cluster import blocks, pipeline
from pyiqa_moeagiqa.cluster import read as reading
from pyiqa_moeagiqa.cluster.blocks import Block
from pyiqa_moeagiqa.cluster.output import ScoreFolder
from pyiqa_moeagiqa.cluster.read import Asked, items_in, read
from pyiqa_moeagiqa.data.table import read_table
from pyiqa_moeagiqa.scoring.sources import PromptChoice


@pytest.fixture
def score(tiny_checkpoint, monkeypatch):
    """How a command begins that must not reach a cluster."""
    monkeypatch.setattr(pipeline, 'cluster_at', lambda address: pytest.fail('a cluster was asked for'))
    monkeypatch.setattr('pyiqa_moeagiqa.cluster.command.cluster_at', pipeline.cluster_at)
    monkeypatch.setattr('pyiqa_moeagiqa.cluster.command.require_ray', lambda: None)
    return 'score', '--weights', tiny_checkpoint, '--ray', 'local'


def test_without_ray_its_extra_is_named(pictures, tmp_path, monkeypatch):
    for name in ('ray', 'ray.data'):
        monkeypatch.setitem(sys.modules, name, None)
    said = refused('score', pictures, '--prompt', 'a cat', '--ray', 'local', '--output', tmp_path / 'scores')
    assert said == "moeagiqa: --ray: Ray is not installed; pip install 'pyiqa-moeagiqa[ray]'."


OPTIONS = {
    'no output': ((), '--ray: name a folder for the scores, as in --output scores/.'),
    'a file': (('--output', 's.csv'), 'with --ray the scores are a folder of Parquet files'),
    'a device': (
        ('--output', 's', '--device', 'cpu'),
        '--device cpu: Ray gives each worker its GPU; leave --device out.',
    ),
    'top': (('--output', 's', '--top', 3), '--top: with --ray the scores are in the output'),
    'a scheme': (('--output', 'gopher://s'), 'gopher://s: it cannot be opened'),
}


@pytest.mark.parametrize('name', OPTIONS)
def test_options_that_do_not_fit(score, pictures, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options, sentence = OPTIONS[name]
    assert sentence in refused(*score, pictures, '--prompt', 'a cat', *options)
    assert not Path('s').exists()


def test_inputs_that_cannot_be_used(score, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({'url': ['a'], 'prompt': ['b']}), 'no_path.parquet')
    Path('damaged.parquet').write_bytes(b'no table')
    Path('empty.jsonl').touch()
    pq.write_table(pa.table({'path': ['a.png'], 'prompt': ['b']}), 'good.parquet')
    Path('prompts.csv').write_text('path,prompt\na.png,a cat\n')
    answers = {
        ('no_path.parquet',): "column 'path' is missing; there are 'url', 'prompt'",
        ('damaged.parquet',): 'it cannot be read as Parquet',
        ('empty.jsonl',): 'it has no rows.',
        ('gone/*.tar',): 'gone/*.tar: there is no such file; check its name and folder.',
        ('good.parquet', '--prompts', 'prompts.csv'): 'brings its own prompts; leave --prompts out.',
        (pictures,): 'Prompts are needed',
    }
    for words, sentence in answers.items():
        assert sentence in refused(*score, *words, '--output', 's')


def test_a_folder_with_other_scores_or_of_a_table_that_has_changed(score, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = Path('table.jsonl')
    file.write_text('{"path": "a.png", "prompt": "a cat"}\n')
    made_by = {'metric': 'tiny'}
    output = ScoreFolder('s', made_by, ('path', 'prompt', 'score', 'content'))
    (block,) = output.begin(_blocks(file))
    (part, end) = read(block, Asked((), None, (), True, True))
    assert (part.piece, part.place, part.seen.reason) == (0, 0, 'there is no such image file.')
    assert (end.piece, end.place, end.seen) == (0, 1, None)
    output.missing(block, 1)
    output.add_lost(block, 0, 'a.png', 'a cat')
    again = ScoreFolder('s', made_by, output.schema.names[:-2])
    assert again.begin(_blocks(file)) == []
    assert (again.scored, again.failed) == (0, 1)
    file.write_text('{"path": "a.png", "prompt": "a cat"}\n{"path": "b.png", "prompt": "a cat"}\n')
    with pytest.raises(ValueError, match='1 of its files hold scores of a table or shard that has changed'):
        again.begin(_blocks(file))
    assert "its scores were made with metric 'tiny', now it is 'moeagiqa'" in refused(*score, file, '--output', 's')
    Path('t').mkdir()
    (Path('t') / 'thesis.docx').touch()
    assert 'it holds other files, such as thesis.docx' in refused(*score, file, '--output', 't')


def _blocks(file):
    return list(blocks.blocks_of([str(file)], PromptChoice(), 's', True, False))


def test_each_line_is_in_one_block_wherever_blocks_end(tmp_path, monkeypatch):
    file = tmp_path / 'table.jsonl'
    lines = [f'{{"path": "{"é" * (number % 7)}{number}.png", "prompt": ""}}\n' for number in range(40)]
    file.write_text(''.join(lines), encoding='utf-8')
    for size in (1, 30, 31, 64, 1000, 5000):
        monkeypatch.setattr(blocks, 'LINES', size)
        names = [Path(item.path).name for block in _blocks(file) for item in items_in(block, None)]
        assert names == [f'{"é" * (number % 7)}{number}.png' for number in range(40)]


@pytest.mark.parametrize('answers', [0, 1])
def test_if_nothing_comes_back_no_image_is_blamed(tiny_checkpoint, tmp_path, monkeypatch, answers):
    from pyiqa_moeagiqa.cluster import command
    from pyiqa_moeagiqa.cluster.output import IS_END, NAME, PLACE, REASON, with_own

    rows = [f'{{"path": "{number}.png", "prompt": "a cat"}}\n' for number in range(2)]
    (tmp_path / 'table.jsonl').write_text(''.join(rows))

    def scored(left, asked, metric, options, columns, one_by_one=False):
        """A cluster whose workers die, but for the first image."""
        own = {NAME: f'{left[0].name}-00000', PLACE: 0, IS_END: False, 'path': '0.png', 'score': 0.5, REASON: ''}
        schema = with_own(ScoreFolder(str(tmp_path / 'none'), {}, columns).schema)
        yield from [pa.Table.from_pylist([own], schema)] * (answers and not one_by_one)

    monkeypatch.setattr(command, 'scored', scored)
    monkeypatch.setattr(command, 'require_ray', lambda: None)
    monkeypatch.setattr(command, 'cluster_at', lambda address: nullcontext())
    words = (
        'score',
        '--weights',
        tiny_checkpoint,
        '--ray',
        'local',
        tmp_path / 'table.jsonl',
        '--output',
        tmp_path / 's',
    )
    if answers:
        assert '1 scores in' in run(*words, code=1).stdout
        assert pq.read_table(tmp_path / 's')['reason'].to_pylist()[1].startswith('a worker died each time')
    else:
        assert '2 images were lost twice with their workers: see that all machines' in run(*words, code=2).stderr
        assert not list((tmp_path / 's').glob('*.parquet'))


class _Runs:
    """What is unpickled makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_a_column_that_would_be_unpickled_is_not(tmp_path):
    pytest.importorskip('ray.data', reason="Ray is missing: pip install 'pyiqa-moeagiqa[ray]'")
    pipeline.require_ray()
    kind = {b'ARROW:extension:name': b'ray.data.arrow_pickled_object', b'ARROW:extension:metadata': b''}
    schema = pa.schema([pa.field('path', pa.binary(), metadata=kind), pa.field('prompt', pa.string())])
    values = [pa.array([pickle.dumps(_Runs(str(tmp_path / 'ran')))], pa.binary()), pa.array(['a cat'])]
    file = tmp_path / 'metadata.parquet'
    pq.write_table(pa.Table.from_arrays(values, schema=schema), file)
    (item,) = items_in(*_blocks(file), None)
    assert item.image is not None
    with suppress(ValueError):
        read_table(file, ['path', 'prompt'])
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('address', ['127.0.0.1:1', 'ray://127.0.0.1:1', 'nonsense'])
def test_an_address_where_nothing_answers_is_said_at_once(address, monkeypatch):
    ray = pytest.importorskip('ray', reason="Ray is missing: pip install 'pyiqa-moeagiqa[ray]'")
    monkeypatch.setattr(ray, 'init', lambda **_: pytest.fail('Ray was asked'))
    with pytest.raises(ValueError, match=f'--ray {address}: nothing answers there'), pipeline.cluster_at(address):
        pass


def test_two_commands_do_not_share_an_output(score, tmp_path):
    (tmp_path / 'table.jsonl').write_text('{"path": "a.png", "prompt": "a cat"}\n')
    output = ScoreFolder(str(tmp_path / 's'), {}, ('path', 'score'))
    with output.held():
        said = refused(*score, tmp_path / 'table.jsonl', '--output', tmp_path / 's')
    assert 's: another command writes to it; wait for its end' in said
    output.begin([])
    for failed in (0, 1):
        (tmp_path / 's' / f'{"0" * 16}-00000000-00000-1-{failed}.parquet').touch()
    with pytest.raises(ValueError, match='two of its files hold the same images'):
        ScoreFolder(str(tmp_path / 's'), {}, ('path', 'score'))


def test_a_shard_elsewhere_that_breaks_off_is_tried_again_and_one_here_says_so(tmp_path, monkeypatch):
    def broken(block):
        yield {'__key__': 'a', 'png': b'', 'txt': b'a cat'}
        raise OSError('the connection was lost')

    monkeypatch.setattr(reading, '_samples', broken)
    here, elsewhere = (Block(place, '.tar', 'x-00000000', (), 4) for place in ('a.tar', 's3://bucket/a.tar'))
    assert [str(item.path) for item in items_in(here, None)] == ['a', 'a.tar after 1 images']
    with pytest.raises(OSError, match='the connection was lost'):
        list(items_in(elsewhere, None))


def test_of_a_damaged_table_what_can_be_read_is_done(tmp_path):
    output = ScoreFolder(str(tmp_path / 's'), {}, ('path', 'score'))
    block = Block('a.parquet', '.parquet', 'x-00000000', (0, 0, 9), 1024, rows=9)
    assert not output.is_done(block)
    output.pieces[block.name][0] = 4
    assert output.is_done(block)
