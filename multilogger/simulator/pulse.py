"""The time of a simulated exchange: when its market trades, and what comes periodically.

Nothing here wakes up for nothing: a market that trades every few seconds sleeps until it does, and one that
rests sleeps until it goes on. So hours of virtual time cost little.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final, NoReturn

import trio

if TYPE_CHECKING:
    from multilogger.simulator.venue import Venue

_CATCH_UP_SECS: Final = 0.25
"""A late beat makes up for at most this much, or two beats; a machine that can't keep the rate gets a lower
one."""


async def run_market(venue: Venue[Any]) -> NoReturn:
    """Let the market trade at its rate, and late messages come, until cancelled."""
    owed = 0.0
    last = beaten = trio.current_time()
    while True:
        rate = _fills_per_second(venue)
        due = max(beaten + venue.beat_secs, min(_late_due(venue), last + (1 - owed) / rate if rate else inf))
        with trio.move_on_at(due) as waiting:
            # What was just now the rate may not be any more, or something may have been held back.
            await venue.stirred.wait()
        now = trio.current_time()
        most = rate * max(_CATCH_UP_SECS, 2 * venue.beat_secs) + 1
        owed, last = min(owed + rate * (now - last), most), now
        if waiting.cancelled_caught:
            beaten = now
            venue.deliver_late()
            if owed >= 1 and not venue.paused:
                owed -= venue.step(int(owed))


async def run_seconds(venue: Venue[Any]) -> NoReturn:
    """Send what comes periodically, until cancelled."""
    while True:
        while not venue.connected():
            await venue.activity.wait()
        await trio.sleep(venue.period_secs)
        if not (venue.paused or venue.silent):
            venue.every_second()
            venue.ledger.commit()


def _fills_per_second(venue: Venue[Any]) -> float:
    return 0.0 if venue.paused else venue.rate / venue.messages_per_fill


def _late_due(venue: Venue[Any]) -> float:
    return max(venue.detour.next_due, venue.stalled_until)
