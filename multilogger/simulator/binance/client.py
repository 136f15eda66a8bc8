"""A connection to the simulated Binance, and what its client can know."""

from __future__ import annotations

import attrs

from multilogger.simulator.binance import messages
from multilogger.simulator.client import Client
from multilogger.simulator.market import Cascade


@attrs.define(eq=False)
class StreamClient(Client):
    """A connection to any of Binance's markets."""

    combined: bool = True
    """Whether messages are wrapped with their stream's name."""
    unit_ns: int = messages.MILLISECOND
    late: set[str] = attrs.field(factory=set)
    """Symbols that somebody had been told of before this client asked for them."""

    def awaits_trades(self, symbol: str) -> bool:
        """Return whether it has subscribed a symbol's trades."""
        stem = symbol.lower()
        return f"{stem}@trade" in self.topics or f"{stem}@aggTrade" in self.topics


@attrs.define(eq=False)
class BinanceClient(StreamClient):
    """A connection to the spot market, and what its client can know of the last trades."""

    sides: dict[str, bool] = attrs.field(factory=dict)
    """Whether the aggressor of the last trade sent bought, by symbol."""
    prices: dict[str, float] = attrs.field(factory=dict)
    """Price of the last ticker sent, by symbol."""
    last: dict[str, tuple[str, str]] = attrs.field(factory=dict)
    """Price and size of the last trade sent, by symbol."""

    def side(self, cascade: Cascade) -> bool | None:
        """Return the side a recorder gives a ticker: of the last trade it got, else by the tick rule."""
        symbol, price = cascade.instrument.symbol, float(cascade.last.price)
        before = self.prices.get(symbol)
        self.prices[symbol] = price
        if before is not None and price != before and symbol not in self.last:
            self.sides[symbol] = price > before
        return self.sides.get(symbol)

    def may_remember(self, symbol: str) -> bool:
        """Return whether the client may know of trades that this connection did not bring.

        One that comes back may have kept what its earlier connection told, or not. A trade settles that.
        """
        return symbol in self.late and symbol not in self.last and self.awaits_trades(symbol)
