"""Tables in files of the kinds that people have."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd


def write_table(path: Path, rows: Iterable, columns: Sequence[str] = ('path', 'prompt')) -> Path:
    """Write rows as the file's ending says: .csv, .jsonl or .parquet."""
    table = pd.DataFrame(rows, columns=columns)
    if path.suffix == '.jsonl':
        table.to_json(path, orient='records', lines=True, force_ascii=False)
    else:
        {'.csv': table.to_csv, '.parquet': table.to_parquet}[path.suffix](path, index=False)
    return path


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of such a file; text stays text."""
    if path.suffix == '.csv':
        return pd.read_csv(path, keep_default_na=False)
    return pd.read_parquet(path) if path.suffix == '.parquet' else pd.read_json(path, lines=True)
