"""The nursery tree: the whole program in three nested blocks.

::

    root                    a dead writer ends the process: better restarted than lying
    ├─ health server        first up, last down
    └─ writing
       ├─ column writer     ends when the last sender closes and everything is durable and written
       └─ feeds             cancelled first on shutdown; the writer's gate lets them go, and pause
          └─ exchange (N)   kept alive, each on its own
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import attrs
import structlog
import trio

from multilogger.batch import Batch, SymbolTable
from multilogger.config import Config
from multilogger.config.policy import ExchangePolicy, storage_policy
from multilogger.connection.backoff import Backoff
from multilogger.connection.feed import Feed
from multilogger.connection.http import open_http_client
from multilogger.connection.link import make_connector
from multilogger.connection.pool import Pool, check_capacity
from multilogger.exchanges.base import Exchange, Services
from multilogger.health.app import serve_health
from multilogger.quality.filter import QualityFilter
from multilogger.stats import Stats
from multilogger.storage.store import Store
from multilogger.storage.writer import run_writer
from multilogger.supervision.exchange import run_exchange
from multilogger.supervision.feeds import note_offline, run_exchanges
from multilogger.supervision.gate import Gate
from multilogger.supervision.opening import open_store
from multilogger.supervision.permissions import check_groups
from multilogger.supervision.shutdown import Drain, StopRequested, note_stop
from multilogger.symbols.mapper import load_mapper
from multilogger.symbols.select import explicit_symbols
from multilogger.tables import MD

log = structlog.get_logger(__name__)

_BATCHES_IN_FLIGHT: Final = 64
"""Hand-overs that may wait for the writer before connections stop reading: about a second's worth."""


@attrs.frozen(kw_only=True)
class Plan:
    """What to run, and with what clock, chance and signal."""

    config: Config
    exchange_types: Mapping[str, type[Exchange]]
    stop_requested: StopRequested
    clock: Callable[[], int]
    """Nanoseconds since the epoch: of receive stamps, counters and health."""
    calendar: Callable[[], int] | None = None
    """The same for the storage, which closes days by it; that of ``clock`` by default."""
    random: random.Random
    stats: Stats = attrs.field()

    @stats.default
    def _fresh_stats(self) -> Stats:
        return Stats(started_ns=self.clock())

    @property
    def storage_clock(self) -> Callable[[], int]:
        """What day it is for the storage."""
        return self.calendar or self.clock


Address = tuple[str, int]


async def run_tree(
    plan: Plan, *, task_status: trio.TaskStatus[Address | None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run everything until a stop is requested; return when all that was accepted is on disk.

    Args:
        plan: what to run.
        task_status: started, with host and port of the health server if there is one, when recovery is over.

    Raises:
        StartupError: the data path, the health port, a group or the configured symbols can't be used as
            asked.
        StorageError: the writer can't keep what was accepted.
    """
    policies = storage_policy(plan.config)
    check_groups(policies)
    explicit = explicit_by_name(plan)
    stopping = trio.Event()
    async with trio.open_nursery() as root:
        # Listening from the beginning: a signal during recovery ends the run in order, too.
        root.start_soon(note_stop, plan.stop_requested, stopping)
        address: Address | None = None
        if plan.config.health.enabled:
            address = await root.start(serve_health, plan.stats, plan.config, plan.clock)
        gate = Gate(plan.stats, plan.clock)
        store = await open_store(partial(opened_store, plan, policies), gate, stopping)
        if store is None:
            task_status.started(address)
        else:
            async with closing(store):
                task_status.started(address)
                await write_feeds(plan, store, explicit, gate, stopping)
        log.info("stopped", rows=plan.stats.writer.rows)
        root.cancel_scope.cancel()


def opened_store(plan: Plan, policies: Mapping[str, ExchangePolicy]) -> Store:
    """Lock the data path, recover what the last run left, and return the store; blocks."""
    settings = plan.config.storage
    return Store.open(
        plan.config.logger.data_path,
        settings,
        plan.stats.writer,
        plan.clock,
        calendar=plan.storage_clock,
        policies=policies,
        in_process=settings.applier == "thread",
    )


@asynccontextmanager
async def closing(store: Store) -> AsyncIterator[None]:
    """Close the store after the block, whatever ends it: that can't be cancelled."""
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.close)


def explicit_by_name(plan: Plan) -> dict[str, list[str]]:
    """Return, for each enabled exchange, the venue symbols that are configured by name.

    Raises:
        ConfigError: the mapping file has faults.
        StartupError: more symbols are configured by name than the configured connections can carry.
    """
    mapper = load_mapper(plan.config.logger.mappings)
    explicit: dict[str, list[str]] = {}
    for name, settings in plan.config.exchanges.items():
        if settings.enabled:
            exchange = plan.exchange_types[name](settings)
            explicit[name] = explicit_symbols(settings.symbols, exchange, mapper)
            check_capacity(exchange, len(explicit[name]))
    return explicit


async def write_feeds(
    plan: Plan, store: Store, explicit: Mapping[str, list[str]], gate: Gate, stopping: trio.Event
) -> None:
    """Run the writer and, inside it, the feeds."""
    send, receive = trio.open_memory_channel[Batch](_BATCHES_IN_FLIGHT)
    async with trio.open_nursery() as writing:
        # Started means looked at the disk: where there is no room, no connection is opened.
        await writing.start(partial(run_writer, store, receive, plan.config, plan.stats.writer, gate=gate))
        # The send end encloses the feeds: once they are gone it closes, and the writer drains and returns.
        with send:
            drain = Drain(stopping, writing.cancel_scope, plan.config.logger.shutdown_secs)
            await run_feeds(plan, store, explicit, send, gate, drain)


async def run_feeds(
    plan: Plan,
    store: Store,
    explicit: Mapping[str, list[str]],
    send: trio.MemorySendChannel[Batch],
    gate: Gate,
    drain: Drain,
) -> None:
    """Run all exchanges, but for pauses, until a stop is requested."""
    async with open_http_client() as http, trio.open_nursery() as feeds:
        services = Services(http_get=http.get, connector=make_connector(plan.clock))
        lives = {}
        for name, symbols in explicit.items():
            exchange = plan.exchange_types[name](plan.config.exchanges[name], services)
            lives[name] = exchange_life(plan, store, send, exchange, symbols)
        feeds.start_soon(drain.begin_when_stopping, feeds.cancel_scope)
        note_offline(lives, store.stopped_ns, plan.storage_clock(), store.add_notes, store.open_gaps)
        await run_exchanges(lives, plan.stats, gate, store.add_notes, plan.storage_clock)


def exchange_life(
    plan: Plan, store: Store, send: trio.MemorySendChannel[Batch], exchange: Exchange, explicit: list[str]
) -> Callable[[], Awaitable[None]]:
    """Return what runs one exchange, and again after a failure or a pause.

    Symbol numbers and the last trade ids outlive both; connections do not.
    """
    stats = plan.stats.exchange(exchange.id)
    symbols = SymbolTable(exchange.id)
    quality = QualityFilter(
        symbols,
        stats,
        last_trade_ids=store.last_trade_ids(exchange.id),
        last_md=store.last_rows(exchange.id, MD),
    )
    feed = Feed(symbols=symbols, stats=stats, quality=quality, send=send)

    async def life() -> None:
        pool = Pool(exchange, feed, plan.config.logger.buffer_size, plan.random)
        await run_exchange(exchange, pool, explicit, Backoff(plan.random), stats)

    return life
