"""What several commands share."""

from __future__ import annotations

import argparse
import gc
import math
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import trio

from multilogger.config import Config, ExchangeConfig, load_config
from multilogger.errors import MultiloggerError, StartupError
from multilogger.exchanges.base import Exchange, Services
from multilogger.exchanges.catalog import BUILT_IN, exchange_types
from multilogger.log import configure_logging

T = TypeVar("T")

_SWITCH_SECS: Final = 0.0002
_PORTS: Final = 1 << 16


def positive(text: str) -> float:
    """Return a number greater than 0; for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number greater than 0, got {text!r}")
    return number


def port_number(text: str) -> int:
    """Return a TCP port, 0 for any; for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (text.isdecimal() and int(text) < _PORTS):
        raise argparse.ArgumentTypeError(f"expected a port between 0 and {_PORTS - 1}, got {text!r}")
    return int(text)


def utc_day(text: str) -> date:
    """Return a day; for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a day such as 2026-11-23, got {text!r}") from error


def add_archive_options(parser: argparse.ArgumentParser) -> None:
    """Add what says which archive a command is for, and which day of it."""
    parser.add_argument(
        "path", nargs="?", type=Path, metavar="PATH", help="the data path, instead of the configured one"
    )
    add_config_option(parser)
    parser.add_argument("--day", type=utc_day, metavar="YYYY-MM-DD", help="only this UTC day")


def check_one_archive(arguments: argparse.Namespace) -> None:
    """Check that a path and a configuration are not both given.

    Raises:
        StartupError: they are.
    """
    if arguments.path is not None and arguments.config is not None:
        raise StartupError("PATH and --config are two data paths: give one")


def check_readable(files: Sequence[Path]) -> None:
    """Check that files can be opened, all of them before the first is used.

    Raises:
        StartupError: a line for each that can't be.
    """
    faults = [f"{file}: {why}" for file in files if (why := _why_not_readable(file))]
    if faults:
        raise StartupError("\n".join(faults))


def _why_not_readable(file: Path) -> str:
    try:
        with file.open("rb"):
            return ""
    except OSError as error:
        return f"can't be read: {error.strerror}"


def check_writable(directory: Path) -> None:
    """Make a directory, if it is not there, and check that files can be made in it.

    Raises:
        StartupError: they can't.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(f"{directory} can't be written to: {error.strerror}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StartupError(f"{directory} can't be written to: give user {os.getuid()} the rights to")


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration (default: ./logger.toml)")


def read_config(path: Path | None, extra: dict[str, str] | None = None) -> Config:
    """Return the configuration of ``path`` and the environment; ``extra`` overrides like the environment."""
    types: dict[str, type[ExchangeConfig]] = {
        name: exchange.config_type for name, exchange in exchange_types().items()
    }
    default = [name for name, exchange in BUILT_IN.items() if exchange.by_default]
    return load_config(path, {**os.environ, **(extra or {})}, types, default_exchanges=default)


def set_up_logging(config: Config) -> None:
    """Log to standard error as configured."""
    configure_logging(config.logger.log_format, config.logger.log_level)


def check_exchange(name: str) -> None:
    """Check that there is an exchange of that name.

    Raises:
        StartupError: there is none.
    """
    types = exchange_types()
    if name not in types:
        raise StartupError(f"unknown exchange {name!r}: known are {', '.join(sorted(types))}")


def make_exchange(name: str, config: Config, services: Services | None = None) -> Exchange:
    """Return an exchange as configured.

    Raises:
        StartupError: the name is not known, or not configured.
    """
    check_exchange(name)
    if name not in config.exchanges:
        raise StartupError(f"exchange {name!r} is not configured: add a section [exchanges.{name}]")
    return exchange_types()[name](config.exchanges[name], services)


def run_trio(main: Callable[..., Awaitable[T]], *args: object) -> T:
    """Run the event loop; an expected error in groups of one comes out as itself."""
    try:
        return trio.run(main, *args)
    except ExceptionGroup as group:
        raise_first_expected(group)


def raise_first_expected(group: ExceptionGroup[Exception]) -> NoReturn:
    """Raise the expected error of a group that holds no other kind; else the group."""
    expected, unexpected = group.split(MultiloggerError)
    if expected is None or unexpected is not None:
        raise group
    raise _leaves(expected)[0] from group


def _leaves(group: ExceptionGroup[MultiloggerError]) -> Sequence[MultiloggerError]:
    leaves: list[MultiloggerError] = []
    for part in group.exceptions:
        leaves += _leaves(part) if isinstance(part, ExceptionGroup) else [part]
    return leaves


def favour_the_event_loop() -> None:
    """Let the event loop have the interpreter again soon after a writer's thread took it.

    By default a thread may keep it for 5 ms, and every commit would delay what is received meanwhile so long.
    What exists when the program starts is left out of garbage collections, which shortens their pauses.
    """
    sys.setswitchinterval(_SWITCH_SECS)
    gc.collect()
    gc.freeze()


def wall_clock() -> int:
    """Return nanoseconds since the epoch; the one clock the commands lend to everything below them."""
    return time.time_ns()
