"""A server in memory, and an exchange with a dialect of a few words, for the tests of the connections."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import trio
from connection_wire import URL, clock
from trio.testing import memory_stream_pair
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from multilogger.batch import Batch, RowBuffer, SymbolTable
from multilogger.config import ExchangeConfig
from multilogger.connection.feed import Feed
from multilogger.connection.link import make_connector
from multilogger.connection.pool import Pool
from multilogger.exchanges.base import (
    Adapter,
    Confirmed,
    Event,
    Exchange,
    Limits,
    Rejected,
    Renew,
    Send,
    Services,
)
from multilogger.records import ExchangeId, MarketData, Trade
from multilogger.stats import ExchangeStats
from multilogger.symbols.instruments import SymbolInfo
from multilogger.tables import TRADES, Array


@attrs.define
class WordAdapter:
    """``t SYMBOL ID`` is a trade; ``ok``, ``no``, ``say`` and ``renew`` are the events."""

    table: SymbolTable
    stats: ExchangeStats

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """One frame a symbol."""
        return [f"sub {symbol}" for symbol in symbols]

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """One frame for all."""
        return [f"unsub {' '.join(symbols)}"]

    def receive(self, frames: Sequence[bytes], recv_ns: int, rows: RowBuffer) -> list[Event]:
        """Understand the words."""
        events: list[Event] = []
        for payload in frames:
            match payload.decode().split():
                case ["t", symbol, trade_id]:
                    rows.add_trade(
                        symbol=self.table.number(symbol),
                        time_ns=recv_ns,
                        recv_ns=recv_ns,
                        trade_id=int(trade_id),
                        price=1.0,
                        size=1.0,
                        side=1,
                    )
                case ["ok", *symbols]:
                    events.append(Confirmed(tuple(symbols)))
                case ["no", symbol, *why]:
                    events.append(Rejected((symbol,), " ".join(why)))
                case ["say", *words]:
                    events.append(Send((" ".join(words),)))
                case ["renew", *why]:
                    events.append(Renew(" ".join(why)))
                case _:
                    self.stats.ignored["word"] += 1
        return events

    def ping(self) -> str | None:
        """Every exchange has its own word for it."""
        return "hello?"


class Words(Exchange):
    """The exchange that speaks words."""

    id = ExchangeId("words")
    name = "Words"
    config_type = ExchangeConfig
    limits = Limits(messages_per_second=1000, connects_per_second=1000)

    async def fetch_symbols(self) -> list[SymbolInfo]:
        """Nothing is listed."""
        return []

    def normalize_symbol(self, symbol: str) -> str:
        """All names are the same."""
        return symbol

    def venue_symbol(self, normalized: str) -> str:
        """All names are the same."""
        return normalized

    def create_adapter(self, symbols: SymbolTable, stats: ExchangeStats) -> Adapter:
        """Return a word adapter."""
        return WordAdapter(symbols, stats)

    def parse_market_data(self, raw: bytes, recv_ns: int = 0) -> list[MarketData]:  # noqa: ARG002 - the contract's
        """There are none."""
        return []

    def parse_trade_data(self, raw: bytes, recv_ns: int = 0) -> list[Trade]:  # noqa: ARG002 - the contract's
        """There are none."""
        return []


@attrs.define
class Peer:
    """The server's end of one connection."""

    websocket: WebSocketConnection
    stream: trio.abc.Stream
    heard: list[str] = attrs.field(factory=list)
    """All frames of the client."""

    async def say(self, *words: str) -> None:
        """Send text messages."""
        for word in words:
            await self.websocket.send_message(word)

    async def cut(self) -> None:
        """End the connection without a close frame."""
        await trio.aclose_forcefully(self.stream)


class Venue:
    """A server in memory that confirms every symbol but those it was told to reject.

    Args:
        nursery: where its tasks live.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self.peers: list[Peer] = []
        self.rejected: dict[str, str] = {}
        self.mute = False
        """Whether it confirms nothing."""
        self.down = False
        """Whether it takes no connections."""
        self.deaf = False
        """Whether it reads nothing from new connections."""
        self.greeting = ""
        """What it says first, if anything."""
        self.attempts: list[float] = []
        """When connections were asked for."""
        self._nursery = nursery
        self._came = trio.Event()

    async def open_stream(self, host: str, port: int) -> trio.abc.Stream:
        """Be connected to."""
        self.attempts.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if self.down:
            raise ConnectionRefusedError(f"{host}:{port} is down")
        client, server = memory_stream_pair()
        if not self.deaf:
            self._nursery.start_soon(self._serve, server)
        return client

    async def _serve(self, stream: trio.abc.Stream) -> None:
        try:
            async with trio.open_nursery() as nursery:
                request = await wrap_server_stream(nursery, stream)
                peer = Peer(await request.accept(), stream)
                self.peers.append(peer)
                self._came.set()
                self._came = trio.Event()
                if self.greeting:
                    await peer.say(self.greeting)
                while True:
                    message = str(await peer.websocket.get_message())
                    peer.heard.append(message)
                    await self._answer(peer, message)
        except* (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def _answer(self, peer: Peer, message: str) -> None:
        match message.split():
            case ["sub", symbol] if symbol in self.rejected:
                await peer.say(f"no {symbol} {self.rejected[symbol]}")
            case ["sub", symbol] if not self.mute:
                await peer.say(f"ok {symbol}")

    async def peer(self, number: int) -> Peer:
        """Wait for the connection of that number, from 0."""
        while len(self.peers) <= number:
            await self._came.wait()
        return self.peers[number]


class NoQuality:
    """Keeps every row."""

    def apply(self, rows: dict[int, Array]) -> dict[int, Array]:
        """Keep them."""
        return rows


@attrs.define
class Rig:
    """All that a pool needs, in memory."""

    venue: Venue
    exchange: Words
    stats: ExchangeStats
    feed: Feed
    batches: trio.MemoryReceiveChannel[Batch]

    def pool(self, buffer_size: int = 1000) -> Pool:
        """Return a pool."""
        return Pool(self.exchange, self.feed, buffer_size, random.Random(1))

    def received_now(self) -> list[int]:
        """Return the trade ids in the channel now."""
        ids: list[int] = []
        while True:
            try:
                batch = self.batches.receive_nowait()
            except trio.WouldBlock:
                return ids
            ids += batch.rows[TRADES.number]["trade_id"].tolist()


async def no_listing(url: str, params: object = None) -> bytes:
    """Answer with nothing."""
    await trio.lowlevel.checkpoint()
    return b""


def make_rig(
    nursery: trio.Nursery,
    *,
    channel_size: float = math.inf,
    limits: Limits | None = None,
    **config: Any,
) -> Rig:
    """Return a rig; ``config`` goes into the exchange's configuration."""
    venue = Venue(nursery)

    connector = make_connector(clock, open_stream=venue.open_stream)
    settings = attrs.evolve(ExchangeConfig(ws_endpoint=URL, rest_endpoint="http://venue.test"), **config)
    exchange = Words(settings, Services(no_listing, connector))
    if limits is not None:
        exchange.limits = limits  # type: ignore[misc]  # a class variable for exchanges, an attribute for this one
    stats = ExchangeStats("words")
    send, receive = trio.open_memory_channel[Batch](channel_size)
    feed = Feed(symbols=SymbolTable(exchange.id), stats=stats, quality=NoQuality(), send=send)
    return Rig(venue, exchange, stats, feed, receive)


async def until(condition: Callable[[], bool], step: float = 0.01) -> None:
    """Wait until a condition holds; on the virtual clock that takes no time."""
    with trio.fail_after(10_000):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await trio.sleep(step)
