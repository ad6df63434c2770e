"""The paper's ablations on the compact network and AGIQA-3K: python -m recipes.ablations --table agiqa3k.csv --work DIR

Each row is trained with three seeds on three splits by prompt. What was finished stays: the same command goes on.
"""

import os
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer

from pyiqa_moeagiqa.training.command import variants

from .crops import COUNTS, ManyCrops
from .features import WIDE, WideFeatures
from .one_run import folder_of, train
from .prior import train_prior
from .report import crops_markdown, markdown
from .table import BASE, Row, options_of, rows, with_prior

SEEDS, SPLITS = ('1', '2', '3'), ('prompt_0', 'prompt_1', 'prompt_2')


def main(
    table: Annotated[Path, typer.Option(help='What "moeagiqa prepare agiqa3k" wrote.')],
    work: Annotated[Path, typer.Option(help='Where the prior, features, runs and the report are kept.')],
    jobs: Annotated[int, typer.Option(help='Runs side by side, each on one thread.')] = os.cpu_count(),
) -> None:
    """Train the prior and every row; write ablations.csv, crops.csv and ablations.md."""
    table, work = table.resolve(), work.resolve()
    prior = with_prior(train_prior(table, work, SPLITS))
    wide = WideFeatures(options_of(Row('', 'all layers', prior | WIDE, None), table, work))
    figures = []
    with torch.multiprocessing.get_context('spawn').Pool(jobs, torch.set_num_threads, (1,)) as pool:
        for row in rows(prior):
            options = options_of(row, table, work)
            todo = {folder_of(work, row) / name: one for name, one in variants(options, SEEDS, SPLITS).items()}
            with wide.lent_to(options):
                for folder, measured in pool.imap_unordered(train, todo.items()):
                    figures.append({'table': row.table, 'row': row.name, 'run': folder.name, **measured})
    figures = pd.DataFrame(figures)
    figures.to_csv(work / 'ablations.csv', index=False)
    crops = measure_crops(table, work)
    crops.to_csv(work / 'crops.csv', index=False)
    (work / 'ablations.md').write_text(f'{markdown(figures, rows(prior))}\n{crops_markdown(crops)}')


def measure_crops(table: Path, work: Path) -> pd.DataFrame:
    """The base row's networks with more or fewer crops in testing."""
    changes = {'network.crops': COUNTS[-1]}
    many = options_of(Row('', 'many crops', changes, None), table, work)
    measured, parts = ManyCrops(many, SPLITS), []
    for name in variants(many, SEEDS, SPLITS):
        best = folder_of(work, BASE) / name / 'models' / 'net_best.safetensors'
        parts.append(measured.figures(best, name.split('-')[1]).assign(run=name))
    return pd.concat(parts)


if __name__ == '__main__':
    typer.run(main)
