"""A connection to the simulated futures, and which last trade its client can know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import attrs
import trio

from multilogger.simulator.binance.client import StreamClient

SETTLED_SECS: Final = 2.0
"""After this long, what was sent by one connection is known to a recorder that also has others."""
UNKNOWN_TRADE: Final = "nan"
"""Price and size of a trade that nobody can name."""


@attrs.frozen
class LastTrade:
    """What a row of quotes is composed with."""

    trade_id: int
    time_ns: int
    price: str
    size: str
    bought: bool


NOBODY_KNOWS = LastTrade(-1, -1, UNKNOWN_TRADE, UNKNOWN_TRADE, bought=False)
"""Some trade: it came by another connection than the quotes, and nobody can say which one came first."""


@attrs.define(eq=False)
class FuturesClient(StreamClient):
    """A connection."""

    place: str = ""
    """The part of all streams that its address brings; empty for all of them."""
    since: float = attrs.field(factory=trio.current_time)
    """Trio's time of the handshake."""
    last: dict[str, LastTrade] = attrs.field(factory=dict)
    """The last trade sent, by symbol."""
    heard: dict[str, float] = attrs.field(factory=dict)
    """When a trade of a symbol was sent by other connections while this one was there, on Trio's clock."""

    def note(self, symbol: str, trade: LastTrade) -> None:
        """Take note of a trade that is sent; one that is older than the last does not replace it."""
        before = self.last.get(symbol)
        if before is None or trade.trade_id > before.trade_id or trade.time_ns > before.time_ns:
            self.last[symbol] = trade

    def knows_none(self, symbol: str, *, unasked: bool) -> bool:
        """Return whether its client is sure to know no trade, and to get none before what it is sent now."""
        if self.awaits_trades(symbol):
            # One that comes back may have kept what its earlier connection told, or not.
            return symbol not in self.late
        # Another connection of the same recorder may be about to ask for them.
        return unasked and trio.current_time() >= self.since + SETTLED_SECS

    def has_heard(self, symbol: str) -> bool:
        """Return whether its client must have got a trade by another connection."""
        return trio.current_time() >= self.heard.get(symbol, math.inf) + SETTLED_SECS


def composed_with(
    clients: Sequence[FuturesClient], symbol: str, *, unasked: bool
) -> tuple[bool, LastTrade | None]:
    """Return whether it is certain what becomes of quotes that these clients are sent, and with what trade.

    Args:
        clients: who is sent them; all are the same recorder's.
        symbol: whose quotes.
        unasked: whether nobody has ever asked for trades of it.

    Returns:
        Whether it is certain that they are a row, or that they are none; and the trade of that row.
    """
    own = [client.last.get(symbol) for client in clients]
    known = [trade for trade in own if trade is not None]
    if len(known) == len(own) and len({trade.trade_id for trade in known}) == 1:
        return True, known[0]
    if known or any(client.has_heard(symbol) for client in clients):
        return True, NOBODY_KNOWS
    return all(client.knows_none(symbol, unasked=unasked) for client in clients), None
