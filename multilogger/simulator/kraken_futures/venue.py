"""Kraken Futures, simulated: its WebSocket API v1, and the public part of its REST API v3.

Modelled: the greeting, an answer for each product of a request, refusals in prose that name the product or
nothing, the last 100 trades at subscribe, the newest first, the newest ticker at subscribe, one ticker a
second of what has changed, heartbeats, product ids in any case, the cut of a client that was not heard for a
minute, 100 requests a second, 100 connections. A protocol ping is not noticed here: only messages are. The
feed ``book`` is acknowledged, and has no data.

Source: Kraken documentation, "Derivatives WebSocket" and "Derivatives Rate Limits".
"""

from __future__ import annotations

import json
from functools import cached_property, partial
from typing import ClassVar, Final

import attrs
import trio

from multilogger.simulator.instruments import Instrument
from multilogger.simulator.kraken_futures import messages
from multilogger.simulator.kraken_futures.client import KrakenFuturesClient
from multilogger.simulator.kraken_futures.instruments import INSTRUMENTS, contract
from multilogger.simulator.kraken_futures.requests import KrakenFuturesRequests
from multilogger.simulator.kraken_futures.rest import answer_rest
from multilogger.simulator.ledger import TickerEntry, untold
from multilogger.simulator.market import Cascade, Fill
from multilogger.simulator.rest import Request, Response
from multilogger.simulator.rules import Rules, Window
from multilogger.simulator.wire import Outbox

IDLE_SECS: Final = 60.0
"""A client has to be heard within this time."""
MOST_CONNECTIONS: Final = 100
_SNAPSHOT: Final = 100
"""Most trades in a snapshot."""


@attrs.frozen(eq=False)
class _Ticker:
    """A ticker that was sent."""

    payload: bytes
    time_ns: int
    last: Fill | None
    """The last trade that those it was sent to knew; None if they knew of none."""


