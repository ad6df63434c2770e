"""Read table files: CSV with commas, semicolons or tabs, JSON, JSON lines, Parquet, Excel; in UTF-8 or UTF-16."""

import codecs
import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

DELIMITERS = (',', ';', '\t')
LARGEST_SHEET = 1 << 30  # bytes, unpacked
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DECIMAL_COMMA = re.compile(r'\s*[+-]?\d+(?:,\d+)?\s*')


def _text(path: Path) -> str:
    """Read a file as UTF-8, or as UTF-16 if it begins with that byte order mark, as Excel's 'Unicode text' does."""
    data = path.read_bytes()
    return data.decode('utf-16' if data.startswith(_UTF16) else 'utf-8-sig')


def _read_csv(path: Path) -> 'pd.DataFrame':
    import pandas as pd

    rows, delimiter = _csv_rows(path)
    if not rows:
        return pd.DataFrame()
    _, header = rows[0]
    for number, cells in rows[1:]:
        if len(cells) != len(header):
            raise ValueError(f'row {number} has {len(cells)} cells, the header has {len(header)}')
    table = pd.DataFrame([cells for _, cells in rows[1:]], columns=header, dtype=str)
    return _with_decimal_points(table) if delimiter == ';' and table.columns.is_unique else table


def _with_decimal_points(table: 'pd.DataFrame') -> 'pd.DataFrame':
    """Replace decimal commas, which occur in files with semicolons, by points in columns that hold only numbers."""
    for name in table.columns:
        cells = [cell for cell in table[name] if cell.strip()]
        if any(',' in cell for cell in cells) and all(map(_DECIMAL_COMMA.fullmatch, cells)):
            table[name] = table[name].str.replace(',', '.')
    return table


def _csv_rows(path: Path) -> tuple[list[tuple[int, list[str]]], str]:
    """Return each row's first line number and cells, and the delimiter; skip blank lines."""
    text = _text(path)
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter, strict=True)
    rows, begins = [], 1
    try:
        for cells in reader:
            if len(cells) > 1 or ''.join(cells).strip():
                rows.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f'row {begins}: {error}') from None
    return rows, delimiter


def _delimiter(text: str) -> str:
    """Return the delimiter that gives the header the most cells; the comma if no other gives more."""
    header = next((line for line in text.splitlines() if line.strip()), '')
    return max(DELIMITERS, key=lambda delimiter: _cells(header, delimiter))


def _cells(line: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:  # reading the whole file reports it
        return 0


def _read_jsonl(path: Path) -> 'pd.DataFrame':
    import pandas as pd

    return pd.DataFrame([row for _, row in _jsonl_rows(path)])


def _jsonl_rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    # not splitlines(), which also splits at U+2028 and the like, although a JSON string can hold them
    for number, line in enumerate(_text(path).split('\n'), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f'row {number}: {error}') from None
        except RecursionError:
            raise ValueError(f'row {number} nests too deeply') from None
        if not isinstance(row, dict):
            raise ValueError(f'row {number} is not a JSON object')
        rows.append((number, row))
    return rows


def _read_json(path: Path) -> 'pd.DataFrame':
    """A list of objects, or an object whose values are columns, as pandas writes them."""
    import pandas as pd

    try:
        content = json.loads(_text(path))
    except RecursionError:
        raise ValueError('it nests too deeply') from None
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        return pd.DataFrame(content)
    if isinstance(content, dict) and content and all(isinstance(cells, dict | list) for cells in content.values()):
        columns = {name: list(cells.values()) if isinstance(cells, dict) else cells for name, cells in content.items()}
        return pd.DataFrame(columns)
    raise ValueError('it is not a list of objects')


def _read_parquet(path: Path) -> 'pd.DataFrame':
    import pyarrow.parquet as pq

    try:
        # Read one file by itself, so that neither pandas' index nor folder names such as split=train add or hide columns.
        with pq.ParquetFile(path) as file:
            arrow = file.read()
        arrow.validate(full=True)  # find text that is not UTF-8 now, not when a cell is used
        table = arrow.to_pandas(ignore_metadata=True)
        categories = table.select_dtypes('category').columns
        return table.astype(dict.fromkeys(categories, object))
    except Exception as error:  # pyarrow raises many kinds for a damaged file
        raise ValueError(str(error) or type(error).__name__) from None


def _read_xlsx(path: Path) -> 'pd.DataFrame':
    """The first sheet of a workbook; its first row is the header."""
    import pandas as pd

    try:
        with zipfile.ZipFile(path) as file:
            if sum(part.file_size for part in file.infolist()) > LARGEST_SHEET:
                raise ValueError(f'it unpacks to more than {LARGEST_SHEET >> 20} MiB')
        return pd.read_excel(path, dtype=object, keep_default_na=False, engine='openpyxl')
    except ImportError:
        raise ValueError("openpyxl is not installed; pip install 'pyiqa-moeagiqa[data]', or save it as CSV") from None
    except Exception as error:  # openpyxl lets zip, XML and key errors through
        raise ValueError(str(error) or type(error).__name__) from None


READERS: dict[str, Callable[[Path], 'pd.DataFrame']] = {
    '.csv': _read_csv,
    '.tsv': _read_csv,
    '.jsonl': _read_jsonl,
    '.json': _read_json,
    '.parquet': _read_parquet,
    '.xlsx': _read_xlsx,
}


def row_numbers(path: Path, count: int) -> list[int]:
    """Return the number of each of a file's ``count`` rows: the line of the text file or sheet on which it begins.

    Rows of Parquet and JSON are counted from 1.
    """
    kind = path.suffix.lower()
    if kind in ('.csv', '.tsv'):
        return [number for number, _ in _csv_rows(path)[0][1:]]
    if kind == '.jsonl':
        return [number for number, _ in _jsonl_rows(path)]
    first = 2 if kind == '.xlsx' else 1
    return list(range(first, first + count))
