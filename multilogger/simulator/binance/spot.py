"""Binance spot, simulated: its combined and raw streams, and the public part of its REST API.

Modelled: silent acknowledgement of unknown and upper-case streams, errors with codes, five requests a
second, 1024 streams a connection, server pings, the 24-hour cut and the shutdown notice before it, lower-case
names in and upper-case symbols out, ``@trade``, ``@aggTrade``, ``@ticker`` once a second if something traded,
and ``@bookTicker`` without a time.

A client should subscribe either trades or aggregate trades: both are TRADES rows, with ids of their own.

Source: binance-spot-api-docs, ``web-socket-streams.md``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from functools import cached_property, partial
from typing import ClassVar, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs
import trio

from multilogger.simulator.binance import messages
from multilogger.simulator.binance.client import BinanceClient
from multilogger.simulator.binance.requests import BinanceRequests
from multilogger.simulator.binance.rest import answer_rest, weight
from multilogger.simulator.instruments import Instrument, listing
from multilogger.simulator.ledger import UNKNOWN_TIME, TickerEntry, TradeEntry
from multilogger.simulator.market import Cascade, Fill
from multilogger.simulator.rest import Request, Response
from multilogger.simulator.rules import Rules, Window
from multilogger.simulator.wire import Outbox, text_frame

_NO_ORDER: Final = bytes(16)


class BinanceVenue(BinanceRequests):
    """A simulated Binance spot; topics are stream names."""

    name: ClassVar[str] = "binance"
    messages_per_fill: ClassVar[float] = 1.0
    requests_per_second: ClassVar[int] = 5
    ping_secs: float | None = 20.0
    resolution_ns: ClassVar[int] = messages.MILLISECOND
    instruments: ClassVar[tuple[Instrument, ...]] = listing("USDT", "")

    lifetime_secs: float = 24 * 3600
    """A connection is cut at this age."""
    shutdown_notice_secs: float | None = None
    """How long before the cut ``serverShutdown`` is sent; None sends none."""

    @cached_property
    def _told(self) -> set[str]:
        """Symbols that any client has been told a trade or ticker of."""
        return set()

    def make_rules(self) -> Rules:
        """Return what an address may ask for."""
        self._weight = Window(6000, 60.0)
        return Rules(connects=Window(300, 300.0), weight=self._weight, retry_after_secs=30.0)

    def admit(self, path: str, outbox: Outbox) -> BinanceClient | None:
        """Take ``/stream`` and ``/ws``, with or without streams in the address."""
        url = urlsplit(path)
        query = dict(parse_qsl(url.query))
        client = BinanceClient(path, outbox, combined=url.path.rstrip("/") == "/stream")
        if query.get("timeUnit", "").upper() == "MICROSECOND":
            client.unit_ns = messages.MICROSECOND
        if client.combined:
            streams = query.get("streams", "")
        elif url.path.startswith("/ws"):
            streams = unquote(url.path).removeprefix("/ws").strip("/")
        else:
            return None
        for stream in filter(None, streams.split("/")):
            self.subscribe(client, stream)
        return client

    async def attend(self, client: BinanceClient) -> None:
        """Cut the connection at the end of its life."""
        notice = self.shutdown_notice_secs
        await trio.sleep(self.lifetime_secs - (notice or 0))
        if notice is not None:
            self._announce(client)
            await trio.sleep(notice)
        client.leave(1008, "disconnected")

    def announce_shutdown(self) -> None:
        """Send ``serverShutdown`` to all."""
        for client in list(self.connected()):
            self._announce(client)

    def _announce(self, client: BinanceClient) -> None:
        event = f'{{"e":"serverShutdown","E":{self.clock() // client.unit_ns}}}'
        self.send(client, _wrapped(client, "!serverShutdown", event))

    # Requests.

    def subscribe(self, client: BinanceClient, topic: str) -> bool:
        """Enter a subscription; False if the client has it already."""
        symbol = self.topic_symbol(topic)
        if symbol in self._told:
            client.late.add(symbol)
        return super().subscribe(client, topic)

    # Data.

    def spread(self, cascade: Cascade) -> None:
        """Send trades and aggregate trades, then the best quotes."""
        symbol = cascade.instrument.symbol
        stem = symbol.lower()
        if clients := self.listeners(stream := f"{stem}@trade"):
            for fill in cascade.fills:
                self.detour.send(stream, clients, partial(self._send_trade, stream, symbol, fill))
        if clients := self.listeners(stream := f"{stem}@aggTrade"):
            for aggregate in messages.aggregates(cascade):
                self.detour.send(stream, clients, partial(self._send_aggregate, stream, symbol, aggregate))
        if clients := self.listeners(stream := f"{stem}@bookTicker"):
            self._send_book_ticker(stream, cascade, clients)

    def enter_made(self, cascade: Cascade) -> None:
        """Enter trades and aggregate trades, whichever any client has ever wanted."""
        symbol = cascade.instrument.symbol
        stem = symbol.lower()
        if f"{stem}@trade" in self.followed:
            for fill in cascade.fills:
                self._enter_fill(symbol, fill)
        if f"{stem}@aggTrade" in self.followed:
            for aggregate in messages.aggregates(cascade):
                self._enter_aggregate(symbol, aggregate)

    def spread_again(self, cascade: Cascade) -> None:
        """Send those trades and aggregate trades again that the ledger has."""
        symbol = cascade.instrument.symbol
        stem = symbol.lower()
        if clients := self.listeners(stream := f"{stem}@trade"):
            for fill in cascade.fills:
                if fill.entered:
                    self._send_trade(stream, symbol, fill, clients)
        if clients := self.listeners(stream := f"{stem}@aggTrade"):
            for aggregate in messages.aggregates(cascade):
                if aggregate.entered:
                    self._send_aggregate(stream, symbol, aggregate, clients)

    def _send_trade(self, stream: str, symbol: str, fill: Fill, clients: list[BinanceClient]) -> None:
        self._emit(stream, clients, lambda unit_ns: messages.trade(symbol, fill, unit_ns))
        self._note(clients, symbol, fill, fill.size)
        self._enter_fill(symbol, fill)

    def _send_aggregate(
        self, stream: str, symbol: str, aggregate: messages.Aggregate, clients: list[BinanceClient]
    ) -> None:
        self._emit(stream, clients, lambda unit_ns: messages.agg_trade(symbol, aggregate, unit_ns))
        self._note(clients, symbol, aggregate.first, aggregate.size)
        self._enter_aggregate(symbol, aggregate)

    def _note(self, clients: list[BinanceClient], symbol: str, fill: Fill, size: str) -> None:
        self._told.add(symbol)
        for client in clients:
            client.sides[symbol] = fill.bought
            client.last[symbol] = (fill.price, size)

    def _enter_fill(self, symbol: str, fill: Fill) -> None:
        if not fill.entered:
            fill.entered = True
            self._enter_trade(symbol, fill, fill.trade_id, fill.size)

    def _enter_aggregate(self, symbol: str, aggregate: messages.Aggregate) -> None:
        if not aggregate.entered:
            aggregate.first.aggregate_entered = True
            self._enter_trade(symbol, aggregate.first, aggregate.aggregate_id, aggregate.size)

    def _enter_trade(self, symbol: str, fill: Fill, trade_id: int, size: str) -> None:
        self.ledger.trade(
            TradeEntry(
                symbol=symbol,
                time_ns=fill.time_ns,
                trade_id=trade_id,
                price=fill.price,
                size=size,
                maker=_NO_ORDER,
                taker=_NO_ORDER,
                bought=fill.bought,
            )
        )

    def _send_book_ticker(self, stream: str, cascade: Cascade, clients: Collection[BinanceClient]) -> None:
        symbol = cascade.instrument.symbol
        self._emit(stream, clients, lambda _: messages.book_ticker(cascade))
        for client in clients:
            # Before a trade is known, no row can be composed of quotes alone.
            if symbol in client.last:
                price, size = client.last[symbol]
                self._enter_ticker(cascade, UNKNOWN_TIME, client.sides[symbol], price, size)
                return

    def every_second(self) -> None:
        """Send the tickers of what has traded."""
        now_ns = self.clock() // messages.MILLISECOND * messages.MILLISECOND
        for symbol, market in self.market.markets.items():
            stream = f"{symbol.lower()}@ticker"
            cascade = market.cascades[-1] if market.cascades else None
            if cascade is not None and not cascade.entered and self._side_is_certain(stream, symbol):
                # One mark does for both: an unchanged ticker is not sent again.
                cascade.entered = True
                send = partial(self._send_ticker, stream, cascade, now_ns)
                self.detour.send(stream, self.listeners(stream), send, repeatable=False)

    def _side_is_certain(self, stream: str, symbol: str) -> bool:
        """Return whether there are clients, and all are sure to find the same side, or none, for a ticker."""
        clients = self.listeners(stream)
        if not clients or any(client.may_remember(symbol) for client in clients):
            return False
        # A trade that came late to some of them is the last one to these alone.
        return len({client.sides[symbol] for client in clients if symbol in client.last}) <= 1

    def _send_ticker(self, stream: str, cascade: Cascade, now_ns: int, clients: list[BinanceClient]) -> None:
        self._emit(stream, clients, lambda unit_ns: messages.ticker(cascade, now_ns, unit_ns))
        self._told.add(cascade.instrument.symbol)
        sides = [client.side(cascade) for client in clients]
        known = [side for side in sides if side is not None]
        if known:
            self._enter_ticker(cascade, now_ns, known[0], cascade.last.price, cascade.last.size)

    def _enter_ticker(self, cascade: Cascade, time_ns: int, bought: bool, price: str, size: str) -> None:
        self.ledger.ticker(
            TickerEntry(
                symbol=cascade.instrument.symbol,
                time_ns=time_ns,
                sequence=cascade.quote.update_id,
                price=price,
                volume=size,
                best_bid=cascade.quote.bid,
                best_ask=cascade.quote.ask,
                bought=bought,
            )
        )

    def _emit(self, stream: str, clients: Collection[BinanceClient], spell: Callable[[int], str]) -> None:
        """Send an event of a stream to some of its subscribers, each in its mode."""
        frames: dict[tuple[bool, int], bytes] = {}
        for client in list(clients):
            mode = (client.combined, client.unit_ns)
            if mode not in frames:
                frames[mode] = text_frame(_wrapped(client, stream, spell(client.unit_ns)))
            self.send_frame(client, frames[mode])

    def garbage(self) -> list[bytes]:
        """Return malformed messages about an instrument that trades."""
        cascade = next(market.cascades[-1] for market in self.market.markets.values() if market.cascades)
        return messages.garbage(cascade)

    def symbol_of(self, payload: bytes) -> str | None:
        """Return the event's ``s``, or what its stream is named after."""
        message = json.loads(payload)
        if not isinstance(message, dict):
            return None
        data = message.get("data", message)
        symbol = data.get("s") if isinstance(data, dict) else None
        if isinstance(symbol, str):
            return symbol
        stem, at, _ = str(message.get("stream", "")).partition("@")
        return stem.upper() if at else None

    def topic_symbol(self, topic: str) -> str:
        """Return the symbol of ``stem@kind``; a stream that is not spelled in lower case has none."""
        stem = topic.partition("@")[0]
        return stem.upper() if stem == stem.lower() else ""

    def answer(self, request: Request) -> Response:
        """Answer a REST request."""
        return answer_rest(self.market, self.clock, request)

    def weigh(self, request: Request) -> float:
        """Return what a REST request weighs."""
        return weight(request)

    async def reply(self, request: Request) -> Response:
        """Answer a REST request, and tell the weight used within the last minute."""
        response = await super().reply(request)
        used = round(self._weight.used(trio.current_time()))
        return attrs.evolve(response, headers=(*response.headers, ("X-MBX-USED-WEIGHT-1M", str(used))))


def _wrapped(client: BinanceClient, stream: str, data: str) -> bytes:
    return (f'{{"stream":"{stream}","data":{data}}}' if client.combined else data).encode()
