"""The whole program on a virtual clock, against simulated exchanges whose listings a test changes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import pytest
import trio

from multilogger.config import Config, HealthConfig, LoggerConfig, StorageConfig
from multilogger.connection import backfill, budget, pool, prover, watch
from multilogger.exchanges.binance.spot import Binance, BinanceConfig
from multilogger.exchanges.coinbase.exchange import Coinbase, CoinbaseConfig
from multilogger.simulator.binance.spot import BinanceVenue
from multilogger.simulator.coinbase.venue import CoinbaseVenue
from multilogger.simulator.instruments import Instrument, listing
from multilogger.simulator.market import Market
from multilogger.simulator.network import MemoryNetwork
from multilogger.simulator.venue import Venue
from multilogger.stats import ExchangeStats
from multilogger.storage import writer
from multilogger.supervision.tree import Plan, run_tree

T = TypeVar("T")
NANOS: Final = 1_000_000_000
START_NS: Final = 1_795_341_600 * NANOS
_BASES: Final = ("BTC", "ETH", "DOGE")


async def run_inline(work: Callable[[], T]) -> T:
    """Do what blocks at once: a virtual clock would run on while a thread is at it."""
    await trio.lowlevel.checkpoint()
    return work()


def clock() -> int:
    """Return the virtual time, nanoseconds since the epoch."""
    return START_NS + round(trio.current_time() * NANOS)


def instrument(quote: str, separator: str, base: str) -> Instrument:
    """Return one of the demo's instruments, each of which trades as often as the others."""
    (found,) = [it for it in listing(quote, separator) if it.base == base]
    return attrs.evolve(found, weight=1.0)


class World:
    """Both exchanges, with three coins each, and a logger."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.network = MemoryNetwork()
        kinds: tuple[tuple[type[Venue[Any]], str, str, int], ...] = (
            (CoinbaseVenue, "USD", "-", 1000),
            (BinanceVenue, "USDT", "", 0),
        )
        self.venues: dict[str, Venue[Any]] = {}
        for kind, quote, separator, pace_ns in kinds:
            coins = [instrument(quote, separator, base) for base in _BASES]
            market = Market(1, coins, resolution_ns=kind.resolution_ns, pace_ns=pace_ns)
            venue = kind(market, clock, ledger_dir=directory / "ledger", rate=0.5)
            venue.beat_secs, venue.period_secs, venue.enter_all = 8.0, 16.0, True
            self.network.register(venue)
            self.venues[venue.name] = venue
        types: dict[str, type[Any]] = {"coinbase": CoinbaseConfig, "binance": BinanceConfig}
        exchanges = {
            name: types[name](
                ws_endpoint=venue.ws_url,
                rest_endpoint=venue.rest_url,
                silence_secs=180.0,
                quiet_secs=90.0,
            )
            for name, venue in self.venues.items()
        }
        with attrs.validators.disabled():
            config = Config(
                logger=LoggerConfig(data_path=self.data, flush_interval_secs=60.0),
                storage=StorageConfig(
                    journal_sync_secs=20.0,
                    journal_segment_bytes=256 * 1024,
                    applier="thread",
                    disk_reserve_bytes=0,
                ),
                health=HealthConfig(enabled=False),
                exchanges=exchanges,
            )
        self.stop = trio.Event()
        self.plan = Plan(
            config=config,
            exchange_types={"coinbase": Coinbase, "binance": Binance},
            stop_requested=self.stop.wait,
            clock=clock,
            random=random.Random(1),
            network=self.network,
            run_blocking=run_inline,
        )

    def stats(self, exchange: str) -> ExchangeStats:
        """Return an exchange's counters."""
        return self.plan.stats.exchange(exchange)

    @asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        """Record during a block; what was sent by its end is on disk after it."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.network.run)
            async with trio.open_nursery() as logger:
                await logger.start(run_tree, self.plan)
                yield
                for venue in self.venues.values():
                    venue.pause()
                await trio.sleep(60)
                self.stop.set()
            nursery.cancel_scope.cancel()


def look_seldom(patch: pytest.MonkeyPatch) -> None:
    """Let the logger look less often at what costs much here and tells little."""
    patch.setattr(writer, "_LOOK_SECS", 30.0)
    patch.setattr(writer, "_APPLY_SECS", 120.0)
    patch.setattr(budget, "GAUGES_SECS", 30.0)
    patch.setattr(watch, "LOOK_SECS", 20.0)
    patch.setattr(watch, "WATCH_SECS", 20.0)
    patch.setattr(backfill, "LOOK_SECS", 20.0)
    patch.setattr(pool, "SCALE_SECS", 40.0)
    patch.setattr(prover, "PROVE_SECS", 60.0)
