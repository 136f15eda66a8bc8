"""A server in memory, and all that a pool needs, for the tests of the connections."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import attrs
import trio
from connection_fakes import FakeCoverage, FakeQuality
from connection_wire import NOW_NS, URL, clock
from connection_words import WordAdapter, Words
from trio.testing import memory_stream_pair
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from multilogger.batch import Batch, SymbolTable
from multilogger.config import ExchangeConfig
from multilogger.connection.connector import make_connector
from multilogger.connection.feed import Feed
from multilogger.connection.pool import Pool
from multilogger.exchanges.base import Limits, Services
from multilogger.stats import ExchangeStats, LinkState
from multilogger.tables import MD, TRADES


@attrs.define(eq=False)
class Peer:
    """The server's end of one connection."""

    websocket: WebSocketConnection
    stream: trio.abc.Stream
    heard: list[str] = attrs.field(factory=list)
    """All frames of the client."""
    carries: set[str] = attrs.field(factory=set)
    """What the client is subscribed to, as far as it was confirmed."""

    async def say(self, *words: str) -> None:
        """Send text messages."""
        for word in words:
            await self.websocket.send_message(word)

    async def cut(self) -> None:
        """End the connection without a close frame."""
        await trio.aclose_forcefully(self.stream)

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed it."""
        return self.websocket.closed is None


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
        self.forgotten: set[str] = set()
        """Symbols that are confirmed, but of which :meth:`publish` brings nothing."""
        self._nursery = nursery
        self._came = trio.Event()

    @property
    def open_peers(self) -> list[Peer]:
        """The connections that stand."""
        return [peer for peer in self.peers if peer.is_open]

    async def publish(self, word: str, symbol: str, what: object) -> None:
        """Say something of a symbol to all that are subscribed to it."""
        for peer in self.open_peers:
            if symbol in peer.carries and symbol not in self.forgotten:
                await self.tell(peer, f"{word} {symbol} {what}")

    @staticmethod
    async def tell(peer: Peer, word: str) -> None:
        """Say something on a connection; one that ends at this moment gets nothing."""
        with suppress(ConnectionClosed):
            await peer.say(word)

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
                peer.carries.add(symbol)
                await peer.say(f"ok {symbol}")
            case ["unsub", *symbols]:
                peer.carries.difference_update(symbols)

    async def peer(self, number: int) -> Peer:
        """Wait for the connection of that number, from 0."""
        while len(self.peers) <= number:
            await self._came.wait()
        return self.peers[number]


@attrs.define
class Rig:
    """All that a pool needs, in memory."""

    venue: Venue
    exchange: Words
    stats: ExchangeStats
    feed: Feed
    quality: FakeQuality
    coverage: FakeCoverage
    batches: trio.MemoryReceiveChannel[Batch]

    def pool(self, buffer_size: int = 1000) -> Pool:
        """Return a pool."""
        return Pool(self.exchange, self.feed, buffer_size, random.Random(1))

    async def start(self, nursery: trio.Nursery, symbols: list[str], buffer_size: int = 1000) -> Pool:
        """Run a pool until all its connections stream."""
        pool = self.pool(buffer_size)
        nursery.start_soon(pool.run)
        assert pool.update(symbols) == []
        await until(lambda: self.all_streaming)
        return pool

    @property
    def all_streaming(self) -> bool:
        """Whether there are connections, and all of them stream."""
        return {link.state for link in self.stats.links.values()} == {LinkState.STREAMING}

    @property
    def carried(self) -> dict[str, int]:
        """How many connections are subscribed to each symbol, as the venue sees it."""
        counts: dict[str, int] = {}
        for peer in self.venue.open_peers:
            for symbol in peer.carries:
                counts[symbol] = counts.get(symbol, 0) + 1
        return counts

    def received_now(self) -> list[int]:
        """Return the trade ids in the channel now."""
        return [
            trade for batch in self._batches_now() if TRADES.number in batch.rows for trade in _ids(batch)
        ]

    def prices_now(self) -> list[float]:
        """Return the tickers' prices in the channel now."""
        batches = [batch.rows[MD.number]["price"] for batch in self._batches_now() if MD.number in batch.rows]
        return [price for prices in batches for price in prices.tolist()]

    def _batches_now(self) -> list[Batch]:
        batches = []
        while True:
            try:
                batches.append(self.batches.receive_nowait())
            except trio.WouldBlock:
                return batches


def _ids(batch: Batch) -> list[int]:
    ids: list[int] = batch.rows[TRADES.number]["trade_id"].tolist()
    return ids


async def no_listing(url: str, params: object = None, *, weight: float = 1.0) -> bytes:
    """Answer with nothing."""
    await trio.lowlevel.checkpoint()
    return b""


def calendar() -> int:
    """The wall clock, which goes as Trio's does."""
    return NOW_NS + round(trio.current_time() * 1e9)


def make_rig(
    nursery: trio.Nursery,
    *,
    channel_size: float = math.inf,
    limits: Limits | None = None,
    receive_clock: Callable[[], int] = clock,
    **config: Any,
) -> Rig:
    """Return a rig; ``config`` goes into the exchange's configuration."""
    venue = Venue(nursery)
    connector = make_connector(receive_clock, open_stream=venue.open_stream)
    settings = attrs.evolve(ExchangeConfig(ws_endpoint=URL, rest_endpoint="http://venue.test"), **config)
    exchange = Words(settings, Services(no_listing, connector))
    exchange.on_record, exchange.looks = {}, []
    if limits is not None:
        exchange.limits = limits  # type: ignore[misc]  # a class variable for exchanges, an attribute for this one
    stats = ExchangeStats("words")
    send, receive = trio.open_memory_channel[Batch](channel_size)
    quality, coverage = FakeQuality(), FakeCoverage()
    feed = Feed(
        symbols=SymbolTable(exchange.id),
        stats=stats,
        quality=quality,
        coverage=coverage,
        calendar=calendar,
        send=send,
    )
    return Rig(venue, exchange, stats, feed, quality, coverage, receive)


async def until(condition: Callable[[], bool], step: float = 0.01) -> None:
    """Wait until a condition holds; on the virtual clock that takes no time."""
    with trio.fail_after(10_000):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await trio.sleep(step)


__all__ = ["Peer", "Rig", "Venue", "WordAdapter", "Words", "calendar", "make_rig", "no_listing", "until"]
