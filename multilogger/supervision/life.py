"""One exchange in the running program: what outlives its settings, and what is made anew with them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import attrs
import trio

from multilogger.batch import Batch, SymbolTable
from multilogger.config import SupervisionConfig
from multilogger.connection.aside import AsideFrames
from multilogger.connection.backfill import run_backfill
from multilogger.connection.backoff import Backoff
from multilogger.connection.budget import Budgets
from multilogger.connection.feed import Feed
from multilogger.connection.http import HttpClient, RestClient
from multilogger.connection.overlap import run_overlap
from multilogger.connection.pool import Pool, check_capacity
from multilogger.connection.prover import run_prover
from multilogger.exchanges.base import Connector, Exchange, Services, TradeIds
from multilogger.notes import ANY, CoverageState
from multilogger.quality.breaker import Breakers
from multilogger.quality.coverage import CoverageBook
from multilogger.quality.filter import QualityFilter
from multilogger.quality.liveness import Liveness
from multilogger.quality.recorded import SLACK_NS
from multilogger.quality.validation import Validation
from multilogger.records import ExchangeId
from multilogger.stats import Stats
from multilogger.storage.blocking import RunBlocking
from multilogger.storage.layout import Paths
from multilogger.storage.store import Store
from multilogger.supervision.exchange import run_exchange
from multilogger.supervision.gaps import adopt_gaps
from multilogger.supervision.generations import Succession
from multilogger.supervision.holes import open_holes, take_over
from multilogger.supervision.instruments import InstrumentLog
from multilogger.supervision.roster import Settings
from multilogger.tables import MD, NANOS_PER_SECOND, TABLES, TRADES


@attrs.frozen(kw_only=True, eq=False)
class Surroundings:
    """What all exchanges share."""

    exchange_types: Mapping[str, type[Exchange]]
    data_path: Path
    buffer_size: int
    policy: SupervisionConfig
    stats: Stats
    store: Store
    send: trio.MemorySendChannel[Batch]
    http: HttpClient
    budgets: Budgets
    connector: Connector
    clock: Callable[[], int]
    calendar: Callable[[], int]
    chance: random.Random
    run_blocking: RunBlocking
    ended_ns: Mapping[str, int]
    """When the last run ended for exchanges that it left by a crash; see :func:`.feeds.endings`."""
    refused: Callable[[str], None]
    """Told why new settings of an exchange were not kept."""


@attrs.frozen(kw_only=True, eq=False)
class Memory:
    """What is known of an exchange as long as the program runs, whatever becomes of its connections."""

    feed: Feed
    quality: QualityFilter
    coverage: CoverageBook
    aside: AsideFrames
    instruments: InstrumentLog


@attrs.define
class _Seconds:
    """Trio's time, which stands while it can't be told."""

    now: float | None

    def __call__(self) -> float:
        return trio.current_time() if self.now is None else self.now


class Memories:
    """The memories of all exchanges, each made at its first mention."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._of: dict[str, Memory] = {}

    def of(self, name: str, settings: Settings) -> Memory:
        """Return an exchange's memory; ``settings`` are those that it begins with."""
        if name not in self._of:
            self._of[name] = self._make(name, settings, trio.current_time())
        return self._of[name]

    async def recall(self, wanted: Mapping[str, Settings]) -> None:
        """Make the memories of some exchanges ahead: what is on disk of their holes takes time to read."""
        for name, settings in wanted.items():
            if name not in self._of:
                make = partial(self._make, name, settings, trio.current_time())
                self._of[name] = await self._around.run_blocking(make)

    def books(self) -> list[CoverageBook]:
        """Return the ledgers of the exchanges that have run."""
        return [memory.coverage for memory in self._of.values()]

    def close(self, name: str) -> None:
        """Take note that an exchange is no longer recorded."""
        self._of[name].coverage.close()

    def _make(self, name: str, settings: Settings, now: float) -> Memory:
        """Make a memory; in a thread, where Trio tells no time, as it was ``now``."""
        around = self._around
        symbols, stats = SymbolTable(ExchangeId(name)), around.stats.exchange(name)
        exchange = around.exchange_types[name](settings.config)
        store = around.store
        unordered, with_history = exchange.trade_ids is TradeIds.UNORDERED, exchange.history is not None
        recent = store.recent_trades(name) if unordered else {}
        coverage = CoverageBook(
            name,
            symbols,
            store.add_notes,
            around.calendar,
            contiguous=exchange.trade_ids.tell_losses,
            pages=unordered and with_history,
            stopped_ns=around.ended_ns.get(name, store.stopped_ns),
            doubted_ns=trades_doubted_ns(store, name, holes=with_history and not unordered),
            seconds=(seconds := _Seconds(now)),
        )
        quality = QualityFilter(
            symbols,
            stats,
            last_trade_ids=store.last_trade_ids(name),
            last_md=store.last_rows(name, MD),
            last_trade_rows=store.last_rows(name, TRADES),
            recent_trades=recent,
            trade_ids=exchange.trade_ids.value,
            coverage=coverage,
            clock=around.calendar,
            monotonic=trio.current_time,
            validation=Validation(settings.config, stats),
            breakers=Breakers(symbols, settings.config, stats),
            liveness=Liveness(settings.config.quiet_secs),
        )
        take_over(open_holes(around.data_path, symbols), quality.trades, coverage)
        if recent:
            since_ns = around.calendar() - int(settings.config.backfill_max_age_secs * NANOS_PER_SECOND)
            adopt_gaps(Paths(around.data_path), symbols, recent, coverage.overlaps, since_ns)
        aside = AsideFrames(name, around.data_path, run_blocking=around.run_blocking)
        feed = Feed(
            symbols=symbols,
            stats=stats,
            quality=quality,
            coverage=coverage,
            calendar=around.calendar,
            send=around.send,
            aside=aside,
        )
        instruments = InstrumentLog(around.data_path, stats, around.calendar, around.run_blocking)
        seconds.now = None
        return Memory(feed=feed, quality=quality, coverage=coverage, aside=aside, instruments=instruments)


