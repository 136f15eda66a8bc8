"""The whole program against simulated exchanges, in one event loop over real loopback sockets."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import httpx
import trio
from structlog.testing import capture_logs

from multilogger.config import Config, load_config
from multilogger.exchanges.base import Exchange
from multilogger.exchanges.catalog import exchange_types
from multilogger.simulator.compare import Comparison, compare
from multilogger.simulator.venue import Venue
from multilogger.simulator.venues import demo_venues
from multilogger.stats import Stats
from multilogger.supervision.tree import Plan, run_tree

EXCHANGES = ("coinbase", "binance")
PATIENCE_SECS = 20.0
"""For what takes a moment on a quiet machine."""
QUIET_LOOKS = 5
"""So many looks in a row without a new message tell that the loggers have read all there was."""

Venues = dict[str, Venue[Any]]
Settings = Mapping[str, object]


async def wait_until(true: Callable[[], bool]) -> None:
    """Wait until something has become true, for a while."""
    with trio.fail_after(PATIENCE_SECS):
        while not true():  # noqa: ASYNC110 - counters are plain numbers, made for being looked at
            await trio.sleep(0.01)


def _in_both(rows: Mapping[str, int]) -> bool:
    return rows["MD"] > 0 and rows["TRADES"] > 0


@asynccontextmanager
async def simulated(ledger: Path, *, rate: float = 400.0, seed: int = 3) -> AsyncIterator[Venues]:
    """Run both simulated exchanges, with their ledgers in ``ledger``; print what is logged meanwhile."""
    venues = {}
    with capture_logs() as logged:
        try:
            async with trio.open_nursery() as nursery:
                for venue in demo_venues(seed, rate, time.time_ns, ledger, names=("coinbase", "binance")):
                    assert isinstance(venue, Venue)
                    # What a client misses, it can ask for: to be complete is to have that, too.
                    venue.enter_all = True
                    venues[venue.name] = await nursery.start(venue.run)
                yield venues
                nursery.cancel_scope.cancel()
        finally:
            print(*logged, sep="\n")


@attrs.define(eq=False)
class Run:
    """One run of the logger against simulated exchanges."""

    plan: Plan
    venues: Venues
    address: tuple[str, int]
    stop: trio.Event

    @property
    def stats(self) -> Stats:
        """All counters."""
        return self.plan.stats

    @property
    def data(self) -> Path:
        """The data path."""
        return self.plan.config.logger.data_path

    def rows(self, exchange: str) -> int:
        """Rows of one exchange accepted so far."""
        return sum(self.stats.exchange(exchange).rows.values())

    def messages(self) -> int:
        """Data frames received so far."""
        return sum(exchange.messages for exchange in self.stats.exchanges.values())

    async def more_rows(self, exchange: str, rows: int = 100) -> None:
        """Wait until so many more rows are accepted."""
        wanted = self.rows(exchange) + rows
        await wait_until(lambda: self.rows(exchange) >= wanted)

    async def each_traded(self, exchange: str) -> None:
        """Wait until every symbol trades again: its next trade tells that others were missed."""
        markets = self.venues[exchange].market.markets.values()
        before = [(market, market.sequence) for market in markets if market.instrument.online]
        await wait_until(lambda: all(market.sequence > then for market, then in before))

    async def flowing(self, *exchanges: str) -> None:
        """Wait until both tables of some exchanges have rows."""
        for exchange in exchanges:
            rows = self.stats.exchange(exchange).rows
            await wait_until(partial(_in_both, rows))

    async def settle(self) -> None:
        """Let the markets rest, and wait until all they have sent is received."""
        for venue in self.venues.values():
            venue.pause()
        for venue in self.venues.values():
            await venue.drained()
        quiet, before = 0, -1
        while quiet < QUIET_LOOKS:
            await trio.sleep(0.02)
            now = self.messages()
            quiet, before = (quiet + 1, now) if now == before else (0, now)

    async def complete(self) -> None:
        """Wait until all missed trades are filled in that are known to be missed."""
        await wait_until(lambda: not any(stats.missing for stats in self.stats.exchanges.values()))

    async def get(self, path: str) -> httpx.Response:
        """Ask the health server."""
        host, port = self.address
        async with httpx.AsyncClient() as client:
            return await client.get(f"http://{host}:{port}{path}")

    async def health_when(self, right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first ``/health`` for which ``right`` holds."""
        report: dict[str, Any] = {}
        with trio.move_on_after(PATIENCE_SECS):
            while True:
                report = (await self.get("/health")).json()
                if right(report):
                    return report
                await trio.sleep(0.02)
        raise AssertionError(f"/health stayed at {report}")


def make_plan(
    venues: Venues,
    data: Path,
    stop: Callable[[], Awaitable[None]],
    settings: Settings | None = None,
    types: Mapping[str, type[Exchange]] | None = None,
    read_config: Callable[[], Config] | None = None,
) -> Plan:
    """Return a plan that records ``venues``, quick to tell and to write; ``settings`` are dotted keys."""
    chosen: dict[str, object] = {
        "logger.data_path": data,
        "logger.flush_interval_secs": 0.1,
        "storage.journal_sync_secs": 0.05,
        "health.host": "127.0.0.1",
        "health.port": 0,
        "health.stale_secs": 0.5,
    }
    for name, venue in venues.items():
        chosen[f"exchanges.{name}.ws_endpoint"] = venue.ws_url
        chosen[f"exchanges.{name}.rest_endpoint"] = venue.rest_url
        chosen[f"exchanges.{name}.silence_secs"] = 5.0
    chosen.update(settings or {})
    env = {f"MULTILOGGER__{key.replace('.', '__').upper()}": str(value) for key, value in chosen.items()}
    known = {**exchange_types(), **(types or {})}
    configured = {name: known[name].config_type for name in venues}
    return Plan(
        config=load_config(Path("/dev/null"), env, configured),
        exchange_types=known,
        stop_requested=stop,
        clock=time.time_ns,
        random=random.Random(5),
        read_config=read_config,
    )


@asynccontextmanager
async def recording(
    venues: Venues,
    data: Path,
    settings: Settings | None = None,
    types: Mapping[str, type[Exchange]] | None = None,
    *,
    resume: bool = True,
    read_config: Callable[[], Config] | None = None,
) -> AsyncIterator[Run]:
    """Run the logger around a block; at its end the markets rest, and the logger stops in order."""
    for venue in venues.values():
        venue.paused = venue.paused and not resume
    stop = trio.Event()
    plan = make_plan(venues, data, stop.wait, settings, types, read_config)
    async with trio.open_nursery() as nursery:
        address = await nursery.start(run_tree, plan)
        run = Run(plan, venues, address, stop)
        yield run
        await run.settle()
        await run.complete()
        with trio.fail_after(plan.config.logger.shutdown_secs):
            stop.set()
            await wait_until(lambda: not nursery.child_tasks)


def compared(ledger: Path, data: Path, exchange: str, *, missing_ok: bool = False) -> Comparison:
    """Compare an exchange's ledger with the files; print what was found."""
    result = compare(ledger, data, exchange, missing_ok=missing_ok)
    for table in result.tables.values():
        print(exchange, table)
    return result


def assert_stored(ledger: Path, data: Path, exchange: str, *, missing_ok: bool = False) -> None:
    """Assert that what an exchange sent is on disk, and nothing else, in both tables."""
    result = compared(ledger, data, exchange, missing_ok=missing_ok)
    assert result.ok, result.tables
    assert all(table.on_disk > 0 for table in result.tables.values()), result.tables
