"""``multilogger demo``: simulated exchanges, logger and page; in the end what was sent against the files."""

from __future__ import annotations

import argparse
import os
import random
import socket
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final, NoReturn

import attrs
import trio
from rich.console import Console
from rich.live import Live

from multilogger.archive.verify import verify_archive
from multilogger.cli.common import check_writable, port_number, positive, run_trio, wall_clock
from multilogger.cli.live import LiveTable
from multilogger.cli.simulated import DAY_SECS, add_market_options, day_length, disturb, exchange_clock
from multilogger.cli.verdict import days_over, judge, verdict_lines, verify_lines, watch_lines
from multilogger.config import Config, load_config
from multilogger.exchanges.catalog import exchange_types
from multilogger.health.rates import RateMeter
from multilogger.log import configure_logging
from multilogger.simulator.venues import AnyVenue, demo_venues
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
_LINE_SECS: Final = 5.0
_TABLE_SECS: Final = 0.5
_LOG_LEVEL: Final = "warning"


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
    add_market_options(parser)
    parser.add_argument(
        "--day-seconds",
        type=day_length,
        metavar="N",
        help="let a day of exchange time last N seconds, and watch the files at midnight",
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
    watch: FileWatch


def main(arguments: argparse.Namespace) -> int:
    """Run the demo; return 0 if the files hold exactly what was sent."""
    configure_logging("auto", _LOG_LEVEL)
    data: Path = arguments.data or Path(tempfile.mkdtemp(prefix="multilogger-demo-"))
    check_writable(data)
    ledgers = data / ".multilogger" / "ledger"
    clock = exchange_clock(arguments.day_seconds, ledgers)
    # A directory a run: what an earlier run was sending when it was killed need not be on disk.
    ledger = ledgers / str(wall_clock())
    demo = _Demo(
        data=data,
        venues=demo_venues(arguments.seed, arguments.rate, clock, ledger),
        clock=clock,
        day_seconds=arguments.day_seconds,
        seconds=arguments.seconds,
        port=_free_port(arguments.port),
        late=arguments.late,
        seed=arguments.seed,
        watch=FileWatch(data),
    )
    began_ns = clock()
    run_trio(_run, demo)
    return _conclude(demo, ledger, _due(demo, began_ns))


def _due(demo: _Demo, began_ns: int) -> frozenset[date]:
    """Return the days that should be sealed by now."""
    if demo.day_seconds is None:
        return frozenset()
    patience_ns = int(_SEALED_SECS / demo.day_seconds * DAY_SECS * 1e9)
    return days_over(began_ns, demo.clock() - patience_ns)


def _conclude(demo: _Demo, ledger: Path, due: frozenset[date]) -> int:
    """Tell what was found in the files, and return the exit status."""
    verdicts = [judge(ledger, demo.data, venue.name, due) for venue in demo.venues]
    report = verify_archive(demo.data)
    lines = [*verdict_lines(verdicts), *verify_lines(report)]
    if demo.watch.looks:
        demo.watch.look()
        lines += watch_lines(demo.watch)
    console = Console(soft_wrap=True)
    console.print(f"what the exchanges sent, against what plain NumPy finds in {demo.data}:", markup=False)
    for line in lines:
        console.print(line, highlight=False)
    if not all(verdict.good for verdict in verdicts):
        console.print("The files do not hold what was sent.", style="bold red")
        return 1
    if demo.watch.found or not report.ok:
        console.print("The files hold what was sent, but are not as they should be.", style="bold red")
        return 1
    console.print(_summary(sum(verdict.lost_before for verdict in verdicts)), highlight=False)
    return 0


def _summary(lost_before: int) -> str:
    if not lost_before:
        return "All that was sent is on disk, once and whole."
    rows = "1 row of earlier runs is" if lost_before == 1 else f"{lost_before:,} rows of earlier runs are"
    return f"All that this run sent is on disk, once and whole; {rows} not."


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
    types = {venue.name: exchange_types()[venue.name].config_type for venue in demo.venues}
    return load_config(Path(os.devnull), settings, types)


async def _run(demo: _Demo) -> None:
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
            await _watch(plan, address, demo.seconds)
            await _drain(demo.venues, plan.stats)
            stop.set()
        simulation.cancel_scope.cancel()


async def _keep_looking(watch: FileWatch) -> NoReturn:
    while True:
        await trio.sleep(_LOOK_SECS)
        await trio.to_thread.run_sync(watch.look)


async def _watch(plan: Plan, address: tuple[str, int], seconds: float | None) -> None:
    """Show what happens until the time is over or the user stops it."""
    with trio.move_on_after(float("inf") if seconds is None else seconds):
        async with trio.open_nursery() as watching:
            meter = RateMeter(plan.stats, plan.clock)
            watching.start_soon(meter.run)
            watching.start_soon(_show, plan, address, meter)
            await signalled()
            watching.cancel_scope.cancel()


async def _show(plan: Plan, address: tuple[str, int], meter: RateMeter) -> None:
    host, port = address
    title = f"health page http://{host}:{port}/   Ctrl-C ends it"
    table = LiveTable(plan.stats, plan.config.logger.data_path, meter, title)
    console = Console()
    if console.is_terminal:
        await _show_table(table, console)
    console.print(title, f"files in {table.data}", sep="\n", soft_wrap=True, markup=False, highlight=False)
    while True:
        await trio.sleep(_LINE_SECS)
        console.print(table.line(), soft_wrap=True, highlight=False)


async def _show_table(table: LiveTable, console: Console) -> NoReturn:
    with Live(table.render(console.height), console=console, auto_refresh=False) as live:
        # While the table stands, it takes what goes to sys.stderr, and shows it above itself.
        configure_logging("console", _LOG_LEVEL)
        try:
            while True:
                await trio.sleep(_TABLE_SECS)
                drawn = await trio.to_thread.run_sync(table.render, console.height)
                live.update(drawn, refresh=True)
        finally:
            configure_logging("auto", _LOG_LEVEL, sys.__stderr__)


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
