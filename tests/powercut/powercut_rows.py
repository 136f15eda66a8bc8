"""Rows that follow from a serial number each, and what a data directory holds of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np

from multilogger.batch import Batch, SymbolTable
from multilogger.records import ExchangeId
from multilogger.storage.layout import (
    NANOS_PER_DAY,
    Paths,
    manifest_name,
    parse_day,
    symbol_directory,
)
from multilogger.tables import MD, TABLES, TRADES, Array, Table

EXCHANGE: Final = "coinbase"
SYMBOLS: Final = ("BTC-USD", "ETH-USD", "SOL-USD", "X/Y")
FIRST_DAY: Final = 20_300
_FIRST_NS: Final = FIRST_DAY * NANOS_PER_DAY + NANOS_PER_DAY // 2
_STEP_NS: Final = 20_000_000_000
"""Between two rows: a day is 4,320 of them, so that some midnights fall into every series of cuts."""
_LATE_EVERY: Final = 13
_LATE_BY: Final = (40, 2_000)
"""Rows: within the day as a rule, and long after it as a rule."""
_FILE: Final = re.compile(r"(\w+)\.(\d\d\.\d\d\.\d\d)(?:\.(\d+))?\.bin")


@attrs.frozen
class Rows:
    """The rows of all serial numbers."""

    late: bool
    """Every so often a row is older than the ones before it."""

    def times(self, serials: Array) -> Array:
        """Return event times in nanoseconds since the epoch."""
        serials = serials.astype(np.int64)
        times = _FIRST_NS + serials * _STEP_NS + serials * 7_919_017 % 1_000_000_000
        if self.late:
            by = np.where(serials // _LATE_EVERY % 2 == 0, *_LATE_BY)
            times -= np.where(serials % _LATE_EVERY == 5, by * _STEP_NS, 0)
        return np.asarray(times)

    def clock(self, serial: int) -> int:
        """Return the wall clock when a serial number's turn comes, in nanoseconds."""
        return _FIRST_NS + serial * _STEP_NS

    def pack(self, serials: Array, table: Table) -> Array:
        """Return packed rows of a table; the serial numbers must be of that table."""
        rows = np.zeros(len(serials), table.row)
        rows["symbol"] = symbols(serials)
        rows["time_ns"] = self.times(serials)
        rows["recv_ns"] = rows["time_ns"] + serials % 1_000
        rows["price"] = serials
        rows["flags"] = serials % 3
        rows["side"] = serials % 2
        if table is TRADES:
            rows["trade_id"] = serials
            rows["size"] = serials / 8
            rows["maker_order_id"] = (
                np.stack([serials, serials + 1], axis=1).astype("<u8").view("V16").ravel()
            )
            rows["taker_order_id"] = (
                np.stack([serials + 7, serials], axis=1).astype("<u8").view("V16").ravel()
            )
        else:
            rows["volume"] = serials / 4
            rows["best_bid"] = serials - 0.25
            rows["best_ask"] = serials + 0.25
        return rows

    def batch(self, known: SymbolTable, first: int, end: int) -> Batch:
        """Return the rows from ``first`` to before ``end``, both tables together."""
        serials = np.arange(first, end, dtype=np.int64)
        chosen = {table: serials[tables(serials) == table.number] for table in TABLES}
        packed = {table.number: self.pack(of, table) for table, of in chosen.items() if len(of)}
        return Batch(known, packed)


def symbol_table() -> SymbolTable:
    """Return the symbols, numbered as :func:`symbols` does."""
    known = SymbolTable(ExchangeId(EXCHANGE))
    for name in SYMBOLS:
        known.number(name)
    return known


def symbols(serials: Array) -> Array:
    """Return the number of each row's symbol."""
    return serials * 2_654_435_761 // 128 % len(SYMBOLS)


def tables(serials: Array) -> Array:
    """Return the number of each row's table: of four rows one is a quote."""
    return np.where(serials % 4 == 3, MD.number, TRADES.number)


