from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count, pairwise

import trio
from simulator_peer import START_NS

from multilogger.simulator.clock import ScaledClock
from multilogger.simulator.rest import Request
from multilogger.simulator.venue import Venue
from multilogger.simulator.venues import demo_venues

DAY_NS = 86_400 * 10**9


def seconds(step: float = 1.0) -> Iterator[int]:
    """Count nanoseconds as some monotonic clock does, from an origin of its own."""
    return count(5_000, int(step * 1e9))


def test_time_runs_faster() -> None:
    """A day of ten seconds: the clock begins where it is told to, and ten seconds later it is tomorrow."""
    ticks = seconds()
    clock = ScaledClock(START_NS, 8640, ticks.__next__)
    assert clock() - START_NS == 8640 * 10**9
    assert [clock() for _ in range(9)][-1] - START_NS == DAY_NS


def test_midnights_come_every_few_seconds() -> None:
    """The first midnight comes within a day of the clock, then each day has as many seconds."""
    ticks = seconds(0.5)
    clock = ScaledClock(START_NS, 8640, ticks.__next__)
    days = [clock() // DAY_NS for _ in range(80)]
    midnights = [at for at in range(1, 80) if days[at] > days[at - 1]]
    assert midnights[0] <= 20
    assert {after - before for before, after in pairwise(midnights)} == {20}


def test_time_never_goes_back_for_long_runs() -> None:
    """Rounding costs order neither after weeks nor between neighbouring nanoseconds."""
    now = [0]
    clock = ScaledClock(START_NS, 86400 / 7, lambda: now[0])
    last = 0
    for start in (0, 10**9, 40 * DAY_NS):
        for now[0] in range(start, start + 1000):
            assert clock() >= last
            last = clock()


async def test_exchanges_follow_their_clock() -> None:
    """Trades and REST times are the clock's, and first trade ids derive from it."""
    await trio.lowlevel.checkpoint()
    now = [0]
    clock = ScaledClock(START_NS, 8640, lambda: now[0])
    for venue in demo_venues(1, 100, clock, None, names=("coinbase", "binance")):
        assert isinstance(venue, Venue)
        now[0] += 10 * 10**9
        day = START_NS + now[0] * 8640
        venue.step(1)
        last = [market.recent[-1] for market in venue.market.markets.values() if market.recent]
        assert [fill.time_ns // 10**6 for fill in last] == [day // 10**6]
        assert last[0].trade_id == START_NS // 100_000
        path = "/time" if venue.name == "coinbase" else "/api/v3/time"
        found = json.loads(venue.answer(Request(path, {}, {})).body)
        assert found.get("serverTime", 0) == day // 10**6 or found["epoch"] == day / 10**9
