"""Which symbols are asked about though nothing seems to be wrong: where ids have no order, it may be."""

from __future__ import annotations

from collections.abc import Container
from math import inf
from typing import Final

import numpy as np
import trio

from multilogger.connection.feed import Feed
from multilogger.exchanges.base import Exchange

PAUSE_SECS: Final = 2.0
"""Between two such requests."""
LEAST_SECS: Final = 30.0
MOST_SECS: Final = 240.0
"""A symbol is asked about as often as half a page of it fills, within these; rarer where there are many."""


class Audits:
    """The turns of the symbols of one exchange.

    Args:
        exchange: has a history, or is never asked.
        feed: what its connections share.
    """

    def __init__(self, exchange: Exchange, feed: Feed) -> None:
        self._exchange = exchange
        self._feed = feed
        self._asked: dict[str, float] = {}
        """Trio time at which each was last asked about, or first met."""
        self._next = -inf

    def next(self, without: Container[int]) -> int | None:
        """Return the number of the symbol that has waited longest for its turn, None if none is due.

        Args:
            without: numbers of symbols that have other turns.
        """
        now, history = trio.current_time(), self._exchange.history
        if now < self._next or history is None or not self._exchange.config.backfill:
            return None
        self._next = now + PAUSE_SECS
        carried = self._feed.carriers.carried
        self._asked = {symbol: self._asked.get(symbol, now) for symbol in carried}
        numbers = np.array([self._feed.symbols.number(symbol) for symbol in carried], np.intp)
        rates = self._feed.quality.rates(numbers)
        waits = np.clip(history.page / 2 / np.maximum(rates, 1e-6), LEAST_SECS, MOST_SECS)
        overdue = now - np.array([self._asked[symbol] for symbol in carried]) - waits
        for place in np.argsort(-overdue):
            if overdue[place] < 0:
                break
            if int(numbers[place]) not in without:
                self._asked[carried[place]] = now
                return int(numbers[place])
        return None
