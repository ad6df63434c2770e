"""Scores as columns of a Hugging Face data set: all rows and columns stay, a damaged image is one row, streams too."""

import io
import json
import tarfile
import zipfile

import pyiqa
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, IterableDataset, Value, load_dataset
from refusals import refuses
from tiny import made, saved

from pyiqa_moeagiqa import score, score_dataset
from pyiqa_moeagiqa.scoring.dataset_columns import ScoreColumns

PROMPTS = ['a cat', 'a dog', 'two birds', 'a cup']
DAMAGED, WITHOUT_PROMPT = 0, 3


@pytest.fixture
def weights(tiny_checkpoint):
    """What makes the tiny metric."""
    return {'pretrained_model_path': str(tiny_checkpoint)}


@pytest.fixture(scope='module')
def metric(tiny_checkpoint):
    return pyiqa.create_metric('moeagiqa', pretrained_model_path=str(tiny_checkpoint))


@pytest.fixture
def rows(pictures):
    """Four images of which the first is damaged, and the last has no prompt."""
    files = [b'no image', *((pictures / name).read_bytes() for name in ('a.png', 'b.jpg', 'a.png'))]
    return {
        'image': [{'bytes': content, 'path': None} for content in files],
        'file_name': ['no such file'] * 4,
        'caption': [*PROMPTS[:3], None],
        'kind': [0, 1, 0, 1],
    }


@pytest.fixture
def dataset(rows):
    kinds = {'image': Image(), 'file_name': Value('string'), 'caption': Value('string')}
    return Dataset.from_dict(rows, Features(kinds | {'kind': ClassLabel(names=['animal', 'thing'])}))


def check(scored, expected):
    """The rows of a scored data set: those of the table in ``expected``, with None and a reason where the image failed."""
    assert [row['score'] for row in scored] == [None, *expected['score'][1:3], None]
    assert [row['alignment'] for row in scored] == [None, *expected['alignment'][1:3], None]
    assert [bool(row['reason']) for row in scored] == [True, False, False, True]
    assert 'no image that Pillow can read' in scored[DAMAGED]['reason']
    assert scored[WITHOUT_PROMPT]['reason'] == 'there is no prompt for it'


@pytest.fixture
def expected(rows, metric):
    return score([image['bytes'] for image in rows['image']], PROMPTS, metric=metric)


def test_columns_are_added_and_nothing_else_changes(dataset, expected, weights):
    scored = score_dataset(dataset, **weights)
    check([scored.remove_columns('image')[place] for place in range(4)], expected)
    numbers = [name for name in expected.columns if name not in ('path', 'prompt', 'reason', 'notes')]
    new = dict.fromkeys(numbers, Value('float64')) | dict.fromkeys(('reason', 'notes'), Value('string'))
    assert scored.features == dataset.features | new
    assert scored.select_columns(dataset.column_names).with_format('arrow')[:] == dataset.with_format('arrow')[:]
    assert scored[1]['image'].size == (90, 70), 'images are decoded again'


def test_scores_are_kept_for_the_same_weights_and_made_again_for_others(dataset, weights, tmp_path):
    first = score_dataset(dataset, **weights)
    assert score_dataset(dataset, **weights)._fingerprint == first._fingerprint
    assert score_dataset(dataset, **weights, crops=3)._fingerprint != first._fingerprint
    network = made()
    path = saved(network, tmp_path / 'weights.safetensors')
    before = score_dataset(dataset, pretrained_model_path=str(path))
    with torch.no_grad():
        next(network.parameters()).add_(1)
    saved(network, path)  # as training does under the same name
    assert score_dataset(dataset, pretrained_model_path=str(path))._fingerprint != before._fingerprint


def test_a_stream_from_parquet_is_scored_as_it_is_read(dataset, expected, weights, tmp_path):
    dataset.to_parquet(tmp_path / 'rows.parquet')
    stream = load_dataset('parquet', data_files=str(tmp_path / 'rows.parquet'), split='train', streaming=True)
    scored = score_dataset(stream, **weights)
    assert isinstance(scored, IterableDataset)
    assert list(scored.features)[:4] == dataset.column_names
    check(list(scored.decode(False)), expected)
    row = next(iter(scored.skip(1)))
    assert row['image'].size == (90, 70)
    assert row['kind'] == 1


