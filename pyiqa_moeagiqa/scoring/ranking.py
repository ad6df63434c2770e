"""``moeagiqa rank``: show the best of each prompt's images, and copy or link them into a folder."""

import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from ..console import console, say
from .command import counted, say_sources, shown, start, written_line
from .job import Job
from .scale import INTERVAL_SHARE
from .score_stream import STREAM
from .sizes import size_note
from .sources import SourceError
from .tables import as_table, ranked

LONGEST_NAME = 80  # bytes of a prompt in a file's name


def rank(job: Job, top: int | None = None, copy_to: Path | None = None, link_to: Path | None = None) -> int:
    """Score, rank within each prompt and print; returns how many images could not be scored, copied or linked.

    Args:
        job: as for ``moeagiqa score``; the output has the same rows, sorted by prompt, the best first, with a column ``rank``.
        top: how many of each prompt are printed and win; default: all are printed, one wins.
        copy_to, link_to: a new or empty folder into which winners are copied or linked, as 'a-red-fox-1.png'.

    Raises:
        ValueError: as ``score`` does, and for a folder that is not empty or cannot be written.
    """
    if job.output == STREAM:
        raise SourceError('--output -: ranks are known once all is scored; name a file, or use "moeagiqa score".')
    if copy_to and link_to:
        raise SourceError('Winners go one way: give either --copy-to DIR or --link-to DIR.')
    folder, place = (copy_to, shutil.copy2) if copy_to else (link_to, _link)
    if folder:
        _require_empty(folder)
    run = start(job, is_ranked=True)
    tally: Counter[str] = Counter()
    with closing(run.results):
        table = ranked(as_table(counted(run, tally), run.numbers), run.lower_better)
    say_sources(job, run)
    if job.output:
        console().print(written_line(job, tally), soft_wrap=True)
    table = table.dropna(subset='rank')
    if len(table):
        console().print(_shown(table[table['rank'] <= top] if top else table, job.metric))
        for line in [*_close_calls(table), *_size_notes(table, job.metric)]:
            console().print(line, soft_wrap=True)
    winners = table[table['rank'] <= (top or 1)]
    return tally['failed'] + (_place(winners, folder, place) if folder else 0)


def _require_empty(folder: Path) -> None:
    """Raise a SourceError for a folder that winners cannot be put into, before an hour of scoring."""
    if folder.exists() and not folder.is_dir():
        raise SourceError(f'{folder}: a file, not a folder; name a new or an empty folder.')
    if folder.exists() and any(folder.iterdir()):
        raise SourceError(
            f'{folder}: there is something in it, and nothing is overwritten; name a new or an empty folder.'
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SourceError(
            f'{folder}: it cannot be written ({(error.strerror or str(error)).lower()}); name another folder.'
        ) from None


def _size_notes(table: pd.DataFrame, metric_name: str) -> list[str]:
    note = size_note((paths for _, paths in table.groupby('prompt')['path']), metric_name)
    return [note] if note else []


def _shown(table: pd.DataFrame, metric_name: str) -> Table:
    """Print a block per prompt, with the prompt in its first line only."""
    first, last = ~table['prompt'].duplicated(), ~table['prompt'].duplicated(keep='last')
    printed = shown(table.assign(prompt=table['prompt'].where(first, '')), ['prompt', 'rank', 'path'], metric_name)
    for row, ends in zip(printed.rows, last, strict=True):
        row.end_section = bool(ends)
    return printed


def _close_calls(table: pd.DataFrame) -> Iterator[str]:
    """Yield a line that counts prompts whose second MOS lies within the best one's interval: they are hard to tell apart."""
    if 'low' not in table or table['low'].isna().all():
        return
    first, second = (table[table['rank'] == rank].set_index('prompt') for rank in (1, 2))
    best = first.loc[second.index]
    close = int(((second['mos'] >= best['low']) & (second['mos'] <= best['high'])).sum())
    if close:
        yield (
            f"In {close} of {len(second)} prompts the second's MOS lies within the {INTERVAL_SHARE * 100:.0f} % interval of the best one's: "
            'look at both.'
        )


def _place(winners: pd.DataFrame, folder: Path, place: Callable[[str, Path], Any]) -> int:
    """Put winners into the folder; returns how many failed."""
    names, failed = file_names(winners['prompt'].unique()), 0
    for path, prompt, rank in zip(winners['path'], winners['prompt'], winners['rank'], strict=True):
        target = folder / f'{names[prompt]}-{rank}{Path(path).suffix}'
        try:
            place(path, target)
        except OSError as error:
            failed += 1
            say(f'{path}: not in {folder}: {(error.strerror or str(error)).lower()}')
    console().print(f'{len(winners) - failed} images in {folder}', soft_wrap=True)
    return failed


def _link(path: str, target: Path) -> None:
    target.symlink_to(os.path.abspath(path))


def file_names(prompts: Iterable[str]) -> dict[str, str]:
    """Give each prompt a different start of a file name: its first words in lower case, with a number if the name is taken.

    Example:
        >>> file_names(['A red fox!', 'a red fox?', '...'])
        {'A red fox!': 'a-red-fox', 'a red fox?': 'a-red-fox-2', '...': 'prompt'}
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for prompt in prompts:
        words = re.sub(r'[\W_]+', '-', prompt.lower()).encode()[:LONGEST_NAME].decode(errors='ignore').strip('-')
        name, number = words or 'prompt', 2
        while name in taken:
            name, number = f'{words or "prompt"}-{number}', number + 1
        taken.add(name)
        names[prompt] = name
    return names
