"""New configuration without a stop: read as a whole, checked first, applied make-before-break.

A fault in the file changes nothing. Settings of exchanges take over once they have proved themselves
(:mod:`multilogger.supervision.generations`); those of the other sections need a restart, which is said.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

import attrs
import structlog
import trio

from multilogger.config import Config
from multilogger.errors import StartupError
from multilogger.stats import Stats
from multilogger.supervision.roster import Roster, Settings

log = structlog.get_logger(__name__)

_FIXED: Final = ("logger", "storage", "health", "supervision")
"""Sections that a running logger can't change."""


@attrs.frozen
class Loaded:
    """A configuration, and what has been worked out of it."""

    config: Config
    exchanges: Mapping[str, Settings]
    """Those that are enabled."""


Load = Callable[[], Loaded]
"""Reads the configuration anew; raises StartupError where it has faults."""


class Reloader:
    """Applies new configurations.

    Args:
        load: reads the configuration.
        current: what the program started with.
        roster: told of exchanges that come, change or go.
        stats: tells how the last reload went.
    """

    def __init__(self, load: Load, current: Loaded, roster: Roster, stats: Stats) -> None:
        self._load = load
        self._started_with = current.config
        self._roster = roster
        self._stats = stats

    def reload(self) -> None:
        """Read the configuration and apply it; a faulty one changes nothing."""
        try:
            loaded = self._load()
        except StartupError as error:
            self._stats.reload_problem = f"the configuration has faults, nothing was changed: {error}"
            log.error("reload refused", why=str(error))  # noqa: TRY400 - its words say it
            return
        self._stats.reloads += 1
        self._stats.reload_problem = ""
        fixed = [name for name in _FIXED if getattr(loaded.config, name) != getattr(self._started_with, name)]
        if fixed:
            log.warning("a restart is needed for changes in these sections", sections=fixed)
        log.info("reloaded", exchanges=sorted(loaded.exchanges))
        self._roster.change(loaded.exchanges)


def note_trial(stats: Stats, problem: str) -> None:
    """Show how the trial of an exchange's new settings went; ``problem`` is empty if well."""
    if problem:
        stats.reload_problem = problem


async def reload_on_hangup(
    reloader: Reloader, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> NoReturn:
    """Reload at each SIGHUP; from ``started`` on it does not end the process."""
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            reloader.reload()
    raise AssertionError("signals never end")
