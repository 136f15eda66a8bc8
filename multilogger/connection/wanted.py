"""Which symbols a connection should carry, and which the exchange does not want to hear of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog
import trio

from multilogger.stats import ExchangeStats

log = structlog.get_logger(__name__)

ASK_AGAIN_SECS: Final = 3600.0
"""A rejected symbol is not asked for again sooner."""


class Wanted:
    """The symbols one connection should carry; its session follows them."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self.symbols = tuple(symbols)
        self.changed = trio.Event()
        """Set, and replaced, at the next change."""

    def change(self, symbols: Iterable[str]) -> None:
        """Want these from now on."""
        symbols = tuple(symbols)
        if symbols != self.symbols:
            self.symbols = symbols
            self.changed.set()
            self.changed = trio.Event()


class SetAside:
    """The symbols of one exchange that it rejected, for an hour each."""

    def __init__(self, stats: ExchangeStats) -> None:
        self._stats = stats
        self._until: dict[str, float] = {}

    def add(self, symbols: Iterable[str], reason: str) -> None:
        """Set ``symbols`` aside.

        Args:
            symbols: what was rejected.
            reason: in the exchange's own words.
        """
        for symbol in symbols:
            self._until[symbol] = trio.current_time() + ASK_AGAIN_SECS
            self._stats.set_aside[symbol] = reason
            log.warning("symbol set aside", exchange=self._stats.name, symbol=symbol, why=reason)

    def forgive(self, symbols: Iterable[str]) -> None:
        """Take note that the exchange accepts ``symbols`` after all."""
        for symbol in symbols:
            if self._until.pop(symbol, None) is not None:
                self._stats.set_aside.pop(symbol, None)

    def forget(self, wanted: Iterable[str]) -> None:
        """Forget all but ``wanted``: nobody asks for the others any more."""
        for symbol in self._until.keys() - set(wanted):
            del self._until[symbol]
            self._stats.set_aside.pop(symbol, None)

    def without(self, symbols: Iterable[str]) -> tuple[str, ...]:
        """Return those of ``symbols`` that may be asked for now."""
        now = trio.current_time()
        return tuple(symbol for symbol in symbols if self._until.get(symbol, now) <= now)

    def next_retry(self, symbols: Iterable[str]) -> float:
        """Return the Trio time at which the first of ``symbols`` may be asked for."""
        now = trio.current_time()
        return min((self._until.get(symbol, now) for symbol in symbols), default=float("inf"))
