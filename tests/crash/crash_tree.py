"""What a reader finds below a data path, by the rule alone (``docs/storage.md``), with nothing but NumPy.

The rule: a day's manifest tells its generation; of each column the temporary file of that generation, where
there is one, else the column file; of these the rows that all columns have; and the same of the late files of
that generation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs
import numpy as np
from crash_rows import DAY_NANOS, EXCHANGE, SERIAL_COLUMN, Market

from multilogger.tables import TABLES, Array, Table

LATE: Final = ".multilogger/late"
NOTHING: Final[Array] = np.empty(0, np.int64)


@attrs.frozen(order=True)
class Place:
    """One day of a symbol's table."""

    directory: str
    table: str
    day: str
    """As in file names: ``31.12.25``."""

    @property
    def number(self) -> int:
        """The day, in days since the epoch."""
        day, month, year = self.day.split(".")
        return int(np.datetime64(f"20{year}-{month}-{day}", "D").astype(np.int64))


@attrs.frozen(eq=False)
class Seen:
    """The serials of a day's rows, in the order of the files."""

    generation: int
    live: Array
    late: Array

    @property
    def all(self) -> Array:
        """Live ones, then late ones."""
        return np.concatenate([self.live, self.late])


Snapshot = Mapping[Place, Seen]
Signature = tuple[tuple[str, int, int, int], ...]


class Tree:
    """Reads the tree of one market, again and again; files that have not changed are read once.

    Args:
        data: the data path.
        market: says what must be in it.
    """

    def __init__(self, data: Path, market: Market) -> None:
        self._data = data
        self._market = market
        self._known: dict[Signature, Array] = {}
        self._owners: dict[tuple[str, str], int] = {}

    def read(self, *, even: bool = False) -> dict[Place, Seen]:
        """Return what a reader finds; fails where a row is not what was sent.

        Args:
            even: insist that all columns of a partition have equally many rows, and that no half of a seal
                is left: as it is after a start.
        """
        kept: dict[Signature, Array] = {}
        found = {}
        for place in self._places():
            generation = _generation(self._data / EXCHANGE / place.directory / place.table, place.day)
            live = self._read(self._live_files(place, generation), place, kept, even=even)
            late = self._read(self._late_files(place, generation), place, kept, even=even)
            table = _table(place)
            assert (np.diff(self._market.times(live)) >= 0).all(), f"{place}: time decreases"
            self._check_owner(place, np.concatenate([live, late]))
            assert table.name == place.table
            found[place] = Seen(generation, live, late)
        self._known = kept
        if even:
            # The manifests of removed days stay a while, by another name.
            every = self._data.glob(f"{EXCHANGE}/*/*/*.tmp")
            left = [str(it) for it in every if not it.name.endswith(".removed.tmp")]
            assert not left, f"left over after a start: {left}"
        return found

    def _places(self) -> list[Place]:
        found = set()
        for root in (self._data, self._data / LATE):
            for path in root.glob(f"{EXCHANGE}/*/*/*.*.*.*.bin"):
                day = ".".join(path.name.split(".")[1:4])
                found.add(Place(path.parent.parent.name, path.parent.name, day))
        return sorted(found)

    def _live_files(self, place: Place, generation: int) -> dict[str, Path]:
        folder = self._data / EXCHANGE / place.directory / place.table
        files = {}
        for column in _table(place).columns:
            path = folder / f"{column.name}.{place.day}.bin"
            switching = path.with_name(f"{path.name}.{generation}.tmp")
            files[column.name] = switching if generation and switching.exists() else path
        return files

    def _late_files(self, place: Place, generation: int) -> dict[str, Path]:
        folder = self._data / LATE / EXCHANGE / place.directory / place.table
        return {
            column.name: folder / f"{column.name}.{place.day}.{generation}.bin"
            for column in _table(place).columns
        }

    def _read(
        self, files: Mapping[str, Path], place: Place, kept: dict[Signature, Array], *, even: bool
    ) -> Array:
        """Return the serials of a partition."""
        table = _table(place)
        there = {name: path.stat() for name, path in files.items() if path.exists()}
        if even:
            assert len(there) in (0, len(files)), f"{place}: columns are missing, there are {sorted(there)}"
        if len(there) < len(files):
            return NOTHING
        widths = {column.name: column.dtype.itemsize for column in table.columns}
        rows = {name: status.st_size / widths[name] for name, status in there.items()}
        if even:
            assert len(set(rows.values())) == 1, f"{place}: columns are uneven after a start: {rows}"
        signature = tuple(
            (str(files[name]), status.st_ino, status.st_size, status.st_mtime_ns)
            for name, status in there.items()
        )
        if signature in self._known:
            serials = self._known[signature]
        else:
            serials = self._serials(files, table, int(min(rows.values())))
        kept[signature] = serials
        return serials

    def _serials(self, files: Mapping[str, Path], table: Table, rows: int) -> Array:
        columns = {
            column.name: np.fromfile(files[column.name], column.dtype, rows) for column in table.columns
        }
        assert all(len(values) == rows for values in columns.values()), f"{files} became shorter"
        faults = self._market.faults(table, columns)
        assert not faults, f"{files[table.time_column]}: {faults}"
        return columns[SERIAL_COLUMN[table.name]].astype(np.int64)

    def _check_owner(self, place: Place, serials: Array) -> None:
        """Check that a directory has rows of one symbol, always the same, and a file rows of its day."""
        if not len(serials):
            return
        owners = self._market.owners(serials)
        owner = self._owners.setdefault((place.directory, place.table), int(owners[0]))
        assert (owners == owner).all(), f"{place} has rows of several symbols"
        days = self._market.times(serials) // DAY_NANOS
        assert (days == place.number).all(), f"{place} has rows of another day"


