"""Splits: groups stay whole, the same seed gives the same split, and the split files are what they were made as."""

import pandas as pd
import pytest

import pyiqa_moeagiqa.data.splits as splits_module
from pyiqa_moeagiqa.data.info import description
from pyiqa_moeagiqa.data.splits import make_splits, read_splits, split_column, split_columns
from pyiqa_moeagiqa.data.table import TableError

PROMPTS = [f'prompt {place // 3}' for place in range(300)]


def sides(seed: int) -> dict[str, set[str]]:
    parts = split_column(PROMPTS, seed)
    return {part: {prompt for prompt, side in zip(PROMPTS, parts, strict=True) if side == part} for part in set(parts)}


def test_no_prompt_is_on_two_sides():
    parts = sides(1)
    assert {part: len(prompts) for part, prompts in parts.items()} == {'train': 70, 'val': 10, 'test': 20}
    assert set.union(*parts.values()) == set(PROMPTS)


def test_a_seed_is_a_split():
    assert split_column(PROMPTS, 1) == split_column(PROMPTS, 1) != split_column(PROMPTS, 2)


def test_the_order_of_rows_does_not_matter():
    assert split_column(PROMPTS[::-1], 1) == split_column(PROMPTS, 1)[::-1]


def test_the_split_is_the_same_on_every_machine():
    parts = split_column([f'prompt {place}' for place in range(10)], seed=123)
    assert [place for place, part in enumerate(parts) if part == 'test'] == [0, 4]


NAMES = ['agiqa1k', 'agiqa3k', 'aigciqa2023', 'aigiqa20k', 'koniq10k']


@pytest.mark.parametrize('name', NAMES)
def test_every_split_file_has_a_fifth_for_testing(name):
    splits = read_splits(name)
    for seed in range(10):
        letters = splits['image'].str[seed]
        assert letters.eq('e').sum() == round(0.2 * len(splits))
        assert letters.eq('v').sum() == round(0.1 * len(splits))
        assert set(letters) == {'r', 'v', 'e'}


@pytest.mark.parametrize('name', NAMES)
def test_splits_of_different_seeds_differ(name):
    splits = read_splits(name)
    for kind in {'image', 'prompt'} & set(splits):
        assert len({''.join(splits[kind].str[seed]) for seed in range(10)}) == 10


def test_the_split_files_follow_from_the_annotations(annotations, tmp_path):
    from scripts.write_splits import FOLDER, write

    hashes = write(annotations, tmp_path)
    assert sorted(hashes) == NAMES
    for name in NAMES:
        assert (tmp_path / f'{name}.csv').read_bytes() == (FOLDER / f'{name}.csv').read_bytes()
        assert hashes[name] == description(name)['splits']['sha256']


@pytest.mark.parametrize('name', [name for name in NAMES if name != 'koniq10k'])
def test_no_real_prompt_is_on_two_sides_of_a_split_by_prompt(annotations, name):
    from scripts.write_splits import pictures_of

    pictures = pictures_of(name, annotations)
    letters = read_splits(name).loc[pictures['name'], 'prompt'].to_numpy()
    # the same letters for all of a prompt's images: in none of the ten splits are they torn apart
    assert (pd.Series(letters).groupby(pictures['prompt'].to_numpy()).nunique() == 1).all()
    prompts = pd.Series(letters, pictures['prompt']).groupby(level=0).first()
    assert prompts.str[0].eq('e').sum() == round(0.2 * len(prompts))


def test_a_split_file_that_was_changed_is_refused(tmp_path, monkeypatch):
    (tmp_path / 'splits').mkdir()
    monkeypatch.setattr(splits_module, 'shared_folder', lambda name: tmp_path)
    for content in (None, 'name,image,prompt\na.jpg,rrrrrrrrrr,rrrrrrrrrr\n'):
        if content:
            (tmp_path / 'splits' / 'agiqa3k.csv').write_text(content)
        with pytest.raises(TableError, match=r'agiqa3k\.csv: it was changed or is missing; install the package again'):
            read_splits('agiqa3k')


def test_letters_become_columns_by_name():
    pictures = pd.DataFrame({'name': ['b', 'a', 'new'], 'official': ['r', 'e', 'v']})
    splits = pd.DataFrame({'image': ['rrrrrrrrrv', 'eeeeeeeeee']}, index=['a', 'b'])
    columns = split_columns(pictures, splits)
    assert list(columns) == [*[f'image_{n}' for n in range(10)], 'official']
    assert columns['image_9'].tolist() == ['test', 'val', '']
    assert columns['image_0'].tolist() == ['test', 'train', '']
    assert columns['official'].tolist() == ['train', 'test', 'val']


def test_photographs_without_prompts_are_split_by_image_only():
    pictures = pd.DataFrame({'name': list('abcdefghij'), 'prompt': '', 'official': 'r'})
    assert list(make_splits(pictures)) == ['name', 'image', 'official']
