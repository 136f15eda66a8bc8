"""``multilogger coverage``: how much of the time was recorded, and what is missing."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from multilogger.archive.coverage import (
    Gap,
    Progress,
    Sums,
    TableCoverage,
    by_exchange,
    coverage_of,
    total,
    worst_gaps,
    worst_symbols,
)
from multilogger.archive.instants import describe, to_ns
from multilogger.archive.running import logger_runs
from multilogger.cli.common import add_archive_options, check_one_archive, read_config, wall_clock
from multilogger.cli.coverage_plot import check_plot, write_plot
from multilogger.cli.coverage_tables import print_coverage
from multilogger.errors import ArchiveError, StartupError
from multilogger.tables import NANOS_PER_SECOND, TABLES

_WORST: Final = 10


def add_parser(commands: Any) -> None:
    """Add the command's parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "coverage",
        help="tell how much was recorded, and what is missing",
        description="Tell how much of the time was recorded, and the worst gaps. Nothing is changed.",
    )
    add_archive_options(parser)
    parser.add_argument("--exchange", metavar="NAME", help="only this exchange")
    parser.add_argument("--symbol", metavar="SYMBOL", help="only this symbol")
    parser.add_argument("--table", choices=[table.name for table in TABLES], help="only this table")
    parser.add_argument("--from", dest="start", type=_instant, metavar="TIME", help="from this time on")
    parser.add_argument("--to", dest="end", type=_instant, metavar="TIME", help="before this time")
    parser.add_argument(
        "--worst", type=_count, default=_WORST, metavar="N", help="how many symbols and gaps to list (10)"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw days and symbols into this .png or .html"
    )
    parser.add_argument(
        "--min", type=_percent, metavar="PERCENT", help="fail if a table of an exchange has less"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.set_defaults(command_main=main)


def main(arguments: argparse.Namespace) -> int:
    """Print what was recorded; return 1 if it is less than ``--min``."""
    check_one_archive(arguments)
    if arguments.plot is not None:
        check_plot(arguments.plot)
    start_ns, end_ns = _window(arguments)
    path, alternate = arguments.path, None
    if path is None:
        config = read_config(arguments.config)
        path, alternate = config.logger.data_path, config.storage.journal_alternate
    try:
        with _progress() as progress:
            found = coverage_of(
                path,
                arguments.exchange,
                arguments.symbol,
                arguments.table,
                start_ns,
                end_ns,
                journal_alternate=alternate,
                clock=wall_clock,
                progress=progress,
            )
        running = logger_runs(path)
    except ArchiveError as error:
        raise StartupError(str(error)) from error
    if arguments.json:
        report = {"path": os.fspath(path), "logger_running": running, **_as_json(found, arguments.worst)}
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        print_coverage(found, arguments.worst, running=running)
    if arguments.plot is not None:
        write_plot(arguments.plot, found, arguments.worst)
    return 1 if _is_below(found, arguments.min) else 0


def _window(arguments: argparse.Namespace) -> tuple[int | None, int | None]:
    """Return the times between which to look."""
    if arguments.day is None:
        return arguments.start, arguments.end
    if arguments.start is not None or arguments.end is not None:
        raise StartupError("--day and --from or --to are two ranges of time: give one")
    day: date = arguments.day
    return to_ns(day.isoformat()), to_ns((day + timedelta(days=1)).isoformat())


def _is_below(found: Sequence[TableCoverage], least: float | None) -> bool:
    if least is None:
        return False
    shares = [it.sums.percentage for it in by_exchange(found)]
    return any(share is not None and share < least for share in shares)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show how far it is on standard error, where that is a terminal."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading the catalog", total=None)
        yield lambda done, of, what: bar.update(task, completed=done, total=of, description=what)


def _as_json(found: Sequence[TableCoverage], worst: int) -> dict[str, Any]:
    return {
        "total": _sums_as_json(total(it.sums for it in found)),
        "exchanges": [
            {"exchange": it.exchange, "table": it.table, "symbols": it.symbols, **_sums_as_json(it.sums)}
            for it in by_exchange(found)
        ],
        "tables": [
            {
                "exchange": it.exchange,
                "symbol": it.symbol,
                "table": it.table,
                **_sums_as_json(it.sums),
                "gaps": len(it.timeline.gaps),
            }
            for it in found
        ],
        "worst_symbols": [
            {"exchange": it.exchange, "symbol": it.symbol, "table": it.table, "percentage": it.percentage}
            for it in worst_symbols(found, worst)
        ],
        "worst_gaps": [_gap_as_json(it) for it in worst_gaps(found, worst)],
    }


def _sums_as_json(sums: Sums) -> dict[str, Any]:
    return {
        "percentage": sums.percentage,
        "expected_secs": sums.expected_secs,
        "live_secs": sums.live_ns / NANOS_PER_SECOND,
        "backfilled_secs": sums.backfilled_ns / NANOS_PER_SECOND,
        "gap_secs": {cause: length / NANOS_PER_SECOND for cause, length in sorted(sums.gap_ns.items())},
        "halted_secs": sums.halted_ns / NANOS_PER_SECOND,
        "not_listed_secs": sums.not_listed_ns / NANOS_PER_SECOND,
        "unknown_secs": sums.unknown_ns / NANOS_PER_SECOND,
        "missing_ids": sums.missing_ids,
    }


def _gap_as_json(gap: Gap) -> dict[str, Any]:
    return {
        "exchange": gap.exchange,
        "symbols": list(gap.symbols),
        "tables": list(gap.tables),
        "cause": gap.cause,
        "start": describe(gap.start_ns),
        "end": describe(gap.end_ns),
        "secs": gap.secs,
        "missing_ids": gap.missing_ids,
    }


def _instant(text: str) -> int:
    try:
        return to_ns(text)
    except ArchiveError:
        raise argparse.ArgumentTypeError(
            f"expected a day or a time such as 2026-11-23T09:30, UTC, got {text!r}"
        ) from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}")
    return int(text)


def _percent(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 100:  # noqa: PLR2004 - that is what percent means
        raise argparse.ArgumentTypeError(f"expected a percentage from 0 to 100, got {text!r}")
    return number
