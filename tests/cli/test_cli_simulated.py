"""What demo and simulate have in common: options of the market, disorder, the clock."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import trio

from multilogger.cli.common import wall_clock
from multilogger.cli.main import build_parser
from multilogger.cli.simulated import DAY_SECS, disturb, exchange_clock
from multilogger.simulator.clock import ScaledClock
from multilogger.simulator.ledger import Ledger, TradeEntry
from multilogger.simulator.venue import Venue
from multilogger.simulator.venues import demo_venues

NAMES = ("coinbase", "binance")


def parsed(*arguments: str) -> argparse.Namespace:
    """Return the options of a command."""
    return build_parser().parse_args(arguments)


@pytest.mark.parametrize("command", ["demo", "simulate"])
def test_market_options(command: str) -> None:
    """Both commands take the options of the market, and have the same defaults."""
    defaults = parsed(command)
    assert (defaults.seed, defaults.rate, defaults.late) == (1, 500.0, 0.0)
    given = parsed(command, "--seed", "7", "--rate", "2e3", "--late", "0.05")
    assert (given.seed, given.rate, given.late) == (7, 2000.0, 0.05)


def test_day_seconds() -> None:
    """Days are as long as any unless they are made short."""
    assert parsed("demo").day_seconds is None
    assert parsed("demo", "--day-seconds", "10").day_seconds == 10.0


def ledger_at(directory: Path, time_ns: int) -> None:
    """Write the ledger of a run that sent one trade."""
    ledger = Ledger("binance", directory)
    ledger.trade(
        TradeEntry(
            symbol="BTCUSDT", time_ns=time_ns, trade_id=1, price="1", size="1",
            maker=bytes(16), taker=bytes(16), bought=True,
        )
    )  # fmt: skip
    ledger.close()


def test_exchange_time_is_wall_time_by_default(tmp_path: Path) -> None:
    """Without short days, now or ever, exchange time is the wall clock itself."""
    assert exchange_clock(None, tmp_path / "none") is wall_clock
    ledger_at(tmp_path / "1", wall_clock() - 10**9)
    assert exchange_clock(None, tmp_path) is wall_clock


def test_short_days_begin_now(tmp_path: Path) -> None:
    """A clock of short days starts at the present time, and runs as much faster as days are shorter."""
    before = wall_clock()
    clock = exchange_clock(10, tmp_path)
    assert isinstance(clock, ScaledClock)
    assert clock.factor == 8640
    assert before <= clock.start_ns <= wall_clock()
    assert clock() < clock()


@pytest.mark.parametrize(("day_seconds", "factor"), [(10.0, 8640), (None, 1)])
def test_time_goes_on_where_earlier_runs_left_it(
    tmp_path: Path, day_seconds: float | None, factor: float
) -> None:
    """Where an earlier run of short days got ahead of the wall clock, exchange time never falls back."""
    ahead = wall_clock() + 7 * DAY_SECS * 10**9
    ledger_at(tmp_path / "1", ahead - 10**9)
    ledger_at(tmp_path / "2", ahead)
    clock = exchange_clock(day_seconds, tmp_path)
    assert isinstance(clock, ScaledClock)
    assert clock.factor == factor
    assert ahead < clock.start_ns <= ahead + 10**6


@pytest.mark.parametrize("late", [0.0, 0.25])
async def test_disturb(late: float) -> None:
    """Every exchange gets its disorder, for as long as it runs; none without a share."""
    await trio.lowlevel.checkpoint()
    venues = demo_venues(1, 100, wall_clock, None, names=NAMES)
    disturb(venues, late, 3)
    for venue in venues:
        assert isinstance(venue, Venue)
        assert venue.detour.late.share == late
        assert (venue.detour.late.until > 1e12) == bool(late)
