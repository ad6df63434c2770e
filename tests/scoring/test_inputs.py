"""Whatever holds images becomes items with their prompts; what is wrong with one is left to its turn."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from pyiqa_moeagiqa.data.prompted_image import prompted
from pyiqa_moeagiqa.scoring.inputs import items_of
from pyiqa_moeagiqa.scoring.sources import SourceError

PICTURE = Image.new('RGB', (8, 6))
BATCH = torch.zeros(2, 3, 6, 8)
PNG = b'bytes of a file'


def names_and_prompts(images, prompts=None):
    return [(str(item.path), item.prompt) for item in items_of(images, prompts)]


TWO = [('image 0', 'a cat'), ('image 1', 'a dog')]


class Pairs(Dataset):
    """Rows as a user's data set has them; row 1 may be damaged."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        if isinstance(self.rows[number], Exception):
            raise self.rows[number]
        return self.rows[number]


class Stream(IterableDataset):
    def __iter__(self):
        return iter([(BATCH[0], 'a cat'), (BATCH[1], 'a dog')])


ROWS = [(BATCH[0], 'a cat'), (BATCH[1], 'a dog')]
HOLDERS = {
    'list of pairs': ROWS,
    'not decoded, as parts of Hugging Face data sets': [
        {'image': {'bytes': PNG, 'path': None}, 'text': 'a cat'},
        {'image': {'bytes': PNG, 'path': 'x.png'}, 'text': 'a dog'},
    ],
    'list of dictionaries': [{'image': PICTURE, 'text': 'a cat'}, {'img': PICTURE, 'caption': 'a dog'}],
    'generator': iter(ROWS),
    'data set': Pairs(ROWS),
    'loader': DataLoader(Pairs(ROWS), batch_size=2),
    'loader of dictionaries': DataLoader(Pairs([{'image': i, 'prompt': p} for i, p in ROWS]), batch_size=2),
    'stream': Stream(),
    'loader of a stream': DataLoader(Stream(), batch_size=2),
    'prompted images': prompted(BATCH, ['a cat', 'a dog']),
    'batch as a dictionary': {'image': BATCH, 'prompt': ['a cat', 'a dog']},
}


@pytest.mark.parametrize('name', HOLDERS)
def test_prompts_come_with_the_images(name):
    assert names_and_prompts(HOLDERS[name]) == TWO


@pytest.mark.parametrize(
    'images',
    [[PICTURE] * 2, [BATCH[0], PICTURE], BATCH, np.zeros((2, 6, 8, 3)), (np.zeros((6, 8, 3)), BATCH[0])],
)
@pytest.mark.parametrize('kind', [list, tuple, pd.Series, np.array])
def test_images_in_memory_are_given_one_prompt_each(images, kind):
    assert names_and_prompts(images, kind(['a cat', 'a dog'])) == TWO


@pytest.mark.parametrize('image', [PICTURE, BATCH[0], BATCH[:1], np.zeros((6, 8, 3)), np.zeros((6, 8))])
def test_one_image_is_one_item(image):
    assert names_and_prompts(image, 'a cat') == names_and_prompts(image, ['a cat']) == TWO[:1]
    assert names_and_prompts(image) == [('image 0', None)]


def test_given_prompts_come_before_those_of_the_rows():
    assert names_and_prompts(Pairs(ROWS), 'a bird') == [('image 0', 'a bird'), ('image 1', 'a bird')]


def test_a_hugging_face_data_set_is_read():
    datasets = pytest.importorskip('datasets')
    table = datasets.Dataset.from_dict(
        {'image': [PICTURE, PICTURE], 'text': ['a cat', 'a dog']}, datasets.Features(image=datasets.Image(), text=datasets.Value('string'))
    )  # fmt: skip
    assert names_and_prompts(table) == TWO
    with pytest.raises(SourceError, match='a DatasetDict of train: give one of them'):
        items_of(datasets.DatasetDict({'train': table}))


def test_a_folder_and_a_pattern_are_searched(pictures):
    found = [str(pictures / name) for name in ('a.png', 'b.jpg', 'sub/c.webp')]
    assert names_and_prompts(str(pictures), 'a cat') == [(path, 'a cat') for path in found]
    assert names_and_prompts([pictures / '?.*'], 'a cat') == [(path, 'a cat') for path in found[:2]]


