"""Pacing: what an exchange allows per second, kept by waiting."""

from __future__ import annotations

import trio


class Pace:
    """A token bucket: so many turns a second, a few of them at once.

    Turns are given in the order in which they are asked for. A turn whose wait is cancelled is spent.

    Args:
        per_second: turns a second in the long run.
        burst: turns that may be taken at once after a pause.
    """

    def __init__(self, per_second: float, burst: int = 1) -> None:
        self._interval = 1 / per_second
        self._slack = (burst - 1) * self._interval
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for a turn; the time is Trio's."""
        now = trio.current_time()
        at = max(self._next, now - self._slack)
        self._next = at + self._interval
        await trio.sleep_until(at)
