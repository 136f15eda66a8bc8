"""``multilogger demo``: simulated exchanges, logger and page; in the end what was sent against the files."""

from __future__ import annotations

import argparse
import os
import random
import socket
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import trio
from rich.console import Console
from rich.live import Live

from multilogger.cli.common import check_writable, port_number, positive, run_trio, wall_clock
from multilogger.cli.live import LiveTable
from multilogger.cli.verdict import judge, verdict_lines
from multilogger.config import Config, load_config
from multilogger.exchanges.catalog import exchange_types
from multilogger.health.rates import RateMeter
from multilogger.log import configure_logging
from multilogger.simulator.venues import AnyVenue, demo_venues
from multilogger.stats import Stats
from multilogger.supervision.shutdown import signalled
from multilogger.supervision.tree import Plan, run_tree

_DRAIN_SECS: Final = 5.0
"""For the logger to receive what the exchanges have sent, once their markets rest."""
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
    parser.add_argument(
        "--seed", type=int, metavar="N", default=1, help="of the simulated markets (default: 1)"
    )
    parser.add_argument(
        "--rate",
        type=positive,
        metavar="N",
        default=500.0,
        help="messages a second an exchange (default: 500)",
    )
    parser.add_argument(
        "--port",
        type=port_number,
        metavar="N",
        default=8080,
        help="of the health page (default: 8080, if free)",
    )
    parser.set_defaults(command_main=main)


def main(arguments: argparse.Namespace) -> int:
    """Run the demo; return 0 if the files hold exactly what was sent."""
    configure_logging("auto", _LOG_LEVEL)
    data: Path = arguments.data or Path(tempfile.mkdtemp(prefix="multilogger-demo-"))
    check_writable(data)
    # A directory a run: what an earlier run was sending when it was killed need not be on disk.
    ledger = data / ".multilogger" / "ledger" / str(wall_clock())
    venues = demo_venues(arguments.seed, arguments.rate, wall_clock, ledger)
    run_trio(partial(_run, venues, data, arguments.seconds, _free_port(arguments.port)))
    verdicts = [judge(ledger, data, venue.name) for venue in venues]
    console = Console(soft_wrap=True)
    console.print(f"what the exchanges sent, against what plain NumPy finds in {data}:", markup=False)
    for line in verdict_lines(verdicts):
        console.print(line, highlight=False)
    if not all(verdict.good for verdict in verdicts):
        console.print("The files do not hold what was sent.", style="bold red")
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


def _config(venues: list[AnyVenue], data: Path, port: int) -> Config:
    """Return defaults with what the demo needs, whatever file and environment the user has."""
    settings = {
        "MULTILOGGER__LOGGER__DATA_PATH": str(data),
        "MULTILOGGER__LOGGER__FLUSH_INTERVAL_SECS": "1",
        "MULTILOGGER__HEALTH__HOST": "127.0.0.1",
        "MULTILOGGER__HEALTH__PORT": str(port),
    }
    for venue in venues:
        section = f"MULTILOGGER__EXCHANGES__{venue.name.upper()}"
        settings[f"{section}__WS_ENDPOINT"] = venue.ws_url
        settings[f"{section}__REST_ENDPOINT"] = venue.rest_url
    types = {venue.name: exchange_types()[venue.name].config_type for venue in venues}
    return load_config(Path(os.devnull), settings, types)


async def _run(venues: list[AnyVenue], data: Path, seconds: float | None, port: int) -> None:
    """Run exchanges and logger; stop the markets first, then the logger, then the exchanges."""
    async with trio.open_nursery() as simulation:
        for venue in venues:
            await simulation.start(venue.run)
        stop = trio.Event()
        plan = Plan(
            config=_config(venues, data, port),
            exchange_types=exchange_types(),
            stop_requested=stop.wait,
            clock=wall_clock,
            random=random.Random(),  # noqa: S311 - jitter, no secret
        )
        async with trio.open_nursery() as logger:
            address = await logger.start(run_tree, plan)
            await _watch(plan, address, seconds)
            await _drain(venues, plan.stats)
            stop.set()
        simulation.cancel_scope.cancel()


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
        # The counters are plain numbers, made for being looked at now and then.
        while any(stats.exchange(venue.name).messages < venue.sent_messages for venue in venues):  # noqa: ASYNC110
            await trio.sleep(0.02)
