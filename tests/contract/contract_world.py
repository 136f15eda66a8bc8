"""A simulated exchange that is reached through memory, and those who ask it, record it or listen to it."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import httpx
import trio
from contract_subject import Subject

from multilogger.batch import RowBuffer, SymbolTable
from multilogger.config import Config, load_config
from multilogger.connection.budget import Budgets
from multilogger.connection.connector import make_connector
from multilogger.connection.http import HttpClient, RestClient
from multilogger.exchanges.base import (
    Adapter,
    Confirmed,
    Exchange,
    ExchangeConnection,
    Rejected,
    Renew,
    Send,
    Services,
)
from multilogger.simulator.compare import Comparison, compare
from multilogger.simulator.market import Market
from multilogger.simulator.network import MemoryNetwork
from multilogger.simulator.rest import Request
from multilogger.simulator.venue import Venue
from multilogger.stats import ExchangeStats, Stats
from multilogger.supervision.tree import Plan, run_tree

T = TypeVar("T")

START_NS: Final = 1_795_341_600_123_456_789
"""2026-11-22 10:00:00 UTC and a bit."""
_FIRST_TRADE: Final = 1000
_ANSWER_SECS: Final = 120.0
"""Every symbol is answered within this time, at the pace that the exchange allows."""
_RATE: Final = 6.0
"""Messages a second: a market that is not silent, and costs little."""


def clock() -> int:
    """Return a time that follows Trio's clock."""
    return START_NS + round(trio.current_time() * 1e9)


async def run_inline(work: Callable[[], T]) -> T:
    """Do what blocks at once: a virtual clock would run on while a thread is at it."""
    await trio.lowlevel.checkpoint()
    return work()


@attrs.define(eq=False)
class World:
    """A simulated exchange, and the disk of the logger that records it."""

    subject: Subject
    directory: Path
    venue: Venue[Any]
    network: MemoryNetwork
    client: httpx.AsyncClient
    stats: Stats | None = None
    """The counters of the logger."""
    _rest: RestClient | None = None

    @property
    def config(self) -> Config:
        """What a logger of this exchange has configured."""
        own = {"ws_endpoint": self.venue.ws_url, "rest_endpoint": self.venue.rest_url, **self.venue.settings}
        values = {
            "LOGGER__DATA_PATH": str(self.directory / "data"),
            "LOGGER__MAPPINGS": str(self.subject.mappings),
            "STORAGE__APPLIER": "thread",
            "STORAGE__DISK_RESERVE_BYTES": "0",
            "STORAGE__JOURNAL_SYNC_SECS": "1",
            "HEALTH__ENABLED": "false",
            **{f"EXCHANGES__{self.subject.name}__{key}".upper(): value for key, value in own.items()},
        }
        env = {f"MULTILOGGER__{key}": value for key, value in values.items()}
        return load_config(Path(os.devnull), env, {self.subject.name: self.subject.kind.config_type})

    def exchange(self) -> Exchange:
        """Return the exchange, which can connect to its simulation and ask its REST side."""
        connector = make_connector(clock, open_stream=self.network.open_stream)
        return self.subject.kind(self.config.exchanges[self.subject.name], Services(self.get, connector))

    async def get(self, url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0) -> bytes:
        """Ask the REST side, and check that the request is stated to weigh what the exchange counts."""
        request = Request(httpx.URL(url).path, dict(params or {}), {})
        assert weight >= self.venue.weigh(request), f"{url} weighs {self.venue.weigh(request)}"
        if self._rest is None:
            exchange = self.subject.kind(self.config.exchanges[self.subject.name])
            stats = ExchangeStats(exchange.id)
            self._rest = RestClient.of(exchange, HttpClient(self.client), Budgets(), stats)
        return await self._rest.get(url, params, weight=weight)

    async def record(self, secs: float, *, beside: Callable[[], Awaitable[None]] | None = None) -> Comparison:
        """Let the whole program record the exchange, and return how its disk compares with what was sent.

        Args:
            secs: how long the market trades.
            beside: is called meanwhile, and may sleep.
        """
        stop = trio.Event()
        plan = Plan(
            config=self.config,
            exchange_types={self.subject.name: self.subject.kind},
            stop_requested=stop.wait,
            clock=clock,
            random=random.Random(1),
            network=self.network,
            run_blocking=run_inline,
        )
        self.stats = plan.stats
        async with trio.open_nursery() as nursery:
            await nursery.start(run_tree, plan)
            end = trio.current_time() + secs
            if beside is not None:
                await beside()
            await trio.sleep_until(end)
            self.venue.pause()
            await trio.sleep(20)  # For what is on its way, and for what has to be fetched.
            stop.set()
        self.venue.ledger.commit()
        return compare(self.venue.ledger, self.directory / "data", self.subject.name, missing_ok=True)


