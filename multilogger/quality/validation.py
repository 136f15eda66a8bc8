"""Checks of each row's values: what looks wrong is flagged and counted, and kept as it came.

A recorder that corrects or drops what an exchange says would record its own opinion. So a suspect row stays
as it is; whoever reads it is told by its flag. Only a table of a symbol that is mostly wrong is set aside, by
:mod:`multilogger.quality.breaker`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final

import numpy as np

from multilogger.config.sections import ExchangeConfig
from multilogger.quality.growing import ROOM, with_room
from multilogger.records import Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, NANOS_PER_SECOND, TABLES, TRADES, Array

KEPT_PRICES: Final = 31
"""Of each symbol and table; a lasting move is the new normal when most of them are from after it."""
PRICES_NEEDED: Final = 5
"""With fewer, there is no reference yet."""

_LIVE: Final = int(Flag.LIVE)
_TOLD_LATE: Final = int(Flag.BACKFILLED | Flag.REPLAYED)


class Doubt(enum.IntFlag):
    """Why a row is suspect."""

    PRICE = 1
    """It is far from the recent prices."""
    QUOTES = 2
    """The best bid is above the best ask, or one of them is no price."""
    SIZE = 4
    """The trade is larger than any is expected to be."""
    CLOCK = 8
    """The event time is far from the present."""


WORDS: Final = {
    Doubt.PRICE: "price jump",
    Doubt.QUOTES: "crossed quotes",
    Doubt.SIZE: "trade size",
    Doubt.CLOCK: "clock skew",
}
"""As counters and logs name them."""


class _References:
    """What each symbol's price in one table should be near: the median of the last ones."""

    def __init__(self) -> None:
        self._median = np.full(ROOM, np.nan)
        self._prices = np.full((ROOM, KEPT_PRICES), np.inf)
        """A ring for each symbol. Infinity stands where no price is yet, and is sorted to the end."""
        self._told = np.zeros(ROOM, np.int64)
        """Prices taken."""
        self._newest = np.zeros(ROOM, np.intp)
        """Scratch: the last place of each symbol in a batch."""

    def of(self, symbol: Array) -> Array:
        """Return the reference of each; NaN where there is none yet."""
        self._grow(int(symbol.max(initial=0)))
        reference: Array = self._median[symbol]
        return reference

    def take(self, symbol: Array, price: Array) -> None:
        """Take the last price of each symbol of a batch; whether it looks wrong does not matter.

        A real jump would be suspect for ever if suspect prices were left out.
        """
        place = np.arange(len(symbol))
        self._newest[symbol] = place
        newest = np.flatnonzero(self._newest[symbol] == place)
        symbol = symbol[newest]
        self._prices[symbol, self._told[symbol] % KEPT_PRICES] = price[newest]
        self._told[symbol] += 1
        told = np.minimum(self._told[symbol], KEPT_PRICES)
        prices = np.sort(self._prices[symbol], axis=1)
        median = prices[np.arange(len(symbol)), (told - 1) // 2]
        self._median[symbol] = np.where(told >= PRICES_NEEDED, median, np.nan)

    def _grow(self, number: int) -> None:
        if number >= len(self._median):
            self._median = with_room(self._median, number, np.nan)
            self._prices = with_room(self._prices, number, np.inf)
            self._told = with_room(self._told, number, 0)
            self._newest = with_room(self._newest, number, 0)


class Validation:
    """The checks of one exchange's rows, as far as its configuration turns them on.

    Args:
        config: the thresholds.
        stats: where suspect rows are counted, by reason.
    """

    def __init__(self, config: ExchangeConfig, stats: ExchangeStats) -> None:
        self._config = config
        self._stats = stats
        self._references = tuple(_References() for _ in TABLES)
        self.doubts: dict[int, Array] = {}
        """Of the last check: why each row is suspect, a sum of :class:`Doubt`, by table number; only tables
        with suspect rows are there."""

    def check(self, rows: dict[int, Array], now_ns: int) -> dict[int, Array]:
        """Return the rows, with :attr:`Flag.SUSPECT` set where a check fails; in place where that can be.

        Args:
            rows: by table number.
            now_ns: the time on the scale of the rows' event times. Their receive times are not used: where a
                demonstration's days are shorter than real ones, they are on another scale.
        """
        self.doubts = {}
        return {number: self._check(number, table, now_ns) for number, table in rows.items()}

    def _check(self, number: int, rows: Array, now_ns: int) -> Array:
        failed = [(doubt, mask) for doubt, mask in self._masks(number, rows, now_ns) if mask.any()]
        if not failed:
            return rows
        doubts = np.zeros(len(rows), np.uint8)
        for doubt, mask in failed:
            doubts[mask] |= int(doubt)
            self._stats.suspect[WORDS[doubt]] += int(mask.sum())
        self.doubts[number] = doubts
        if not rows.flags.writeable:
            rows = rows.copy()
        rows["flags"][doubts > 0] |= int(Flag.SUSPECT)
        return rows

    def _masks(self, number: int, rows: Array, now_ns: int) -> Iterator[tuple[Doubt, Array]]:
        config = self._config
        if config.max_price_jump:
            yield Doubt.PRICE, self._jumped(number, rows)
        if config.max_clock_skew_secs:
            off = np.abs(rows["time_ns"] - now_ns) > config.max_clock_skew_secs * NANOS_PER_SECOND
            # What happened before the subscription may have happened long before.
            yield Doubt.CLOCK, off & (rows["flags"] & _TOLD_LATE == _LIVE) if off.any() else off
        if number == MD.number:
            bid = rows["best_bid"]
            # Said so that not-a-number fails too. Equal quotes are a locked market: rare, and true.
            yield Doubt.QUOTES, ~((bid > 0.0) & (rows["best_ask"] >= bid))
        elif number == TRADES.number and config.max_trade_size:
            yield Doubt.SIZE, rows["size"] > config.max_trade_size

    def _jumped(self, number: int, rows: Array) -> Array:
        references = self._references[number]
        symbol, price = rows["symbol"].astype(np.intp), rows["price"]
        reference = references.of(symbol)
        # False where there is no reference, or no price.
        jumped: Array = np.abs(price - reference) > self._config.max_price_jump * reference
        known = price > 0.0
        flags = rows["flags"]
        if flags.any():
            # Trades of hours ago say nothing of what a price should be now.
            known &= flags & int(Flag.BACKFILLED) == _LIVE
        if known.all():
            references.take(symbol, price)
        elif known.any():
            references.take(symbol[known], price[known])
        return jumped & (price > 0.0) if jumped.any() else jumped
