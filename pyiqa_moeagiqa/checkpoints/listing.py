"""``moeagiqa weights list``: which checkpoint answers to which name, and what it reached where."""

from pathlib import Path

from rich.table import Table

from ..plugin import METRICS
from .file import CheckpointError, file_hash, read_header
from .find import find


def table() -> Table:
    """One row per model name: where its checkpoint is, what it reached, its SHA-256 and licence."""
    shown = Table('name', 'what it is', 'checkpoint', 'reached (SRCC / PLCC)', 'SHA-256', 'licence', show_lines=True)
    for name, what in METRICS.items():
        shown.add_row(name, what, *_describe(name))
    return shown


def _describe(name: str) -> tuple[str, str, str, str]:
    try:
        path = find(name)
        _, info = read_header(path)
    except CheckpointError as error:
        return str(error).removeprefix(f'{name} '), '', '', ''
    return str(path), _figures(info), _short_hash(path), str(info.get('licence', 'unknown'))


def _figures(info: dict) -> str:
    figures = info.get('figures', {})
    rows = [
        f'{where}: {value["srcc"]:.4f} / {value["plcc"]:.4f}' for where, value in figures.items() if 'srcc' in value
    ]
    return '\n'.join(rows) or 'not stated'


def _short_hash(path: Path) -> str:
    return file_hash(path)[:16]
