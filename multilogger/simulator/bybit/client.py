"""A connection to a simulated Bybit, and what its client can know."""

from __future__ import annotations

import attrs

from multilogger.simulator.client import Client
from multilogger.simulator.market import Fill


@attrs.frozen
class Told:
    """What a client has been told of a symbol beside trades."""

    last: str = ""
    """The last price of the newest ``tickers``; empty before it."""
    bid: str = ""
    ask: str = ""
    update: int | None = None
    """Of the newest ``orderbook.1``; of tickers with quotes None."""

    def quotes(self) -> tuple[str, str, int | None]:
        """Return what changes with the quotes."""
        return self.bid, self.ask, self.update


@attrs.frozen
class Row:
    """A ticker row that a recorder makes of what it has been told."""

    trade: Fill
    bid: str
    ask: str


@attrs.define(eq=False)
class BybitClient(Client):
    """A connection, and what its client knows of each symbol by it."""

    conn_id: str = ""
    last: dict[str, Fill] = attrs.field(factory=dict)
    """The last trade sent, by symbol."""
    first: dict[str, Fill] = attrs.field(factory=dict)
    """The first trade sent, by symbol."""
    heard: dict[str, Told] = attrs.field(factory=dict)
    heard_at: float = 0.0
    """When anything went either way, on Trio's clock."""

    def knows(self, symbol: str) -> Told:
        """Return what it has been told of a symbol."""
        return self.heard.get(symbol, Told())

    def row(self, symbol: str, after: Told) -> Row | None:
        """Return the row that a message gives which tells as much; None if there is none.

        It gives one if it changes the quotes, or if it changes the last price to the last trade's. It needs
        quotes, and a trade.
        """
        before, trade = self.knows(symbol), self.last.get(symbol)
        if trade is None or not after.bid:
            return None
        if after.quotes() == before.quotes() and (after.last == before.last or after.last != trade.price):
            return None
        return Row(trade, after.bid, after.ask)

    def forget(self, symbol: str) -> None:
        """Begin anew with a symbol whose subscription has ended."""
        self.last.pop(symbol, None)
        self.first.pop(symbol, None)
        self.heard.pop(symbol, None)
