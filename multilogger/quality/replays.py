"""Tickers that an exchange sends again at subscribe: kept once.

Coinbase opens each subscription with the current ticker. After a reconnect or a restart that may be the very
row that was recorded last, or an older one; it is new only if something happened in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from multilogger.batch import SymbolTable
from multilogger.records import Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, Array

_VALUES: Final = ["time_ns", "price", "volume", "side", "best_bid", "best_ask"]


class TickerReplays:
    """The last MD row of every symbol of one exchange.

    Args:
        symbols: numbers the rows' symbols.
        stats: where duplicates are counted.
        last_rows: the last row on disk by venue symbol, structured arrays of ``MD.row``.
    """

    def __init__(self, symbols: SymbolTable, stats: ExchangeStats, last_rows: Mapping[str, Array]) -> None:
        self._stats = stats
        self._last: Array = np.zeros(max(len(symbols), 64), MD.row)
        for symbol, row in last_rows.items():
            number = symbols.number(symbol)
            self._grow(number)
            self._last[number] = row.reshape(())

    def fresh(self, md: Array) -> Array:
        """Return the rows without replays of what was recorded before; remember the newest of each symbol."""
        self._grow(int(md["symbol"].max()))
        replayed = np.flatnonzero(md["flags"] & Flag.REPLAYED)
        if len(replayed):
            keep = np.ones(len(md), np.bool_)
            keep[[at for at in replayed if self._known(md[at])]] = False
            self._stats.duplicates += int(len(md) - keep.sum())
            md = md[keep]
        self._remember(md)
        return md

    def _remember(self, md: Array) -> None:
        """Keep the newest row of each symbol; rows that come late are older than that."""
        times = md["time_ns"]
        if (times[1:] < times[:-1]).any():
            md = md[np.argsort(times, kind="stable")]
        md = md[md["time_ns"] >= self._last["time_ns"][md["symbol"]]]
        # Of repeated indices NumPy's assignment keeps the last.
        self._last[md["symbol"]] = md

    def _known(self, row: Array) -> bool:
        last = self._last[row["symbol"]]
        if row["time_ns"] != last["time_ns"]:
            return bool(row["time_ns"] < last["time_ns"])
        return all(row[name] == last[name] for name in _VALUES)

    def _grow(self, number: int) -> None:
        short = number + 1 - len(self._last)
        if short > 0:
            self._last = np.concatenate([self._last, np.zeros(max(short, len(self._last)), MD.row)])
