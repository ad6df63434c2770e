"""The output of a cluster's run: a Parquet data set in a folder, of one file for each finished piece.

A file's name says which piece it holds, how many rows, and how many of them have no score:
``images-00000007-00000-512-3.parquet``. So a run that goes on knows what is done without opening a file, and a killed run leaves
whole files alone.
"""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import filelock
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..scoring.output import OutputError
from ..scoring.score_formats import TEXTS
from .blocks import LISTED, Block
from .places import files_in, is_remote, joined, read_file, whole_file_at

NOTE = '_run.json'
LOCK = '.lock'
REASON, NOTES = 'reason', 'notes'
NAME, PLACE, IS_END = '_name', '_place', '_is_end'  # columns of what workers return; they are not written
_FILE = re.compile(r'(?P<block>.+-\d{8})-(?P<piece>\d{5,})-(?P<rows>\d+)-(?P<failed>\d+)\.parquet')
LOST = 'a worker died each time that it read or scored this image; look at the image, or at the memory of the machines'


def schema_of(columns: Sequence[str]) -> pa.Schema:
    """The columns of the data set: those of ``moeagiqa score``'s files, why there is no score, and remarks."""
    texts = (*TEXTS, REASON, NOTES)
    names = (*columns, REASON, NOTES)
    return pa.schema([(name, pa.string() if name in texts else pa.float64()) for name in names])


def with_own(schema: pa.Schema) -> pa.Schema:
    """The columns of what workers return: those of the data set, and before them of which piece and place a row is."""
    own = [(NAME, pa.string()), (PLACE, pa.int64()), (IS_END, pa.bool_())]
    return pa.schema([*own, *schema])


def piece_name(block: Block, piece: int) -> str:
    """The begin of the name of a piece's file."""
    return f'{block.name}-{piece:05}'


