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
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Protocol

import attrs
import httpx
import structlog
import trio

from multilogger.batch import Batch
from multilogger.config import Config
from multilogger.config.policy import ExchangePolicy, storage_policy
from multilogger.connection.budget import Budgets
from multilogger.connection.connector import make_connector
from multilogger.connection.http import open_http_client
from multilogger.connection.link import OpenStream
from multilogger.connection.pool import check_capacity
from multilogger.errors import ConfigError
from multilogger.exchanges.base import Exchange
from multilogger.health.app import serve_health
from multilogger.quality.recorded import SLACK_NS
from multilogger.stats import Stats
from multilogger.storage.blocking import RunBlocking
from multilogger.storage.store import Store
from multilogger.storage.writer import run_writer
from multilogger.supervision.feeds import endings, note_offline, run_exchanges
from multilogger.supervision.gate import Gate
from multilogger.supervision.life import Memories, Surroundings, make_succession, newest_rows_ns
from multilogger.supervision.opening import open_store
from multilogger.supervision.permissions import check_groups
from multilogger.supervision.reload import Loaded, Reloader, note_trial, reload_on_hangup
from multilogger.supervision.roster import Roster, Settings
from multilogger.supervision.shutdown import Drain, StopRequested, note_stop
from multilogger.symbols.mapper import load_mapper
from multilogger.symbols.select import explicit_symbols

log = structlog.get_logger(__name__)

_DAY_SECS: Final = 86_400
_BATCHES_IN_FLIGHT: Final = 64
"""Hand-overs that may wait for the writer before connections stop reading: about a second's worth."""


class Network(Protocol):
    """How exchanges are reached, where not over the network of this machine."""

    @property
    def open_stream(self) -> OpenStream:
        """Return what opens a byte stream to a host and port."""
        ...

    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        """Return what makes HTTP requests."""
        ...


@attrs.frozen(kw_only=True)
class Plan:
    """What to run, and with what clock, chance and signal."""

    config: Config
    exchange_types: Mapping[str, type[Exchange]]
    stop_requested: StopRequested
    clock: Callable[[], int]
    """Nanoseconds since the epoch: of receive stamps, counters and health."""
    calendar: Callable[[], int] | None = None
    """The same on the scale of event times: the storage closes days by it; that of ``clock`` by default."""
    random: random.Random
    network: Network | None = None
    run_blocking: RunBlocking = trio.to_thread.run_sync
    read_config: Callable[[], Config] | None = None
    """Reads the configuration anew at each SIGHUP; without it the program does not listen to that signal."""
    stats: Stats = attrs.field()

    @stats.default
    def _fresh_stats(self) -> Stats:
        return Stats(started_ns=self.clock())

    @property
    def event_clock(self) -> Callable[[], int]:
        """What time it is for the exchanges."""
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
    loaded = worked_out(plan.config, plan.exchange_types)
    stopping = trio.Event()
    async with trio.open_nursery() as root:
        # Listening from the beginning: a signal during recovery ends the run in order, too.
        root.start_soon(note_stop, plan.stop_requested, stopping)
        address: Address | None = None
        if plan.config.health.enabled:
            address = await root.start(serve_health, plan.stats, plan.config, plan.clock)
        gate = Gate(plan.stats, plan.clock)
        store = await open_store(partial(opened_store, plan, policies), gate, stopping, plan.run_blocking)
        if store is None:
            task_status.started(address)
        else:
            async with closing(store, plan.run_blocking):
                task_status.started(address)
                await write_feeds(plan, store, loaded, gate, stopping)
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
        calendar=plan.event_clock,
        policies=policies,
        in_process=settings.applier == "thread",
    )


@asynccontextmanager
async def closing(store: Store, run_blocking: RunBlocking) -> AsyncIterator[None]:
    """Close the store after the block, whatever ends it: that can't be cancelled."""
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            await run_blocking(store.close)


def worked_out(config: Config, exchange_types: Mapping[str, type[Exchange]]) -> Loaded:
    """Return a configuration with the venue symbols that each enabled exchange has by name.

    Raises:
        ConfigError: the mapping file has faults.
        StartupError: more symbols are configured by name than the configured connections can carry.
    """
    mapper = load_mapper(config.logger.mappings)
    exchanges: dict[str, Settings] = {}
    for name, settings in config.exchanges.items():
        if settings.enabled:
            exchange = exchange_types[name](settings)
            explicit = explicit_symbols(settings.symbols, exchange, mapper)
            check_capacity(exchange, len(explicit))
            exchanges[name] = Settings(settings, tuple(explicit))
    check_ages(config)
    return Loaded(config, exchanges)


