"""The paper's ablations on the compact network: what each row changes, and the published figures beside it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from pyiqa_moeagiqa.training.option_file import read_options
from scripts.write_options import BRANCHES, EXPERTS, FOLDER, FROZEN, LAYERS


class Row(NamedTuple):
    """One ablation: its table, its name, the options it changes, and the published (SRCC, PLCC) where there are any."""

    table: str
    name: str
    changes: dict[str, Any]
    published: tuple[float, float] | None


EPOCHS, NEVER = 3, 1_000_000
ONE_EXPERT = {'network.experts': 1, 'network.top_k': 1}
BASE = Row('5', 'both, experts', {}, BRANCHES['both_experts'][1])


def with_prior(file: Path) -> dict[str, Any]:
    """The changes that add the compact prior."""
    return {'network.prior': True, 'network.weights.prior': str(file)}


# What docs/ablations.md was measured with: crops of the pictures' own pixels, a square view, nothing beside the paper's parts.
AS_MEASURED = {
    'network.whole_view': 'false',
    'network.crop_scales': [],
    'network.crop_weights': [],
    'network.linear': 'false',
    'network.matching_gates': 'false',
}


def rows(prior: dict[str, Any]) -> list[Row]:
    """All rows; ``prior`` are the changes of ``with_prior``. A row that changes nothing is ``BASE`` by another name."""
    visual = {
        'network.branches': 'visual',
        'network.view_is_crop': False,
        'network.matching': 0,
        'network.weights.semantic': None,
        'train.matching_weight': None,
    }
    # Without the visual branch the view's tokens are still what the prompt attends to.
    semantic = {'network.branches': 'semantic', 'network.view_is_crop': False}
    published = {name: figures for name, (_, figures) in BRANCHES.items()}
    branches = [
        Row('5', 'visual', visual | ONE_EXPERT, published['visual']),
        Row('5', 'semantic', semantic | ONE_EXPERT, published['semantic']),
        Row('5', 'both', ONE_EXPERT, published['both']),
        BASE,
        Row('5', 'both, experts, prior', prior, published['both_experts_prior']),
    ]
    layers = [
        Row('7', f'layers {name.replace("_", " ")}', {'network.layers': chosen}, figures)
        for name, (chosen, figures) in LAYERS.items()
    ]
    layers.append(Row('7', 'layers 4, 6, 8, 10', {}, None))
    experts = [
        Row('9', f'n = {n}, k = {k}', {} if (n, k) == (4, 3) else {'network.experts': n, 'network.top_k': k}, figures)
        for (n, k), figures in EXPERTS.items()
    ]
    frozen = [
        Row('8', f'frozen share {share}', {'network.frozen_share': share}, figures) for share, figures in FROZEN.items()
    ]
    frozen.append(Row('8', 'frozen share 1.0', {}, None))
    return [*branches, *layers, *experts, *frozen]


def options_of(row: Row, table: Path, work: Path) -> dict:
    """The compact option file with what the row changes, on the given table."""
    changes = [
        f'{name}={json.dumps(value)}'  # JSON is YAML
        for name, value in row.changes.items()
    ]
    same = {
        **AS_MEASURED,
        'datasets.train.meta_info_file': table,
        'datasets.val.meta_info_file': table,
        'datasets.train.crops': 3,  # as in testing, so that an image's features serve every split
        'train.cache_folder': work / 'cache',
        'train.amp': 'true',
        'train.total_epoch': EPOCHS,
        'val.val_freq': NEVER,  # the network of the last iteration is measured: nothing is selected
        'logger.use_tb_logger': 'false',
    }
    return read_options(
        FOLDER / 'moeagiqa_compact.yml', [*(f'{name}={value}' for name, value in same.items()), *changes]
    )
