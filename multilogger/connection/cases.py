"""Symbols' tables that have fallen silent, and what is known of each."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import attrs
import trio

from multilogger.connection.feed import Feed
from multilogger.tables import Table


@attrs.define(eq=False)
class Case:
    """A symbol's table that is silent."""

    symbol: str
    number: int
    table: Table
    opened: float
    """Trio time."""
    since_ns: int
    """Event time of its last row, or when it was first carried."""
    evident: bool = False
    """Whether the exchange has shown, since the last step, that there is something to bring."""
    accompanies: bool = False
    """Whether that was shown of the symbol's other table alone."""
    wants_look: bool = False
    steps: int = 0
    """How often something was tried."""
    rests_until: float = -inf
    """Trio time before which the last step may still help."""
    looks_again_at: float = -inf
    """Trio time before which the exchange is not asked again."""
    stepped_ns: int = 0
    """When the last step was taken, by the calendar."""
    noted_for: float = inf
    """Since when the connection carries the symbol of whose deafness the ledger has been told."""

    @property
    def key(self) -> tuple[int, int]:
        """Numbers of symbol and table."""
        return self.number, self.table.number

    @property
    def name(self) -> str:
        """As in the counters."""
        return f"{self.symbol}/{self.table.name}"


class Cases:
    """The open cases of one exchange.

    Args:
        feed: what its connections share.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._open: dict[tuple[int, int], Case] = {}

    def __iter__(self) -> Iterator[Case]:
        """Iterate over a copy: the oldest first."""
        return iter(list(self._open.values()))

    def of(self, number: int, table: Table) -> Case:
        """Return the case of a symbol's table, a new one at its first mention."""
        key = number, table.number
        if key not in self._open:
            symbol = self._feed.symbols.names[number]
            since_ns = self.last_ns(number, table) or self._feed.carriers.since_ns(symbol)
            self._open[key] = Case(symbol, number, table, trio.current_time(), since_ns)
        return self._open[key]

    def find(self, number: int, table: Table) -> Case | None:
        """Return the case of a symbol's table, None without one."""
        return self._open.get((number, table.number))

    def of_symbol(self, number: int) -> list[Case]:
        """Return the open cases of a symbol."""
        return [case for case in self._open.values() if case.number == number]

    def forget(self, case: Case) -> None:
        """Close a case."""
        del self._open[case.key]
        self._feed.stats.deaf.pop(case.name, None)

    def last(self, number: int, table: Table) -> float:
        """Return the Trio time of a symbol's last row, of those connections that carry it now."""
        carriers = self._feed.carriers.of(self._feed.symbols.names[number])
        return max((it.arrivals.last(number, table) for it in carriers), default=-inf)

    def last_ns(self, number: int, table: Table) -> int:
        """Return the event time of the same, 0 without one."""
        carriers = self._feed.carriers.of(self._feed.symbols.names[number])
        return max((it.arrivals.event_ns(number, table) for it in carriers), default=0)
