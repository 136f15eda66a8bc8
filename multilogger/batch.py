"""Rows on their way from a connection to the writer.

An adapter packs rows into a :class:`RowBuffer`, many a chunk; the connection hands them over as a
:class:`Batch` when it holds ``buffer_size`` rows or 20 ms have passed. From there on nothing is done row by
row: NumPy views the bytes.
"""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np

from multilogger.notes import Note
from multilogger.records import ExchangeId
from multilogger.tables import MD, TABLES, TRADES, Array

NO_ORDER: Final = bytes(16)
"""The order id of an exchange that gives none."""


class SymbolTable:
    """Numbers for the venue symbols of one exchange: a symbol keeps its number while the process lives."""

    def __init__(self, exchange: ExchangeId) -> None:
        self.exchange = exchange
        self.names: list[str] = []
        """The venue symbol of each number; only ever appended to."""
        self._numbers: dict[str, int] = {}

    def number(self, symbol: str) -> int:
        """Return the number of ``symbol``, a new one at its first mention."""
        number = self._numbers.get(symbol)
        if number is None:
            number = self._numbers[symbol] = len(self.names)
            self.names.append(symbol)
        return number

    def __len__(self) -> int:
        return len(self.names)


class RowBuffer:
    """Packed rows of one connection since its last hand-over.

    ``md`` and ``trades`` are plain bytearrays: the adapters extend them by ``MD.pack(...)`` and
    ``TRADES.pack(...)``, which costs a third of a method call with as many arguments.
    """

    __slots__ = ("md", "trades")

    def __init__(self) -> None:
        self.md = bytearray()
        self.trades = bytearray()

    def add_md(
        self,
        *,
        symbol: int,
        time_ns: int,
        recv_ns: int,
        price: float,
        volume: float,
        side: int,
        best_bid: float,
        best_ask: float,
        flags: int = 0,
    ) -> None:
        """Append one MD row; for adapters that prefer names to speed."""
        self.md += MD.pack(symbol, flags, time_ns, recv_ns, price, volume, best_bid, best_ask, side)

    def add_trade(
        self,
        *,
        symbol: int,
        time_ns: int,
        recv_ns: int,
        trade_id: int,
        price: float,
        size: float,
        side: int,
        maker_order_id: bytes = NO_ORDER,
        taker_order_id: bytes = NO_ORDER,
        flags: int = 0,
    ) -> None:
        """Append one TRADES row; for adapters that prefer names to speed."""
        self.trades += TRADES.pack(
            symbol, flags, time_ns, recv_ns, trade_id, price, size, maker_order_id, taker_order_id, side
        )

    def __len__(self) -> int:
        """Return the number of rows over all tables."""
        return len(self.md) // MD.row.itemsize + len(self.trades) // TRADES.row.itemsize

    def take(self) -> dict[int, Array]:
        """Return the rows of each non-empty table by its number, and begin anew.

        Returns:
            Structured arrays of the tables' ``row`` dtypes, in order of arrival.
        """
        taken = {
            table.number: np.frombuffer(packed, dtype=table.row)
            for table, packed in ((MD, self.md), (TRADES, self.trades))
            if packed
        }
        self.md = bytearray()
        self.trades = bytearray()
        return taken


@attrs.frozen(eq=False)
class Batch:
    """The rows of one hand-over, after the quality checks."""

    symbols: SymbolTable
    """What the rows' ``symbol`` numbers mean, and the exchange."""
    rows: dict[int, Array]
    """By table number: structured arrays of ``TABLES[number].row``, in order of arrival."""
    notes: tuple[Note, ...] = ()
    """What these rows make true, such as that a gap is filled: journalled after them, never before."""

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.rows.values())

    @property
    def nbytes(self) -> int:
        """Size of all rows in bytes."""
        return sum(rows.nbytes for rows in self.rows.values())


__all__ = ["NO_ORDER", "TABLES", "Batch", "RowBuffer", "SymbolTable"]