@attrs.define(eq=False)
class Life:
    """One exchange with the settings of one time; a generation of it."""

    around: Surroundings
    name: str
    settings: Settings
    memory: Memory
    _pool: Pool | None = None

    async def run(self) -> None:
        """Record; ends by cancellation or a failure."""
        around, memory, stats = self.around, self.memory, self.memory.feed.stats
        exchange = self._make_exchange()
        explicit = list(self.settings.explicit)
        check_capacity(exchange, len(explicit))
        pool = self._pool = Pool(exchange, memory.feed, around.buffer_size, around.chance)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(memory.aside.run)
            nursery.start_soon(self._backfill, exchange)
            nursery.start_soon(run_prover, exchange, memory.coverage, stats)
            await run_exchange(exchange, pool, explicit, Backoff(around.chance), stats, memory.instruments)

    def is_streaming(self) -> bool:
        """Return whether all its connections stream."""
        return self._pool is not None and self._pool.is_streaming

    def retire(self) -> None:
        """Let go of all symbols in order: another generation goes on, and it is cancelled soon."""
        if self._pool is not None:
            self._pool.update([])

    async def _backfill(self, exchange: Exchange) -> None:
        around, memory = self.around, self.memory
        if exchange.trade_ids is TradeIds.UNORDERED:
            overlaps = memory.coverage.overlaps
            await run_overlap(exchange, memory.feed, overlaps, clock=around.clock, chance=around.chance)
        trades = memory.quality.trades
        await run_backfill(exchange, memory.feed, trades, clock=around.clock, chance=around.chance)

    def _make_exchange(self) -> Exchange:
        make, config = self.around.exchange_types[self.name], self.settings.config
        client = RestClient.of(make(config), self.around.http, self.around.budgets, self.memory.feed.stats)
        return make(config, Services(http_get=client.get, connector=self.around.connector))


def make_succession(
    around: Surroundings, memories: Memories, name: str, settings: Settings
) -> Succession[Settings]:
    """Return what runs an exchange, and again with other settings."""
    memory = memories.of(name, settings)
    return Succession(
        name, settings, lambda wanted: Life(around, name, wanted, memory), around.policy, around.refused
    )


def newest_rows_ns(store: Store, name: str) -> dict[str, int]:
    """Return the event time of the newest row on disk by venue symbol of an exchange."""
    newest: dict[str, int] = {}
    for table in TABLES:
        for symbol, row in store.last_rows(name, table).items():
            newest[symbol] = max(int(row["time_ns"][0]), newest.get(symbol, 0))
    return newest


def trades_doubted_ns(store: Store, name: str, *, holes: bool) -> dict[str, int]:
    """Return since when trades may be missing by what the last run left, by venue symbol or ``ANY``.

    Args:
        store: opened.
        name: of the exchange.
        holes: missed trades were asked for by id; what was not had before the last one on disk is a hole.
    """
    rows = store.last_rows(name, TRADES) if holes else {}
    # A gap of all symbols begins so much before the newest row of any.
    doubted = {symbol: int(row["time_ns"][0]) - SLACK_NS for symbol, row in rows.items()}
    for note in store.open_coverage:
        is_open = (note.exchange, note.end_ns) == (name, None) and note.table in (TRADES.name, ANY)
        if is_open and note.state is CoverageState.GAP and note.first_id < 0:
            start_ns = note.start_ns - SLACK_NS
            doubted[note.symbol] = min(start_ns, doubted.get(note.symbol, start_ns))
    return doubted
