"""Splits: groups stay whole, the same seed gives the same split, and the split files are what they were made as."""

import pandas as pd
import pytest

import pyiqa_moeagiqa.data.splits as splits_module
from pyiqa_moeagiqa.data.info import description
from pyiqa_moeagiqa.data.splits import (
    columns_of_folds,
    fold_column,
    fold_named,
    make_splits,
    read_splits,
    split_column,
    split_columns,
    with_folds,
)
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


FIVE = columns_of_folds('prompt_5folds_seed3')


def test_each_prompt_is_tested_in_one_fold_alone():
    table = pd.DataFrame({name: fold_column(PROMPTS, fold_named(name)) for name in FIVE}, index=PROMPTS)
    prompts = table.groupby(level=0).agg(set)
    assert (prompts.map(len) == 1).all(axis=None)
    parts = prompts.map(lambda part: part.pop())
    assert ((parts == 'test').sum(axis=1) == 1).all()
    assert {part: set((parts == part).sum()) for part in ('train', 'val', 'test')} == {
        'train': {70}, 'val': {10}, 'test': {20},
    }  # fmt: skip
    assert (parts[FIVE[0]] != parts[FIVE[1]]).any()


def test_a_fold_is_a_function_of_seed_and_names_alone():
    first = fold_named(FIVE[0])
    assert fold_column(PROMPTS[::-1], first) == fold_column(PROMPTS, first)[::-1]
    assert fold_column(PROMPTS, first) != fold_column(PROMPTS, first._replace(seed=4))
    parts = fold_column([f'prompt {place}' for place in range(10)], fold_named('prompt_3folds_seed123_2'))
    assert [place for place, part in enumerate(parts) if part == 'test'] == [2, 6, 9]
    assert parts.index('val') == 4


def test_folds_over_images_go_by_their_names_wherever_they_lie():
    one, other = (
        pd.DataFrame({'path': [f'{folder}/{place}.png' for place in range(9)], 'prompt': 'the same'})
        for folder in ('/here', '/there/on/another')
    )
    column = 'image_3folds_seed0_1'
    assert with_folds(one, column, 'a.csv')[column].tolist() == with_folds(other, column, 'a.csv')[column].tolist()
    with pytest.raises(
        TableError, match=r'a\.csv: prompt_2folds_seed0_1 needs at least 2 different prompts, and there are 1'
    ):
        with_folds(one, 'prompt_2folds_seed0_1', 'a.csv')


def test_a_tables_own_column_comes_first():
    table = pd.DataFrame({'path': ['a.png'], 'prompt': ['a'], FIVE[0]: ['mine']})
    assert with_folds(table, FIVE[0], 'a.csv')[FIVE[0]].tolist() == ['mine']
    assert with_folds(table, 'prompt_5', 'a.csv') is table


@pytest.mark.parametrize('name', ['prompt_5folds_seed0_5', 'image_1folds_seed0_0'])
def test_a_fold_that_cannot_be_is_said(name):
    with pytest.raises(TableError, match=f'{name}: there are at least 2 folds, counted from 0'):
        fold_named(name)
