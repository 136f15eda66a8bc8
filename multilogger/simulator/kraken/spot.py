"""Kraken spot, simulated: WebSocket API v2, and the public part of its REST API.

Modelled: the status that greets with an id beyond 2^53, an answer for each symbol of a request, refusals in
the exchange's words, the last 50 trades and the ticker at subscribe, several trades in one message, tickers
by trade or by change of the best quotes, without size, side and time, numbers with all digits or an exponent,
heartbeats where nothing else flows, the cut of idle connections, pings, the listing on the channel
``instrument``, the announcement of a restart, 150 connects in 10 minutes and the ban after them, REST errors
under the status 200, trades by time only, ids that are skipped now and then.

A ticker is withheld while nobody can be sure of which trade its client takes for the last one.

Source: docs.kraken.com, "Spot WebSocket v2" and "Spot REST".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property, partial
from typing import ClassVar, Final
from urllib.parse import urlsplit

import attrs
import trio

from multilogger.simulator.instruments import Instrument, listing
from multilogger.simulator.kraken import messages
from multilogger.simulator.kraken.client import KrakenClient
from multilogger.simulator.kraken.limits import BannedWindow, KrakenRules
from multilogger.simulator.kraken.requests import TRIGGERS, KrakenRequests
from multilogger.simulator.kraken.rest import answer_rest
from multilogger.simulator.ledger import TickerEntry, untold
from multilogger.simulator.market import Cascade, Fill
from multilogger.simulator.rest import Request, Response
from multilogger.simulator.rules import Bucket, Rules
from multilogger.simulator.wire import Outbox

IDLE_SECS: Final = 60.0
"""A connection without a subscription, on which nothing is said for so long, is closed."""
_SNAPSHOT_TRADES: Final = 50
_FIRST_CONNECTION: Final = 13_834_774_380_200_032_777
"""Ids of connections do not fit a float, nor a signed integer of 64 bits."""
_MICROSECOND: Final = 1000
_SKIPPED_OF: Final = 200
"""One id in so many is skipped at most, and fewer where much is traded: a recorder has to ask about each,
and may do so once a second."""
_SKIP_SECS: Final = 10.0


def _listed(instrument: Instrument) -> Instrument:
    """Return one of the demo's instruments with Kraken's precision: sizes have eight decimals."""
    price = {"BTC": "64000.0"}.get(instrument.base, instrument.price)
    return attrs.evolve(instrument, price=price, size_decimals=8)


class KrakenVenue(KrakenRequests):
    """A simulated Kraken spot."""

    name: ClassVar[str] = "kraken"
    instruments: ClassVar[tuple[Instrument, ...]] = tuple(map(_listed, listing("USD", "/")))
    messages_per_fill: ClassVar[float] = 1.1
    requests_per_second: ClassVar[int] = 10
    resolution_ns: ClassVar[int] = _MICROSECOND
    pace_ns: ClassVar[int] = _MICROSECOND
    """The history is paged by time: no more trades may share one than a page has."""

    connections = 0
    """Opened so far."""

    @cached_property
    def _told(self) -> set[str]:
        """Symbols that any client has been told a trade of."""
        return set()

    @cached_property
    def _quotes(self) -> dict[str, tuple[str, str]]:
        """The best quotes as they were after the last order, by symbol."""
        return {}

    @cached_property
    def skipped_of(self) -> int:
        """One id in so many is skipped."""
        return max(_SKIPPED_OF, round(_SKIP_SECS * self.rate))

    def make_rules(self) -> Rules:
        """Return what an address may ask for."""
        return KrakenRules(connects=BannedWindow(150, 600.0), weight=Bucket(1.0, 15.0))

    def admit(self, path: str, outbox: Outbox) -> KrakenClient | None:
        """Take ``/v2``, and greet."""
        if urlsplit(path).path.rstrip("/") != "/v2":
            return None
        client = KrakenClient(path, outbox)
        self.connections += 1
        self.send(client, messages.status(_FIRST_CONNECTION + self.connections))
        return client

    async def attend(self, client: KrakenClient) -> None:
        """Hang up once nothing has been said for a minute."""
        while True:
            due = max(client.heard_at, client.sent_at) + IDLE_SECS
            if due <= trio.current_time() and not client.topics:
                client.leave(1000, "idle")
                return
            await trio.sleep_until(max(due, trio.current_time() + 1.0))

    def announce_shutdown(self) -> None:
        """Tell all of a maintenance that is about to begin."""
        notice = messages.status(_FIRST_CONNECTION, [messages.restart(self.clock())])
        self.broadcast(self.connected(), notice)

    def send_frame(self, client: KrakenClient, frame: bytes) -> None:
        """Send one encoded frame to one client."""
        client.sent_at = trio.current_time()
        super().send_frame(client, frame)

    # Data.

    def real(self, fills: Sequence[Fill]) -> list[Fill]:
        """Return the fills whose ids are not skipped: there are no others, for all that anybody is told."""
        return [fill for fill in fills if fill.trade_id % self.skipped_of != self.skipped_of // 2]

    def replay(self, client: KrakenClient, channel: str, symbol: str) -> None:
        """Send the last trades, or the ticker as it is."""
        market = self.market.markets[symbol]
        fills = self.real(list(market.recent)[-_SNAPSHOT_TRADES - 2 :])[-_SNAPSHOT_TRADES:]
        if not fills:
            return
        if channel == "trade":
            self._send_trades(symbol, fills, [client], kind="snapshot")
        elif channel == "ticker" and self._tickers_of(symbol) == [client]:
            # Of two connections a recorder keeps one's tickers, and which it is only it knows.
            self._send_ticker(market.cascades[-1], fills[-1], [client], kind="snapshot")

    def spread(self, cascade: Cascade) -> None:
        """Send the trades in one message, then the ticker."""
        symbol, quote = cascade.instrument.symbol, cascade.quote
        fills = self.real(cascade.fills)
        if fills and (clients := self.listeners(topic := f"trade:{symbol}")):
            self.detour.send(topic, clients, partial(self._send_trades, symbol, fills))
        before = self._quotes.get(symbol)
        self._quotes[symbol] = (quote.bid, quote.ask)
        for trigger in TRIGGERS:
            changed = before != self._quotes[symbol] if trigger == "bbo" else True
            clients = self.listeners(topic := f"ticker.{trigger}:{symbol}")
            if fills and changed and clients:
                send = partial(self._send_ticker, cascade, fills[-1])
                self.detour.send(topic, clients, send, repeatable=False)

    def past_fills(self, cascade: Cascade) -> Sequence[Fill]:
        """Return the fills of a cascade that the REST API tells of afterwards."""
        return self.real(cascade.fills)

    def enter_made(self, cascade: Cascade) -> None:
        """Enter the trades, if any client has ever wanted them."""
        symbol = cascade.instrument.symbol
        if f"trade:{symbol}" in self.followed:
            for fill in self.past_fills(cascade):
                self.enter_fill(symbol, fill)

    def spread_again(self, cascade: Cascade) -> None:
        """Send those trades again that the ledger has."""
        symbol = cascade.instrument.symbol
        fills = [fill for fill in cascade.fills if fill.entered]
        clients = self.listeners(f"trade:{symbol}")
        if fills and clients:
            self._send_trades(symbol, fills, clients)

    def _send_trades(
        self, symbol: str, fills: Sequence[Fill], clients: list[KrakenClient], kind: str = "update"
    ) -> None:
        self._told.add(symbol)
        for fill in fills:
            self.enter_fill(symbol, fill)
            for client in clients:
                client.note(symbol, fill)
        self.broadcast(clients, messages.trades(kind, symbol, fills))

    def _send_ticker(
        self, cascade: Cascade, fill: Fill, clients: list[KrakenClient], kind: str = "update"
    ) -> None:
        symbol = cascade.instrument.symbol
        lasts = {client.last[symbol] for client in clients if symbol in client.last}
        # Who comes back may remember what another connection told, or not: trades settle that.
        forgetful = symbol in self._told and any(client.awaits_trades(symbol) for client in clients)
        if len(lasts) > 1 or forgetful:
            return
        for last in lasts:
            self._enter_ticker(cascade, fill, last)
        self.broadcast(clients, messages.ticker(kind, cascade, fill))

    def _tickers_of(self, symbol: str) -> list[KrakenClient]:
        """Return all who get the tickers of a symbol."""
        return [client for it in TRIGGERS for client in self.subscribers.get(f"ticker.{it}:{symbol}", ())]

    def every_second(self) -> None:
        """Send a heartbeat to whom nothing else was sent."""
        now = trio.current_time()
        quiet = [
            it for it in self.connected() if it.topics and now - it.sent_at >= min(1.0, self.period_secs)
        ]
        self.broadcast(quiet, b'{"channel":"heartbeat"}')

    def _enter_ticker(self, cascade: Cascade, fill: Fill, last: Fill) -> None:
        self.ledger.ticker(
            TickerEntry(
                symbol=cascade.instrument.symbol,
                time_ns=untold(self.clock()),
                sequence=cascade.quote.update_id,
                price=fill.price,
                volume=last.size,
                best_bid=cascade.quote.bid,
                best_ask=cascade.quote.ask,
                bought=last.bought,
            )
        )

    def garbage(self) -> list[bytes]:
        """Return malformed messages about an instrument that trades."""
        market = next(it for it in self.market.markets.values() if it.cascades)
        cascade = market.cascades[-1]
        return messages.garbage(cascade.instrument.symbol, cascade.last, cascade)

    def symbol_of(self, payload: bytes) -> str | None:
        """Return the symbol of the first of a message's data."""
        message = json.loads(payload)
        data = message.get("data") if isinstance(message, dict) else None
        first = data[0] if isinstance(data, list) and data else None
        symbol = first.get("symbol") if isinstance(first, dict) else None
        return symbol if isinstance(symbol, str) else None

    def topic_symbol(self, topic: str) -> str:
        """Return the symbol of ``channel:SYMBOL``."""
        return topic.partition(":")[2]

    def answer(self, request: Request) -> Response:
        """Answer a REST request."""
        return answer_rest(self.market, self.clock, self.real, request)
