"""One run of one row, in a process of its own."""

from pathlib import Path
from typing import Any

from pyiqa_moeagiqa.training.run import run

from .table import Row

TEST = 'agiqa3k_test'


def folder_of(work: Path, row: Row) -> Path:
    """Where a row's runs are; rows that change nothing share one."""
    name = f'table{row.table}_{row.name}' if row.changes else 'base'
    return work / name.replace(' ', '_').replace(',', '').replace('=_', '')


def train(job: tuple[Path, dict[str, Any]]) -> tuple[Path, dict[str, float]]:
    """One run, and its figures on the test images."""
    folder, options = job
    return folder, run(options, folder)['figures'][TEST]
