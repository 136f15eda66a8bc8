"""The files of one day, opened so that they belong together whatever is being written to them.

What makes them do so (``docs/storage.md``): columns grow one after the other, the time column last, so a row
is there once all columns have it. A seal's manifest, renamed into place, switches the day to its generation.
The columns of that have temporary names until each is renamed over the one before, and the late rows folded
into them belong to the generation before. A removed day loses its manifest first, then its time column.
So: the manifest, the time column, the other columns, the late rows; and all over again if manifest or time
column are no longer those that were read first.
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import attrs
import numpy as np

from multilogger.archive.tree import Place, read_manifest
from multilogger.errors import ArchiveError
from multilogger.storage.fold import nanos_column
from multilogger.storage.manifest import Manifest, temporary_column
from multilogger.tables import NANOS_PER_SECOND, Array, Column, Table

_ATTEMPTS: Final = 20
"""A switch takes microseconds, and the next one of the same day is hours away."""


@attrs.frozen(eq=False)
class OpenColumn:
    """A column's file, open for reading."""

    column: Column
    path: Path
    fd: int
    bytes: int
    """Its length when it was opened; it may have grown."""
    inode: int

    @property
    def rows(self) -> int:
        """How many whole values it had when it was opened."""
        return self.bytes // self.column.dtype.itemsize

    def read(self, first: int, last: int) -> Array:
        """Return the values of rows ``first`` to ``last`` (exclusive).

        Raises:
            ArchiveError: they can't be read.
        """
        values = np.empty(last - first, self.column.dtype)
        self.read_into(values.view(np.uint8), first * self.column.dtype.itemsize)
        return values

    def read_into(self, buffer: Array, offset: int) -> None:
        """Fill ``buffer``, of u1, with the bytes at ``offset``.

        Raises:
            ArchiveError: they can't be read.
        """
        filled = 0
        try:
            while filled < len(buffer):
                count = os.preadv(self.fd, [buffer[filled:].data], offset + filled)
                if not count:
                    raise ArchiveError(f"{self.path} became shorter while it was read, at {offset + filled}")
                filled += count
        except OSError as error:
            raise ArchiveError(f"{self.path} can't be read at {offset + filled}: {error.strerror}") from error


@attrs.frozen(eq=False)
class Rows:
    """The files of a partition: the columns that it has, and the rows that all of them have."""

    table: Table
    columns: Mapping[str, OpenColumn]
    """In the table's order."""

    def __len__(self) -> int:
        return min(column.rows for column in self.columns.values())

    def read(self, wanted: Sequence[str], first: int, last: int) -> dict[str, Array]:
        """Return rows ``first`` to ``last`` (exclusive) of some columns."""
        return {name: self.columns[name].read(first, last) for name in wanted}

    def first_row_at(self, time_ns: int) -> int:
        """Return the first row of that time or later, by bisection: the rows have to be in order of time."""
        return bisect.bisect_left(range(len(self)), time_ns, key=self._time)

    def _time(self, row: int) -> int:
        seconds = self.columns[self.table.time_column].read(row, row + 1)
        nanos = self.columns[nanos_column(self.table)].read(row, row + 1)
        return int(seconds[0]) * NANOS_PER_SECOND + int(nanos[0])


@attrs.frozen(eq=False)
class DayFiles:
    """A day's files at one moment."""

    place: Place
    day: int
    manifest: Manifest | None
    """Of a sealed day."""
    live: Rows | None
    """None where there are no rows."""
    late: Rows | None
    """Rows that came too late for the others, and that no seal has folded in; in any order of time."""


@contextmanager
def open_day(place: Place, day: int) -> Iterator[DayFiles]:
    """Open the files of a day, which may have none; they are closed at the end of the block.

    Raises:
        ArchiveError: a file can't be opened, or is missing although others of its day are there.
    """
    missing: list[Path] = []
    for _ in range(_ATTEMPTS):
        with ExitStack() as held:
            missing.clear()
            found = _attempt(_Opener(place, day, held, missing))
            if found is not None:
                yield found
                return
    if missing:
        raise ArchiveError(f"{missing[0]} is missing, though other columns of its day are there")
    raise ArchiveError(f"{place.live}: the files of a day changed each time they were being opened")


@attrs.frozen(eq=False)
class _Opener:
    """Opens files of a day once; they belong to ``held``."""

    place: Place
    day: int
    held: ExitStack
    missing: list[Path]
    """Columns that were not there and had to be."""

    def live_paths(self, generation: int) -> Callable[[str], list[Path]]:
        """Return what tells where a column may be, the first place that has it first."""

        def paths(name: str) -> list[Path]:
            path = self.place.column(name, self.day)
            return [Path(temporary_column(str(path), generation)), path] if generation else [path]

        return paths

    def late_paths(self, generation: int) -> Callable[[str], list[Path]]:
        """Return what tells where a late column is."""
        return lambda name: [self.place.late_column(name, self.day, generation)]

    def open(self, paths: Callable[[str], list[Path]], *, all_exact: bool) -> Rows | None:
        """Open a partition, the time column first: it was the last to be made. None if that is not there."""
        table = self.place.table
        found: dict[str, OpenColumn] = {}
        for column in sorted(table.columns, key=lambda column: column.name != table.time_column):
            opened = self._open_first(column, paths(column.name))
            if opened is not None:
                found[column.name] = opened
            elif column.name == table.time_column:
                return None
            elif all_exact or not column.exact:
                self.missing.append(paths(column.name)[-1])
        return Rows(
            table, {column.name: found[column.name] for column in table.columns if column.name in found}
        )

    def _open_first(self, column: Column, paths: list[Path]) -> OpenColumn | None:
        for path in paths:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise ArchiveError(f"{path} can't be opened: {error.strerror}") from error
            self.held.callback(os.close, fd)
            status = os.fstat(fd)
            return OpenColumn(column, path, fd, status.st_size, status.st_ino)
        return None


def generation_of(manifest: Manifest | None) -> int:
    """Return which generation of its files a day is at; 0 before its first seal."""
    return manifest.generation if manifest else 0


def _attempt(opener: _Opener) -> DayFiles | None:
    """Open a day's files; None if they may not belong together, or one is missing."""
    place, day = opener.place, opener.day
    manifest = read_manifest(place.manifest(day))
    generation = generation_of(manifest)
    live = opener.open(opener.live_paths(generation), all_exact=False)
    late = opener.open(opener.late_paths(generation), all_exact=True)
    if manifest and live is None:
        opener.missing.append(place.column(place.table.time_column, day))
    switched = generation_of(read_manifest(place.manifest(day))) != generation
    if opener.missing or switched or (live and _removed(live)):
        return None
    return DayFiles(place, day, manifest, live or None, late or None)


def _removed(rows: Rows) -> bool:
    """Return whether the time column has lost its name since it was opened: the exact ones may have, too."""
    time = rows.columns[rows.table.time_column]
    try:
        return time.path.stat().st_ino != time.inode
    except FileNotFoundError:
        return True
