"""An exchange's failure never leaves it: restarts, bounded in their intensity.

The expected failures of a connection never come here; the pool handles them by type. What comes here is a
bug, in our code or a plugin's, or an exchange that can't run as configured. It must not take the other
exchanges down, and it must not loop hot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from multilogger.errors import StartupError
from multilogger.stats import ExchangeState, ExchangeStats

log = structlog.get_logger(__name__)

QUICK_RESTARTS: Final = 5
"""So many restarts within :data:`WINDOW_SECS` are quick; the next one waits."""
WINDOW_SECS: Final = 300.0
QUICK_DELAY_SECS: Final = 1.0
DOWN_DELAY_SECS: Final = 60.0


class Intensity:
    """How often something restarted lately, on the event loop's clock."""

    def __init__(self) -> None:
        self._restarts: deque[float] = deque(maxlen=QUICK_RESTARTS)

    def exceeded(self) -> bool:
        """Note a restart; return whether there were too many within the window."""
        now = trio.current_time()
        full = len(self._restarts) == QUICK_RESTARTS and now - self._restarts[0] < WINDOW_SECS
        self._restarts.append(now)
        return full


def causes(failure: Exception) -> list[Exception]:
    """Return the exceptions in a group of groups, flat."""
    if isinstance(failure, ExceptionGroup):
        return [cause for part in failure.exceptions for cause in causes(part)]
    return [failure]


async def keep_alive(life: Callable[[], Awaitable[None]], stats: ExchangeStats) -> None:
    """Run an exchange's ``life`` again whenever it ends; returns only by cancellation.

    After :data:`QUICK_RESTARTS` within :data:`WINDOW_SECS` the exchange is marked down and tried again
    each :data:`DOWN_DELAY_SECS`. One that can't run as configured is down at once.
    """
    intensity = Intensity()
    while True:
        stats.state, stats.detail = ExchangeState.STARTING, ""
        try:
            await life()
            stats.detail = "ended without an error"
        except Exception as failure:  # noqa: BLE001 - the one place where a bug is contained: see above
            misconfigured = _report(failure, stats)
        else:
            misconfigured = False
        stats.restarts += 1
        down = misconfigured or intensity.exceeded()
        if down:
            stats.state = ExchangeState.DOWN
            log.error("exchange down", exchange=stats.name, why=stats.detail, again_in_secs=DOWN_DELAY_SECS)
        await trio.sleep(DOWN_DELAY_SECS if down else QUICK_DELAY_SECS)


def _report(failure: Exception, stats: ExchangeStats) -> bool:
    """Log a failure; return whether it is the configuration's fault, which no restart mends."""
    found = causes(failure)
    stats.detail = "; ".join(f"{type(cause).__name__}: {cause}" for cause in found)
    if all(isinstance(cause, StartupError) for cause in found):
        return True
    log.error("exchange failed", exchange=stats.name, why=stats.detail, exc_info=failure)
    return False
