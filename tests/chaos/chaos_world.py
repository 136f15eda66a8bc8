"""The whole program on a virtual clock, against simulated exchanges that are reached through memory."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt
import trio
from chaos_clock import NANOS, VirtualClock, replaced, run_inline
from chaos_scenario import EXCHANGES, Scenario

from multilogger.config import Config, HealthConfig, LoggerConfig, StorageConfig
from multilogger.connection import backfill, budget, pool, prover, watch
from multilogger.exchanges.base import Exchange
from multilogger.exchanges.binance.spot import Binance, BinanceConfig
from multilogger.exchanges.coinbase.exchange import Coinbase, CoinbaseConfig
from multilogger.simulator.binance.spot import BinanceVenue
from multilogger.simulator.coinbase.venue import CoinbaseVenue
from multilogger.simulator.feed_faults import WrongClock
from multilogger.simulator.instruments import listing
from multilogger.simulator.market import Market
from multilogger.simulator.network import MemoryNetwork
from multilogger.simulator.venue import Venue
from multilogger.stats import Stats
from multilogger.storage import writer
from multilogger.supervision.tree import Plan, run_tree

Array = npt.NDArray[Any]
_WEIGHTS: Final = {"BTC": 2.0, "ETH": 2.0, "DOGE": 1.5, "SHIB": 1.0, "XYO": 0.0}
"""How often they trade; the last is only listed."""
_LIFE: Final = 1.1
"""Binance lets connections live so much longer than it says: where minutes stand for a day, a logger that
replaces them some percent earlier has no time."""
_SYNC_SECS: Final = 20.0
"""More than a configuration may say: a commit a second would cost most of an hour."""
_SEGMENT_BYTES: Final = 256 * 1024
_NO_MAPPINGS: Final = "symbol_mappings: []\n"


@attrs.frozen(kw_only=True)
class Pace:
    """How much happens without faults: little, since each event costs some time."""

    rate: float = 0.4
    """Data messages a second of each exchange."""
    beat_secs: float = 8.0
    period_secs: float = 16.0
    rest_delay_secs: float = 0.05
    silence_secs: float = 180.0
    quiet_secs: float = 90.0
    ping_secs: float = 120.0
    """How often Binance pings."""
    look_secs: float = 30.0
    """How often the writer looks at clock and disk."""
    watch_secs: float = 20.0
    """How often silence, holes, loads of connections and doubts are looked at, at least."""
    apply_secs: float = 120.0
    """How often the writer makes the column files grow."""
    checkpoint_secs: float = 1800.0


class World:
    """The exchanges of a scenario, and the disk of the logger that records them.

    Args:
        scenario: what is to happen.
        directory: for ledgers and data.
        pace: how much.
    """

    def __init__(self, scenario: Scenario, directory: Path, pace: Pace | None = None) -> None:
        self.scenario = scenario
        self.pace = pace or Pace()
        self.clock = VirtualClock(scenario.start_ns)
        self.network = MemoryNetwork()
        self.ledger = directory / "ledger"
        self.data = directory / "data-0"
        """Of the logger that runs; what a killed one left is copied, since this one can't be killed."""
        self.lives: list[Stats] = []
        """The counters of each logger, killed ones included."""
        self.venues: dict[str, Venue[Any]] = {name: self._venue(name) for name in EXCHANGES}
        self.ended_ns = scenario.start_ns
        """What time it was at the end."""
        self._chance = random.Random(scenario.seed)
        self._mappings = directory / "mappings.yaml"
        self._mappings.write_text(_NO_MAPPINGS)

    def _venue(self, name: str) -> Venue[Any]:
        venue = self._coinbase() if name == "coinbase" else self._binance()
        venue.beat_secs, venue.period_secs = self.pace.beat_secs, self.pace.period_secs
        venue.rest_delay_secs = self.pace.rest_delay_secs
        venue.enter_all = True
        self.network.register(venue)
        return venue

    def _coinbase(self) -> Venue[Any]:
        # Nothing but its time tells two tickers apart on disk.
        market = self._market("USD", "-", CoinbaseVenue.resolution_ns, CoinbaseVenue.resolution_ns)
        return CoinbaseVenue(market, self.clock, ledger_dir=self.ledger, rate=self.pace.rate)

    def _binance(self) -> Venue[Any]:
        market = self._market("USDT", "", BinanceVenue.resolution_ns, 0)
        paced: type[BinanceVenue] = type("Paced", (BinanceVenue,), {"ping_secs": self.pace.ping_secs})
        venue = paced(market, self.clock, ledger_dir=self.ledger, rate=self.pace.rate)
        venue.lifetime_secs = self.scenario.lifetime_secs * _LIFE
        return venue

    def _market(self, quote: str, separator: str, resolution_ns: int, pace_ns: int) -> Market:
        return Market(
            self.scenario.seed,
            [
                attrs.evolve(it, weight=_WEIGHTS[it.base])
                for it in listing(quote, separator)
                if it.base in _WEIGHTS
            ],
            first_trade_id=1 + self.scenario.seed,
            resolution_ns=resolution_ns,
            pace_ns=pace_ns,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Let the exchanges trade during a block, and whoever writes take its time."""
        with self._seldom():
            async with trio.open_nursery() as nursery:
                await nursery.start(self.network.run)
                yield
                self.ended_ns = self.clock()
                nursery.cancel_scope.cancel()
        for venue in self.venues.values():
            venue.ledger.close()

    @contextmanager
    def _seldom(self) -> Iterator[None]:
        """Let the logger look less often at what costs much here and tells little."""
        pace = self.pace
        with (
            replaced(writer, _LOOK_SECS=pace.look_secs, _APPLY_SECS=pace.apply_secs),
            replaced(budget, GAUGES_SECS=pace.look_secs),
            replaced(watch, LOOK_SECS=pace.watch_secs, WATCH_SECS=pace.watch_secs),
            replaced(backfill, LOOK_SECS=pace.watch_secs),
            replaced(pool, SCALE_SECS=2 * pace.watch_secs),
            replaced(prover, PROVE_SECS=max(pace.watch_secs, prover.PROVE_SECS)),
        ):
            yield

    def plan(self, stop: trio.Event) -> Plan:
        """Return what the logger has to do."""
        plan = Plan(
            config=self._config(),
            exchange_types={name: _type_of(name, self.scenario) for name in EXCHANGES},
            stop_requested=stop.wait,
            clock=self.clock,
            random=random.Random(self._chance.getrandbits(64)),
            network=self.network,
            run_blocking=run_inline,
        )
        self.lives.append(plan.stats)
        return plan

    def _config(self) -> Config:
        types = {"coinbase": CoinbaseConfig, "binance": BinanceConfig}
        exchanges = {
            name: types[name](
                ws_endpoint=venue.ws_url,
                rest_endpoint=venue.rest_url,
                symbols_per_connection=self.scenario.symbols_per_connection,
                silence_secs=self.pace.silence_secs,
                quiet_secs=self.pace.quiet_secs,
            )
            for name, venue in self.venues.items()
        }
        with attrs.validators.disabled():
            logger = LoggerConfig(
                data_path=self.data, flush_interval_secs=self.pace.apply_secs, mappings=self._mappings
            )
            storage = StorageConfig(
                journal_sync_secs=_SYNC_SECS,
                journal_segment_bytes=_SEGMENT_BYTES,
                checkpoint_secs=self.pace.checkpoint_secs,
                applier="thread",
                disk_reserve_bytes=0,
            )
        return Config(
            logger=logger,
            storage=storage,
            health=HealthConfig(enabled=False),
            exchanges=exchanges,
        )

    async def live(self, until: Callable[[], Awaitable[None]]) -> None:
        """Run the logger until something returns, and stop it in order."""
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(run_tree, self.plan(stop))
            await until()
            stop.set()

    async def live_and_be_killed(self, secs: float) -> None:
        """Run the logger for a while, and kill it: its successor finds what the disk has at that moment."""
        async with trio.open_nursery() as nursery:
            await nursery.start(run_tree, self.plan(trio.Event()))
            await trio.sleep(secs)
            self.kill(nursery.cancel_scope)

    def kill(self, logger: trio.CancelScope) -> None:
        """Leave a logger behind as it is now.

        Args:
            logger: ends with it. What it then does on its disk is of no concern to anybody.
        """
        for venue in self.venues.values():
            # The next one can't know that it should ask for nothing yet, until it is told.
            venue.rules.banned_until = -math.inf
        left = self.data
        self.data = left.with_name(f"data-{len(self.lives)}")
        shutil.copytree(left, self.data, symlinks=True)
        logger.cancel()

    def secs(self, times_ns: Array) -> Array:
        """Return event times as seconds of the scenario, to the millisecond."""
        return np.round((times_ns - self.scenario.start_ns) / NANOS, 3)

    def tolerance_ns(self, exchange: str) -> int:
        """Return by how much the exchange's clock was ever wrong."""
        faults = (strike.fault for strike in self.scenario.strikes.get(exchange, ()))
        wrong = (abs(fault.offset) for fault in faults if isinstance(fault, WrongClock))
        return int(max(wrong, default=0.0) * NANOS)

    @property
    def stats(self) -> Stats:
        """The counters of the logger that runs, or ran last."""
        return self.lives[-1]


def _type_of(name: str, scenario: Scenario) -> type[Exchange]:
    known: Mapping[str, type[Exchange]] = {"coinbase": Coinbase, "binance": Binance}
    limits = attrs.evolve(known[name].limits, lifetime_secs=scenario.lifetime_secs)
    changes: dict[str, Any] = {"limits": limits}
    if name in scenario.without_history:
        changes["history"] = None
    return type(f"Chaotic{name.title()}", (known[name],), changes)
