"""Room on the data path's disk: how much there is, how long it will last, and when recording has to pause."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from math import exp, inf
from pathlib import Path
from typing import Final, Protocol

import attrs

from multilogger.notes import DISK_FULL
from multilogger.storage import disk

SAMPLE_SECS: Final = 60.0
"""The disk's growth is measured over this long: less would show single segments and flushes."""
RATE_SECS: Final = 3600.0
"""Growth of so long ago counts for a third in the present rate."""
TRUST_SECS: Final = 600.0
"""Nothing is foretold before the growth has been watched for so long."""
_DAY_SECS: Final = 86_400.0
_MARGIN_PART: Final = 20
"""Recording goes on when this part of the reserve is free beyond it: else it would flap at the edge."""
_MARGIN_BYTES: Final = 16 * 1024**2
"""The same for small reserves."""
_ROOM_PART: Final = 4
"""The margin is at most this part of the disk beside the reserve, so that small disks can meet it."""


class RecordingGate(Protocol):
    """What the writer closes when it can't take more rows; called from the event loop."""

    def pause(self, reason: str, *, cause: str = DISK_FULL) -> None:
        """Stop recording, or tell the reason anew.

        Args:
            reason: what a person has to know, and what to do.
            cause: a word or two for the coverage of what is missed.
        """
        ...

    def resume(self) -> None:
        """Go on; nothing happens if recording goes on already."""
        ...


class Verdict(enum.Enum):
    """Whether there is room to record."""

    OK = "ok"
    LOW = "low"


@attrs.frozen(kw_only=True)
class Space:
    """The disk at one moment."""

    path: Path
    free_bytes: int
    """For this user: what is reserved for root does not count."""
    total_bytes: int
    reserve_bytes: int
    days_left: float
    """Until the reserve is touched, at the rate of late; inf while the disk isn't known to fill."""
    verdict: Verdict
    missing_bytes: int
    """What has to be removed before recording goes on; 0 while there is room."""

    @property
    def reason(self) -> str:
        """Why recording pauses, and what to do, in words."""
        sizes = f"{_size(self.free_bytes)} free, reserve {_size(self.reserve_bytes)}"
        if self.reserve_bytes >= self.total_bytes:
            advice = f"its size is {_size(self.total_bytes)}: lower storage.disk_reserve_bytes"
        else:
            advice = "free some space"
        return f"disk {self.path}: {sizes}: {advice}"


class DiskGuard:
    """Judges the room on a disk; for one thread at a time.

    Args:
        path: a directory that is there.
        reserve_bytes: with less free than this there is no room; 0 for no reserve.
        monotonic: seconds.
    """

    def __init__(
        self, path: Path, reserve_bytes: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._reserve = reserve_bytes
        self._monotonic = monotonic
        self._growth = _Growth()
        self._verdict = Verdict.OK

    def look(self) -> Space:
        """Return the present state; costs one system call.

        Raises:
            OSError: the disk can't be asked.
        """
        free, total = disk.free_space(self._path)
        self._growth.note(self._monotonic(), free)
        wanted = self._reserve
        if self._verdict is Verdict.LOW:
            wanted += _margin(self._reserve, total)
        self._verdict = Verdict.OK if free >= wanted else Verdict.LOW
        missing = 0 if self._verdict is Verdict.OK else self._reserve + _margin(self._reserve, total) - free
        return Space(
            path=self._path,
            free_bytes=free,
            total_bytes=total,
            reserve_bytes=self._reserve,
            days_left=self._growth.days_until(free - self._reserve),
            verdict=self._verdict,
            missing_bytes=missing,
        )


def _margin(reserve: int, total: int) -> int:
    wanted = max(reserve // _MARGIN_PART, _MARGIN_BYTES)
    return max(0, min(wanted, (total - reserve) // _ROOM_PART))


@attrs.define(eq=False)
class _Growth:
    """How fast a disk fills: a mean over samples, the older the lighter."""

    sampled_at: float | None = None
    sampled_free: int = 0
    watched_secs: float = 0.0
    weighted_bytes: float = 0.0
    weighted_secs: float = 0.0

    def note(self, now: float, free: int) -> None:
        """Take a sample, if the last one is old enough."""
        if self.sampled_at is None:
            self.sampled_at, self.sampled_free = now, free
            return
        passed = now - self.sampled_at
        if passed < SAMPLE_SECS:
            return
        fade = exp(-passed / RATE_SECS)
        self.weighted_bytes = fade * self.weighted_bytes + self.sampled_free - free
        self.weighted_secs = fade * self.weighted_secs + passed
        self.watched_secs += passed
        self.sampled_at, self.sampled_free = now, free

    def days_until(self, room: int) -> float:
        """Return in how many days ``room`` bytes more are used; inf if that can't be told."""
        if self.watched_secs < TRUST_SECS or self.weighted_bytes <= 0:
            return inf
        return max(0, room) / (self.weighted_bytes / self.weighted_secs) / _DAY_SECS


def _size(count: int) -> str:
    gib = count / 1024**3
    return f"{gib:.1f} GiB" if gib >= 0.1 else f"{count / 1024**2:.1f} MiB"  # noqa: PLR2004 - one digit is shown
