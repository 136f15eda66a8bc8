"""An exchange's failure never leaves it: restarts, bounded in their intensity.

The expected failures of a connection never come here; the pool handles them by type. What comes here is a
bug, in our code or a plugin's, or an exchange that can't run as configured. It must not take the other
exchanges down, and it must not loop hot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import attrs
import structlog
import trio

from multilogger.config import SupervisionConfig
from multilogger.errors import StartupError
from multilogger.stats import ExchangeState, ExchangeStats

log = structlog.get_logger(__name__)

QUICK_DELAY_SECS: Final = 1.0


class Intensity:
    """How often something restarted lately, on the event loop's clock."""

    def __init__(self, policy: SupervisionConfig) -> None:
        self._restarts: deque[float] = deque(maxlen=policy.quick_restarts)
        self._window = policy.restart_window_secs

    def exceeded(self) -> bool:
        """Note a restart; return whether there were too many within the window."""
        now = trio.current_time()
        full = len(self._restarts) == self._restarts.maxlen
        exceeded = full and (not self._restarts or now - self._restarts[0] < self._window)
        self._restarts.append(now)
        return exceeded


@attrs.frozen
class Failure:
    """How the life of an exchange ended."""

    words: str
    misconfigured: bool = False
    """It is the configuration's fault, which no restart mends."""


def causes(failure: Exception) -> list[Exception]:
    """Return the exceptions in a group of groups, flat."""
    if isinstance(failure, ExceptionGroup):
        return [cause for part in failure.exceptions for cause in causes(part)]
    return [failure]


async def contain(life: Callable[[], Awaitable[None]], exchange: str) -> Failure:
    """Run an exchange's ``life`` until it ends, and return how; a bug is logged with its traceback."""
    try:
        await life()
    except Exception as failure:
        found = causes(failure)
        words = "; ".join(f"{type(cause).__name__}: {cause}" for cause in found)
        if all(isinstance(cause, StartupError) for cause in found):
            return Failure(words, misconfigured=True)
        log.exception("exchange failed", exchange=exchange, why=words)
        return Failure(words)
    return Failure("ended without an error")


async def keep_alive(
    life: Callable[[], Awaitable[None]], stats: ExchangeStats, policy: SupervisionConfig
) -> None:
    """Run an exchange's ``life`` again whenever it ends; returns only by cancellation.

    After ``quick_restarts`` within ``restart_window_secs`` the exchange is marked down and tried again each
    ``down_secs``. One that can't run as configured is down at once.
    """
    intensity = Intensity(policy)
    while True:
        stats.state, stats.detail = ExchangeState.STARTING, ""
        failure = await contain(life, stats.name)
        stats.detail = failure.words
        stats.restarts += 1
        exceeded = intensity.exceeded()
        down = failure.misconfigured or exceeded
        if down:
            stats.state = ExchangeState.DOWN
            again = policy.down_secs
            log.error("exchange down", exchange=stats.name, why=stats.detail, again_in_secs=again)
        await trio.sleep(policy.down_secs if down else QUICK_DELAY_SECS)
