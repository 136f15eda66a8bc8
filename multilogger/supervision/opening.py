"""Opening the store: tried again while the disk is full or fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

from multilogger.errors import ColumnsUnavailable
from multilogger.storage.blocking import RunBlocking
from multilogger.storage.store import Store
from multilogger.supervision.gate import Gate

log = structlog.get_logger(__name__)

RETRY_SECS: Final = 5.0


async def open_store(
    opening: Callable[[], Store],
    gate: Gate,
    stopping: trio.Event,
    run_blocking: RunBlocking = trio.to_thread.run_sync,
) -> Store | None:
    """Return the store; None if a stop is requested before it can be opened.

    While it can't be, recording pauses: a full disk is no reason to end, and ``/health`` tells of it. The
    gate stays closed afterwards: whoever watches the disk opens it.

    Args:
        opening: locks the data path and recovers what the last run left.
        gate: closed while the store can't be opened.
        stopping: set when a stop is requested.
        run_blocking: runs ``opening``.

    Raises:
        StartupError: the data path can't be used as asked.
        StorageError: what is there can't be understood.
    """
    while not stopping.is_set():
        try:
            return await run_blocking(opening)
        except ColumnsUnavailable as error:
            gate.pause(f"the data path can't be made ready: {error}")
            log.error("no store yet", why=str(error), again_in_secs=RETRY_SECS)  # noqa: TRY400 - its words say it
        with trio.move_on_after(RETRY_SECS):
            await stopping.wait()
    return None