def test_files_named_one_by_one_have_a_row_each(pictures):
    paths = [str(pictures / name) for name in ('b.jpg', 'gone.png', 'a.png', 'b.jpg')]
    assert names_and_prompts(paths, 'a cat') == [(path, 'a cat') for path in paths]
    assert names_and_prompts(pd.Series(paths, range(5, 9)), list('wxyz')) == list(zip(paths, 'wxyz', strict=True))
    (pictures / 'p.csv').write_text('path,prompt\na.png,A\nb.jpg,B\n')
    assert [prompt for _, prompt in names_and_prompts(paths, pictures / 'p.csv')] == ['B', '', 'A', 'B']


def test_a_table_of_paths_and_prompts_is_read(pictures):
    table = pd.DataFrame({'path': [str(pictures / 'a.png'), 'gone.png'], 'prompt': ['a cat', 'a dog'], 'seed': [1, 2]})
    assert names_and_prompts(table) == [(str(pictures / 'a.png'), 'a cat'), ('gone.png', 'a dog')]
    assert [prompt for _, prompt in names_and_prompts(table, 'a bird')] == ['a bird'] * 2


def test_files_and_pictures_may_be_mixed(pictures):
    mixed = names_and_prompts([pictures / 'a.png', PICTURE], ['a cat', 'a dog'])
    assert mixed == [(str(pictures / 'a.png'), 'a cat'), ('image 1', 'a dog')]


@pytest.mark.parametrize('kind', [Pairs, lambda rows: DataLoader(Pairs(rows), batch_size=1)])
def test_a_row_that_cannot_be_had_is_an_exception_at_its_place(kind):
    items = list(items_of(kind([ROWS[0], OSError('damaged'), ROWS[1]])))
    assert [item.prompt for item in items] == ['a cat', '', 'a dog']
    assert isinstance(items[1].image, OSError)


def test_a_generator_that_fails_ends_with_its_exception():
    def rows():
        yield ROWS[0]
        raise OSError('no more')

    assert [str(item.image) for item in items_of(rows())][1:] == ['no more']


ROW_FAULTS = {
    'a class instead of a prompt': ((BATCH[0], 3), 'row 0 has for a prompt 3: it must be a string for each image'),
    'one value': ((BATCH[0],), 'row 0 has 1 values: it must have an image and its prompt'),
    'too few prompts': ((BATCH, ['a cat']), 'row 0 has for a prompt'),
    'no image': (
        {'pixels': 1, 'prompt': 'x'},
        'row 0 has pixels, prompt: one of them must be named path or file_name or filename or file or image or img',
    ),
    'no prompt': ({'image': PICTURE, 'label': 1}, 'one of them must be named prompt or text or caption'),
}


@pytest.mark.parametrize('name', ROW_FAULTS)
def test_a_row_of_another_kind_is_named(name):
    row, words = ROW_FAULTS[name]
    item, good = items_of([row, ROWS[1]])
    assert words in str(item.image)
    assert good.prompt == 'a dog'


