"""The best network's score of every image, in a table of the run's folder."""

import numpy as np
import pandas as pd
import pytest
from option_files import as_tiny, make_tables, read_options, tiny_weights
from pictures import make_table, options, short
from scipy.stats import pearsonr, spearmanr

from pyiqa_moeagiqa.training.run import run


def test_each_image_once_with_the_scores_that_the_figures_are_of(tiny_checkpoint, tmp_path):
    table = make_table(tmp_path)
    rated = pd.read_csv(table)
    rated['prompt'] = '=' + rated['prompt']
    rated.to_csv(table, index=False)
    figures = run(short(options(table, tiny_checkpoint), total_epoch=1), tmp_path / 'run')['figures']
    found = pd.read_csv(tmp_path / 'run' / 'predictions.csv')
    assert list(found) == ['data', 'path', 'prompt', 'quality', 'alignment', 'score', 'score_alignment']
    assert found['data'].tolist() == ['bright_val'] * 7 + ['bright_test'] * 5
    there = rated[rated['split'].isin(['val', 'test'])]
    assert found['path'].tolist() == [str(tmp_path / name) for name in there['path']]
    assert found['prompt'].tolist() == [f"'{prompt}" for prompt in there['prompt']]  # else a spreadsheet computes it
    assert np.allclose(found[['quality', 'alignment']], there[['quality', 'alignment']])
    for data, part in found.groupby('data'):
        for before, mos, score in (('', 'quality', 'score'), ('alignment_', 'alignment', 'score_alignment')):
            assert figures[data][f'{before}srcc'] == pytest.approx(spearmanr(part[score], part[mos])[0], abs=1e-5)
            assert figures[data][f'{before}plcc'] == pytest.approx(pearsonr(part[score], part[mos])[0], abs=1e-5)


def test_labels_that_are_made_with_the_picture(tmp_path):
    opt = as_tiny(read_options('compact_prior.yml'), make_tables(tmp_path), tiny_weights(tmp_path), tmp_path)
    figures = run(opt, tmp_path / 'run')['figures']
    found = pd.read_csv(tmp_path / 'run' / 'predictions.csv')
    for data, part in found.groupby('data'):
        assert figures[data]['srcc'] == pytest.approx(spearmanr(part['score'], part['quality'])[0], abs=1e-5)
