"""Every ablation's options pass the schema and make a network; the report averages seeds before splits."""

import pandas as pd
import pytest
import torch

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.checkpoints.start import encoders
from recipes.ablations.report import markdown
from recipes.ablations.table import options_of, rows

ROWS = rows('prior.safetensors')


@pytest.mark.parametrize('row', ROWS, ids=[f'{row.table} {row.name}' for row in ROWS])
def test_a_row_is_a_network_with_all_of_its_encoders_named(row, tmp_path):
    network = dict(options_of(row, tmp_path / 'table.csv', tmp_path)['network'])
    weights = network.pop('weights')
    del network['type']
    config = MoEAGIQAConfig.from_options(network)
    with torch.device('meta'):
        MoEAGIQA(config)
    assert set(weights) == set(encoders(config))


def test_the_report_has_mean_interval_and_the_published_figures():
    row = ROWS[0]
    runs = [
        (seed, split, srcc)
        for split, srcc in (('prompt_0', 0.7), ('prompt_1', 0.8), ('prompt_2', 0.9))
        for seed in (1, 2)
    ]
    figures = pd.DataFrame(
        {
            'table': row.table,
            'row': row.name,
            'run': [f'seed{seed}-{split}' for seed, split, _ in runs],
            'srcc': [srcc for *_, srcc in runs],
            'plcc': 0.5,
            'alignment_srcc': 0.6,
        }
    )
    # three splits: deviation .1, t of two degrees of freedom 4.303
    assert f'| {row.name} | 0.800 ± 0.248 | 0.500 ± 0.000 | 0.600 ± 0.000 | 0.8452 / 0.8654 |' in markdown(
        figures, ROWS
    )