class ScoreFolder:
    """Collects the rows of pieces, in any order, and writes each piece when it has all of them.

    Args:
        place: a folder or address; made if it is missing.
        made_by: what the scores depend on, and what the run was asked for.
        columns: of the scores.

    Raises:
        OutputError: for a folder that holds other scores.
    """

    def __init__(self, place: str, made_by: Mapping[str, Any], columns: Sequence[str]):
        self.place, self.schema = place, schema_of(columns)
        self.pieces: dict[str, dict[int, int]] = defaultdict(dict)  # of each block, the rows of each piece
        self.scored = self.failed = 0
        self._waiting: dict[str, list[pa.Table]] = defaultdict(list)
        self._ends: dict[str, int] = {}
        self._made_by = json.loads(json.dumps(made_by))
        there = files_in(self.place)
        self.is_begun = NOTE in there
        self._open(there, self._made_by)

    def _open(self, there: Iterable[str], made_by: dict[str, Any]) -> None:
        if self.is_begun:
            before = json.loads(read_file(joined(self.place, NOTE)))
            differs = [name for name in {**before, **made_by} if before.get(name) != made_by.get(name)]
            if differs:
                raise OutputError(
                    f'{self.place}: its scores were made with {differs[0]} {before.get(differs[0])!r}, now it is '
                    f'{made_by.get(differs[0])!r}: name another --output, or remove the folder.'
                )
        elif others := [name for name in there if name != LISTED and not name.startswith('.')]:
            raise OutputError(f'{self.place}: it holds other files, such as {min(others)}; name another --output.')
        for file in filter(None, map(_FILE.fullmatch, there)):
            if int(file['piece']) in self.pieces[file['block']]:
                raise OutputError(
                    f'{self.place}: two of its files hold the same images, such as {file[0]}, as if two commands had run '
                    'at a time; remove one of the two files.'
                )
            self._count(file['block'], int(file['piece']), int(file['rows']), int(file['failed']))

    def _count(self, block: str, piece: int, rows: int, failed: int) -> None:
        self.pieces[block][piece] = rows
        self.scored += rows - failed
        self.failed += failed

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other commands out of a folder on this machine.

        Raises:
            OutputError: if another command writes to it.
        """
        if is_remote(self.place):
            yield
            return
        os.makedirs(self.place, exist_ok=True)
        lock = filelock.FileLock(os.path.join(self.place, LOCK), timeout=0, thread_local=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise OutputError(
                f'{self.place}: another command writes to it; wait for its end, or name another --output.'
            ) from None
        try:
            yield
        finally:
            os.unlink(lock.lock_file)
            lock.release()

    def begin(self, blocks: Iterable[Block]) -> list[Block]:
        """Note what the run is for, and return what is left to do of its blocks.

        Raises:
            OutputError: if there are pieces of other blocks.
        """
        left, foreign = [], set(self.pieces)
        for block in blocks:
            foreign.discard(block.name)
            if not self.is_done(block):
                left.append(replace(block, done=tuple(self.pieces.get(block.name, ()))))
        if foreign:
            raise OutputError(
                f'{self.place}: {len(foreign)} of its files hold scores of a table or shard that has changed since; name '
                'another --output, or remove the folder.'
            )
        if not self.is_begun:
            with whole_file_at(joined(self.place, NOTE)) as stream:
                stream.write(json.dumps(self._made_by).encode())
        return left

    def is_done(self, block: Block) -> bool:
        """Whether all of a block's pieces are there."""
        counts = self.pieces.get(block.name, {})
        if block.rows is not None:
            return bool(counts)  # it has one piece, with fewer rows if the table is damaged
        return sorted(counts) == list(range(len(counts))) and any(rows < block.size for rows in counts.values())

    def add(self, rows: pa.Table) -> int:
        """Take rows from workers, and write the pieces that are complete; returns how many images there were."""
        images = 0
        for name in rows[NAME].unique().to_pylist():
            if self._is_written(name):
                continue
            of_it = rows.filter(pc.equal(rows[NAME], name))
            is_end = of_it[IS_END]
            ends = of_it.filter(is_end)
            some = of_it.filter(pc.invert(is_end))
            if len(ends):
                self._ends[name] = ends[PLACE][0].as_py()
            if len(some):
                self._waiting[name].append(some)
            images += len(some)
            self._write_if_complete(name)
        return images

    def _is_written(self, name: str) -> bool:
        block, _, piece = name.rpartition('-')
        return int(piece) in self.pieces.get(block, {})

    def _write_if_complete(self, name: str) -> None:
        tables = self._waiting.get(name, [])
        if name in self._ends and sum(map(len, tables)) == self._ends[name]:
            self._write(name, pa.concat_tables(tables) if tables else None)

    def _write(self, name: str, rows: pa.Table | None) -> None:
        table = self.schema.empty_table() if rows is None else rows.sort_by(PLACE).select(self.schema.names)
        failed = table['score'].null_count
        with whole_file_at(joined(self.place, f'{name}-{len(table)}-{failed}.parquet')) as stream:
            pq.write_table(table, stream)
        block, _, piece = name.rpartition('-')
        self._count(block, int(piece), len(table), failed)
        self._waiting.pop(name, None)
        self._ends.pop(name, None)

    def missing(self, block: Block, count: int) -> list[int]:
        """The numbers of the images in a block that no worker has returned.

        Args:
            block: that was read.
            count: how many images it has.
        """
        lacking = []
        pieces = count // block.size + bool(count % block.size or block.rows is None)
        for piece, first in enumerate(range(0, pieces * block.size, block.size)):
            name, rows = piece_name(block, piece), min(block.size, count - first)
            if piece not in self.pieces.get(block.name, {}):
                self._ends[name] = rows
                there = {place for table in self._waiting.get(name, []) for place in table[PLACE].to_pylist()}
                lacking += [first + place for place in range(rows) if place not in there]
                self._write_if_complete(name)
        return lacking

    def add_lost(self, block: Block, number: int, path: str, prompt: str) -> None:
        """Take a row for an image that no worker could return."""
        piece, place = divmod(number, block.size)
        row = {'path': path, 'prompt': prompt, 'content': '', REASON: LOST, NOTES: ''}
        own = {NAME: piece_name(block, piece), PLACE: place, IS_END: False}
        self.add(pa.Table.from_pylist([own | row], with_own(self.schema)))
