"""Trades of a hand-over by symbol, and how their ids stand to those before them."""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np

from multilogger.records import MERGED_SHIFT
from multilogger.tables import Array

_NARROW: Final = 2**16 - 1


@attrs.frozen(eq=False)
class Grouped:
    """Ids of trades, those of one symbol behind each other and in order of arrival."""

    order: Array
    """Places of the rows in the hand-over."""
    symbol: Array
    ids: Array
    """i8."""
    firsts: Array
    """The lowest id that each row stands for; the same as ``ids`` where no row is of several merged fills."""
    starts: Array
    """Places of each symbol's first row."""
    numbers: Array
    """Each symbol once."""

    def newest(self) -> Array:
        """Return the places of each symbol's last row."""
        ends = np.empty_like(self.starts)
        ends[:-1] = self.starts[1:]
        ends[-1] = len(self.ids)
        ends -= 1
        return ends

    def before(self, last: Array) -> Array:
        """Return the id before each row: of the row before, or ``last`` by symbol number."""
        before = np.empty_like(self.ids)
        before[1:] = self.ids[:-1]
        before[self.starts] = last[self.numbers]
        return before


def group(trades: Array) -> Grouped:
    """Group trades by symbol."""
    symbol = trades["symbol"]
    if int(symbol.max()) <= _NARROW:
        # NumPy sorts short integers by their digits: some times faster.
        symbol = symbol.astype(np.uint16)
    order = np.argsort(symbol, kind="stable")
    symbol = symbol[order]
    opens = np.empty(len(symbol), np.bool_)
    opens[0] = True
    np.not_equal(symbol[1:], symbol[:-1], out=opens[1:])
    starts = np.flatnonzero(opens)
    ids = trades["trade_id"][order].view(np.int64)
    merged = trades["flags"] >> MERGED_SHIFT
    firsts = ids - merged[order].astype(np.int64) if merged.any() else ids
    return Grouped(order, symbol, ids, firsts, starts, symbol[starts])


def highest_before(grouped: Grouped, before: Array) -> Array:
    """Return the highest id before each row, of its symbol.

    Args:
        grouped: the rows.
        before: the id before each row, as :meth:`Grouped.before` returns it.
    """
    values, ranks = np.unique(before, return_inverse=True)
    # One running maximum for all symbols: ranks of a later one are all above those of an earlier one.
    offsets = np.zeros(len(before), np.int64)
    offsets[grouped.starts[1:]] = len(values)
    offsets = np.cumsum(offsets)
    highest: Array = values[np.maximum.accumulate(ranks + offsets) - offsets]
    return highest
