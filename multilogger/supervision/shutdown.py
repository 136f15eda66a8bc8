"""The end of a run: who asks for it, and how long it may take."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

import attrs
import structlog
import trio

log = structlog.get_logger(__name__)

StopRequested = Callable[[], Awaitable[None]]
"""Waits until the program shall stop, and returns."""


async def signalled(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Wait for SIGTERM or SIGINT; from ``started`` on neither ends the process by itself."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            log.info("stopping", signal=signal.Signals(number).name)
            return


async def note_stop(requested: StopRequested, stopping: trio.Event) -> None:
    """Set ``stopping`` once a stop is requested."""
    await requested()
    stopping.set()


@attrs.define
class Drain:
    """What is left to do after a stop was requested, and how long it may take."""

    stopping: trio.Event
    scope: trio.CancelScope
    """Encloses feeds and writer."""
    secs: float
    clock: Callable[[], int]
    """Nanoseconds since the epoch, on the scale of event times."""
    began_ns: int | None = None
    """When the feeds were told to end."""

    async def begin_when_stopping(self, feeds: trio.CancelScope) -> None:
        """Cancel ``feeds`` once a stop is requested; feeds and writer are then over within ``secs``."""
        await self.stopping.wait()
        self.began_ns = self.clock()
        self.scope.deadline = trio.current_time() + self.secs
        feeds.cancel()
