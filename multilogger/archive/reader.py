"""Rows by symbol and time, out of the column files and the late rows beside them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import attrs
import numpy as np

from multilogger.archive import tree
from multilogger.archive.contracts import base_sizes
from multilogger.archive.coverage import TableCoverage, coverage_of
from multilogger.archive.instants import BEGINNING, END, Instant, describe, to_ns
from multilogger.archive.instruments import InstrumentArchive
from multilogger.archive.merging import DayPart, day_rows
from multilogger.archive.snapshot import open_day
from multilogger.errors import ArchiveError
from multilogger.storage.layout import day_of
from multilogger.tables import TABLES, Array, Table

EPOCH: Final = date(1970, 1, 1)


@attrs.frozen
class DayRows:
    """What a day contributed to the rows that were read."""

    day: date
    """UTC."""
    rows: int
    late: int
    """How many of them waited in a late partition."""
    generation: int
    """Of the day's seal; 0 of a day that is not sealed."""
    sealed: bool
    """Whether no more rows are expected: the day is sealed, and no late ones have come since."""


@attrs.frozen(eq=False)
class Rows:
    """Rows of one table of one symbol, in order of time."""

    columns: dict[str, Array]
    """By name, with the dtypes of the files, all of one length."""
    time_ns: Array
    """The rows' exchange times, i8, nanoseconds since the epoch."""
    days: tuple[DayRows, ...]
    """The days that have rows in the range, in order."""

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def late(self) -> int:
        """How many rows came too late for their column files and wait for the seal."""
        return sum(day.late for day in self.days)

    @property
    def sealed(self) -> bool:
        """Whether all days that the rows are of are sealed; so where there are none."""
        return all(day.sealed for day in self.days)

    def to_structured(self) -> Array:
        """Return a structured array: ``time_ns``, and the columns under their names."""
        fields = [("time_ns", self.time_ns.dtype), *((name, it.dtype) for name, it in self.columns.items())]
        rows = np.empty(len(self), fields)
        rows["time_ns"] = self.time_ns
        for name, values in self.columns.items():
            rows[name] = values
        return rows


