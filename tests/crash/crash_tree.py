"""What a reader finds below a data path, by the rule alone (``docs/storage.md``), with nothing but NumPy.

The rule: a day's manifest tells its generation; of each column the temporary file of that generation, where
there is one, else the column file; of these the rows that all columns have; and the same of the late files of
that generation.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs
import numpy as np
from crash_rows import DAY_NANOS, EXCHANGE, SERIAL_COLUMN, Market

from multilogger.tables import TABLES, Array, Table

LATE: Final = ".multilogger/late"
NOTHING: Final[Array] = np.empty(0, np.int64)
_MARKER: Final = "manifest.removed.tmp"
"""The manifest of a day that is being removed, or was a short time ago."""


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
        live_days, late_days = self._days(self._data), self._days(self._data / LATE)
        for place in sorted({*live_days, *late_days}):
            files = live_days.get(place, {})
            generation = _generation(files)
            switching = [f"bin.{generation}.tmp"] if generation else []
            # A day that no checkpoint knows any more is removed to its end by a later pass, not by the start.
            removing = not generation and _MARKER in files
            live = self._read(files, [*switching, "bin"], place, kept, even=even and not removing)
            late_files = late_days.get(place, {})
            late = self._read(late_files, [f"{generation}.bin"], place, kept, even=even)
            if len(live) + len(late):
                self._check(place, live, late)
                found[place] = Seen(generation, live, late)
            if even:
                # The manifests of removed days stay a while, by another name.
                left = [it for it in files if it.endswith(".tmp") and it != _MARKER]
                assert not left, f"{place}: left over after a start: {left}"
        self._known = kept
        return found

    def _days(self, root: Path) -> dict[Place, dict[str, os.DirEntry[str]]]:
        """Return the files below a root, by day and by what is left of their names."""
        found: dict[Place, dict[str, os.DirEntry[str]]] = {}
        for folder in root.glob(f"{EXCHANGE}/*/*"):
            with os.scandir(folder) as entries:
                for entry in entries:
                    name, day, rest = _split(entry.name)
                    place = Place(folder.parent.name, folder.name, day)
                    found.setdefault(place, {})[f"{name}.{rest}"] = entry
        return found

    def _read(
        self,
        files: Mapping[str, os.DirEntry[str]],
        choices: Sequence[str],
        place: Place,
        kept: dict[Signature, Array],
        *,
        even: bool,
    ) -> Array:
        """Return the serials of a partition.

        Args:
            files: of the day.
            choices: what may follow a column's name, what comes first goes first.
            place: says which columns there are.
            kept: takes what was read, for the next time.
            even: as in :meth:`read`.
        """
        table = _table(place)
        there = {}
        for column in table.columns:
            names = [f"{column.name}.{choice}" for choice in choices]
            chosen = [files[name] for name in names if name in files]
            if chosen:
                there[column.name] = chosen[0].path, chosen[0].stat()
        if even:
            assert len(there) in (0, len(table.columns)), f"{place}: there are only {sorted(there)}"
        if len(there) < len(table.columns):
            return NOTHING
        rows = {
            column.name: there[column.name][1].st_size / column.dtype.itemsize for column in table.columns
        }
        if even:
            assert len(set(rows.values())) == 1, f"{place}: columns are uneven after a start: {rows}"
        signature = tuple((path, it.st_ino, it.st_size, it.st_mtime_ns) for path, it in there.values())
        if signature in self._known:
            serials = self._known[signature]
        else:
            paths = {name: path for name, (path, _) in there.items()}
            serials = self._serials(paths, table, int(min(rows.values())))
        kept[signature] = serials
        return serials

    def _serials(self, files: Mapping[str, str], table: Table, rows: int) -> Array:
        columns = {
            column.name: np.fromfile(files[column.name], column.dtype, rows) for column in table.columns
        }
        assert all(len(values) == rows for values in columns.values()), f"{files} became shorter"
        faults = self._market.faults(table, columns)
        assert not faults, f"{files[table.time_column]}: {faults}"
        return columns[SERIAL_COLUMN[table.name]].astype(np.int64)

    def _check(self, place: Place, live: Array, late: Array) -> None:
        """Check the order of time, that a directory is always of one symbol, and a file of one day."""
        assert (np.diff(self._market.times(live)) >= 0).all(), f"{place}: time decreases"
        serials = np.concatenate([live, late])
        owners = self._market.owners(serials)
        owner = self._owners.setdefault((place.directory, place.table), int(owners[0]))
        assert (owners == owner).all(), f"{place} has rows of several symbols"
        days = self._market.times(serials) // DAY_NANOS
        assert (days == place.number).all(), f"{place} has rows of another day"


def _split(name: str) -> tuple[str, str, str]:
    """Return what a file's name says: the column, the day, and what follows."""
    column, day, month, year, rest = name.split(".", 4)
    return column, f"{day}.{month}.{year}", rest


def _table(place: Place) -> Table:
    return next(table for table in TABLES if table.name == place.table)


def _generation(files: Mapping[str, os.DirEntry[str]]) -> int:
    manifest = files.get("manifest.json")
    return int(json.loads(Path(manifest.path).read_bytes())["generation"]) if manifest else 0


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
                same = np.array_equal(new[: len(old)], old)
                assert same, f"{place}, generation {now.generation}: {what} rows {old} became {new}"
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
