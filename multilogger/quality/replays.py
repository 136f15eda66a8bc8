"""Tickers that come twice: kept once.

Coinbase opens each subscription with the current ticker. After a reconnect or a restart that may be the very
row that was recorded last, or an older one; it is new only if something happened in between. And while a
connection is replaced by another that streams before it ends, both bring the same rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from multilogger.batch import SymbolTable
from multilogger.records import Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, Array

_VALUES: Final = ["time_ns", "price", "volume", "side", "best_bid", "best_ask"]
_COMPARED: Final = np.dtype([(name, MD.row[name]) for name in _VALUES])
_REMEMBERED: Final = 64
"""Rows of a symbol that the slower of two connections may bring once more."""


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
        self._overlapping: dict[int, deque[bytes]] = {}
        """The newest rows of the symbols that two connections carry now."""
        for symbol, row in last_rows.items():
            number = symbols.number(symbol)
            self._grow(number)
            self._last[number] = row.reshape(())

    def overlap(self, numbers: Iterable[int], on: bool) -> None:
        """Take note that two connections carry symbols from now on, or no longer do.

        Args:
            numbers: of the symbols.
            on: before the second one streams True, and once the first one's last rows were here False.
        """
        for number in numbers:
            if on:
                self._grow(number)
                last = _packed(self._last[number : number + 1])
                self._overlapping.setdefault(number, deque(last, maxlen=_REMEMBERED))
            else:
                self._overlapping.pop(number, None)

    def fresh(self, md: Array) -> Array:
        """Return the rows without those that came before; remember the newest of each symbol."""
        self._grow(int(md["symbol"].max()))
        if self._overlapping:
            md = self._once(md)
        replayed = np.flatnonzero(md["flags"] & Flag.REPLAYED)
        if len(replayed):
            keep = np.ones(len(md), np.bool_)
            keep[[at for at in replayed if self._known(md[at])]] = False
            self._stats.duplicates += int(len(md) - keep.sum())
            md = md[keep]
        self._remember(md)
        return md

    def _once(self, md: Array) -> Array:
        """Leave out the rows that the other connection has brought already."""
        keep = np.ones(len(md), np.bool_)
        rows = np.flatnonzero(np.isin(md["symbol"], list(self._overlapping)))
        for row, number, packed in zip(rows, md["symbol"][rows].tolist(), _packed(md[rows]), strict=True):
            known = self._overlapping[number]
            if packed in known:
                keep[row] = False
            else:
                known.append(packed)
        self._stats.duplicates += int(len(md) - keep.sum())
        return md[keep]

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


def _packed(md: Array) -> list[bytes]:
    """Return what makes each row the same as another, as bytes."""
    compact = np.empty(len(md), _COMPARED)
    for name in _VALUES:
        compact[name] = md[name]
    return [bytes(row) for row in compact.view(f"V{_COMPARED.itemsize}")]
