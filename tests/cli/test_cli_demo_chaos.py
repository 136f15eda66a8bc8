"""``demo --chaos``: what strikes whom, what is waited for, and what is told in the end."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import trio
from cli_tools import TWO
from rich.text import Text
from trio.testing import MockClock

from multilogger.archive.coverage import Sums, TableCoverage
from multilogger.archive.intervals import timeline_of
from multilogger.cli import demo_chaos
from multilogger.cli.common import wall_clock
from multilogger.cli.demo_chaos import Chaos, judge_chaos, make_chaos, unknown_losses
from multilogger.cli.main import build_parser, main
from multilogger.cli.verdict import ExchangeVerdict, Verdict
from multilogger.notes import CoverageState
from multilogger.simulator.chaos import Strike
from multilogger.simulator.compare import TableComparison
from multilogger.simulator.faults import Garbage, Refuse, Stall
from multilogger.simulator.feed_faults import Replay
from multilogger.simulator.venue import Venue
from multilogger.simulator.venues import demo_venues
from multilogger.stats import Stats
from multilogger.storage.catalog import CoverageInterval

Capsys = pytest.CaptureFixture[str]

NAMES = ("coinbase", "binance")


def test_options(capsys: Capsys) -> None:
    """Chaos comes when it is asked for, once in five seconds, and not together with short days."""
    parser = build_parser()
    defaults = parser.parse_args(["demo"])
    assert (defaults.chaos, defaults.chaos_every) == (False, 5.0)
    given = parser.parse_args(["demo", "--chaos", "--chaos-every", "0.5"])
    assert (given.chaos, given.chaos_every) == (True, 0.5)
    assert main(["demo", "--chaos", "--day-seconds", "10"]) == 2
    assert "--chaos and --day-seconds" in capsys.readouterr().err


async def test_faults_are_dealt_in_turn(autojump_clock: MockClock) -> None:
    """Each fault strikes one exchange at its time, and is counted; when all is over is known."""
    venues = demo_venues(1, 100, wall_clock, None, names=NAMES)
    chaos = Chaos(
        [
            Strike(1.0, "garbage", Garbage(7), 14.0),
            Strike(2.0, "refuse", Refuse(3), 6.0),
            Strike(4.0, "refuse", Refuse(2), 4.0),
        ]
    )
    start = trio.current_time()
    await chaos.run(venues)
    assert trio.current_time() - start == pytest.approx(4)
    assert dict(chaos.struck) == {"garbage": 1, "refuse": 2}
    assert chaos.over_at - start == pytest.approx(15)
    first, second = venues
    assert isinstance(first, Venue)
    assert isinstance(second, Venue)
    assert first.garbled_until - start == pytest.approx(8)
    assert first.refusing_until - start == pytest.approx(6)
    assert second.refusing_until - start == pytest.approx(5)
    assert second.garbled_until == 0.0


def test_a_demo_of_two_minutes_sees_most_kinds() -> None:
    """In two minutes with a fault each five seconds nearly every kind comes."""
    assert len({strike.kind for strike in make_chaos(1, 120, 5).planned}) >= 15


async def test_the_logger_gets_time_to_repair(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Markets rest once faults are over and what was missed has shown; the end waits for what is missing."""
    venues = demo_venues(1, 100, wall_clock, None, names=NAMES)
    stats = Stats(started_ns=0)
    binance = stats.exchange("binance")
    binance.missing, binance.deaf["BTCUSDT/TRADES"] = 12, "since then"
    chaos = Chaos([], over_at=trio.current_time() + 5)
    start = trio.current_time()

    async def repair() -> None:
        await trio.sleep(30)
        binance.missing = 0
        await trio.sleep(10)
        assert all(isinstance(venue, Venue) and venue.paused for venue in venues)
        binance.deaf.clear()

    nursery.start_soon(repair)
    await chaos.settle(venues, stats)
    assert trio.current_time() - start == pytest.approx(41, abs=0.3)


async def test_nobody_waits_for_ever(autojump_clock: MockClock) -> None:
    """What stays missing is waited for a minute."""
    stats = Stats(started_ns=0)
    stats.exchange("binance").missing = 1
    start = trio.current_time()
    await Chaos([]).settle(demo_venues(1, 100, wall_clock, None, names=NAMES), stats)
    assert trio.current_time() - start == pytest.approx(60 + 15, abs=16)


