"""A year of planned interruptions on the virtual clock: each connection's 24 hours, and a weekly maintenance.

A year has too many seconds to wake up in each of them. So most of the time the markets rest, and the logger
looks at things four times a day. For a moment each day, and around each maintenance, the exchanges speak once
a second, as real ones do all the time: what was heard last tells when a gap begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import trio
from chaos_clock import replaced
from chaos_scenario import Scenario
from chaos_world import Pace, World

from multilogger.archive.coverage import by_exchange, coverage_of
from multilogger.connection.refusals import report_refusals
from multilogger.simulator.faults import Cut, Refuse
from multilogger.simulator.venue import Venue
from multilogger.storage import writer
from multilogger.supervision import exchange as supervised

DAYS: Final = 365
DAY_SECS: Final = 86_400.0
MAINTENANCE_SECS: Final = 30.0
_WEEK: Final = 7
_HOUR_SECS: Final = 3600.0
_DULL_SECS: Final = 6 * _HOUR_SECS
"""How often the logger looks at things."""
_LIVELY_SECS: Final = 8
"""Each day."""
_AFTER_SECS: Final = 70
"""And after the begin of a maintenance."""
DULL: Final = Pace(
    rate=1.0,
    period_secs=DAYS * DAY_SECS,
    ping_secs=4 * DAY_SECS,
    silence_secs=DAY_SECS,
    quiet_secs=DAY_SECS,
    look_secs=_DULL_SECS,
    watch_secs=_DULL_SECS,
    apply_secs=_DULL_SECS,
    checkpoint_secs=_DULL_SECS,
)


def year_of(days: int = DAYS) -> Scenario:
    """Return the scenario of so many days."""
    return Scenario(seed=1, secs=days * DAY_SECS, symbols_per_connection=4, lifetime_secs=DAY_SECS)


@contextmanager
def _seldom() -> Iterator[None]:
    """Let listings and refusals be looked at once a day, and days that could be removed never."""
    slow = partial(report_refusals, interval=DAY_SECS)
    with (
        replaced(supervised, LISTING_SECS=DAY_SECS, report_refusals=slow),
        replaced(writer, _RETENTION_SECS=DAYS * DAY_SECS),
    ):
        yield


async def play_year(world: World) -> None:
    """Let the year pass."""
    with _seldom():
        async with world.open(), trio.open_nursery() as nursery:
            for number, venue in enumerate(world.venues.values()):
                venue.pause()
                nursery.start_soon(_live, venue, world.scenario.secs, number)
            await world.live(partial(trio.sleep, world.scenario.secs))


async def _live(venue: Venue[Any], until: float, number: int) -> None:
    """Speak for a moment each day; on one day of the week have a maintenance then."""
    day = 0
    at = (number + 1) * _HOUR_SECS
    while at + _LIVELY_SECS + _AFTER_SECS < until:
        await trio.sleep_until(at)
        await _speak(venue, _LIVELY_SECS)
        if day % _WEEK == number:
            venue.inject(Refuse(MAINTENANCE_SECS))
            venue.inject(Cut(reset=False))
            await _speak(venue, _AFTER_SECS)
        day, at = day + 1, at + DAY_SECS


async def _speak(venue: Venue[Any], secs: int) -> None:
    for _ in range(secs):
        venue.step(1)
        venue.every_second()
        venue.ledger.commit()
        await trio.sleep(1)


def percentages(world: World) -> dict[tuple[str, str], float]:
    """Return how much of the year was recorded, by exchange and table, from the coverage ledger."""
    found = {}
    for exchange in world.scenario.exchanges:
        for it in by_exchange(coverage_of(world.data, exchange, clock=lambda: world.ended_ns)):
            found[it.exchange, it.table] = it.sums.percentage or 0.0
    return found
