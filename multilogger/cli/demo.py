"""``multilogger demo``: simulated exchanges, logger and page; in the end what was sent against the files."""

from __future__ import annotations

import argparse
import os
import random
import socket
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final, NoReturn

import attrs
import trio
from rich.console import Console

from multilogger.archive.verify import verify_archive
from multilogger.cli import demo_chaos
from multilogger.cli.common import check_writable, port_number, positive, run_trio, wall_clock
from multilogger.cli.demo_chaos import Chaos, judge_chaos, make_chaos, tell_coverage
from multilogger.cli.live import LOG_LEVEL, LiveTable, show
from multilogger.cli.simulated import DAY_SECS, add_market_options, day_length, disturb, exchange_clock
from multilogger.cli.verdict import (
    days_over,
    fault_in_words,
    judge,
    summary,
    verdict_lines,
    verify_lines,
    watch_lines,
)
from multilogger.config import Config, load_config
from multilogger.errors import StartupError
from multilogger.exchanges.catalog import exchange_types
from multilogger.health.rates import RateMeter
from multilogger.log import configure_logging
from multilogger.simulator.market import MEMORY_TRADES
from multilogger.simulator.venues import VENUES, AnyVenue, demo_venues
from multilogger.simulator.watch import FileWatch
from multilogger.stats import Stats
from multilogger.supervision.shutdown import signalled
from multilogger.supervision.tree import Plan, run_tree

_DRAIN_SECS: Final = 10.0
"""For the logger to receive what the exchanges have sent, late messages too, once their markets rest."""
_SEAL_SECS: Final = 1.0
"""Where days are short, one is sealed this long after its end, or a tenth of a day if that is less."""
_SEALED_SECS: Final = 10.0
"""A day that has been over for this long should be sealed."""
_LOOK_SECS: Final = 1.0
"""Between two looks at the live files."""
_MOST_AGE_SECS: Final = 7 * DAY_SECS
"""As far back as the storage takes rows by default."""
_CHAOS_SECS: Final = 120.0
"""A demo with faults is as long as this, unless it is told otherwise."""


def add_parser(commands: Any) -> None:
    """Add the command's parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo",
        help="try everything on loopback, and prove it",
        description="Run simulated exchanges and the logger on loopback; in the end, compare what was sent "
        "with what is on disk.",
    )
    parser.add_argument("--seconds", type=positive, metavar="N", help="stop after N (default: at Ctrl-C)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the files there (default: a new one)")
    parser.add_argument(
        "--exchange", action="append", choices=sorted(VENUES), help="only this one; may be repeated"
    )
    add_market_options(parser)
    parser.add_argument(
        "--day-seconds",
        type=day_length,
        metavar="N",
        help="let a day of exchange time last N seconds, and watch the files at midnight",
    )
    parser.add_argument(
        "--chaos", action="store_true", help="let faults of all kinds strike, and prove what is repaired"
    )
    parser.add_argument(
        "--chaos-every",
        type=positive,
        metavar="N",
        default=5.0,
        help="seconds between two faults (default: 5)",
    )
    parser.add_argument(
        "--port",
        type=port_number,
        metavar="N",
        default=8080,
        help="of the health page (default: 8080, if free)",
    )
    parser.set_defaults(command_main=main)


@attrs.frozen(kw_only=True)
class _Demo:
    """What to run, and what is told in the end."""

    data: Path
    venues: list[AnyVenue]
    clock: Callable[[], int]
    """Exchange time, nanoseconds since the epoch."""
    day_seconds: float | None
    """Real seconds of a day of exchange time, if it is not as long as any."""
    seconds: float | None
    port: int
    late: float
    seed: int
    chaos: Chaos | None
    watch: FileWatch


def main(arguments: argparse.Namespace) -> int:
    """Run the demo; return 0 if the files hold exactly what was sent."""
    configure_logging("auto", LOG_LEVEL)
    chaos = _chaos(arguments)
    data: Path = arguments.data or Path(tempfile.mkdtemp(prefix="multilogger-demo-"))
    check_writable(data)
    ledgers = data / ".multilogger" / "ledger"
    clock = exchange_clock(arguments.day_seconds, ledgers)
    # A directory a run: what an earlier run was sending when it was killed need not be on disk.
    ledger = ledgers / str(wall_clock())
    demo = _Demo(
        data=data,
        venues=demo_venues(
            arguments.seed,
            arguments.rate,
            clock,
            ledger,
            names=arguments.exchange or tuple(VENUES),
            memory_trades=MEMORY_TRADES if chaos is None else demo_chaos.MEMORY_TRADES,
            enter_all=chaos is not None,
        ),
        clock=clock,
        day_seconds=arguments.day_seconds,
        seconds=_CHAOS_SECS if chaos and arguments.seconds is None else arguments.seconds,
        port=_free_port(arguments.port),
        late=arguments.late,
        seed=arguments.seed,
        chaos=chaos,
        watch=FileWatch(data),
    )
    began_ns = clock()
    stats = run_trio(_run, demo)
    return _conclude(demo, ledger, _due(demo, began_ns), stats)


def _chaos(arguments: argparse.Namespace) -> Chaos | None:
    """Return the faults that are asked for.

    Raises:
        StartupError: other options don't go with them.
    """
    if not arguments.chaos:
        return None
    if arguments.day_seconds is not None:
        raise StartupError("--chaos and --day-seconds are two demos: give one")
    return make_chaos(arguments.seed, arguments.seconds or _CHAOS_SECS, arguments.chaos_every)


def _due(demo: _Demo, began_ns: int) -> frozenset[date]:
    """Return the days that should be sealed by now."""
    if demo.day_seconds is None:
        return frozenset()
    patience_ns = int(_SEALED_SECS / demo.day_seconds * DAY_SECS * 1e9)
    return days_over(began_ns, demo.clock() - patience_ns)


def _conclude(demo: _Demo, ledger: Path, due: frozenset[date], stats: Stats) -> int:
    """Tell what was found in the files, and return the exit status."""
    settings = _config(demo).exchanges
    verdicts = []
    for name in (venue.name for venue in demo.venues):
        lossy = demo_chaos.may_miss(name, settings[name]) if demo.chaos else frozenset[str]()
        verdicts.append(judge(ledger, demo.data, name, due, lossy))
    report = verify_archive(demo.data)
    lines = [*verdict_lines(verdicts), *verify_lines(report)]
    if demo.watch.looks:
        demo.watch.look()
        lines += watch_lines(demo.watch)
    whole = not demo.watch.found and report.ok
    obedient = True
    if demo.chaos is not None:
        findings = judge_chaos(demo.chaos, demo.venues, stats, verdicts, tell_coverage(demo.data))
        lines, obedient = [*lines, *findings.lines], findings.good
    console = Console(soft_wrap=True)
    console.print(f"what the exchanges sent, against what plain NumPy finds in {demo.data}:", markup=False)
    for line in lines:
        console.print(line, highlight=False)
    fault = fault_in_words(verdicts, whole=whole, obedient=obedient)
    console.print(fault or summary(verdicts), style="bold red" if fault else None, highlight=False)
    return 1 if fault else 0


def _free_port(wanted: int) -> int:
    """Return the wanted port if it is free, else 0: any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted


