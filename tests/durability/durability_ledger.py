"""Rows that can be told apart, and what the store has said of them by when."""

from __future__ import annotations

import attrs
import numpy as np

from multilogger.batch import Batch, RowBuffer, SymbolTable
from multilogger.records import ExchangeId
from multilogger.tables import MD, TABLES, TRADES, Array, Table

COINBASE = "coinbase"
BINANCE = "binance"
SERIALS = {MD.number: "price", TRADES.number: "trade_id"}
"""The column that tells the serial number of a row, from which every other value follows."""


@attrs.frozen(eq=False)
class Rows:
    """Rows of one batch, by their serial numbers."""

    table: Table
    exchange: str
    serials: tuple[int, ...]
    batch: Batch


@attrs.frozen(eq=False)
class _Event:
    calls: int
    """How many calls there had been."""
    table: int
    serials: tuple[int, ...]


@attrs.frozen(eq=False)
class Expected:
    """What must and may be on disk at one moment: how often, by table and serial."""

    acknowledged: dict[int, Array]
    offered: dict[int, Array]
    leaving: set[tuple[str, int]]
    """Exchanges' days that are being removed, or are."""
    noted: set[str]
    """Notes that must be there."""


@attrs.define(eq=False)
class Ledger:
    """All rows there ever were, and what became of them.

    Serials count from 1 in each table; they are the trades' ids and the quotes' prices.
    """

    symbols: dict[str, SymbolTable] = attrs.field(factory=dict)
    owners: dict[int, list[tuple[str, str]]] = attrs.field(
        factory=lambda: {table.number: [("", "")] for table in TABLES}
    )
    """Exchange and symbol, by table and serial."""
    moments: list[tuple[int, int]] = attrs.field(factory=list)
    """After how many calls it was what time."""
    foreign: dict[int, int] = attrs.field(factory=dict)
    """By table, the highest serial of rows that were on disk before the first start."""
    notes: list[str] = attrs.field(factory=list)
    """Notes that were given to the store, by their causes."""
    noted: list[tuple[int, str]] = attrs.field(factory=list)
    """After how many calls each was acknowledged."""
    _packed: dict[int, bytearray] = attrs.field(
        factory=lambda: {table.number: bytearray(table.row.itemsize) for table in TABLES}
    )
    _offers: list[_Event] = attrs.field(factory=list)
    _acknowledgements: list[_Event] = attrs.field(factory=list)
    _removals: list[tuple[int, str, int]] = attrs.field(factory=list)
    _derived: dict[tuple[int, str], Array] = attrs.field(factory=dict)

    def make(self, table: Table, exchange: str, symbol: str, times: list[int]) -> Rows:
        """Return a batch of new rows."""
        owners = self.owners[table.number]
        first = len(owners)
        symbols = self.symbols.setdefault(exchange, SymbolTable(ExchangeId(exchange)))
        for serial, time_ns in enumerate(times, first):
            self._packed[table.number] += _pack(table, symbols.number(symbol), serial, time_ns)
            owners.append((exchange, symbol))
        self._derived.clear()
        return self.again(table, range(first, len(owners)))

    def again(self, table: Table, serials: range | list[int]) -> Rows:
        """Return a batch of rows that there were before, of one exchange."""
        exchange = self.owners[table.number][serials[0]][0]
        rows = self.rows(table)[list(serials)]
        return Rows(table, exchange, tuple(serials), Batch(self.symbols[exchange], {table.number: rows}))

    def rows(self, table: Table) -> Array:
        """Return all rows by serial; the one before the first means nothing."""
        return np.frombuffer(bytes(self._packed[table.number]), table.row)

    def offer(self, calls: int, rows: Rows) -> None:
        """Note that rows are given to the store."""
        self._offers.append(_Event(calls, rows.table.number, rows.serials))

    def acknowledge(self, calls: int, rows: Rows) -> None:
        """Note that the store has said that they are durable."""
        self._acknowledgements.append(_Event(calls, rows.table.number, rows.serials))

    def remove(self, calls: int, exchange: str, day: int) -> None:
        """Note that the store may remove a day."""
        self._removals.append((calls, exchange, day))

    def at(self, calls: int) -> Expected:
        """Return what holds after so many calls."""
        return Expected(
            self._count(self._acknowledgements, calls),
            self._count(self._offers, calls),
            {(exchange, day) for at, exchange, day in self._removals if at <= calls},
            {cause for at, cause in self.noted if at <= calls},
        )

    def _count(self, events: list[_Event], calls: int) -> dict[int, Array]:
        found = {number: np.zeros(len(owners), np.int64) for number, owners in self.owners.items()}
        for event in events:
            if event.calls <= calls:
                np.add.at(found[event.table], list(event.serials), 1)
        return found

    def values(self, table: Table, name: str, *, raw: bool = False) -> Array:
        """Return what a column must hold, by serial; of a stored field, if ``raw``."""
        key = (table.number, f"{name}/{raw}")
        if key not in self._derived:
            column = next(it for it in (table.raw_columns if raw else table.columns) if it.name == name)
            rows = self.rows(table)
            fields = {field: rows[field] for field in table.stored_fields}
            self._derived[key] = column.derive(fields).astype(column.dtype)
        return self._derived[key]

    def fork(self, calls: int) -> Ledger:
        """Return one that goes on from a moment; rows that came later are known there, and not offered."""
        return Ledger(
            self.symbols,
            {number: owners.copy() for number, owners in self.owners.items()},
            [(0, time_ns) for at, time_ns in self.moments if at <= calls][-1:],
            self.foreign,
            self.notes.copy(),
            [(0, cause) for at, cause in self.noted if at <= calls],
            {number: packed.copy() for number, packed in self._packed.items()},
            [attrs.evolve(it, calls=0) for it in self._offers if it.calls <= calls],
            [attrs.evolve(it, calls=0) for it in self._acknowledgements if it.calls <= calls],
            [(0, *it[1:]) for it in self._removals if it[0] <= calls],
        )

    def clock_at(self, calls: int) -> int:
        """Return the time, in nanoseconds since the epoch, after so many calls."""
        return [time_ns for at, time_ns in self.moments if at <= calls][-1]

    def newest_serial(self, table: Table) -> int:
        """Return the highest serial there is."""
        return len(self.owners[table.number]) - 1


def _pack(table: Table, symbol: int, serial: int, time_ns: int) -> bytes:
    buffer = RowBuffer()
    if table is TRADES:
        buffer.add_trade(
            symbol=symbol,
            time_ns=time_ns,
            recv_ns=time_ns + serial,
            trade_id=serial,
            price=100_000.01 + serial,
            size=serial / 8,
            side=serial % 2,
            maker_order_id=serial.to_bytes(16, "big"),
            taker_order_id=(serial + 7).to_bytes(16, "big"),
            flags=serial % 3,
        )
        return bytes(buffer.trades)
    buffer.add_md(
        symbol=symbol,
        time_ns=time_ns,
        recv_ns=time_ns + serial,
        price=float(serial),
        volume=serial / 4,
        side=serial % 2,
        best_bid=serial - 0.25,
        best_ask=serial + 0.25,
        flags=serial % 3,
    )
    return bytes(buffer.md)
