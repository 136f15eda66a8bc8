"""Coinbase Exchange, simulated: its market data feed and the public part of its REST API.

Modelled: the subscribe deadline of 5 s, cumulative acknowledgements with renamed channels, refusal in the
exchange's words, channels that need a login, ``last_match`` and current ticker at subscribe, jumping
``sequence``, maker's side in matches and taker's in tickers, one ticker a cascade, heartbeats, paging of
trades. Channels without data here: ``level2_batch``, ``auctionfeed``, ``rfq_matches``; they are acknowledged.

Source: Coinbase Exchange documentation, "WebSocket Feed: Overview", "Channels", "Rate limits" and "REST API".
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any, ClassVar, Final

import attrs
import trio

from multilogger.simulator.client import Client
from multilogger.simulator.coinbase import messages
from multilogger.simulator.coinbase.requests import Refused, check, parse
from multilogger.simulator.coinbase.rest import answer_rest
from multilogger.simulator.instruments import Instrument, listing
from multilogger.simulator.ledger import TickerEntry, TradeEntry
from multilogger.simulator.market import Cascade, Fill
from multilogger.simulator.rest import Request, Response
from multilogger.simulator.rules import Bucket, Rules, Window
from multilogger.simulator.venue import Venue
from multilogger.simulator.wire import Outbox

SUBSCRIBE_SECS: Final = 5
"""A subscribe has to arrive within this time."""
_RENAMED: Final = {"level2_batch": "level2_50", "ticker_batch": "ticker_1000"}
"""What an acknowledgement calls a channel."""
_TICKER_BATCH_SECS: Final = 5
_STATUS_SECS: Final = 60


class CoinbaseVenue(Venue[Client]):
    """A simulated Coinbase Exchange; topics are ``channel:PRODUCT``."""

    name: ClassVar[str] = "coinbase"
    messages_per_fill: ClassVar[float] = 1.55
    requests_per_second: ClassVar[int] = 100
    resolution_ns: ClassVar[int] = 1000
    pace_ns: ClassVar[int] = 1000
    instruments: ClassVar[tuple[Instrument, ...]] = listing("USD", "-")

    seconds = 0.0
    """Of its life, as far as :meth:`every_second` has counted them."""
    batched_ns = 0
    """When the last batch of tickers was sent."""

    def make_rules(self) -> Rules:
        """Return what an address may ask for."""
        return Rules(connects=Bucket(8, 20), messages=Window(100, 1.0), weight=Bucket(10, 15))

    def admit(self, path: str, outbox: Outbox) -> Client | None:
        """Any path will do."""
        return Client(path, outbox)

    async def attend(self, client: Client) -> None:
        """Hang up on a client that does not subscribe in time."""
        await trio.sleep(SUBSCRIBE_SECS)
        if not client.spoke:
            client.leave(1000)

    # Requests.

    def receive(self, client: Client, text: str) -> None:
        """Answer ``subscribe`` and ``unsubscribe``."""
        try:
            verb, wanted = parse(text)
            if verb == "subscribe":
                check(wanted, self.market.instruments)
        except Refused as refusal:
            self._error(client, "Failed to subscribe", refusal.reason)
            if "authentication" in refusal.reason:
                self._acknowledge(client)
            return
        if verb == "subscribe":
            self._subscribe(client, wanted)
        else:
            self._unsubscribe(client, wanted)

    def _subscribe(self, client: Client, wanted: list[tuple[str, list[str]]]) -> None:
        fresh = [
            (channel, product)
            for channel, products in wanted
            for product in products or [""]
            if self.subscribe(client, f"{channel}:{product}")
        ]
        self._acknowledge(client)
        for channel, product in fresh:
            if client.hears(f"{channel}:{product}"):
                self._replay(client, channel, product)

    def _unsubscribe(self, client: Client, wanted: list[tuple[str, list[str]]]) -> None:
        for channel, products in wanted:
            for topic in list(client.topics):
                name, _, product = topic.partition(":")
                if name == channel and (not products or product in products):
                    self.unsubscribe(client, topic)
        self._acknowledge(client)

    def _acknowledge(self, client: Client) -> None:
        active: dict[str, list[str]] = {}
        for topic in client.topics:
            channel, _, product = topic.partition(":")
            active.setdefault(channel, []).extend([product] if product else [])
        channels = [
            {"name": _RENAMED.get(channel, channel), "product_ids": products, "account_ids": None}
            for channel, products in active.items()
        ]
        self.send(client, _json({"type": "subscriptions", "channels": channels}))

    def _error(self, client: Client, message: str, reason: str) -> None:
        self.send(client, _json({"type": "error", "message": message, "reason": reason}))

    def _replay(self, client: Client, channel: str, product: str) -> None:
        if channel == "status":
            self.send(client, self._status())
            return
        cascades = self.market.markets[product].cascades
        if not cascades:
            return
        if channel == "matches":
            self.enter_fill(product, cascades[-1].last)
            self.send(client, messages.match("last_match", product, cascades[-1].last))
        elif channel in ("ticker", "ticker_batch"):
            self._enter_ticker(cascades[-1])
            self.send(client, messages.ticker(cascades[-1]))

    # Data.

    def spread(self, cascade: Cascade) -> None:
        """Send the matches, then one ticker of the last."""
        symbol = cascade.instrument.symbol
        clients = self.listeners(topic := f"matches:{symbol}")
        if clients:
            for fill in cascade.fills:
                self.detour.send(topic, clients, partial(self._send_match, symbol, fill))
        clients = self.listeners(topic := f"ticker:{symbol}")
        if clients:
            self.detour.send(topic, clients, partial(self._send_ticker, cascade), repeatable=False)

    def enter_made(self, cascade: Cascade) -> None:
        """Enter the matches, if any client has ever wanted them."""
        symbol = cascade.instrument.symbol
        if f"matches:{symbol}" in self.followed:
            for fill in cascade.fills:
                self.enter_fill(symbol, fill)

    def spread_again(self, cascade: Cascade) -> None:
        """Send those matches again that the ledger has."""
        symbol = cascade.instrument.symbol
        for fill in cascade.fills:
            if fill.entered:
                self.broadcast(self.listeners(f"matches:{symbol}"), messages.match("match", symbol, fill))

    def _send_match(self, symbol: str, fill: Fill, clients: list[Client]) -> None:
        self.enter_fill(symbol, fill)
        self.broadcast(clients, messages.match("match", symbol, fill))

    def _send_ticker(self, cascade: Cascade, clients: list[Client]) -> None:
        # One held back may have opened a subscription meanwhile; a recorder can't tell it from a second one.
        if not cascade.entered:
            self._enter_ticker(cascade)
            self.broadcast(clients, messages.ticker(cascade))

    def every_second(self) -> None:
        """Send heartbeats; every 5 s batched tickers that changed, every minute the status."""
        before, self.seconds = self.seconds, self.seconds + self.period_secs
        now_ns = self.clock()
        for symbol, market in self.market.markets.items():
            last = market.recent[-1].trade_id if market.recent else 0
            clients = self.listeners(f"heartbeat:{symbol}")
            if clients:
                self.broadcast(clients, messages.heartbeat(symbol, market.sequence, last, now_ns))
        if self.seconds // _TICKER_BATCH_SECS > before // _TICKER_BATCH_SECS:
            self._send_ticker_batch()
        if self.seconds // _STATUS_SECS > before // _STATUS_SECS and self.subscribers.get("status:"):
            self.broadcast(self.listeners("status:"), self._status())

    def _send_ticker_batch(self) -> None:
        since_ns, self.batched_ns = self.batched_ns, self.clock()
        for symbol, market in self.market.markets.items():
            clients = self.listeners(f"ticker_batch:{symbol}")
            if clients and market.cascades and market.cascades[-1].last.time_ns > since_ns:
                self._enter_ticker(market.cascades[-1])
                self.broadcast(clients, messages.ticker(market.cascades[-1]))

    def _status(self) -> bytes:
        products = [messages.product(instrument) for instrument in self.market.instruments.values()]
        currencies = [
            {"id": name, "status": "online"} for name in sorted({p["base_currency"] for p in products})
        ]
        return _json({"type": "status", "products": products, "currencies": currencies})

    def entry(self, symbol: str, fill: Fill) -> TradeEntry:
        """Return a match as a recorder is to have it, with its orders."""
        return attrs.evolve(super().entry(symbol, fill), maker=fill.maker, taker=fill.taker)

    def _enter_ticker(self, cascade: Cascade) -> None:
        if not cascade.entered:
            cascade.entered = True
            self.ledger.ticker(
                TickerEntry(
                    symbol=cascade.instrument.symbol,
                    time_ns=cascade.last.time_ns,
                    sequence=cascade.last.sequence,
                    price=cascade.last.price,
                    volume=cascade.last.size,
                    best_bid=cascade.quote.bid,
                    best_ask=cascade.quote.ask,
                    bought=cascade.last.bought,
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
        """Return the product of ``channel:PRODUCT``."""
        return topic.partition(":")[2]

    def answer(self, request: Request) -> Response:
        """Answer a REST request."""
        return answer_rest(self.market, self.clock, request)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
