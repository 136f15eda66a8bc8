"""The end of a run: who asks for it, and how long it may take."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

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


async def stop_when(
    requested: StopRequested, feeds: trio.CancelScope, drain: trio.CancelScope, secs: float
) -> None:
    """Cancel ``feeds`` once a stop is requested; what is left to drain then has ``secs``."""
    await requested()
    drain.deadline = trio.current_time() + secs
    feeds.cancel()
