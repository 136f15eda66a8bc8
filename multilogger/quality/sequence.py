"""Trade ids in sequence: which rows are new, which were seen before, which ids are missing.

For exchanges whose trade ids are integers that rise by one per symbol (Coinbase, Binance, ...). Judged a
batch at a time in NumPy; Python looks at single rows only for symbols whose ids did not simply rise.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from multilogger.batch import SymbolTable
from multilogger.stats import ExchangeStats
from multilogger.tables import Array

_UNKNOWN: Final = -1
_MAX_SPANS: Final = 256
"""Missing spans remembered for one symbol; the oldest are given up first and stay counted as gaps."""


class MissingIds:
    """The ids of one symbol that were skipped and may still come late."""

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []
        """Closed spans, ascending, disjoint."""

    def add(self, first: int, last: int) -> None:
        """Note that ``first`` to ``last`` were skipped; all are above every span known."""
        self._spans.append((first, last))
        if len(self._spans) > _MAX_SPANS:
            del self._spans[0]

    def take(self, trade_id: int) -> bool:
        """Return whether ``trade_id`` was missing; it no longer is."""
        at = bisect_right(self._spans, (trade_id, np.iinfo(np.int64).max)) - 1
        if at < 0 or self._spans[at][1] < trade_id:
            return False
        first, last = self._spans[at]
        rest = [(first, trade_id - 1), (trade_id + 1, last)]
        self._spans[at : at + 1] = [span for span in rest if span[0] <= span[1]]
        return True

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self._spans)


class TradeSequence:
    """The last trade id of every symbol of one exchange, and the ids missing below it.

    Args:
        symbols: numbers the rows' symbols.
        stats: where duplicates and gaps are counted.
        last_ids: the last id on disk by venue symbol.
    """

    def __init__(self, symbols: SymbolTable, stats: ExchangeStats, last_ids: Mapping[str, int]) -> None:
        self._symbols = symbols
        self._stats = stats
        self._missing: dict[int, MissingIds] = {}
        self._last: npt.NDArray[np.int64] = np.full(max(len(symbols), 64), _UNKNOWN, np.int64)
        for symbol, last in last_ids.items():
            number = symbols.number(symbol)
            self._grow(number)
            self._last[number] = last

    def fresh(self, trades: Array) -> Array:
        """Return the rows that were not seen before, in their order, and remember them.

        A skipped id counts as a gap until it arrives; an id at or below the last one is taken only if it
        was missing, so disorder costs nothing and a repeat never counts twice.
        """
        symbol = trades["symbol"]
        self._grow(int(symbol.max()))
        order = np.argsort(symbol, kind="stable")
        symbol = symbol[order]
        ids = trades["trade_id"][order].astype(np.int64)
        opens = np.empty(len(ids), np.bool_)
        opens[0] = True
        np.not_equal(symbol[1:], symbol[:-1], out=opens[1:])
        before = np.empty_like(ids)
        before[1:] = ids[:-1]
        before[opens] = self._last[symbol[opens]]
        steps = ids - before
        if (steps == 1).all():
            self._last[symbol] = ids
            return trades
        return self._judge(trades, order, symbol, ids, before)

    def _judge(self, trades: Array, order: Array, symbol: Array, ids: Array, before: Array) -> Array:
        """Take rising ids as they are, noting the skipped ones; look at the rest one by one."""
        disordered = np.unique(symbol[ids <= before])
        rising = ~np.isin(symbol, disordered)
        skips = rising & (before != _UNKNOWN) & (ids > before + 1)
        for number, last, now in zip(symbol[skips], before[skips], ids[skips], strict=True):
            self._skip(int(number), int(last), int(now))
        self._last[symbol[rising]] = ids[rising]
        keep = rising
        for at in np.flatnonzero(~rising):
            keep[at] = self._take(int(symbol[at]), int(ids[at]))
        kept = np.zeros(len(ids), np.bool_)
        kept[order] = keep
        return trades if kept.all() else trades[kept]

    def _take(self, number: int, trade_id: int) -> bool:
        last = int(self._last[number])
        if trade_id > last:
            if last != _UNKNOWN and trade_id > last + 1:
                self._skip(number, last, trade_id)
            self._last[number] = trade_id
            return True
        missing = self._missing.get(number)
        if missing is not None and missing.take(trade_id):
            self._stats.gaps -= 1
            return True
        self._stats.duplicates += 1
        return False

    def _skip(self, number: int, last: int, now: int) -> None:
        self._missing.setdefault(number, MissingIds()).add(last + 1, now - 1)
        self._stats.gaps += now - last - 1

    def _grow(self, number: int) -> None:
        short = number + 1 - len(self._last)
        if short > 0:
            more = np.full(max(short, len(self._last)), _UNKNOWN, np.int64)
            self._last = np.concatenate([self._last, more])