class KrakenFuturesVenue(KrakenFuturesRequests):
    """A simulated Kraken Futures; topics are ``feed:PRODUCT``."""

    name: ClassVar[str] = "kraken_futures"
    instruments: ClassVar[tuple[Instrument, ...]] = INSTRUMENTS
    messages_per_fill: ClassVar[float] = 1.0
    requests_per_second: ClassVar[int] = 100
    resolution_ns: ClassVar[int] = messages.MILLISECOND
    """Of event times."""

    @cached_property
    def _tickers(self) -> dict[str, _Ticker]:
        """The newest ``ticker`` that was sent, by symbol."""
        return {}

    @cached_property
    def _quoted(self) -> dict[str, Cascade]:
        """What the newest ``ticker_lite`` was about, by symbol."""
        return {}

    @classmethod
    def instrument_of(cls, symbol: str) -> Instrument:
        """Return the contract that a symbol is of."""
        return contract(symbol)

    def make_rules(self) -> Rules:
        """Return what an address may ask for."""
        return Rules(connects=Window(150, 600.0), messages=Window(100, 1.0), weight=Window(500, 10.0))

    def admit(self, path: str, outbox: Outbox) -> KrakenFuturesClient | None:
        """Take ``/ws/v1``, from not too many at a time."""
        if len(self.connected()) >= MOST_CONNECTIONS:
            self.rules.note(f"more connections than {MOST_CONNECTIONS}")
            return None
        return KrakenFuturesClient(path, outbox) if path.partition("?")[0] == "/ws/v1" else None

    async def attend(self, client: KrakenFuturesClient) -> None:
        """Greet the client; hang up if it is not heard for a minute."""
        client.heard_at = trio.current_time()
        self.send(client, messages.encoded({"event": "info", "version": 1}))
        while trio.current_time() < (due := max(client.heard_at, self.stalled_until) + IDLE_SECS):  # noqa: ASYNC110 - what is waited for is that nothing happens
            await trio.sleep_until(due)
        client.leave(1000, "Idle timeout")

    # Data.

    def spread(self, cascade: Cascade) -> None:
        """Send the trades."""
        symbol = cascade.instrument.symbol
        if clients := self.listeners(topic := f"trade:{symbol}"):
            for fill in cascade.fills:
                self.detour.send(topic, clients, partial(self._send_trade, symbol, fill))

    def enter_made(self, cascade: Cascade) -> None:
        """Enter the trades, if any client has ever wanted them."""
        symbol = cascade.instrument.symbol
        if f"trade:{symbol}" in self.followed:
            for fill in cascade.fills:
                self._enter_trade(symbol, fill)

    def spread_again(self, cascade: Cascade) -> None:
        """Send those trades again that the ledger has."""
        symbol = cascade.instrument.symbol
        for fill in cascade.fills:
            if fill.entered:
                self._send_trade(symbol, fill, self.listeners(f"trade:{symbol}"))

    def every_second(self) -> None:
        """Send heartbeats, and the tickers of what has traded."""
        now_ns = self.clock()
        self.broadcast(self.listeners("heartbeat:"), messages.heartbeat(now_ns))
        now_ns -= now_ns % messages.MILLISECOND
        for symbol, market in self.market.markets.items():
            if market.cascades and self._is_agreed(symbol):
                self._publish(market.cascades[-1], now_ns)

    def replay(self, client: KrakenFuturesClient, feed: str, symbol: str) -> None:
        """Send what a subscription begins with: the trades before it, or the newest ticker."""
        market = self.market.markets[symbol]
        if feed == "trade" and market.recent:
            fills = market.span(market.recent[-1].trade_id - _SNAPSHOT + 1)
            self.send(client, messages.trade_snapshot(symbol, reversed(fills)))
            for fill in fills:
                client.note(symbol, fill)
                self._enter_trade(symbol, fill)
        elif feed == "ticker" and market.cascades:
            self._replay_ticker(client, market.cascades[-1])

    def _replay_ticker(self, client: KrakenFuturesClient, cascade: Cascade) -> None:
        """Send the newest ticker, if what its recorder makes of it is certain."""
        symbol = cascade.instrument.symbol
        newest, last = self._tickers.get(symbol), client.last.get(symbol)
        if newest is None:
            now_ns = self.clock() // messages.MILLISECOND * messages.MILLISECOND
            if self._is_agreed(symbol) and cascade.last.time_ns <= now_ns:
                cascade.entered = True
                self._send_ticker(cascade, now_ns, [client])
        elif last is not None and (last is newest.last or last.time_ns > newest.time_ns):
            # With the same last trade it is the same row; beside a later trade it is none.
            self.send(client, newest.payload)

    def _publish(self, cascade: Cascade, now_ns: int) -> None:
        """Send a ticker of each kind; one that has not changed is not sent again."""
        symbol = cascade.instrument.symbol
        if not cascade.entered and (clients := self.listeners(topic := f"ticker:{symbol}")):
            cascade.entered = True
            send = partial(self._send_ticker, cascade, now_ns)
            self.detour.send(topic, clients, send, repeatable=False)
        quoted = self._quoted.get(symbol) is cascade
        if not quoted and (clients := self.listeners(f"ticker_lite:{symbol}")):
            self._quoted[symbol] = cascade
            self.broadcast(clients, messages.ticker_lite(cascade))
            if (last := self._last_known(symbol)) is not None:
                self._enter_ticker(cascade, untold(self.clock()), last, last.price)

    def _is_agreed(self, symbol: str) -> bool:
        """Return whether all who have subscribed a symbol know the same last trade for certain."""
        feeds = [f"{feed}:{symbol}" for feed in ("trade", "ticker", "ticker_lite")]
        clients = [client for client in self.connected() if not client.topics.keys().isdisjoint(feeds)]
        for client in clients:
            # One that comes back may have kept what its earlier connection told, or not.
            if symbol not in client.last and (feeds[0] in client.topics or symbol in client.late):
                return False
        return len({id(client.last[symbol]) for client in clients if symbol in client.last}) <= 1

    def _last_known(self, symbol: str) -> Fill | None:
        """Return the last trade that those who agree about it know."""
        return next((it.last[symbol] for it in self.connected() if symbol in it.last), None)

    def _send_trade(self, symbol: str, fill: Fill, clients: list[KrakenFuturesClient]) -> None:
        self._enter_trade(symbol, fill)
        for client in clients:
            client.note(symbol, fill)
        self.broadcast(clients, messages.trade(symbol, fill))

    def _send_ticker(self, cascade: Cascade, now_ns: int, clients: list[KrakenFuturesClient]) -> None:
        symbol = cascade.instrument.symbol
        if not self._is_agreed(symbol):
            return  # Held back meanwhile, it is lost on its way.
        payload, last = messages.ticker(cascade, now_ns), self._last_known(symbol)
        self.broadcast(clients, payload)
        self.told.add(symbol)
        self._tickers[symbol] = _Ticker(payload, now_ns, last)
        if last is not None:
            self._enter_ticker(cascade, now_ns, last, cascade.last.price)

    def trade_id(self, symbol: str, fill: Fill) -> int:  # noqa: ARG002 - the same whatever is traded
        """Return what the recorder makes of the UUID of a trade."""
        return messages.trade_id(fill)

    def _enter_trade(self, symbol: str, fill: Fill) -> None:
        self.told.add(symbol)
        self.enter_fill(symbol, fill)

    def _enter_ticker(self, cascade: Cascade, time_ns: int, last: Fill, price: str) -> None:
        self.ledger.ticker(
            TickerEntry(
                symbol=cascade.instrument.symbol,
                time_ns=time_ns,
                sequence=cascade.quote.update_id,
                price=price,
                volume=last.size,
                best_bid=cascade.quote.bid,
                best_ask=cascade.quote.ask,
                bought=last.bought,
            )
        )

    def garbage(self) -> list[bytes]:
        """Return malformed messages about an instrument that trades."""
        cascade = next(market.cascades[-1] for market in self.market.markets.values() if market.cascades)
        return messages.garbage(cascade)

    def symbol_of(self, payload: bytes) -> str | None:
        """Return ``product_id``."""
        message = json.loads(payload)
        symbol = message.get("product_id") if isinstance(message, dict) else None
        return symbol if isinstance(symbol, str) else None

    def topic_symbol(self, topic: str) -> str:
        """Return the product of ``feed:PRODUCT``."""
        return topic.partition(":")[2]

    def answer(self, request: Request) -> Response:
        """Answer a REST request."""
        return answer_rest(self.market, self.clock, request)
