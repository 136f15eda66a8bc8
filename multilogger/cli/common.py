"""What several commands share."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
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


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration (default: ./logger.toml)")


def read_config(path: Path | None, extra: dict[str, str] | None = None) -> Config:
    """Return the configuration of ``path`` and the environment; ``extra`` overrides like the environment."""
    types: dict[str, type[ExchangeConfig]] = {
        name: exchange.config_type for name, exchange in exchange_types().items()
    }
    return load_config(path, {**os.environ, **(extra or {})}, types, default_exchanges=list(BUILT_IN))


def set_up_logging(config: Config) -> None:
    """Log to standard error as configured."""
    configure_logging(config.logger.log_format, config.logger.log_level)


def make_exchange(name: str, config: Config, services: Services | None = None) -> Exchange:
    """Return an exchange as configured.

    Raises:
        StartupError: the name is not known, or not configured.
    """
    types = exchange_types()
    if name not in types:
        raise StartupError(f"unknown exchange {name!r}: known are {', '.join(sorted(types))}")
    if name not in config.exchanges:
        raise StartupError(f"exchange {name!r} is not configured: add a section [exchanges.{name}]")
    return types[name](config.exchanges[name], services)


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