def _config(demo: _Demo) -> Config:
    """Return defaults with what the demo needs, whatever file and environment the user has."""
    settings = {
        "MULTILOGGER__LOGGER__DATA_PATH": str(demo.data),
        "MULTILOGGER__LOGGER__FLUSH_INTERVAL_SECS": "1",
        "MULTILOGGER__HEALTH__HOST": "127.0.0.1",
        "MULTILOGGER__HEALTH__PORT": str(demo.port),
    }
    if demo.day_seconds is not None:
        seal_secs = min(_SEAL_SECS / demo.day_seconds, 0.1) * DAY_SECS
        settings["MULTILOGGER__STORAGE__SEAL_AFTER_SECS"] = str(seal_secs)
    for venue in demo.venues:
        section = f"MULTILOGGER__EXCHANGES__{venue.name.upper()}"
        settings[f"{section}__WS_ENDPOINT"] = venue.ws_url
        settings[f"{section}__REST_ENDPOINT"] = venue.rest_url
        own = VENUES[venue.name].settings
        settings.update({f"{section}__{key.upper()}": value for key, value in own.items()})
        if demo.day_seconds is not None:
            # What comes seconds late is days old by the clock of short days.
            settings[f"{section}__BACKFILL_MAX_AGE_SECS"] = str(_MOST_AGE_SECS)
        if demo.chaos is not None:
            settings.update({f"{section}__{key}": value for key, value in demo_chaos.SETTINGS.items()})
    types = {venue.name: exchange_types()[venue.name].config_type for venue in demo.venues}
    return load_config(Path(os.devnull), settings, types)


async def _run(demo: _Demo) -> Stats:
    """Run exchanges and logger; stop the markets first, then the logger, then the exchanges."""
    async with trio.open_nursery() as simulation:
        for venue in demo.venues:
            await simulation.start(venue.run)
        disturb(demo.venues, demo.late, demo.seed)
        if demo.day_seconds is not None:
            simulation.start_soon(_keep_looking, demo.watch)
        stop = trio.Event()
        plan = Plan(
            config=_config(demo),
            exchange_types=exchange_types(),
            stop_requested=stop.wait,
            clock=wall_clock,
            calendar=None if demo.clock is wall_clock else demo.clock,
            random=random.Random(),  # noqa: S311 - jitter, no secret
        )
        async with trio.open_nursery() as logger:
            address = await logger.start(run_tree, plan)
            await _watch(plan, address, demo)
            if demo.chaos is None:
                await _drain(demo.venues, plan.stats)
            else:
                await demo.chaos.settle(demo.venues, plan.stats)
            stop.set()
        simulation.cancel_scope.cancel()
    return plan.stats


async def _keep_looking(watch: FileWatch) -> NoReturn:
    while True:
        await trio.sleep(_LOOK_SECS)
        await trio.to_thread.run_sync(watch.look)


async def _watch(plan: Plan, address: tuple[str, int], demo: _Demo) -> None:
    """Show what happens, and let it happen, until the time is over or the user stops it."""
    with trio.move_on_after(float("inf") if demo.seconds is None else demo.seconds):
        async with trio.open_nursery() as watching:
            if demo.chaos is not None:
                watching.start_soon(demo.chaos.run, demo.venues)
            meter = RateMeter(plan.stats, plan.clock)
            watching.start_soon(meter.run)
            title = "health page http://{}:{}/   Ctrl-C ends it".format(*address)
            watching.start_soon(show, LiveTable(plan.stats, demo.data, meter, title))
            await signalled()
            watching.cancel_scope.cancel()


async def _drain(venues: list[AnyVenue], stats: Stats) -> None:
    """Let the markets rest until the logger has received all they sent."""
    for venue in venues:
        venue.pause()
    with trio.move_on_after(_DRAIN_SECS):
        for venue in venues:
            await venue.drained()
        # The counters are plain numbers, made for being looked at now and then.
        while any(stats.exchange(venue.name).messages < venue.sent_messages for venue in venues):  # noqa: ASYNC110
            await trio.sleep(0.02)