REFUSED = {
    'fewer prompts': (BATCH, ['a cat'], '1 prompts were given for 2 images'),
    'no string': (BATCH, ['a cat', 3], 'Prompt 1 is 3 of type int'),
    'table for pictures': (PICTURE, Path('p.csv'), 'p.csv: a table of prompts is for image files'),
    'open file': (io.BytesIO(PNG), 'a cat', 'an open file: give its path'),
    'number': (3, 'a cat', 'The images are of type int'),
    'nothing': (None, 'a cat', 'The images are of type NoneType'),
    'splits': ({'train': Pairs(ROWS)}, None, 'a dict of train: give one of them'),
    'no such pattern': ('gone/*.png', 'a cat', 'gone/*.png: there is no such file'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_be_used_at_all_is_refused(name):
    images, prompts, words = REFUSED[name]
    with pytest.raises(SourceError) as error:
        list(items_of(images, prompts))
    assert words in str(error.value)


def test_a_folder_has_no_list_of_prompts(pictures):
    with pytest.raises(SourceError, match='needs images named one by one'):
        items_of([pictures], ['a cat'])


# -- as people have them -----------------------------------------------------------------------------------------------


def test_a_string_that_names_a_table_is_one(pictures):
    table = pictures / 'p.csv'
    table.write_text('Filename;Caption\na.png;A\nb.jpg;B\nsub\\c.webp;C\n')
    assert [prompt for _, prompt in names_and_prompts(str(pictures), str(table))] == ['A', 'B', 'C']
    assert names_and_prompts(PICTURE, 'gone.csv') == [('image 0', 'gone.csv')], 'a prompt, as there is no such file'


def test_a_table_of_images_alone_is_a_list_of_files(pictures):
    (pictures / 'a.txt').write_text('a cat')
    table = pd.DataFrame({'Image_Path': [str(pictures / 'a.png')], 'seed': [1]})
    assert names_and_prompts(table) == [(str(pictures / 'a.png'), 'a cat')]


@pytest.mark.parametrize(
    ('columns', 'words'),
    [
        (['seed', 'prompt'], r"The table has no column 'path'; there are 'seed', 'prompt' \(file_name, "),
        (['image', 'seed'], r"The table has no column 'prompt'; there are 'image', 'seed' \(text, "),
    ],
)
def test_a_table_without_a_column_is_one_error(columns, words):
    table = pd.DataFrame([[PICTURE, 3], [PICTURE, 4]], columns=columns)
    with pytest.raises(SourceError, match=words):
        items_of(table)


def test_a_hugging_face_data_set_without_images_is_one_error():
    datasets = pytest.importorskip('datasets')
    with pytest.raises(SourceError, match='the data set has pixels, text: one of them must be named path or file_name'):
        items_of(datasets.Dataset.from_dict({'pixels': [1, 2], 'text': ['a cat', 'a dog']}))


def test_two_columns_of_one_name_are_one_error():
    with pytest.raises(SourceError, match="two columns 'path': rename one"):
        items_of(pd.DataFrame([['a.png', 'b.png', 'a cat']], columns=['path', 'path', 'prompt']))


def test_a_data_set_of_images_alone_takes_prompts():
    for rows in (TensorDataset(BATCH), DataLoader(TensorDataset(BATCH), batch_size=2)):
        assert names_and_prompts(rows, ['a cat', 'a dog']) == TWO


def test_a_row_that_cannot_be_used_keeps_its_path():
    (item,) = items_of(pd.DataFrame({'path': ['sub/a.png'], 'prompt': [5]}))
    assert item.path == 'sub/a.png'
    assert 'it must be a string' in str(item.image)


def test_no_image_is_said_to_be_none():
    (item,) = items_of([None], ['a cat'])
    assert str(item.image) == 'there is no image'


def test_images_keep_their_ids():
    rows = [{'id': 7, 'image': PICTURE, 'prompt': 'a cat'}, {'id': 8, 'image': PICTURE, 'prompt': 'a dog'}]
    expected = [('7', 'a cat'), ('8', 'a dog')]
    assert names_and_prompts(rows) == names_and_prompts(Pairs(rows)) == expected
    batches = DataLoader(Pairs([row | {'image': BATCH[0]} for row in rows]), batch_size=2)
    assert names_and_prompts(batches) == expected


@pytest.mark.parametrize(
    'parts',
    [
        {'jpg': PICTURE, 'txt': 'a cat'},
        {'png': PICTURE, 'txt': b'a cat'},
        {'webp': PICTURE, 'json': {'prompt': 'a cat', 'seed': 1}},
        {'jpg': PICTURE, 'json': b'{"caption": "a cat"}'},
    ],
)
def test_samples_of_a_webdataset_are_read(parts):
    sample = {'__key__': '000012', '__url__': 'shard-1.tar', **parts}
    assert names_and_prompts(iter([sample])) == [('000012', 'a cat')]


def test_a_generator_takes_a_list_of_prompts():
    assert names_and_prompts((PICTURE for _ in range(2)), ['a cat', 'a dog']) == TWO
    assert names_and_prompts(Pairs(ROWS), ['a bird', 'a fish']) == [('image 0', 'a bird'), ('image 1', 'a fish')]


def test_a_generator_with_another_number_of_prompts_is_scored_as_far_as_they_go():
    items = list(items_of((PICTURE for _ in range(3)), ['a cat']))
    assert [str(item.image) for item in items[1:]] == ['it has no prompt: 1 were given'] * 2
    with pytest.warns(UserWarning, match='3 prompts were given for 1 images'):
        assert names_and_prompts((PICTURE for _ in range(1)), list('abc')) == [('image 0', 'a')]


def test_brackets_in_names_are_no_pattern(pictures):
    path = pictures / 'cat [seed 1].png'
    (pictures / 'a.png').rename(path)
    assert names_and_prompts([path], ['a cat']) == names_and_prompts(str(path), 'a cat') == [(str(path), 'a cat')]