class Archive(InstrumentArchive):
    """What was recorded below one data path. Made by :func:`open_archive`; holds nothing open.

    A symbol may be named in the exchange's spelling (``BTC/USD``), or as its directory is (``BTC_USD``).
    """

    def exchanges(self) -> list[str]:
        """Return the exchanges that have a directory, sorted."""
        return tree.exchanges(self.data)

    def symbols(self, exchange: str) -> list[str]:
        """Return an exchange's symbols in its own spelling, sorted.

        ``/`` becomes ``_`` in a directory's name. Before the first sealed day nothing but that name is known.

        Raises:
            ArchiveError: there is no such exchange.
        """
        self._check_exchange(exchange)
        found = tree.directories(self.data, exchange)
        return sorted(tree.symbol_of(self.data, exchange, directory) for directory in found)

    def tables(self, exchange: str, symbol: str) -> list[str]:
        """Return which tables a symbol has: ``MD``, ``TRADES``.

        Raises:
            ArchiveError: there is no such exchange or symbol.
        """
        directory = self.directory(exchange, symbol)
        return [place.table.name for place in tree.places(self.data, exchange, directory)]

    def days(self, exchange: str, symbol: str, table: str) -> list[date]:
        """Return the UTC days that have rows, in order; those with late rows only included.

        Raises:
            ArchiveError: there is no such exchange, symbol or table.
        """
        return [_as_date(day) for day in tree.days(self.place(exchange, symbol, table))]

    def directory(self, exchange: str, symbol: str) -> str:
        """Return the name of a symbol's directory.

        Raises:
            ArchiveError: there is no such exchange or symbol.
        """
        self._check_exchange(exchange)
        directory = tree.find_directory(self.data, exchange, symbol)
        if directory is None:
            near = get_close_matches(symbol, tree.directories(self.data, exchange))
            hint = f": did you mean {' or '.join(near)}?" if near else ""
            raise ArchiveError(f"no symbol {symbol!r} of {exchange} in {self.data}{hint}")
        return directory

    def place(self, exchange: str, symbol: str, table: str) -> tree.Place:
        """Return where a symbol's table is.

        Raises:
            ArchiveError: there is no such exchange, symbol or table.
        """
        directory = self.directory(exchange, symbol)
        found = {place.table.name: place for place in tree.places(self.data, exchange, directory)}
        if table not in found:
            known = ", ".join(found) or ", ".join(known.name for known in TABLES)
            raise ArchiveError(f"no table {table!r} of {exchange} {symbol} in {self.data}: there is {known}")
        return found[table]

    def read(
        self,
        exchange: str,
        symbol: str,
        table: str,
        start: Instant | None = None,
        end: Instant | None = None,
        *,
        columns: Sequence[str] | None = None,
        late: bool = True,
    ) -> Rows:
        """Return the rows of a range of time, in order of time.

        Late rows that wait for their seal are merged in, each trade once by its id, as the seal will do it.
        Within a day the range is found by bisection; only its rows are read. That relies on the order of time
        that files have; rows of a file that is out of order come sorted, but a range may miss some.

        Args:
            exchange: as :meth:`exchanges` has it.
            symbol: in the exchange's spelling, or its directory's name.
            table: ``MD`` or ``TRADES``.
            start: the earliest time; None for the beginning of what there is.
            end: the time before which the rows are; None for the end of what there is.
            columns: which; by default those that every day of the range has.
            late: whether late rows are wanted.

        Raises:
            ArchiveError: there is no such exchange, symbol, table or column; the range is none; or files are
                damaged or can't be read.
        """
        place = self.place(exchange, symbol, table)
        low, high = BEGINNING if start is None else to_ns(start), END if end is None else to_ns(end)
        if low > high:
            raise ArchiveError(f"the range ends at {describe(high)}, before it starts at {describe(low)}")
        wanted = None if columns is None else _known(columns, place.table)
        days = [day for day in tree.days(place) if day_of(low) <= day <= day_of(max(low, high - 1))]
        parts = []
        for day in days:
            with open_day(place, day) as files:
                part = day_rows(files, wanted, low, high, late=late)
            if part is not None:
                parts.append(part)
        return _joined(place.table, parts, wanted)

    def coverage(
        self,
        exchange: str,
        symbol: str,
        table: str,
        start: Instant | None = None,
        end: Instant | None = None,
    ) -> TableCoverage:
        """Return how much of a range of time was recorded, and what is missing.

        The arguments are those of :meth:`read`. What lies before the symbol's first live time doesn't count.

        Raises:
            ArchiveError: nothing is known of it, or the range is none.
        """
        start_ns, end_ns = (None if it is None else to_ns(it) for it in (start, end))
        (found,) = coverage_of(self.data, exchange, symbol, table, start_ns, end_ns)
        return found

    def base_sizes(self, exchange: str, symbol: str, rows: Rows) -> Array:
        """Return the sizes of rows in base currency, where the exchange counts contracts; f8.

        Args:
            exchange: as for :meth:`read`.
            symbol: in the exchange's spelling.
            rows: with price, and size or volume.

        Raises:
            ArchiveError: nothing was recorded of the instrument, or a column was not read.
        """
        return base_sizes(rows.columns, rows.time_ns, self.instrument_changes(exchange, symbol))

    def _check_exchange(self, exchange: str) -> None:
        known = self.exchanges()
        if exchange not in known:
            there = f"there is {', '.join(known)}" if known else "it is empty"
            raise ArchiveError(f"no exchange {exchange!r} in {self.data}: {there}")


def open_archive(data_path: Path | str) -> Archive:
    """Return the archive below a data path. It may be written to by a logger meanwhile.

    Raises:
        ArchiveError: there is no such directory.
    """
    data = Path(data_path)
    if not data.is_dir():
        raise ArchiveError(f"no data in {data}: there is no such directory")
    return Archive(data)


def _known(columns: Sequence[str], table: Table) -> list[str]:
    known = [column.name for column in table.columns]
    unknown = [name for name in columns if name not in known]
    if unknown:
        raise ArchiveError(f"no column {unknown[0]!r} in {table.name}: there is {', '.join(known)}")
    return list(dict.fromkeys(columns))


def _joined(table: Table, parts: Sequence[DayPart], wanted: Sequence[str] | None) -> Rows:
    every = [column.name for column in table.columns]
    names = wanted or [name for name in every if all(name in part.columns for part in parts)]
    dtypes = {column.name: column.dtype for column in table.columns}
    days = tuple(
        DayRows(_as_date(part.day), len(part.time_ns), part.late, part.generation, part.sealed)
        for part in parts
        if len(part.time_ns)
    )
    return Rows(
        {name: _concatenated([part.columns[name] for part in parts], dtypes[name]) for name in names},
        _concatenated([part.time_ns for part in parts], np.dtype(np.int64)),
        days,
    )


def _concatenated(arrays: Sequence[Array], dtype: np.dtype[np.generic]) -> Array:
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays) if arrays else np.empty(0, dtype)


def _as_date(day: int) -> date:
    return EPOCH + timedelta(days=day)
