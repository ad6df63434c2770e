"""``moeagiqa weights list``: lists each name's checkpoint, and the figures that it reached on each data set."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..file_hash import file_hash
from ..options import is_range
from ..plugin import IMAGE_REWARD, METRICS
from .file import CheckpointError, read_header
from .find import EMBEDDED, find
from .image_reward import at_hand

NOT_THE_PAPERS = {EMBEDDED: ", with small encoders; it is not the paper's network and has other figures"}


def list_weights() -> RenderableType:
    """Make one block per model name: its checkpoint's file, figures, SHA-256 and licence."""
    blocks: list[RenderableType] = []
    for name, what in METRICS.items():
        blocks.append(Text.assemble((name, 'bold'), f'  {what}{NOT_THE_PAPERS.get(name, "")}'))
        blocks.append(_indented(_describe(name)))
    blocks.append(Text.assemble((IMAGE_REWARD, 'bold'), '  ImageReward 1.0, a metric of human preference'))
    blocks.append(_indented(_describe_image_reward()))
    return Group(*blocks)


def _indented(block: RenderableType) -> Padding:
    return Padding(block, (0, 0, 1, 2), expand=False)  # do not fill lines: in a pipe they have no width


def _describe_image_reward() -> RenderableType:
    path = at_hand()
    if path is None:
        return Text('not downloaded yet: the first use downloads 1.8 GB from the Hugging Face hub.')
    return _grid({'file': str(path), 'size': _size(path), 'licence': 'Apache-2.0', 'SHA-256': file_hash(path)})


def _describe(name: str) -> RenderableType:
    try:
        path = find(name)
        _, info = read_header(path)
    except CheckpointError as error:
        return Text(str(error).removeprefix(f'{name} '))
    return _grid(dict(_rows(path, info)))


def _grid(described: Mapping[str, str]) -> Table:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    rows.add_column(overflow='fold')
    for label, value in described.items():
        rows.add_row(Text(label, style='dim'), Text(value))
    return rows


def _rows(path: Path, info: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield 'file', str(path)
    yield 'size', _size(path)
    yield 'trained on', data_set_of(info)
    yield 'reached', '\n'.join(figure_lines(info.get('figures', {}))) or 'not stated'
    yield 'licence', str(info.get('licence', 'not stated'))
    yield 'SHA-256', file_hash(path)


def _size(path: Path) -> str:
    return f'{path.stat().st_size / 1e6:.1f} MB'


def data_set_of(info: Mapping[str, Any]) -> str:
    """The data set that a header names, with its MOS range."""
    mos = info.get('mos_range')
    scale = f', MOS from {mos[0]:g} to {mos[1]:g}' if mos and is_range(mos) else ''
    return f'{info.get("dataset", "not stated")}{scale}'


def figure_lines(figures: Any) -> Iterator[str]:
    """Yield figures, nested to any depth, as lines such as 'AGIQA-3K quality: SRCC 0.8123, PLCC 0.8712'."""
    for where, numbers in figure_groups(figures):
        said = ', '.join(f'{name.upper()} {value:.4f}' for name, value in numbers.items())
        yield f'{where}: {said}' if where else said


def figure_groups(figures: Any, where: str = '') -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the figures that stand together, by name, each group with where they were reached, such as 'AGIQA-3K quality'."""
    if not isinstance(figures, Mapping):
        return
    numbers = {name: value for name, value in figures.items() if isinstance(value, float)}
    if numbers:
        yield where.strip(), numbers
    for name, value in figures.items():
        yield from figure_groups(value, f'{where} {name}')
