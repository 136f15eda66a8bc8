"""What all parts of ``/health`` are judged by."""

from __future__ import annotations

import enum
from datetime import UTC, datetime


class Status(enum.Enum):
    """How something is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """Something is missing, the rest goes on."""
    UNHEALTHY = "unhealthy"
    """It does not do what it is for."""


def age_secs(then_ns: int, now_ns: int) -> float:
    """Return how far apart two times are, in seconds.

    A time in the future, as after the clock was set back, is no fresher than one as far in the past: else a
    silent connection would look fresh until the clock has caught up.
    """
    return abs(now_ns - then_ns) / 1e9


def iso_time(time_ns: int) -> str:
    """Return a time in nanoseconds since the epoch as ``2025-01-25T10:30:45Z``."""
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