def test_a_stream_from_webdataset_is_scored(pictures, metric, weights, tmp_path):
    with tarfile.open(tmp_path / 'shard.tar', 'w') as shard:
        for key, ending in (('a', 'png'), ('b', 'jpg')):
            prompt = json.dumps({'prompt': f'a picture {key}'}).encode()
            for name, content in (
                (f'{key}.jpg', (pictures / f'{key}.{ending}').read_bytes()),
                (f'{key}.json', prompt),
            ):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                shard.addfile(entry, io.BytesIO(content))
    stream = load_dataset('webdataset', data_files=str(tmp_path / 'shard.tar'), split='train', streaming=True)
    found = list(score_dataset(stream, **weights))
    assert [row['__key__'] for row in found] == ['a', 'b']
    files = [str(pictures / 'a.png'), str(pictures / 'b.jpg')]
    table = score(files, ['a picture a', 'a picture b'], metric=metric)
    assert [row['score'] for row in found] == table['score'].tolist()


def test_a_stream_of_unknown_columns_is_scored(dataset, expected, weights):
    rows = [row | {'kind': 0} for row in dataset.remove_columns('file_name').cast_column('image', Image(decode=False))]
    stream = Dataset.from_list(rows).to_iterable_dataset().map(lambda row: row)
    assert stream.features is None
    check(list(score_dataset(stream, **weights)), expected)


def test_files_in_an_archive_are_read(pictures, metric, weights, tmp_path):
    with zipfile.ZipFile(tmp_path / 'pictures.zip', 'w') as archive:
        archive.write(pictures / 'a.png', 'a.png')
    paths = [f'zip://{name}::{tmp_path}/pictures.zip' for name in ('a.png', 'gone.png')]
    dataset = Dataset.from_dict({'image': paths}).cast_column('image', Image())
    scored = score_dataset(dataset, 'a cat', **weights)
    assert scored['score'][0] == score(str(pictures / 'a.png'), 'a cat', metric=metric)['score'].item()
    assert scored['score'][1] is None
    assert 'gone.png' in scored['reason'][1]


def test_other_metrics_need_no_prompt(dataset):
    scored = score_dataset(dataset.remove_columns('caption'), metric='piqe', prefix='piqe_')
    assert [name for name in scored.column_names if name.startswith('piqe_')] == [
        'piqe_score',
        'piqe_reason',
        'piqe_notes',
    ]
    assert scored['piqe_score'][0] is None
    assert scored['piqe_score'][1] > 0


@pytest.mark.parametrize(
    ('change', 'options', 'words'),
    [
        (lambda dataset: DatasetDict({'train': dataset}), {}, 'DatasetDict: give a Dataset'),
        (lambda dataset: dataset, {'metric': 'beauty'}, 'no such metric'),
        (lambda dataset: dataset.rename_column('kind', 'mos'), {}, "a column 'mos' already: rename it, or give a pre"),
        (lambda dataset: dataset.remove_columns('caption'), {}, 'must be named prompt or text'),
        (lambda dataset: dataset, {'num_proc': 2}, 'num_proc'),
        (lambda dataset: dataset, {'target': 'beauty'}, "target is 'beauty'"),
        (lambda dataset: dataset, {'prompt': PROMPTS}, 'it must be one string for all images'),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_scored(dataset, weights, change, options, words):
    with pytest.raises(ValueError, match=words):
        score_dataset(change(dataset), **(weights if 'metric' not in options else {}), **options)


def test_a_list_in_the_place_of_an_image_is_one_row(dataset, weights):
    add = ScoreColumns('moeagiqa', weights, 'a cat', '')
    assert 'list of 2' in add({'image': [['a.png', 'b.png']]})['reason'][0]
    with refuses(ValueError, "a column 'score' already"):
        add({'image': [], 'score': []})
