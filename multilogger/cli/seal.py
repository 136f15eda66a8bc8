"""``multilogger seal``: seal the days of an archive that no logger writes to."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from multilogger.cli.common import (
    add_archive_options,
    check_one_archive,
    read_config,
    set_up_logging,
    wall_clock,
)
from multilogger.config import Config, LoggerConfig
from multilogger.config.policy import ExchangePolicy, storage_policy
from multilogger.errors import StartupError
from multilogger.storage.maintenance import ArchiveSealer, open_archive
from multilogger.storage.manifest import Manifest

_EPOCH: Final = date(1970, 1, 1)
_STEP_SECS: Final = 0.5


def add_parser(commands: Any) -> None:
    """Add the command's parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "seal",
        help="seal the days of an archive without a logger",
        description="Check the files of each day that is over, fold late rows in, and write its manifest.",
    )
    add_archive_options(parser)
    parser.set_defaults(command_main=main)


def main(arguments: argparse.Namespace) -> int:
    """Seal, and print what was sealed and what could not be; return 1 if there is such."""
    check_one_archive(arguments)
    policies: Mapping[str, ExchangePolicy] = {}
    if arguments.path is not None:
        config = Config(logger=LoggerConfig(data_path=arguments.path))
    else:
        config = read_config(arguments.config)
        policies = storage_policy(config)
    set_up_logging(config)
    path = config.logger.data_path
    if not path.is_dir():
        raise StartupError(f"{path} is no directory: there is nothing to seal")
    only_day = None if arguments.day is None else (arguments.day - _EPOCH).days
    with open_archive(path, config.storage, policies, wall_clock) as sealer:
        if only_day is not None and only_day > sealer.closed_day:
            raise StartupError(f"{arguments.day} is not over for long enough: its last rows may still come")
        return _seal(sealer, only_day)


def _seal(sealer: ArchiveSealer, only_day: int | None) -> int:
    sealer.look(only_day)
    count = 0
    with _progress() as progress:
        remaining = 1
        while remaining:
            step = sealer.step(time.monotonic, _STEP_SECS, only_day=only_day)
            remaining = step.remaining
            for manifest in step.sealed:
                _print(_describe(manifest))
            count += len(step.sealed)
            progress(count, count + remaining)
    failed = sealer.failed
    for why in failed:
        _print(f"not sealed: {why}")
    days = "day of a table" if count == 1 else "days of tables"
    _print(f"{count:,} {days} sealed, {len(failed):,} not")
    return 1 if failed else 0


def _describe(manifest: Manifest) -> str:
    late = f", {manifest.late_rows:,} of them late" if manifest.late_rows else ""
    dropped = f", {manifest.duplicates:,} left out" if manifest.duplicates else ""
    return (
        f"sealed {manifest.day} {manifest.exchange} {manifest.symbol} {manifest.table}: "
        f"{manifest.rows:,} rows{late}{dropped}"
    )


def _print(line: str) -> None:
    # A symbol may be of any characters, and a file's name of any bytes.
    sys.stdout.write(line.encode(errors="backslashreplace").decode() + "\n")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show how far it is on standard error, where that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("sealing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