@attrs.frozen
class Found:
    """What the column files hold."""

    times: Array
    """How often each serial number is there; index 0 stands for rows of no serial number."""
    late: int
    """Rows in late partitions."""
    faults: list[str]
    """What is wrong with files: lengths, contents, order, places."""


def read_all(data: Path, rows: Rows, end: int) -> Found:
    """Read every column file, live and late, and compare it with what its rows should be.

    Args:
        data: the data path.
        rows: what was written.
        end: serial numbers from here on have not been used yet.
    """
    times = np.zeros(end, np.int64)
    late = 0
    faults: list[str] = []
    for part in partitions(data):
        serials = part.serials(faults)
        if serials is None:
            continue
        sound = (serials > 0) & (serials < end)
        times += np.bincount(np.where(sound, serials, 0), minlength=end)
        late += len(serials) if part.late else 0
        faults += part.differences(serials, rows)
    return Found(times, late, faults)


@attrs.frozen
class Part:
    """The column files of one symbol, table and day: the live ones, or the late ones."""

    table: Table
    symbol: int
    day: int
    late: bool
    files: dict[str, Path]

    def __str__(self) -> str:
        kind = "late" if self.late else "live"
        return f"{SYMBOLS[self.symbol]} {self.table.name} day {self.day} {kind}"

    def serials(self, faults: list[str]) -> Array | None:
        """Return the rows' serial numbers, None if the columns do not fit together."""
        sizes = {c.name: self._bytes(c.name) / c.dtype.itemsize for c in self.table.columns}
        if len(set(sizes.values())) != 1 or not next(iter(sizes.values())).is_integer():
            faults.append(f"{self}: columns of unequal lengths {sizes}")
            return None
        found: Array = np.fromfile(self.files["price_f64"], "<f8").astype(np.int64)
        return found

    def _bytes(self, column: str) -> int:
        return self.files[column].stat().st_size if column in self.files else 0

    def differences(self, serials: Array, rows: Rows) -> list[str]:
        """Return what differs from the rows of these serial numbers, in any column."""
        packed = rows.pack(serials, self.table)
        fields = {name: packed[name] for name in self.table.stored_fields}
        faults = []
        for column in self.table.columns:
            expected = column.derive(fields).astype(column.dtype).tobytes()
            content = self.files[column.name].read_bytes()
            if content != expected:
                pairs = zip(content, expected, strict=True)
                at = next(i for i, (one, other) in enumerate(pairs) if one != other)
                faults.append(f"{self}: {column.name} differs from row {at // column.dtype.itemsize} on")
        wrong = (packed["symbol"] != self.symbol) | (packed["time_ns"] // NANOS_PER_DAY != self.day)
        if np.any(wrong | (tables(serials) != self.table.number)):
            faults.append(f"{self}: rows of another file")
        if not self.late and np.any(np.diff(packed["time_ns"]) < 0):
            faults.append(f"{self}: time decreases")
        return faults


def partitions(data: Path) -> Iterator[Part]:
    """Find the column files that count; late ones that a seal has folded in do not."""
    paths = Paths(data)
    for root, late in ((paths.data, False), (paths.late, True)):
        for number, symbol in enumerate(SYMBOLS):
            for table in TABLES:
                place = Path(EXCHANGE) / symbol_directory(symbol) / table.name
                for (day, generation), files in _by_day(root / place).items():
                    if generation is None or generation == _sealed(paths.data / place, day):
                        yield Part(table, number, day, late, files)


def _by_day(directory: Path) -> dict[tuple[int, int | None], dict[str, Path]]:
    found: dict[tuple[int, int | None], dict[str, Path]] = {}
    for file in sorted(directory.glob("*.bin")):
        if match := _FILE.fullmatch(file.name):
            column, date, generation = match.groups()
            day = parse_day(date)
            assert day is not None, file
            key = (day, None if generation is None else int(generation))
            found.setdefault(key, {})[column] = file
    return found


def _sealed(directory: Path, day: int) -> int:
    """Return the generation of a day's files, 0 before its first seal."""
    try:
        manifest: dict[str, Any] = json.loads((directory / manifest_name(day)).read_bytes())
    except FileNotFoundError:
        return 0
    return int(manifest["generation"])
