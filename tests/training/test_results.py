"""Several runs in one table."""

import io

import pandas as pd
import pytest
from rich.console import Console

from pyiqa_moeagiqa.training.results import as_table, summarise, too_few

RESULTS = {
    'seed1': {'best_iteration': 3, 'figures': {'val': {'srcc': 0.5, 'plcc': 0.6}, 'test': {'srcc': 0.4, 'plcc': 0.3}}},
    'seed2': {'best_iteration': 6, 'figures': {'val': {'srcc': 0.7, 'plcc': 0.6}, 'test': {'srcc': 0.2, 'plcc': 0.5}}},
    'seed3': {'best_iteration': 6, 'figures': {'val': {'srcc': 0.9, 'plcc': 0.6}, 'test': {'srcc': 0.3, 'plcc': 0.1}}},
}
PUBLISHED = {'test': {'srcc': 0.8}}


def cells(table: pd.DataFrame, run: str, data: str) -> dict:
    (row,) = table[(table['run'] == run) & (table['data'] == data)].to_dict('records')
    return row


def test_runs_what_sums_them_up_and_what_is_published():
    table = summarise(RESULTS, PUBLISHED)
    assert list(table.columns) == ['run', 'data', 'srcc', 'plcc']
    assert len(table) == 3 * 2 + 5 * 2 + 1
    assert cells(table, 'seed2', 'test')['srcc'] == 0.2
    assert cells(table, 'mean', 'val')['srcc'] == pytest.approx(0.7)
    assert cells(table, 'mean', 'test')['plcc'] == pytest.approx(0.3)
    assert cells(table, 'standard deviation', 'val')['srcc'] == pytest.approx(0.2)  # of a sample: n - 1
    assert cells(table, 'standard deviation', 'val')['plcc'] == pytest.approx(0)
    assert cells(table, 'median', 'test')['plcc'] == pytest.approx(0.3)
    # 4.303 is t of 97.5 % with two degrees of freedom
    assert cells(table, '95 % low', 'val')['srcc'] == pytest.approx(0.7 - 4.303 * 0.2 / 3**0.5, abs=1e-4)
    assert cells(table, '95 % high', 'val')['srcc'] == pytest.approx(0.7 + 4.303 * 0.2 / 3**0.5, abs=1e-4)
    published = cells(table, 'published', 'test')
    assert published['srcc'] == 0.8
    assert pd.isna(published['plcc'])


def test_one_run_has_no_mean():
    table = summarise({'.': RESULTS['seed1']}, {})
    assert table['run'].tolist() == ['.', '.']


def test_the_table_on_the_screen_has_every_row_and_no_nan():
    shown = on_screen(summarise(RESULTS, PUBLISHED), 120)
    for words in ('seed1', 'standard deviation', 'published', '0.7000', '0.8000'):
        assert words in shown
    assert 'nan' not in shown


def test_two_targets_on_ten_splits_fit_into_80_columns():
    figures = {f'{before}{name}': 0.5 for before in ('', 'alignment_') for name in ('srcc', 'plcc', 'main_score')}
    results = {f'seed1-image_{split}': {'figures': {'agiqa3k_test': figures}} for split in range(10)}
    lines = on_screen(summarise(results, {}), 80).splitlines()
    assert [line.split()[0] for line in lines if '0.5000' in line] == [*results, 'mean', 'median', '95', '95']


def on_screen(summary: pd.DataFrame, width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(as_table(summary))
    return console.export_text()


def test_the_fewest_images_of_a_data_set_are_said():
    results = [{'images': {'val': 20, 'test': 9}}, {'images': {'val': 10, 'test': 3}}, {}]
    assert too_few(results) == ['test has 3 images: correlations over fewer than 10 say little.']


def test_a_note_is_a_column_and_is_not_rounded():
    table = summarise(RESULTS, PUBLISHED, 'optimistic')
    assert set(table.loc[table['run'] != 'published', 'note']) == {'optimistic'}
    assert 'optimistic' not in on_screen(table, 120)
