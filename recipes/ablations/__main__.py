"""The paper's ablations on the compact network and AGIQA-3K: python -m recipes.ablations --table agiqa3k.csv --work DIR

Each row is trained with three seeds on three splits by prompt. What was finished stays: the same command goes on.
"""

import json
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from pyiqa_moeagiqa.training.command import variants
from pyiqa_moeagiqa.training.option_file import read_options
from pyiqa_moeagiqa.training.run import run
from scripts.write_options import FOLDER

from .report import markdown
from .table import Row, rows

SEEDS, SPLITS = ('1', '2', '3'), ('prompt_0', 'prompt_1', 'prompt_2')
TEST = 'agiqa3k_test'


def options_of(row: Row, table: Path, work: Path) -> dict:
    """The compact option file with what the row changes, on the given table."""
    changes = [f'{name}={_yaml(value)}' for name, value in row.changes.items()]
    same = {
        'datasets.train.meta_info_file': table,
        'datasets.val.meta_info_file': table,
        'datasets.train.crops': 3,  # as in testing, so that an image's features serve every split
        'train.cache_folder': work / 'cache',
        'train.amp': 'true',
        'logger.use_tb_logger': 'false',
    }
    return read_options(
        FOLDER / 'moeagiqa_compact.yml', [*(f'{name}={value}' for name, value in same.items()), *changes]
    )


def _yaml(value: object) -> str:
    """A value as a change of an option writes it; JSON is YAML."""
    return json.dumps(value)


def main(
    table: Annotated[Path, typer.Option(help='What "moeagiqa prepare agiqa3k" wrote.')],
    work: Annotated[Path, typer.Option(help='Where runs, features and the report are kept.')],
    prior: Annotated[Path, typer.Option(help='net_best.safetensors of options/compact_prior.yml.')],
    only: Annotated[str, typer.Option(help='Rows whose table is this one, as in 9.')] = '',
) -> None:
    """Train every row and write ablations.csv and ablations.md."""
    figures = []
    for row in rows(str(prior.resolve())):
        if only and row.table != only:
            continue
        folder = work / f'table{row.table}' / row.name.replace(' ', '_').replace(',', '')
        for name, options in variants(options_of(row, table.resolve(), work), SEEDS, SPLITS).items():
            result = run(options, folder / name)['figures'][TEST]
            figures.append({'table': row.table, 'row': row.name, 'run': name, **result})
        pd.DataFrame(figures).to_csv(work / 'ablations.csv', index=False)
    (work / 'ablations.md').write_text(markdown(pd.DataFrame(figures), rows(str(prior))))


typer.run(main)
