"""Scores of a cluster: a real one of two nodes, of which one dies; tables, shards and addresses; runs that are cut go on."""

import inspect
import json
import os
import re
import shutil
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import run
from PIL import Image
from pyarrow import fs

ray = pytest.importorskip('ray', reason="Ray is missing: pip install 'pyiqa-moeagiqa[ray]'")

from ray.cluster_utils import Cluster  # noqa: E402

from pyiqa_moeagiqa.cluster import blocks, pipeline  # noqa: E402
from pyiqa_moeagiqa.cluster import command as cluster_command  # noqa: E402
from pyiqa_moeagiqa.cluster.output import ScoreFolder, schema_of, with_own  # noqa: E402
from pyiqa_moeagiqa.cluster.pipeline import cluster_at  # noqa: E402
from pyiqa_moeagiqa.cluster.workers import ScoringWorker  # noqa: E402
from pyiqa_moeagiqa.scoring.result import Result  # noqa: E402

COUNT, BROKEN = 13, 5
NAMES = [f'{number:02}.png' for number in range(COUNT)]


def test_a_local_cluster_starts_where_the_temporary_folder_has_a_long_name_with_spaces(tmp_path, monkeypatch):
    long = tmp_path / ('a folder whose name has spaces ' * 4)
    long.mkdir()
    monkeypatch.setenv('TMPDIR', str(long))
    with cluster_at('local'):
        assert ray.cluster_resources()['CPU'] >= 1
    assert not ray.is_initialized()


@pytest.fixture(scope='module')
def bucket():
    """An address on a server of this process that answers as S3 does; a cluster that starts later knows it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('AWS_ENDPOINT_URL', f'http://{host}:{port}')
        for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
            patch.setenv(name, 'test')
        patch.setenv('AWS_DEFAULT_REGION', 'us-east-1')
        patch.setenv('AWS_EC2_METADATA_DISABLED', 'true')
        boto3.client('s3').create_bucket(Bucket='bucket')
        yield 's3://bucket'
    server.stop()


@pytest.fixture(scope='module')
def cluster(bucket):
    """A cluster of two nodes, to which this process is connected."""
    folder = Path(tempfile.mkdtemp(prefix='ray-', dir='/tmp'))
    (folder / 'ray').mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('RAY_TMPDIR', str(folder))
        patch.setenv('RAY_worker_niceness', '0')
        patch.setenv('RAY_USAGE_STATS_ENABLED', '0')
        made = Cluster(True, head_node_args={'num_cpus': 1, 'object_store_memory': 100 << 20})
        made.second = made.add_node(num_cpus=1, object_store_memory=100 << 20)
        ray.init(made.address, log_to_driver=False, logging_level='ERROR')
        yield made
        ray.shutdown()
        made.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Pictures with text files beside them, one of which is damaged, and the same as tables and shards."""
    place, noise = tmp_path_factory.mktemp('input'), np.random.default_rng(0)
    (place / 'pictures').mkdir()
    for number, name in enumerate(NAMES):
        file = place / 'pictures' / name
        Image.fromarray(noise.integers(0, 256, (60 + number, 70, 3), dtype=np.uint8)).save(file)
        file.with_suffix('.txt').write_text(f'a cat, {number}')
    (place / 'pictures' / NAMES[BROKEN]).write_bytes(b'no image')
    files = [place / 'pictures' / name for name in NAMES]
    with tarfile.open(place / 'shard.tar', 'w') as shard:
        for file in files:
            shard.add(file, file.name)
            shard.add(file.with_suffix('.txt'), f'{file.stem}.txt')
    rows = [
        {'image': {'bytes': file.read_bytes(), 'path': file.name}, 'text': f'a cat, {n}'}
        for n, file in enumerate(files)
    ]
    pq.write_table(pa.Table.from_pylist(rows), place / 'bytes.parquet', row_group_size=5)
    return place


@pytest.fixture(scope='module')
def expected(folder, tiny_checkpoint, tmp_path_factory) -> pd.DataFrame:
    """What ``moeagiqa score`` says, by prompt."""
    output = tmp_path_factory.mktemp('expected') / 'scores.parquet'
    run('score', '--weights', tiny_checkpoint, folder / 'pictures', '--output', output, code=1)
    return scores(output)


@pytest.fixture
def score(cluster, tiny_checkpoint, monkeypatch):
    """How a command begins that scores on the cluster, in blocks of four images."""
    monkeypatch.setattr(blocks, 'BLOCK', 4)
    monkeypatch.setattr(blocks, 'LINES', 200)
    return 'score', '--weights', tiny_checkpoint, '--ray', 'auto'


def scores(output) -> pd.DataFrame:
    return pd.read_parquet(output).set_index('prompt')


