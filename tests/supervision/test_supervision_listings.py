"""New listings are recorded within an hour, delisted symbols end quietly, and both are in the history."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import trio
from structlog.testing import capture_logs
from structlog.types import EventDict
from supervision_world import World, clock, instrument, look_seldom
from trio.testing import MockClock

from multilogger.archive.coverage import coverage_of
from multilogger.archive.reader import open_archive
from multilogger.notes import CoverageState
from multilogger.simulator.compare import compare

HOUR_SECS = 3600
NANOS = 10**9
QUOTES = {"coinbase": ("USD", "-"), "binance": ("USDT", "")}
QUIET_SECS = 600


def spelled(exchange: str, base: str) -> str:
    """Return a coin's symbol."""
    quote, separator = QUOTES[exchange]
    return f"{base}{separator}{quote}"


async def play(directory: Path) -> tuple[World, int]:
    """Let each exchange list SHIB, delist DOGE and change BTC's tick; return the world, and when they do."""
    world = World(directory)
    async with world.recording():
        await trio.sleep(QUIET_SECS)
        changed_ns = clock()
        for name, venue in world.venues.items():
            venue.market.enlist(instrument(*QUOTES[name], "SHIB"))
            venue.market.delist(spelled(name, "DOGE"))
            bitcoin = venue.market.instruments[spelled(name, "BTC")]
            venue.market.enlist(attrs.evolve(bitcoin, tick=10))
        await trio.sleep(2 * HOUR_SECS)
    return world, changed_ns


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, int, list[EventDict]]:
    """Two hours and a bit: the world, when its listings changed, and what was logged."""
    with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
        look_seldom(patch)
        world, changed_ns = trio.run(
            play, tmp_path_factory.mktemp("world"), clock=MockClock(autojump_threshold=0)
        )
    return world, changed_ns, logs


Played = tuple[World, int, list[EventDict]]


@pytest.mark.parametrize("exchange", QUOTES)
def test_the_history_has_it(played: Played, exchange: str) -> None:
    """What was listed, delisted and changed is told within an hour, and of any time afterwards."""
    world, changed_ns, _ = played
    archive = open_archive(world.data)
    changes = archive.instrument_changes(exchange, start=changed_ns)
    assert {(it.kind.value, it.symbol) for it in changes} == {
        ("listed", spelled(exchange, "SHIB")),
        ("delisted", spelled(exchange, "DOGE")),
        ("changed", spelled(exchange, "BTC")),
    }
    for it in changes:
        assert it.after_ns <= changed_ns < it.at_ns <= changed_ns + HOUR_SECS * NANOS
    (bitcoin,) = [it for it in changes if it.kind.value == "changed"]
    assert bitcoin.fields == {"tick_size": (0.01, 0.1)}
    for at_ns, bases, tick in (
        (changes[0].at_ns - 1, {"BTC", "ETH", "DOGE"}, 0.01),
        (changes[0].at_ns, {"BTC", "ETH", "SHIB"}, 0.1),
    ):
        assert {info.base for info in archive.instruments(exchange, at_ns)} == bases
        info = archive.instrument(exchange, spelled(exchange, "BTC"), at_ns)
        assert info is not None
        assert info.tick_size == tick
    assert archive.instrument_changes(exchange, end=changed_ns) == [
        it for it in archive.instrument_changes(exchange) if it.kind.value == "found"
    ]


@pytest.mark.parametrize("exchange", QUOTES)
def test_a_new_listing_is_recorded_within_an_hour(played: Played, exchange: str) -> None:
    """Without a restart; and all that was sent of it from then on is there."""
    world, changed_ns, _ = played
    trades = open_archive(world.data).read(exchange, spelled(exchange, "SHIB"), "TRADES")
    print(exchange, len(trades), "trades, the first after", (trades.time_ns[0] - changed_ns) / NANOS, "s")
    assert len(trades)
    assert changed_ns < trades.time_ns[0] <= changed_ns + HOUR_SECS * NANOS
    result = compare(world.venues[exchange].ledger, world.data, exchange)
    assert result.ok, result.tables


@pytest.mark.parametrize("exchange", QUOTES)
def test_a_delisted_symbol_ends_without_errors(played: Played, exchange: str) -> None:
    """Nothing fails, nothing is set aside or refused, and its silence is no gap."""
    world, changed_ns, logs = played
    assert [log for log in logs if log["log_level"] in ("error", "critical")] == []
    stats = world.stats(exchange)
    assert (stats.restarts, stats.set_aside, dict(stats.refused), stats.detail) == (0, {}, {}, "")
    assert world.venues[exchange].violations == []
    archive = open_archive(world.data)
    gone_ns = archive.instrument_changes(exchange, start=changed_ns)[0].at_ns
    trades = archive.read(exchange, spelled(exchange, "DOGE"), "TRADES")
    assert trades.time_ns[-1] <= changed_ns
    for table in coverage_of(world.data, exchange, spelled(exchange, "DOGE")):
        assert table.gaps == []
        assert table.timeline.state_at(gone_ns + NANOS) is CoverageState.NOT_LISTED
        assert table.timeline.state_at(changed_ns - NANOS) is CoverageState.LIVE
