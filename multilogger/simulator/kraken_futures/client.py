"""A connection to the simulated Kraken Futures, and what its client can know of the last trades."""

from __future__ import annotations

import attrs

from multilogger.simulator.client import Client
from multilogger.simulator.market import Fill


@attrs.define(eq=False)
class KrakenFuturesClient(Client):
    """A connection, and what its client can know of the last trades."""

    heard_at: float = 0.0
    """When it was last heard, on Trio's clock."""
    last: dict[str, Fill] = attrs.field(factory=dict)
    """The newest trade sent, by symbol, of those that it has subscribed."""
    late: set[str] = attrs.field(factory=set)
    """Symbols that somebody had been told of before this client asked for them."""

    def note(self, symbol: str, fill: Fill) -> None:
        """Take note that a trade is sent: the newest is the one with the highest number, or else time."""
        last = self.last.get(symbol)
        if last is None or fill.trade_id > last.trade_id or fill.time_ns > last.time_ns:
            self.last[symbol] = fill
