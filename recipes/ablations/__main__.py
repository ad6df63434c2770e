"""The paper's ablations on the compact network and AGIQA-3K: python -m recipes.ablations --table agiqa3k.csv --work DIR

Each row is trained with three seeds on three splits by prompt. What was finished stays: the same command goes on.
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from pyiqa_moeagiqa.training.command import variants
from pyiqa_moeagiqa.training.run import run

from .report import markdown
from .table import options_of, rows

SEEDS, SPLITS = ('1', '2', '3'), ('prompt_0', 'prompt_1', 'prompt_2')
TEST = 'agiqa3k_test'


def main(
    table: Annotated[Path, typer.Option(help='What "moeagiqa prepare agiqa3k" wrote.')],
    work: Annotated[Path, typer.Option(help='Where runs, features and the report are kept.')],
    prior: Annotated[Path, typer.Option(help='net_best.safetensors of options/compact_prior.yml.')],
) -> None:
    """Train every row and write ablations.csv and ablations.md."""
    figures = []
    for row in rows(str(prior.resolve())):
        folder = work / f'table{row.table}' / row.name.replace(' ', '_').replace(',', '')
        for name, options in variants(options_of(row, table.resolve(), work), SEEDS, SPLITS).items():
            result = run(options, folder / name)['figures'][TEST]
            figures.append({'table': row.table, 'row': row.name, 'run': name, **result})
        pd.DataFrame(figures).to_csv(work / 'ablations.csv', index=False)
    (work / 'ablations.md').write_text(markdown(pd.DataFrame(figures), rows(str(prior))))


typer.run(main)
