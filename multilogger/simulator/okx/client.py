"""A connection to the simulated OKX, and what its client can know."""

from __future__ import annotations

import attrs
import trio

from multilogger.simulator.client import Client
from multilogger.simulator.rules import Window

OPERATIONS: int = 480
"""Requests that a connection may make in an hour; pings are none."""


@attrs.frozen
class Told:
    """The newest trade that a connection was told of an instrument."""

    trade_id: int
    time_ns: int
    bought: bool
    """Whether the aggressor bought."""


@attrs.define(eq=False)
class OkxClient(Client):
    """A connection, and what its client can know of the last trades."""

    business: bool = False
    """Whether it is to ``/ws/v5/business``."""
    conn_id: str = ""
    active_at: float = attrs.field(factory=trio.current_time)
    """When something was last sent to it, on Trio's clock."""
    operations: Window = attrs.field(factory=lambda: Window(OPERATIONS, 3600.0))
    newest: dict[str, Told] = attrs.field(factory=dict)
    """By symbol."""
    sides: dict[str, bool] = attrs.field(factory=dict)
    """What tickers tell by the tick rule alone, by symbol."""
    prices: dict[str, float] = attrs.field(factory=dict)
    """Price of the last ticker sent, by symbol."""
    late: set[str] = attrs.field(factory=set)
    """Symbols that somebody had been told of before this client asked for them."""

    def tell(self, symbol: str, told: Told) -> None:
        """Note that it is told of a trade; one that comes late does not change what is the newest."""
        known = self.newest.get(symbol)
        if known is None or told.trade_id > known.trade_id or told.time_ns > known.time_ns:
            self.newest[symbol] = told

    def tick(self, symbol: str, price: float) -> bool | None:
        """Return the side of a ticker for who knows of no trade: up is a buy, down a sell, else as before."""
        before = self.prices.get(symbol)
        self.prices[symbol] = price
        if before is not None and price != before:
            self.sides[symbol] = price > before
        return self.sides.get(symbol)

    def wonders(self, symbol: str) -> bool:
        """Return whether it may know of trades that this connection did not bring.

        One that comes back may have kept what its earlier connection told, or not. A trade settles that.
        """
        return symbol in self.late and symbol not in self.newest
