"""What Bybit's three simulated markets have in common: trades, what clients know, idle connections.

Modelled: both dialects of answers, data before or after an acknowledgement, one bad topic that voids a
request, ten topics a request on spot and 21,000 characters a connection, pings of the client, the cut after
ten minutes in which nothing was said, several trades in a message, ``u`` and its repetition, snapshots and
deltas.

A recorder may combine quotes with a trade that an earlier connection brought, or not. So a client that comes
back to a symbol gets its quotes only after a trade, though the exchange sends them at once; and nothing of
which two clients would make different rows is sent before they agree again.

Source: bybit-exchange.github.io/docs/v5.
"""

from __future__ import annotations

import abc
import json
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from itertools import count
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import trio

from multilogger.simulator.bybit import messages
from multilogger.simulator.bybit.client import BybitClient, Told
from multilogger.simulator.bybit.requests import BybitRequests
from multilogger.simulator.bybit.rest import Rest, make_rules
from multilogger.simulator.instruments import Instrument
from multilogger.simulator.ledger import TickerEntry
from multilogger.simulator.market import Cascade, Fill
from multilogger.simulator.rest import Request, Response
from multilogger.simulator.rules import Rules
from multilogger.simulator.wire import Outbox, text_frame

_TRADES_A_MESSAGE: Final = 3
"""Up to 1024 are allowed; several messages may share a sequence number."""
_REPEATED_MOST: Final = 2000
"""Trades of a symbol that may be sent again: a recorder need not remember any number of ids."""

Spell = Callable[[Told, Told, int], bytes]
"""Spells a message: what its client was told before, what it is told by it, and its time."""


