"""Scenarios from beginning to end: run, then checked; many of them on all processors."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import structlog
import trio
from chaos_checks import check
from chaos_clock import run_virtually
from chaos_scenario import Scenario, scenario_of
from chaos_world import UNDER_WAY, World

from multilogger.simulator.chaos import Strike
from multilogger.simulator.faults import Cut
from multilogger.simulator.feed_faults import HalfOpen, Storm

log = structlog.get_logger(__name__)

DOWN_SECS: Final = 20.0
"""Between a kill and the next start."""
MOST_SETTLE_SECS: Final = 900.0
"""An hour lasts so much longer at most, if there are still trades to be fetched."""
REST_SECS: Final = 15.0
"""The markets rest so long before the logger is stopped: not long enough for it to become suspicious."""
_BREAKS: Final = (Cut, HalfOpen, Storm)
_LOOK_SECS: Final = 10.0
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - only where to make a directory of our own


@attrs.frozen
class Outcome:
    """How a scenario went."""

    seed: int
    wrong: list[str]
    cpu_secs: float


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a directory for a while, in memory if the machine has a file system there."""
    base = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="multilogger-chaos-", dir=base))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def logging_at(level: int) -> Iterator[None]:
    """Print what is logged with the virtual time, in seconds."""

    def stamp(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {"secs": f"{trio.current_time():9.3f}", **event}

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            stamp,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["secs", "level", "event"]),
        ],
    )
    try:
        yield
    finally:
        structlog.reset_defaults()


async def play(world: World) -> None:
    """Let a scenario happen; at its end the logger has stopped in order."""
    scenario = world.scenario
    async with world.open(), trio.open_nursery() as nursery:
        for name, strikes in scenario.strikes.items():
            nursery.start_soon(_strike, world, name, strikes)
        for moment in scenario.kills:
            await world.live_and_be_killed(max(1.0, moment - trio.current_time()))
            await trio.sleep(DOWN_SECS)
        await world.live(partial(rest, world))


async def _strike(world: World, name: str, strikes: Iterable[Strike]) -> None:
    for strike in sorted(strikes, key=lambda strike: strike.at):
        await trio.sleep_until(strike.at)
        log.warning("fault", exchange=name, kind=strike.kind, fault=strike.fault)
        venue = world.venues[name]
        if isinstance(strike.fault, _BREAKS):
            # Otherwise hardly ever anything would be under way.
            venue.step(UNDER_WAY)
        venue.inject(strike.fault)


async def rest(world: World) -> None:
    """Return when the time is over, no trade is missed that can be had, and what was sent has come."""
    await trio.sleep_until(world.scenario.secs)
    with trio.move_on_after(MOST_SETTLE_SECS):
        while any(exchange.missing for exchange in world.stats.exchanges.values()):  # noqa: ASYNC110 - a counter, made for being looked at
            await trio.sleep(_LOOK_SECS)
    for venue in world.venues.values():
        venue.pause()
    await trio.sleep(REST_SECS)


def run_scenario(
    scenario: Scenario, *, loudly: bool = False, playing: Callable[[World], Any] = play
) -> Outcome:
    """Play a scenario in a directory of its own, and return what is wrong then."""
    started = time.process_time()
    with scratch() as directory, logging_at(logging.INFO if loudly else logging.CRITICAL):
        world = World(scenario, directory)
        try:
            run_virtually(scenario.seed, playing, world)
        except Exception:  # noqa: BLE001 - whatever ends the logger is a finding, and other seeds go on
            wrong = [f"bug: the logger ended: {traceback.format_exc()}"]
        else:
            wrong = check(world)
    return Outcome(scenario.seed, wrong, time.process_time() - started)


@contextmanager
def _unsalted() -> Iterator[None]:
    """Let new processes have sets of strings in one order; else a seed would give another hour in each."""
    known = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = "0"
    try:
        yield
    finally:
        del os.environ["PYTHONHASHSEED"]
        if known is not None:
            os.environ["PYTHONHASHSEED"] = known


def run_seed(seed: int, loudly: bool) -> Outcome:
    """Play the hour of a seed."""
    return run_scenario(scenario_of(seed), loudly=loudly)


def run_seeds(seeds: Iterable[int], *, loudly: bool = False) -> Iterator[Outcome]:
    """Play the hours of many seeds on all processors, and give the outcomes as they come."""
    context = multiprocessing.get_context("spawn")
    with _unsalted(), ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        waiting = [pool.submit(run_seed, seed, loudly) for seed in seeds]
        for done in as_completed(waiting):
            yield done.result()
