"""What the commands that simulate exchanges have in common."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from multilogger.cli.common import positive, wall_clock
from multilogger.simulator.clock import ScaledClock
from multilogger.simulator.faults import Disorder
from multilogger.simulator.ledger import newest_time
from multilogger.simulator.venues import VENUES, AnyVenue

DAY_SECS: Final = 86_400

_MOST_LATE: Final = 0.5
"""Half of all messages is more disorder than any exchange shows."""
_TICK_NS: Final = 1_000_000
"""The coarsest resolution of the exchanges' event times."""


def add_market_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--seed``, ``--rate`` and ``--late``."""
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
        "--late",
        type=late_share,
        metavar="SHARE",
        default=0.0,
        help="share of trades and tickers that come up to 3 s late (default: 0)",
    )


def late_share(text: str) -> float:
    """Return a share of messages; for argparse.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= _MOST_LATE:
        raise argparse.ArgumentTypeError(f"expected a share between 0 and {_MOST_LATE}, got {text!r}")
    return share


def day_length(text: str) -> float:
    """Return how many real seconds a day of exchange time lasts; for argparse.

    Raises:
        argparse.ArgumentTypeError: it is no number, or none that a day may last.
    """
    seconds = positive(text)
    if not 1 <= seconds <= DAY_SECS:
        raise argparse.ArgumentTypeError(f"expected a number between 1 and {DAY_SECS}, got {text!r}")
    return seconds


def exchange_clock(day_seconds: float | None, ledgers: Path) -> Callable[[], int]:
    """Return exchange time: the wall clock, unless days are short, or were in an earlier run.

    Time goes on where the earlier runs left it, for an exchange's time never goes back.

    Args:
        day_seconds: real seconds of a day; None for a real day.
        ledgers: holds the ledger directories of the earlier runs.
    """
    directories = list(ledgers.iterdir()) if ledgers.exists() else []
    now_ns, newest_ns = wall_clock(), newest_time(directories, VENUES) + _TICK_NS
    if day_seconds is None and newest_ns < now_ns:
        return wall_clock
    factor = 1.0 if day_seconds is None else DAY_SECS / day_seconds
    return ScaledClock(max(now_ns, newest_ns), factor, time.monotonic_ns)


def disturb(venues: Sequence[AnyVenue], late: float, seed: int) -> None:
    """Let a share of what the exchanges send come late, for ever; within a Trio run."""
    if late:
        for venue in venues:
            venue.inject(Disorder(math.inf, share=late, seed=seed))