class BybitBase(BybitRequests):
    """A simulated market of Bybit; topics are as the exchange spells them."""

    category: ClassVar[str]
    """The exchange's own word for the market."""
    requests_per_second: ClassVar[int] = 50
    """No limit is published."""
    resolution_ns: ClassVar[int] = messages.MILLISECOND
    idle_secs: float = 600.0
    """A connection on which nothing was said for so long is cut."""

    @cached_property
    def _told(self) -> set[str]:
        """Symbols that any client has been told a trade of."""
        return set()

    @cached_property
    def _stamps(self) -> dict[str, int]:
        """Time of the last message beside trades, by symbol."""
        return {}

    @cached_property
    def _changed(self) -> dict[str, Cascade]:
        """The last orders of the present step, by symbol."""
        return {}

    @cached_property
    def _connections(self) -> count[int]:
        return count(1)

    @cached_property
    def _rest(self) -> Rest:
        return Rest(self.market, self.clock, self.category, self.listed, self._past_trade)

    # What a dialect says.

    @abc.abstractmethod
    def trade_id(self, symbol: str, fill: Fill) -> int:
        """Return a trade's id as the recorder's tables have it."""

    @abc.abstractmethod
    def trade_name(self, symbol: str, fill: Fill) -> str:
        """Return a trade's id as the exchange spells it."""

    @abc.abstractmethod
    def trades(self, symbol: str, fills: list[Fill], sequence: int) -> bytes:
        """Return a ``publicTrade``; ``tickers`` has the same sequence number then."""

    @abc.abstractmethod
    def listed(self, instrument: Instrument) -> dict[str, Any]:
        """Return an entry of the listing."""

    @abc.abstractmethod
    def quote(self, cascade: Cascade) -> None:
        """Send what has changed beside trades, after the last order of a step."""

    # The exchange.

    def make_rules(self) -> Rules:
        """Return what an address may ask for."""
        return make_rules()

    def admit(self, path: str, outbox: Outbox) -> BybitClient | None:
        """Take the path of the market's public topics."""
        if urlsplit(path).path.rstrip("/") != f"/v5/public/{self.category}":
            return None
        client = BybitClient(path, outbox, conn_id=f"sim-{self.category}-{next(self._connections)}")
        client.heard_at = trio.current_time()
        return client

    async def attend(self, client: BybitClient) -> None:
        """Cut a connection on which neither side says anything."""
        while (left := client.heard_at + self.idle_secs - trio.current_time()) > 0:  # noqa: ASYNC110 - by the clock
            await trio.sleep(left)
        client.leave(1001, "idle")

    def send_frame(self, client: BybitClient, frame: bytes) -> None:
        """Send one encoded frame to one client, which is a sign of life."""
        client.heard_at = trio.current_time()
        super().send_frame(client, frame)

    def set_clock(self, offset_ns: int) -> None:
        """Let the exchange's clock be wrong by so much from now on; times may go back."""
        super().set_clock(offset_ns)
        self._stamps.clear()

    def unsubscribe(self, client: BybitClient, topic: str) -> None:
        """End a subscription, and what the client knows by it."""
        super().unsubscribe(client, topic)
        client.forget(self.topic_symbol(topic))

    # Trades.

    def spread(self, cascade: Cascade) -> None:
        """Send trades; quotes and last price follow at the end of the step."""
        symbol = cascade.instrument.symbol
        topic = f"publicTrade.{symbol}"
        if clients := self.listeners(topic):
            for fills in _portions(cascade.fills):
                self.detour.send(topic, clients, partial(self._send_trades, cascade, fills))
        self._changed[symbol] = cascade

    def step(self, fills: int) -> int:
        """Let the market trade, and send of each symbol once what that has changed."""
        made = super().step(fills)
        for cascade in self._changed.values():
            self.quote(cascade)
        self._changed.clear()
        self.ledger.commit()
        return made

    def enter_made(self, cascade: Cascade) -> None:
        """Enter the trades of a symbol that any client has ever wanted."""
        symbol = cascade.instrument.symbol
        if f"publicTrade.{symbol}" in self.followed:
            for fill in cascade.fills:
                self.enter_fill(symbol, fill)

    def spread_again(self, cascade: Cascade) -> None:
        """Send trades again to those who got them by the connection that they have now."""
        symbol = cascade.instrument.symbol
        newest = self.market.markets[symbol].recent[-1].trade_id
        first = cascade.fills[0].trade_id
        if newest - first > _REPEATED_MOST or not all(fill.entered for fill in cascade.fills):
            return
        clients = [
            client
            for client in self.listeners(f"publicTrade.{symbol}")
            if symbol in client.first and client.first[symbol].trade_id <= first
        ]
        for fills in _portions(cascade.fills) if clients else ():
            self._send_trades(cascade, fills, clients)

    def _send_trades(self, cascade: Cascade, fills: list[Fill], clients: list[BybitClient]) -> None:
        symbol = cascade.instrument.symbol
        self.broadcast(clients, self.trades(symbol, fills, cascade.last.sequence))
        self._told.add(symbol)
        for client in clients:
            client.first.setdefault(symbol, fills[0])
            client.last[symbol] = fills[-1]
        for fill in fills:
            self.enter_fill(symbol, fill)

    # All else.

    def say(
        self,
        topic: str,
        wanted_ns: int,
        after: Callable[[Told], Told],
        spell: Spell,
        clients: Sequence[BybitClient] | None = None,
    ) -> None:
        """Send a message, unless it can't be known which row its receivers make of it.

        Args:
            topic: of the message.
            wanted_ns: when it is sent; later if the one before it was.
            after: returns what a client knows after it.
            spell: makes the message.
            clients: who gets it; all who listen by default.
        """
        symbol = self.topic_symbol(topic)
        receivers = [it for it in clients or self.listeners(topic) if self._is_certain(it, symbol)]
        rows = {client.row(symbol, after(client.knows(symbol))) for client in receivers}
        if len(rows) != 1:
            return
        time_ns = self._stamps[symbol] = max(
            wanted_ns - wanted_ns % self.resolution_ns, self._stamps.get(symbol, 0) + self.resolution_ns
        )
        frames: dict[Told, bytes] = {}
        for client in receivers:
            before = client.knows(symbol)
            client.heard[symbol] = now = after(before)
            if before not in frames:
                frames[before] = text_frame(spell(before, now, time_ns))
            self.send_frame(client, frames[before])
        row = rows.pop()
        if row is not None:
            self.ledger.ticker(
                TickerEntry(
                    symbol=symbol,
                    time_ns=time_ns,
                    sequence=row.trade.sequence,
                    price=row.trade.price,
                    volume=row.trade.size,
                    best_bid=row.bid,
                    best_ask=row.ask,
                    bought=row.trade.bought,
                )
            )

    def _is_certain(self, client: BybitClient, symbol: str) -> bool:
        """Return whether it is known which trade a client combines quotes with: one of its own, or none."""
        return symbol in client.last or symbol not in self._told

    def newest(self, symbol: str) -> Cascade | None:
        """Return the last order of a symbol."""
        market = self.market.markets.get(symbol)
        return market.cascades[-1] if market is not None and market.cascades else None

    def garbage(self) -> list[bytes]:
        """Return malformed messages about an instrument that trades."""
        symbol, cascade = next(
            (symbol, market.cascades[-1]) for symbol, market in self.market.markets.items() if market.cascades
        )
        fill = cascade.last
        return messages.garbage(symbol, self.trades(symbol, [fill], fill.sequence), fill)

    def symbol_of(self, payload: bytes) -> str | None:
        """Return what the topic of a message ends with."""
        message = json.loads(payload)
        topic = message.get("topic") if isinstance(message, dict) else None
        return self.topic_symbol(topic) or None if isinstance(topic, str) else None

    def topic_symbol(self, topic: str) -> str:
        """Return what a topic ends with."""
        return topic.rpartition(".")[2]

    def answer(self, request: Request) -> Response:
        """Answer a REST request."""
        return self._rest.answer(request)

    def _past_trade(self, symbol: str, fill: Fill) -> dict[str, Any]:
        return messages.rest_trade(symbol, fill, self.trade_name(symbol, fill))


def _portions(fills: list[Fill]) -> list[list[Fill]]:
    return [fills[at : at + _TRADES_A_MESSAGE] for at in range(0, len(fills), _TRADES_A_MESSAGE)]