def check_ages(config: Config) -> None:
    """Check that what is asked for of the past is also accepted.

    Raises:
        ConfigError: it would be set aside for its age, a line for each exchange.
    """
    most = config.storage.accept_days_back * _DAY_SECS
    faults = [
        f"exchanges.{name}.backfill_max_age_secs: expected at most {most}, the {most // _DAY_SECS} days of "
        f"storage.accept_days_back, got {settings.backfill_max_age_secs:g}"
        for name, settings in config.exchanges.items()
        if settings.enabled and settings.backfill and settings.backfill_max_age_secs > most
    ]
    if faults:
        raise ConfigError(faults)


async def write_feeds(plan: Plan, store: Store, loaded: Loaded, gate: Gate, stopping: trio.Event) -> None:
    """Run the writer and, inside it, the feeds."""
    send, receive = trio.open_memory_channel[Batch](_BATCHES_IN_FLIGHT)
    async with trio.open_nursery() as writing:
        writer = partial(
            run_writer,
            store,
            receive,
            plan.config,
            plan.stats.writer,
            gate=gate,
            run_blocking=plan.run_blocking,
        )
        # Started means looked at the disk: where there is no room, no connection is opened.
        await writing.start(writer)
        # The send end encloses the feeds: once they are gone it closes, and the writer drains and returns.
        with send:
            drain = Drain(stopping, writing.cancel_scope, plan.config.logger.shutdown_secs, plan.event_clock)
            await run_feeds(plan, store, loaded, send, gate, drain)


async def run_feeds(
    plan: Plan, store: Store, loaded: Loaded, send: trio.MemorySendChannel[Batch], gate: Gate, drain: Drain
) -> None:
    """Run all exchanges, but for pauses, until a stop is requested."""
    budgets = Budgets()
    transport = plan.network.transport if plan.network is not None else None
    async with open_http_client(transport) as http, trio.open_nursery() as feeds:
        open_coverage = store.open_coverage
        names = {note.exchange for note in open_coverage}
        rows = {name: found for name in names if (found := newest_rows_ns(store, name))}
        newest = {name: max(found.values()) for name, found in rows.items()}
        heard_ns = {(name, symbol): ns for name, found in rows.items() for symbol, ns in found.items()}
        ended_ns = endings(store.stopped_ns, open_coverage, newest)
        open_stream = plan.network.open_stream if plan.network is not None else trio.open_tcp_stream
        around = Surroundings(
            exchange_types=plan.exchange_types,
            data_path=plan.config.logger.data_path,
            buffer_size=plan.config.logger.buffer_size,
            policy=plan.config.supervision,
            stats=plan.stats,
            store=store,
            send=send,
            http=http,
            budgets=budgets,
            connector=make_connector(
                plan.clock, open_stream=open_stream, budgets=budgets, stats=plan.stats.exchange
            ),
            clock=plan.clock,
            calendar=plan.event_clock,
            chance=plan.random,
            run_blocking=plan.run_blocking,
            ended_ns=ended_ns,
            refused=partial(note_trial, plan.stats),
        )
        memories = Memories(around)
        roster = Roster(
            loaded.exchanges,
            partial(make_succession, around, memories),
            plan.stats,
            plan.config.supervision,
            memories.close,
        )
        if (read_config := plan.read_config) is not None:
            reader = Reloader(
                lambda: worked_out(read_config(), plan.exchange_types), loaded, roster, plan.stats
            )
            await feeds.start(reload_on_hangup, reader)
        feeds.start_soon(budgets.run)
        feeds.start_soon(drain.begin_when_stopping, feeds.cancel_scope)
        clock, add_notes = plan.event_clock, store.add_notes
        await memories.recall(loaded.exchanges)
        note_offline(roster.names, store.stopped_ns, clock(), add_notes, open_coverage, ended_ns, heard_ns)
        try:
            await run_exchanges(roster, memories.books, plan.stats, gate, add_notes, clock)
        finally:
            # What was under way to us then was not read any more.
            ended_at_ns = (drain.began_ns or clock()) - SLACK_NS
            for book in memories.books():
                book.close(ended_at_ns)
