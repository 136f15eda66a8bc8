"""What is known of a futures symbol beside its quotes, so that every ``bookTicker`` is a full row."""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs

Last = tuple[float, float, int]
"""Price, size and aggressor (buy 1, sell 0) of a trade."""

_REMEMBERED: Final = 32
"""Quotes of a symbol that the slower of two connections may bring once more."""


@attrs.define(eq=False)
class Tape:
    """The last trade of a symbol that one connection, or any of them, has brought.

    Trades may come out of order, and again by a second connection. So an older one does not replace a newer:
    one with a lower id and no later time. A later time with a lower id is the exchange counting anew.
    """

    trade_id: int = -1
    time_ns: int = 0
    last: Last | None = None


@attrs.define(eq=False)
class FuturesMarket(Tape):
    """What all connections of an exchange know of a symbol; it outlives them.

    While one connection replaces another, both bring the same quotes, each at its own moment between the
    trades. The second one is composed with the trade that the first one was composed with, so that the two
    rows are the same, and known for it.
    """

    update: int = -1
    """The highest update id of a ``bookTicker``."""
    update_ns: int = 0
    """Its time."""
    recent: deque[tuple[int, Last]] = attrs.field(factory=lambda: deque(maxlen=_REMEMBERED))
    """The newest quotes by update id, and what they were composed with."""

    def again(self, update: int, time_ns: int, last: Last) -> Last:
        """Return what a ``bookTicker`` is composed with that is no newer, by its id, than another was.

        Args:
            update: its id.
            time_ns: its time.
            last: the last trade of the connection that brings it.
        """
        for known, before in reversed(self.recent):
            if known == update:
                return before
        if time_ns > self.update_ns:
            # The exchange counts anew.
            self.recent.clear()
            self.update, self.update_ns = update, time_ns
        self.recent.append((update, last))
        return last


@attrs.define(eq=False)
class Carried:
    """A symbol on one connection.

    A row is composed with the last trade of its own connection: there, trades and quotes come in the
    exchange's order if they come by the same socket. Before the first one the others' will do.
    """

    market: FuturesMarket
    own: Tape = attrs.field(factory=Tape)
