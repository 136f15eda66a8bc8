"""A connection to the simulated Kraken, and what its client knows."""

from __future__ import annotations

import attrs
import trio

from multilogger.simulator.client import Client
from multilogger.simulator.market import Fill


@attrs.define(eq=False)
class KrakenClient(Client):
    """A connection, and what its client knows of the last trades."""

    last: dict[str, Fill] = attrs.field(factory=dict)
    """The trade with the highest id that it was sent since it subscribed, by symbol."""
    heard_at: float = attrs.field(factory=trio.current_time)
    """When it last asked for anything, on Trio's clock."""
    sent_at: float = attrs.field(factory=trio.current_time)
    """When it was last sent anything."""

    def note(self, symbol: str, fill: Fill) -> None:
        """Take note of a trade that it is sent; neither replays nor disorder make an older one the last."""
        known = self.last.get(symbol)
        if known is None or fill.trade_id > known.trade_id:
            self.last[symbol] = fill

    def awaits_trades(self, symbol: str) -> bool:
        """Return whether it has subscribed a symbol's trades, and was sent none."""
        return f"trade:{symbol}" in self.topics and symbol not in self.last
