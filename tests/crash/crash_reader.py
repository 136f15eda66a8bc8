"""Reads an archive at random while it is written, and compares what it finds with all it found before."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

import attrs
import numpy as np
from crash_rows import EXCHANGE, NANOS, SERIAL_COLUMN, Market

from multilogger.archive.reader import Archive, Rows, open_archive
from multilogger.tables import TABLES, Array, Table

_NOTHING: Final[Array] = np.empty(0, np.int64)


@attrs.frozen
class Stream:
    """A table of a symbol."""

    symbol: str
    table: Table


@attrs.define
class Totals:
    """How much was read."""

    plain: int = 0
    """Days read with nothing but NumPy."""
    switching: int = 0
    """Of these passed over, because a seal was renaming the day's columns."""
    switched: int = 0
    """Days that were found reordered by a seal."""
    archive: int = 0
    """Ranges read through the archive."""
    rows: int = 0
    """Checked, over all reads."""


@attrs.define(eq=False)
class Reader:
    """One reader; each violation is an AssertionError.

    Args:
        data: the data path.
        market: says what may be in it.
        chance: chooses what to read.
    """

    data: Path
    market: Market
    chance: random.Random
    totals: Totals = attrs.field(factory=Totals)
    seen: dict[Stream, Array] = attrs.field(factory=dict)
    """The serials of all rows that were ever found, sorted."""
    prefixes: dict[Path, tuple[int, Array]] = attrs.field(factory=dict)
    """By time column: generation and serials of the last plain read."""
    counts: dict[tuple[Stream, date], int] = attrs.field(factory=dict)
    """The most rows that a day was found to have."""
    archive: Archive = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.archive = open_archive(self.data)

    def read(self) -> None:
        """Read something."""
        stream = Stream(self.chance.choice(self.market.symbols), self.chance.choice(TABLES))
        if self.chance.random() < 0.5:
            self.read_plain(stream)
        else:
            self.read_archive(stream)

    # With nothing but NumPy.

    def read_plain(self, stream: Stream) -> None:
        """Read a day's column files as a program does that knows nothing of seals.

        While one renames them into place, such a program sees a mix, and is told so by the manifest.
        """
        folder = self.data / EXCHANGE / stream.symbol.replace("/", "_") / stream.table.name
        files = sorted(folder.glob(f"{stream.table.time_column}.*.bin"))
        if not files:
            return
        path = self.chance.choice(files)
        day = path.name.partition(".")[2]
        manifest = folder / f"manifest.{day.removesuffix('bin')}json"
        before = _content(manifest)
        generation = json.loads(before)["generation"] if before else 0
        columns = None if _switching(folder, day) else _minimum(folder, day, stream.table)
        if columns is None or _switching(folder, day) or _content(manifest) != before:
            self.totals.switching += 1
            return
        serials = self.check(stream, columns)
        known, prefix = self.prefixes.get(path, (0, _NOTHING))
        if known == generation:
            assert np.array_equal(serials[: len(prefix)], prefix), f"{path}: rows changed under a reader"
        else:
            self.totals.switched += 1
            assert np.isin(prefix, serials).all(), f"{path}: rows vanished with a seal"
        assert (np.diff(self.market.times(serials)) >= 0).all(), f"{path}: time decreases"
        self.prefixes[path] = generation, serials
        self.totals.plain += 1
        self.see(stream, serials)

    # Through the archive.

    def read_archive(self, stream: Stream) -> None:
        """Read a range, or everything."""
        first, last = self.span(stream)
        low, high = sorted(self.chance.randint(first - NANOS, last + NANOS) for _ in range(2))
        start, end = self.chance.choice(((None, None), (low, None), (None, high), (low, high)))
        names = [column.name for column in stream.table.columns]
        chosen = self.chance.choice((None, self.chance.sample(names, 3)))
        wanted = chosen and [*chosen, SERIAL_COLUMN[stream.table.name]]
        rows = self.archive.read(EXCHANGE, stream.symbol, stream.table.name, start, end, columns=wanted)
        serials = self.check(stream, rows.columns)
        times = self.market.times(serials)
        assert np.array_equal(times, rows.time_ns), f"{stream}: other times"
        assert (np.diff(times) >= 0).all(), f"{stream}: time decreases"
        assert len(np.unique(serials)) == len(serials), f"{stream}: rows are there twice"
        assert not len(times) or (times[0] >= (start or 0) and times[-1] < (end or 2**63)), f"{stream}: range"
        self.check_nothing_vanished(stream, serials, start or 0, end or 2**63 - 1)
        if start is None and end is None:
            self.check_counts(stream, rows)
        self.totals.archive += 1
        self.see(stream, serials)

    def span(self, stream: Stream) -> tuple[int, int]:
        """Return the times of the first and the last row that are known."""
        known = self.market.times(self.seen.get(stream, _NOTHING))
        return (int(known.min()), int(known.max())) if len(known) else (self.market.start_ns,) * 2

    def check_nothing_vanished(self, stream: Stream, serials: Array, start: int, end: int) -> None:
        """Check that a range has all rows of it that were ever found."""
        known = self.seen.get(stream, _NOTHING)
        times = self.market.times(known)
        gone = np.setdiff1d(known[(times >= start) & (times < end)], serials, assume_unique=True)
        assert not len(gone), f"{stream}: {len(gone)} rows vanished: {gone[:5]}"

    def check_counts(self, stream: Stream, rows: Rows) -> None:
        """Check that no day has fewer rows than before."""
        for day in rows.days:
            known = self.counts.get((stream, day.day), 0)
            assert day.rows >= known, f"{stream} {day.day}: {day.rows} rows, there were {known}"
            self.counts[stream, day.day] = day.rows

    # Both.

    def check(self, stream: Stream, columns: Mapping[str, Array]) -> Array:
        """Check that rows are whole, and of their symbol; return their serials."""
        faults = self.market.faults(stream.table, columns)
        assert not faults, f"{stream}: {faults}"
        serials = columns[SERIAL_COLUMN[stream.table.name]].astype(np.int64)
        owners = self.market.owners(serials)
        assert (owners == self.market.symbols.index(stream.symbol)).all(), f"{stream}: another symbol's rows"
        self.totals.rows += len(serials)
        return serials

    def see(self, stream: Stream, serials: Array) -> None:
        """Keep in mind what was found."""
        self.seen[stream] = np.union1d(self.seen.get(stream, _NOTHING), serials)


def _minimum(folder: Path, day: str, table: Table) -> dict[str, Array] | None:
    """Return the rows that all columns of a day have; None if a column is missing."""
    files = {column: folder / f"{column.name}.{day}" for column in table.columns}
    if not all(path.exists() for path in files.values()):
        return None
    rows = min(path.stat().st_size // column.dtype.itemsize for column, path in files.items())
    return {column.name: np.fromfile(path, column.dtype, rows) for column, path in files.items()}


def _switching(folder: Path, day: str) -> bool:
    """Return whether columns of a seal have, or had a moment ago, temporary names."""
    return any(folder.glob(f"*.{day}.*.tmp"))


def _content(manifest: Path) -> bytes:
    try:
        return manifest.read_bytes()
    except FileNotFoundError:
        return b""
