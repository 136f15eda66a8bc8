"""The gate between storage and feeds: while it is closed nothing is asked of any exchange."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

from multilogger.notes import DISK_FULL
from multilogger.stats import Stats

log = structlog.get_logger(__name__)

_OPEN: Final = ""


class Gate:
    """Open, or closed with a reason; open at first.

    Everything here is called from the event loop. The writer closes it and opens it again
    (:class:`multilogger.storage.space.RecordingGate`); the feeds wait at it. ``paused`` and ``pauses`` of the
    writer's counters, and ``resumed_ns``, are kept here alone.

    Args:
        stats: shows what the gate is.
        clock: nanoseconds since the epoch, that of ``stats``.
    """

    def __init__(self, stats: Stats, clock: Callable[[], int]) -> None:
        self._stats = stats
        self._clock = clock
        self._changed = trio.Event()
        self.reason = _OPEN
        """Why it is closed, in words; empty while it is open."""
        self.cause = ""
        """The same in a word or two, as it was when the gate was closed; means nothing while it is open."""

    def pause(self, reason: str, *, cause: str = DISK_FULL) -> None:
        """Close the gate, or, if it is closed, tell the reason anew.

        Args:
            reason: what a person has to know, and what to do.
            cause: a word or two for the coverage of what is missed.

        Raises:
            ValueError: ``reason`` is empty.
        """
        if not reason:
            raise ValueError("a pause needs a reason")
        if not self.reason:
            self.cause = cause
            self._stats.writer.pauses += 1
            log.error("recording pauses", why=reason)
        if reason != self.reason:
            self._change(reason)

    def resume(self) -> None:
        """Open the gate, if it is closed."""
        if self.reason:
            self._stats.resumed_ns = self._clock()
            log.warning("recording goes on")
            self._change(_OPEN)

    def _change(self, reason: str) -> None:
        self.reason = self._stats.writer.paused = reason
        self._changed.set()
        self._changed = trio.Event()

    async def wait_changed(self) -> None:
        """Wait until it is opened, closed, or closed for another reason."""
        await self._changed.wait()

    async def wait_closed(self) -> None:
        """Wait until it is closed; return at once if it is."""
        await trio.lowlevel.checkpoint()
        while not self.reason:
            await self.wait_changed()

    async def wait_open(self) -> None:
        """Wait until it is open; return at once if it is."""
        await trio.lowlevel.checkpoint()
        while self.reason:
            await self.wait_changed()