@asynccontextmanager
async def open_world(subject: Subject, directory: Path) -> AsyncIterator[World]:
    """Let a seeded market trade during a block."""
    kind = subject.venue
    assert kind is not None, f"{subject.name} has no venue"
    market = Market(
        7,
        kind.instruments,
        first_trade_id=_FIRST_TRADE,
        resolution_ns=kind.resolution_ns,
        pace_ns=kind.pace_ns,
    )
    venue = kind(market, clock, rate=_RATE)
    venue.enter_all = True
    network = MemoryNetwork()
    network.register(venue)
    async with httpx.AsyncClient(transport=network.transport) as client, trio.open_nursery() as nursery:
        await nursery.start(network.run)
        yield World(subject, directory, venue, network, client)
        nursery.cancel_scope.cancel()


@attrs.define(eq=False)
class Listener:
    """A connection with its adapter, and what the exchange has answered."""

    adapter: Adapter
    connection: ExchangeConnection
    stats: ExchangeStats
    confirmed: set[str] = attrs.field(factory=set)
    rejected: dict[str, str] = attrs.field(factory=dict)
    """The exchange's words by symbol."""
    rows: RowBuffer = attrs.field(factory=RowBuffer)
    renewals: list[str] = attrs.field(factory=list)
    """Announcements that the connection will be cut."""
    chunks: int = 0
    """What has come, however little it was."""

    @property
    def answered(self) -> set[str]:
        """The symbols that are confirmed or rejected."""
        return self.confirmed | self.rejected.keys()

    async def listen(self) -> None:
        """Take what comes until cancelled, and send what the adapter wants sent."""
        while True:
            chunk = await self.connection.read_frames()
            self.chunks += 1
            for event in self.adapter.receive(chunk.payloads, chunk.recv_ns, self.rows):
                match event:
                    case Confirmed(symbols):
                        self.confirmed.update(symbols)
                    case Rejected(symbols, reason):
                        self.rejected.update(dict.fromkeys(symbols, reason))
                    case Send(frames):
                        await self.connection.send(frames)
                    case Renew(reason):
                        self.renewals.append(reason)


@asynccontextmanager
async def listening(world: World, symbols: Sequence[str]) -> AsyncIterator[Listener]:
    """Listen to symbols during a block, which begins once each of them has been answered for."""
    exchange = world.exchange()
    connection = exchange.create_connection(symbols)
    stats = ExchangeStats(exchange.id)
    adapter = exchange.create_adapter(SymbolTable(exchange.id), stats)
    listener = Listener(adapter, connection, stats)
    async with trio.open_nursery() as nursery:
        await connection.wait_turn()
        await connection.connect(nursery)
        nursery.start_soon(listener.listen)
        await connection.send(adapter.subscribe(symbols))
        with trio.move_on_after(_ANSWER_SECS):
            while not listener.answered >= set(symbols):  # noqa: ASYNC110 - the clock is a virtual one
                await trio.sleep(0.1)
        yield listener
        nursery.cancel_scope.cancel()


def symbols_of(world: World, *, online: bool = True) -> list[str]:
    """Return what the simulation lists."""
    return [it.symbol for it in world.venue.market.instruments.values() if it.online is online]