async def test_what_struck_is_told(autojump_clock: MockClock) -> None:
    """The kinds are counted in one line; rules that were not kept are named."""
    venues = demo_venues(1, 100, wall_clock, None, names=NAMES)
    chaos = Chaos([Strike(0.0, "replay", Replay(), 0.0), Strike(0.0, "cut", Replay(), 0.0)])
    await chaos.run(venues)
    [_, binance] = venues
    assert isinstance(binance, Venue)
    stats = Stats(started_ns=0)
    stats.exchange("binance").backfilled = 1234
    for number in range(7):
        binance.rules.note(f"[{number}]")
    verdicts = [ExchangeVerdict(venue.name, []) for venue in venues]
    findings = judge_chaos(chaos, venues, stats, verdicts, [])
    lines = [Text.from_markup(line).plain for line in findings.lines]
    assert lines[0] == "     2 faults struck: 1 cut, 1 replay"
    assert lines[1].startswith("ok   coinbase       0 connections replaced, 0 trades fetched")
    assert lines[2].startswith("FAIL binance        0 connections replaced, 1,234 trades fetched")
    assert lines[2].endswith(" 0 rows lost outside of gaps, 7 rules broken")
    assert lines[3].endswith("[0]")
    assert len(lines) == 8
    assert not findings.good


def interval(state: CoverageState, start: int, end: int) -> CoverageInterval:
    """Return a word of the logger about some seconds."""
    bounds = (start * 10**9, end * 10**9)
    return CoverageInterval("binance", "BTCUSDT", "MD", state, "", *bounds, position=end)


def lost(*times: int) -> ExchangeVerdict:
    """Return the verdict of an exchange that lost tickers of these seconds."""
    result = TableComparison("MD", missing=len(times))
    result.missing_times["BTCUSDT"] = np.array(times) * 10**9
    return ExchangeVerdict("binance", [Verdict("binance", result, 0, may_miss=True)])


@pytest.mark.parametrize(
    ("times", "errors", "unknown"),
    [
        ((), (), 0),
        ((100, 150, 199), (), 0),
        ((99, 150, 200), (), 2),
        ((99, 150, 200), (-5.0,), 0),
        ((80, 219), (5.0, 20.0), 0),
        ((80, 219), (5.0,), 2),
    ],
)
def test_losses_lie_in_gaps(times: tuple[int, ...], errors: tuple[float, ...], unknown: int) -> None:
    """Lost tickers are within what the logger says it missed, but for errors of the exchange's clock."""
    said = [interval(CoverageState.LIVE, 0, 90), interval(CoverageState.GAP, 100, 200)]
    timeline = timeline_of([*said, interval(CoverageState.LIVE, 200, 300)], 0, 300 * 10**9)
    coverage = [TableCoverage("binance", "BTCUSDT", "MD", timeline, Sums())]
    assert unknown_losses(lost(*times), coverage, errors) == unknown
    assert unknown_losses(lost(*times), [], errors) == len(times)


def test_a_demo_with_chaos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys) -> None:
    """Whatever strikes, all trades are on disk in the end; what struck and what was missed is told."""
    monkeypatch.setattr(demo_chaos, "_CALM_SECS", 4.0)
    monkeypatch.setattr(demo_chaos, "SETTINGS", {"SILENCE_SECS": "2", "QUIET_SECS": "2", "CONFIRM_SECS": "2"})
    arguments = ["demo", "--data", str(tmp_path), "--port", "0", "--rate", "300", "--seed", "4"]
    arguments += TWO
    assert main([*arguments, "--chaos", "--chaos-every", "0.5", "--seconds", "8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("Recorded, all symbols together") for line in lines)
    assert any(re.match(r" +10 faults struck: ", line) for line in lines)
    for name in ("coinbase", "binance"):
        (trades,) = [line for line in lines if re.match(rf"ok   {name} +TRADES ", line)]
        assert "0 missing, 0 extra, 0 duplicates, 0 skew" in trades
        (told,) = [
            line for line in lines if line.startswith(f"ok   {name}") and "connections replaced" in line
        ]
        assert told.endswith(" 0 rows lost outside of gaps, 0 rules broken")
    assert re.match("All (that was sent is|trades are) on disk, once and whole", lines[-1])


async def test_stalls_strike_those_whose_ids_tell(autojump_clock: MockClock) -> None:
    """Where nothing tells what a short stall has cost, it strikes the next exchange, or nobody."""
    venues = demo_venues(1, 100, wall_clock, None, names=NAMES)
    coinbase, binance = venues
    assert isinstance(coinbase, Venue)
    assert isinstance(binance, Venue)
    strikes = [Strike(0.0, "stall", Stall(7), 7.0), Strike(1.0, "garbage", Garbage(7), 7.0)]
    await Chaos(strikes, frozenset({"coinbase"})).run(venues)
    assert (coinbase.stalled_until, coinbase.garbled_until > 0) == (0.0, True)
    assert binance.stalled_until > 0
    chaos = Chaos(strikes, frozenset(NAMES))
    await chaos.run(venues)
    assert dict(chaos.struck) == {"garbage": 1}
