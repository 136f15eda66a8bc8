"""Faults, on script: what an exchange or the network may do to its clients.

A fault is a small class with :meth:`Fault.strike`; a new kind is a new class, and nothing else changes.
Times are on Trio's clock, so tests may jump over them.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import attrs
import trio

from multilogger.simulator.detour import Chance
from multilogger.simulator.site import Fault, Site

__all__ = ["Cut", "Disorder", "Duplicate", "Fault", "Garbage", "Refuse", "Stall", "run_schedule"]


@attrs.frozen
class Cut:
    """All connections break, without a close frame."""

    reset: bool = True
    """By a TCP reset, which loses what is under way; otherwise everything sent arrives before the end."""

    def strike(self, site: Site) -> None:
        """Break them."""
        for target in list(site.connected()):
            if self.reset:
                target.abort(reset=True)
            else:
                target.leave(None)


@attrs.frozen
class Stall:
    """Connections stay open, but nothing comes; on new ones as well.

    The market goes on meanwhile. What it does is never sent, so the ledger does not have it, and the ids jump
    when the data return. Requests are answered after the stall; protocol pings are answered all the time.
    """

    secs: float

    def strike(self, site: Site) -> None:
        """Begin."""
        site.stalled_until = max(site.stalled_until, trio.current_time() + self.secs)


@attrs.frozen
class Garbage:
    """Malformed and nonsensical text frames stand between the good ones, which go on."""

    secs: float

    def strike(self, site: Site) -> None:
        """Begin."""
        site.garbled_until = max(site.garbled_until, trio.current_time() + self.secs)


@attrs.frozen
class Refuse:
    """New connections are reset at once; open ones go on."""

    secs: float

    def strike(self, site: Site) -> None:
        """Begin."""
        site.refusing_until = max(site.refusing_until, trio.current_time() + self.secs)


@attrs.frozen
class Disorder:
    """Some of the trades and tickers are held back, and sent after younger ones; none is lost.

    Those already held back are sent also when the fault is over, and when the market is paused. What a client
    misses by leaving in the meantime is lost to it, and the ledger does not have it. At most 100 messages of
    a topic are held back at a time; nothing is that a client could not tell to be late.
    """

    secs: float
    share: float = 0.05
    """Of the messages, from 0 to 1."""
    seed: int = 0
    delays: tuple[float, float] = (0.2, 3.0)
    """The shortest and the longest, in seconds."""

    def strike(self, site: Site) -> None:
        """Begin, in place of any disorder before."""
        site.detour.late = _chance(self)


@attrs.frozen
class Duplicate:
    """Some of the trades are sent a second time, later; the ledger has them once."""

    secs: float
    share: float = 0.05
    """Of the trades, from 0 to 1."""
    seed: int = 0
    delays: tuple[float, float] = (0.0, 3.0)
    """The shortest and the longest, in seconds."""

    def strike(self, site: Site) -> None:
        """Begin, in place of any duplication before."""
        site.detour.again = _chance(self)


def _chance(fault: Disorder | Duplicate) -> Chance:
    until = trio.current_time() + fault.secs
    return Chance(until, fault.share, fault.delays, Random(fault.seed))


async def run_schedule(site: Site, schedule: Iterable[tuple[float, Fault]]) -> None:
    """Let each fault strike at its time, in seconds from now; return after the last."""
    start = trio.current_time()
    for at, fault in sorted(schedule, key=lambda entry: entry[0]):
        await trio.sleep_until(start + at)
        fault.strike(site)
