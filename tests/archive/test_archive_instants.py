"""What people write for a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from multilogger.archive.instants import Instant, describe, to_ns
from multilogger.errors import ArchiveError

NOON = 1_763_900_000 * 10**9


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (NOON + 1, NOON + 1),
        (np.int64(NOON + 1), NOON + 1),
        (datetime.fromtimestamp(1_763_900_000, UTC), NOON),
        (datetime.fromtimestamp(1_763_900_000, UTC) + timedelta(microseconds=7), NOON + 7_000),
        (datetime.fromtimestamp(1_763_900_000, timezone(timedelta(hours=2))), NOON),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), -1_000),
        (np.datetime64(NOON + 3, "ns"), NOON + 3),
        (np.datetime64(1_763_900_000, "s"), NOON),
        (np.datetime64("2025-11-23"), 1_763_856_000 * 10**9),
        ("2025-11-23", 1_763_856_000 * 10**9),
        ("2025-11-23T12:13:20", NOON),
        ("2025-11-23T12:13:20Z", NOON),
        ("2025-11-23 13:13:20.000000001+01:00", NOON + 1),
        ("2025-11-23T12:13:20.123456789Z", NOON + 123_456_789),
        ("2025-11-23T12:13:20.5", NOON + 500_000_000),
    ],
)
def test_times(when: Instant, expected: int) -> None:
    """Each way of writing a time is understood to the nanosecond."""
    assert to_ns(when) == expected


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("yesterday", "'yesterday' is no time"),
        ("2025-11-23T12:13:20.1234567891Z", "is no time"),
        (datetime(2025, 11, 23), "has no time zone"),  # noqa: DTZ001 - that is what is wrong with it
        (np.datetime64("NaT"), "is no time"),
        (np.datetime64("3000-01-01"), "is no time"),
        (1.5, "is no time"),
    ],
)
def test_no_times(when: Instant, words: str) -> None:
    """What is no time, or doesn't say where, is refused."""
    with pytest.raises(ArchiveError, match=words):
        to_ns(when)


def test_describe() -> None:
    """A time is told to the nanosecond."""
    assert describe(NOON + 42) == "2025-11-23T12:13:20.000000042Z"