def require_equal(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Each image once, the broken one with its reason, the others with the same numbers."""
    assert sorted(found.index) == sorted(f'a cat, {number}' for number in range(COUNT))
    lacking = found[found['score'].isna()]
    assert list(lacking.index) == [f'a cat, {BROKEN}']
    assert 'no image that Pillow can read' in lacking['reason'].item()
    found = found.drop(lacking.index).loc[expected.index]
    assert found['content'].tolist() == expected['content'].tolist()
    assert found['reason'].eq('').all()
    numbers = [name for name in expected.columns if name not in ('path', 'content')]
    np.testing.assert_allclose(found[numbers].to_numpy(float), expected[numbers].to_numpy(float), atol=1e-6)


def test_a_folder_is_scored_as_without_a_cluster_though_a_node_dies(
    score, cluster, folder, expected, tmp_path, monkeypatch
):
    add, killed = ScoreFolder.add, []

    def deadly_add(output, rows):
        if not killed:
            killed.append(cluster.remove_node(cluster.second, allow_graceful=False))
        return add(output, rows)

    monkeypatch.setattr(ScoreFolder, 'add', deadly_add)
    result = run(*score, folder / 'pictures', '--output', tmp_path / 'scores', code=1)
    assert killed
    assert f'12 scores in {tmp_path / "scores"}' in result.stdout
    assert '1 image has no score; the column reason says why' in result.stderr
    found = scores(tmp_path / 'scores')
    require_equal(found, expected)
    assert sorted(found['path']) == [str(folder / 'pictures' / name) for name in NAMES]


def test_a_run_on_addresses_that_is_cut_goes_on(score, bucket, folder, expected, monkeypatch):
    system, _ = fs.FileSystem.from_uri(bucket)
    fs.copy_files(str(folder / 'pictures'), 'bucket/in/pictures', destination_filesystem=system)
    fs.copy_files(str(folder / 'shard.tar'), 'bucket/in/part-0.tar', destination_filesystem=system)
    inputs = f'{bucket}/in/pictures', f'{bucket}/in/part-*.tar', folder / 'bytes.parquet'
    command = *score, *inputs, '--output', f'{bucket}/out'
    write, written, made = ScoreFolder._write, [], []

    def scored(*given):
        made.append(pipeline.scored(*given))
        return made[-1]

    def cut(*given):
        if len(written) == 3:
            raise KeyboardInterrupt
        write(*given)
        written.append(given[1])

    with monkeypatch.context() as patch:
        patch.setattr(ScoreFolder, '_write', cut)
        patch.setattr(cluster_command, 'scored', scored)
        result = run(*command, code=130)
    assert inspect.getgeneratorstate(made[0]) == inspect.GEN_CLOSED  # else it starts a cluster when Python collects it
    assert f'the scores in {bucket}/out are kept, the same command goes on from there.' in result.stderr
    kept = pieces(system)
    assert len(kept) == 3
    with system.open_output_stream('bucket/out/.images-00000000-00000-4-0.parquet.part') as half:
        half.write(b'a killed run leaves this')
    result = run(*command, code=1)
    assert re.search(r'36 scores in .* \(\d+ were there already\)', result.stdout)
    assert kept.items() <= pieces(system).items()
    found = pq.read_table('bucket/out', filesystem=system).to_pandas().set_index('prompt')
    places = {
        f'{bucket}/in/pictures/': [f'{bucket}/in/pictures/{name}' for name in NAMES],
        f'{bucket}/in/part-0.tar/': [f'{bucket}/in/part-0.tar/{name[:-4]}' for name in NAMES],
        f'{folder}/bytes.parquet/': [f'{folder}/bytes.parquet/{name}' for name in NAMES],
    }
    for place, paths in places.items():
        of_it = found[found['path'].str.startswith(place)]
        assert sorted(of_it['path']) == paths
        require_equal(of_it, expected)
    monkeypatch.setattr(cluster_command, 'scored', lambda *_, **__: pytest.fail('all scores were there'))
    assert '(36 were there already)' in run(*command, code=1).stdout


def pieces(system) -> dict[str, str]:
    """Name and time of what is finished."""
    files = system.get_file_info(fs.FileSelector('bucket/out'))
    return {file.base_name: str(file.mtime) for file in files if re.match(r'[^_.].*\.parquet', file.base_name)}


def test_what_kills_workers_is_named_and_the_rest_is_scored(score, folder, tmp_path, monkeypatch):
    class Deadly(ScoringWorker):  # of this function, so that workers get its code
        def __init__(self, metric, options, columns):
            self.schema = with_own(schema_of(columns))

        def __call__(self, images):
            if any(part and b'a cat, 7' in part for part in images['seen'].to_pylist()):
                os._exit(1)
            self.scorer, self.at_once = self, 1
            return super().__call__(images)

        def score(self, batch):
            return [one if isinstance(one, Result) else Result(one.path, one.prompt, 0.5) for one in batch]

    monkeypatch.setattr(pipeline, 'ScoringWorker', Deadly)
    lines = [json.dumps({'file_name': f'pictures/{name}', 'caption': f'a cat, {n}'}) for n, name in enumerate(NAMES)]
    (folder / 'table.jsonl').write_text('\n'.join([*lines, 'no json']))
    result = run(*score, folder / 'table.jsonl', '--output', tmp_path / 'scores', code=1)
    assert 'workers died: ' in result.stderr
    assert '3 images have no score' in result.stderr
    found = scores(tmp_path / 'scores')
    assert sorted(found['path'])[:-1] == [str(folder / 'pictures' / name) for name in NAMES]
    assert found.loc['a cat, 7', 'path'] == str(folder / 'pictures' / NAMES[7])
    assert found.loc['a cat, 7', 'reason'].startswith('a worker died each time')
    assert found.loc['', 'reason'].startswith('the line at byte')
    assert found.drop([f'a cat, {BROKEN}', 'a cat, 7', ''])['score'].eq(0.5).all()
