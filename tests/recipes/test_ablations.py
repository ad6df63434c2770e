"""Every ablation's options pass the schema and make a network; the report averages seeds before splits."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from tiny import config, inputs

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from recipes.ablations.crops import by_count
from recipes.ablations.features import DEPTH, select
from recipes.ablations.prior import common_split
from recipes.ablations.report import markdown
from recipes.ablations.table import BASE, options_of, rows, with_prior

ROWS = rows(with_prior(Path('prior.safetensors')))


@pytest.mark.parametrize('row', ROWS, ids=[f'{row.table} {row.name}' for row in ROWS])
def test_a_row_is_a_network_with_all_of_its_encoders_named(row, tmp_path):
    network = dict(options_of(row, tmp_path / 'table.csv', tmp_path)['network'])
    weights = network.pop('weights')
    del network['type']
    config = MoEAGIQAConfig.from_options(network)
    with torch.device('meta'):
        MoEAGIQA(config)
    assert set(weights) == set(config.encoders)


def figures_of(row, srcc):
    runs = [(seed, split) for split in srcc for seed in (1, 2)]
    return pd.DataFrame(
        {
            'table': row.table,
            'row': row.name,
            'run': [f'seed{seed}-{split}' for seed, split in runs],
            'srcc': [srcc[split] + seed / 100 for seed, split in runs],
            'plcc': 0.5,
            'alignment_srcc': 0.6,
        }
    )


def test_the_report_has_mean_interval_difference_and_the_published_figures():
    other = ROWS[0]
    base = figures_of(BASE, {'prompt_0': 0.7, 'prompt_1': 0.8, 'prompt_2': 0.9})
    better = figures_of(other, {'prompt_0': 0.71, 'prompt_1': 0.82, 'prompt_2': 0.93})
    lines = markdown(pd.concat([base, better]), ROWS).splitlines()
    # three splits: deviation .1 (.11), t of two degrees of freedom 4.303; the differences are .01, .02, .03
    assert '| both, experts | 0.815 ± 0.248 | 0.500 ± 0.000 | 0.600 ± 0.000 |  | 0.8729 / 0.8860 |' in lines
    assert '| visual | 0.835 ± 0.273 | 0.500 ± 0.000 | 0.600 ± 0.000 | +0.020 ± 0.025 | 0.8452 / 0.8654 |' in lines


def test_a_prior_learns_from_no_image_that_is_tested():
    table = pd.DataFrame({'a': ['train', 'train', 'val', 'test'], 'b': ['train', 'test', 'train', 'val']})
    assert common_split(table, ['a', 'b']).tolist() == ['train', 'test', 'val', 'test']


def network(**changes):
    torch.manual_seed(0)
    same = {'visual_options': {'embed_dim': 32, 'num_heads': 2, 'depth': DEPTH}, 'class_tokens': True, 'token_pool': 2}
    return MoEAGIQA(config(**same, **changes)).eval()


ROW_LIKE = {
    'layers': {'layers': (3, 6, 9, 11)},
    'one layer': {'layers': (12,)},
    'prior': {'layers': (2, 5), 'prior': True},
    'visual': {'layers': (2, 5), 'branches': 'visual', 'view_is_crop': False, 'matching': 0},
    'semantic': {'layers': (2, 5), 'branches': 'semantic', 'view_is_crop': False},
    'trained words': {'layers': (2, 5), 'frozen_share': 0.5},
}


@pytest.mark.parametrize('changes', ROW_LIKE.values(), ids=ROW_LIKE)
def test_a_row_takes_from_the_features_of_all_layers_what_it_would_compute(changes):
    wide = network(layers=tuple(range(1, DEPTH + 1)), prior=True, view_is_crop=True)
    row = network(**{'view_is_crop': True} | changes)
    given = inputs(wide)
    shared = {
        name: tensor
        for name, tensor in wide.state_dict().items()
        if name.startswith(('visual.', 'prior.', 'semantic.'))
    }
    row.load_state_dict(shared, strict=False)
    with torch.no_grad():
        seen, expected = wide.encode(*given), row.encode(*given)
    for image in range(2):
        one = {name: part[image] for name, part in seen._asdict().items()}
        selected = select(one, row)
        for name, part in expected._asdict().items():
            if part is None:
                assert getattr(selected, name) is None, name
            else:
                torch.testing.assert_close(getattr(selected, name), part[image], atol=1e-5, rtol=0)


def test_more_crops_are_the_mean_of_the_view_and_more_of_them():
    mos = torch.tensor([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.4, 0.4]])
    scores = torch.zeros(4, 16, 2)
    scores[:, 15] = mos  # only the last crop knows
    scores[:, 0] = mos.flip(0) / 100
    found = by_count(scores, mos, config(view_is_crop=True)).set_index('crops')
    assert found['srcc'].round(6).tolist() == [-1, -1, -1, -1, -1, 1]
    assert found.index.tolist() == [1, 2, 3, 5, 10, 15]
