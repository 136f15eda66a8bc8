"""Rows of which every value follows from a serial number: what is on disk can be told right from wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs
import numpy as np

from multilogger.batch import Batch, SymbolTable
from multilogger.records import ExchangeId
from multilogger.tables import MD, TABLES, TRADES, Array, Table

EXCHANGE: Final = "coinbase"
NANOS: Final = 1_000_000_000
DAY_NANOS: Final = 86_400 * NANOS
SERIAL_COLUMN: Final = {MD.name: "price_f64", TRADES.name: "trade_id"}
"""The column that tells a row's serial number."""


@attrs.frozen(eq=False)
class Market:
    """What is sent: serial numbers count through all symbols and both tables.

    Which symbol, which table and whether a row is late is a hash of its number, so that nothing has to be
    kept of it.
    """

    symbols: tuple[str, ...]
    start_ns: int
    """Time of serial 0, nanoseconds since the epoch."""
    step_ns: int
    """From one serial to the next."""
    late_steps: int
    """One row of 64 is late by up to so many steps."""
    far_steps: int
    """One row of 256 is late by up to so many steps."""

    def now_ns(self, serial: int) -> int:
        """Return what time it is when a row is sent."""
        return self.start_ns + serial * self.step_ns

    def serial_at(self, time_ns: int) -> int:
        """Return the serial of which it is the time."""
        return (time_ns - self.start_ns) // self.step_ns

    def times(self, serials: Array) -> Array:
        """Return the rows' times, late ones before those that are sent with them."""
        mixed = _mix(serials)
        back = np.zeros(len(serials), np.int64)
        amount = (mixed >> np.uint64(32)).astype(np.int64)
        late, far = mixed % np.uint64(64) == 0, mixed % np.uint64(256) == 1
        back[late] = 1 + amount[late] % self.late_steps
        back[far] = 1 + amount[far] % self.far_steps
        times: Array = self.start_ns + (serials.astype(np.int64) - back) * self.step_ns
        return times

    def tables(self, serials: Array) -> Array:
        """Return the numbers of the rows' tables."""
        tables: Array = _mix(serials) >> np.uint64(8) & np.uint64(1)
        return tables.astype(np.int64)

    def owners(self, serials: Array) -> Array:
        """Return the indices of the rows' symbols."""
        owners: Array = (_mix(serials) >> np.uint64(9)) % np.uint64(len(self.symbols))
        return owners.astype(np.int64)

    def rows(self, table: Table, serials: Array) -> Array:
        """Return packed rows of one table, with the indices of :attr:`symbols` for symbol numbers."""
        rows = np.zeros(len(serials), table.row)
        rows["symbol"] = self.owners(serials)
        rows["flags"] = serials % 3
        rows["time_ns"] = self.times(serials)
        rows["recv_ns"] = rows["time_ns"] + serials
        rows["side"] = serials % 2
        if table is MD:
            rows["price"] = serials
            rows["volume"] = serials / 4
            rows["best_bid"] = serials - 0.25
            rows["best_ask"] = serials + 0.25
        else:
            rows["trade_id"] = serials
            rows["price"] = serials + 0.1
            rows["size"] = serials / 8
            rows["maker_order_id"] = _order_ids(serials)
            rows["taker_order_id"] = _order_ids(serials + 7)
        return rows

    def batch(self, first: int, last: int) -> Batch:
        """Return the rows of serials ``first`` to ``last`` (exclusive), of all tables."""
        serials = np.arange(first, last)
        tables = self.tables(serials)
        symbols = SymbolTable(ExchangeId(EXCHANGE))
        for symbol in self.symbols:
            symbols.number(symbol)
        rows = {table.number: self.rows(table, serials[tables == table.number]) for table in TABLES}
        return Batch(symbols, {number: found for number, found in rows.items() if len(found)})

    def faults(self, table: Table, columns: Mapping[str, Array]) -> str:
        """Return what is wrong with rows that were read; empty if nothing is.

        Args:
            table: whose.
            columns: of one length, by name; the one that has the serial is there.
        """
        told = columns[SERIAL_COLUMN[table.name]]
        serials = told.astype(np.int64)
        foreign = np.flatnonzero(self.tables(serials) != table.number)
        if len(foreign):
            return f"row {foreign[0]} has serial {told[foreign[0]]}, which is no row of {table.name}"
        rows = self.rows(table, serials)
        fields = {name: rows[name] for name in table.stored_fields}
        for column in table.columns:
            if column.name not in columns:
                continue
            expected = column.derive(fields).astype(column.dtype)
            wrong = np.flatnonzero(columns[column.name] != expected)
            if len(wrong):
                row = wrong[0]
                found, right = columns[column.name][row], expected[row]
                return f"row {row}, serial {serials[row]}: {column.name} is {found!r}, and not {right!r}"
        return ""


def _mix(serials: Array) -> Array:
    """Return well mixed bits of each serial (SplitMix64)."""
    bits = serials.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = bits ^ (bits >> np.uint64(31))
    return mixed


def _order_ids(serials: Array) -> Array:
    words = np.zeros((len(serials), 2), ">u8")
    words[:, 1] = serials
    return words.view("V16")[:, 0]
