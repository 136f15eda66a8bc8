"""Faults, on script: what an exchange or the network may do to its clients.

A fault is a small class with :meth:`Fault.strike`; a new kind is a new class, and nothing else changes.
Times are on Trio's clock, so tests may jump over them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

import attrs
import trio


class Site(Protocol):
    """What a fault may do to a simulated exchange."""

    stalled_until: float
    """Until this :func:`trio.current_time`, nothing is sent and no request is answered."""
    refusing_until: float
    """Until then, new connections are reset at once."""
    garbled_until: float
    """Until then, malformed frames stand between the good ones."""

    def connected(self) -> Collection[Target]:
        """Return the open connections."""
        ...


class Target(Protocol):
    """What a fault may do to one connection."""

    def abort(self, *, reset: bool) -> None:
        """End the connection at once, without a close frame; what waits to be sent is lost."""
        ...

    def leave(self, code: int | None, reason: str = "") -> None:
        """Send what waits, then close; without a close frame if ``code`` is None."""
        ...


class Fault(Protocol):
    """One kind of fault."""

    def strike(self, site: Site) -> None:
        """Do it now; lasting faults only set until when."""
        ...


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


async def run_schedule(site: Site, schedule: Iterable[tuple[float, Fault]]) -> None:
    """Let each fault strike at its time, in seconds from now; return after the last."""
    start = trio.current_time()
    for at, fault in sorted(schedule, key=lambda entry: entry[0]):
        await trio.sleep_until(start + at)
        fault.strike(site)
