"""The whole program on a virtual clock, against simulated exchanges that are reached through memory."""

from __future__ import annotations

import math
import os
import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import numpy as np
import numpy.typing as npt
import trio
from chaos_clock import NANOS, VirtualClock, replaced, run_inline
from chaos_scenario import Scenario

from multilogger.config import (
    Config,
    ExchangeConfig,
    HealthConfig,
    LoggerConfig,
    StorageConfig,
    load_config,
)
from multilogger.connection import backfill, budget, overlap, pool, prover, watch
from multilogger.exchanges.base import Exchange
from multilogger.exchanges.catalog import BUILT_IN
from multilogger.quality import liveness
from multilogger.simulator.feed_faults import WrongClock
from multilogger.simulator.market import Market
from multilogger.simulator.network import MemoryNetwork
from multilogger.simulator.venue import Venue
from multilogger.simulator.venues import VENUES
from multilogger.stats import Stats
from multilogger.storage import writer
from multilogger.supervision.tree import Plan, run_tree

Array = npt.NDArray[Any]
T = TypeVar("T")
_WEIGHTS: Final = {"BTC": 2.0, "ETH": 2.0, "DOGE": 1.5, "SHIB": 1.0, "XYO": 0.0}
"""How often they trade; the last is only listed."""
_LIFE: Final = 1.1
"""Binance lets connections live so much longer than it says: where minutes stand for a day, a logger that
replaces them some percent earlier has no time."""
UNDER_WAY: Final = 8
"""Trades that have been sent when connections break, and have not arrived."""
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
    unknown_secs: float = 300.0
    """After how long a symbol is looked at whose usual pace isn't known."""
    ping_secs: float = 120.0
    """How often Binance pings."""
    look_secs: float = 30.0
    """How often the writer looks at clock and disk."""
    watch_secs: float = 20.0
    """How often silence, holes, loads of connections and doubts are looked at, at least."""
    overlap_secs: float = 4.0
    """How often it is looked at what trades are to be asked for where ids have no order."""
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
        self.venues: dict[str, Venue[Any]] = {name: self._venue(name) for name in scenario.exchanges}
        self.ended_ns = scenario.start_ns
        """What time it was at the end."""
        self._chance = random.Random(scenario.seed)
        self._mappings = directory / "mappings.yaml"
        self._mappings.write_text(_NO_MAPPINGS)

    def _venue(self, name: str) -> Venue[Any]:
        kind = VENUES[name]
        market = Market(
            self.scenario.seed,
            [attrs.evolve(it, weight=_WEIGHTS[it.base]) for it in kind.instruments if it.base in _WEIGHTS],
            first_trade_id=1 + self.scenario.seed,
            resolution_ns=kind.resolution_ns,
            pace_ns=kind.pace_ns,
        )
        paced = kind if kind.ping_secs is None else _with(kind, ping_secs=self.pace.ping_secs)
        venue = paced(market, self.clock, ledger_dir=self.ledger, rate=self.pace.rate)
        if hasattr(venue, "lifetime_secs"):
            venue.lifetime_secs = self.scenario.lifetime_secs * _LIFE
        venue.beat_secs, venue.period_secs = self.pace.beat_secs, self.pace.period_secs
        venue.rest_delay_secs = self.pace.rest_delay_secs
        venue.enter_all = True
        self.network.register(venue)
        return venue

    def has_history(self, exchange: str) -> bool:
        """Return whether all trades that were missed can be had from an exchange."""
        history = BUILT_IN[exchange](self._exchanges[exchange]).history
        return history is not None and history.by_id and exchange not in self.scenario.without_history

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
            replaced(overlap, LOOK_SECS=pace.overlap_secs),
            replaced(liveness, UNKNOWN_SECS=pace.unknown_secs),
            replaced(pool, SCALE_SECS=2 * pace.watch_secs),
            replaced(prover, PROVE_SECS=max(pace.watch_secs, prover.PROVE_SECS)),
        ):
            yield

    def plan(self, stop: trio.Event) -> Plan:
        """Return what the logger has to do."""
        plan = Plan(
            config=self._config(),
            exchange_types={name: _type_of(name, self.scenario) for name in self.venues},
            stop_requested=stop.wait,
            clock=self.clock,
            random=random.Random(self._chance.getrandbits(64)),
            network=self.network,
            run_blocking=run_inline,
        )
        self.lives.append(plan.stats)
        return plan

    @property
    def _exchanges(self) -> dict[str, ExchangeConfig]:
        """The settings of the exchanges, by name."""
        section = "MULTILOGGER__EXCHANGES__"
        settings = {"MULTILOGGER__LOGGER__DATA_PATH": str(self.data)}
        for name, venue in self.venues.items():
            own = {
                "ws_endpoint": venue.ws_url,
                "rest_endpoint": venue.rest_url,
                "symbols_per_connection": self.scenario.symbols_per_connection,
                "silence_secs": self.pace.silence_secs,
                "quiet_secs": self.pace.quiet_secs,
                **venue.settings,
            }
            settings |= {f"{section}{name}__{key}".upper(): str(value) for key, value in own.items()}
        types = {name: BUILT_IN[name].config_type for name in self.venues}
        return load_config(Path(os.devnull), settings, types).exchanges

    def _config(self) -> Config:
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
            exchanges=self._exchanges,
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

    def ahead_ns(self, exchange: str) -> int:
        """Return by how much orders are ahead of the clock that have to differ in time, and come at once."""
        return UNDER_WAY * self.venues[exchange].pace_ns

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
    limits = BUILT_IN[name].limits
    changes: dict[str, Any] = {"limits": attrs.evolve(limits, lifetime_secs=scenario.lifetime_secs)}
    if name in scenario.without_history:
        changes["history"] = None
    return _with(BUILT_IN[name], **changes)


def _with(kind: type[T], **changes: Any) -> type[T]:
    """Return a class that is another one but for some attributes."""
    return type(f"Chaotic{kind.__name__}", (kind,), changes)