def _table(place: Place) -> Table:
    return next(table for table in TABLES if table.name == place.table)


def _generation(folder: Path, day: str) -> int:
    manifest = folder / f"manifest.{day}.json"
    return int(json.loads(manifest.read_bytes())["generation"]) if manifest.exists() else 0


def check_kept(before: Snapshot, after: Snapshot, first_day: int) -> None:
    """Check that what was seen is still there, at its place unless a seal has reordered the day.

    Args:
        before: what was seen.
        after: what is seen now.
        first_day: days before may have been removed since.
    """
    for place, seen in before.items():
        if place.number < first_day or not len(seen.all):
            continue
        assert place in after, f"{place} is gone"
        now = after[place]
        if now.generation == seen.generation:
            for old, new, what in ((seen.live, now.live, "live"), (seen.late, now.late, "late")):
                assert np.array_equal(new[: len(old)], old), f"{place}: {what} rows changed under readers"
        else:
            assert now.generation > seen.generation, f"{place}: went back a generation"
            gone = np.setdiff1d(seen.all, now.all)
            assert not len(gone), f"{place}: {len(gone)} rows that were seen are gone: {gone[:5]}"


def check_once(found: Snapshot, acknowledged: Array, first_day: int, market: Market) -> None:
    """Check that each acknowledged row is there once, and no row twice.

    Args:
        found: what is there after a start.
        acknowledged: by serial, whether it was.
        first_day: days before may have been removed.
        market: knows the rows' days.
    """
    serials = np.concatenate([NOTHING, *(seen.all for seen in found.values())])
    counts = np.bincount(serials, minlength=len(acknowledged))
    assert len(counts) == len(acknowledged), f"row {serials.max()} was never sent"
    doubled = np.flatnonzero(counts > 1)
    assert not len(doubled), f"{len(doubled)} rows are there more than once: {doubled[:5]}"
    # No row of a day is sent before that day.
    first = max(0, market.serial_at(first_day * DAY_NANOS))
    missing = first + np.flatnonzero(acknowledged[first:] & (counts[first:] == 0))
    missing = missing[market.times(missing) // DAY_NANOS >= first_day]
    assert not len(missing), f"{len(missing)} acknowledged rows are lost: {missing[:5]}"
