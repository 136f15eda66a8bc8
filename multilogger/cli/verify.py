"""``multilogger verify``: is everything that was recorded whole and right."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from multilogger.archive import verify
from multilogger.archive.report import Counts, VerifyReport
from multilogger.cli.common import add_archive_options, check_one_archive, read_config
from multilogger.errors import ArchiveError, StartupError


def add_parser(commands: Any) -> None:
    """Add the command's parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "verify",
        help="prove that the recorded files are whole",
        description="Check every recorded file: lengths, times, values, ids, checksums. Nothing is changed.",
    )
    add_archive_options(parser)
    parser.add_argument("--exchange", metavar="NAME", help="only this exchange")
    parser.add_argument("--symbol", metavar="SYMBOL", help="only this symbol; needs --exchange")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    parser.set_defaults(command_main=main)


def main(arguments: argparse.Namespace) -> int:
    """Print what is wrong, and how much was looked at; return 1 if something is wrong."""
    if arguments.symbol is not None and arguments.exchange is None:
        raise StartupError("--symbol needs --exchange: the same name may be on several")
    check_one_archive(arguments)
    path, alternate = arguments.path, None
    if path is None:
        config = read_config(arguments.config)
        path, alternate = config.logger.data_path, config.storage.journal_alternate
    try:
        with _progress() as progress:
            report = verify.verify_archive(
                path,
                exchange=arguments.exchange,
                symbol=arguments.symbol,
                day=arguments.day,
                journal_alternate=alternate,
                progress=progress,
            )
    except ArchiveError as error:
        raise StartupError(str(error)) from error
    if arguments.json:
        sys.stdout.write(json.dumps(_as_json(path, report)) + "\n")
    else:
        for line in [*map(str, report.problems), _summary(report)]:
            # A file's name may be of any bytes.
            sys.stdout.write(line.encode(errors="backslashreplace").decode() + "\n")
    return 0 if report.ok else 1


@contextmanager
def _progress() -> Iterator[verify.Progress]:
    """Show how far it is on standard error, where that is a terminal."""
    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("")
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)


def _as_json(path: Path, report: VerifyReport) -> dict[str, Any]:
    problems = [{"path": os.fspath(it.path), "row": it.row, "words": it.words} for it in report.problems]
    return {
        "path": os.fspath(path),
        "ok": report.ok,
        "logger_running": report.logger_running,
        **attrs.asdict(report.counts),
        "problems": problems,
    }


def _summary(report: VerifyReport) -> str:
    count = len(report.problems)
    found = _amount(count, "problem") if count else "no problem"
    return f"{_amounts(report.counts)}{', a logger runs' if report.logger_running else ''}: {found}"


def _amounts(counts: Counts) -> str:
    days = "day of tables" if counts.partitions == 1 else "days of tables"
    return ", ".join(
        [
            _amount(counts.rows, "row"),
            f"{counts.late_rows:,} late",
            f"{counts.partitions:,} {days}",
            f"{counts.sealed_days:,} sealed",
            _amount(counts.files, "file"),
            _amount(counts.bytes, "byte"),
            _amount(counts.journal_frames, "journal frame"),
        ]
    )


def _amount(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
