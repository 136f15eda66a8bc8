"""What people write for a time, in nanoseconds since the epoch."""

from __future__ import annotations

import operator
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final, SupportsIndex

import numpy as np

from multilogger.errors import ArchiveError
from multilogger.tables import NANOS_PER_SECOND

Instant = datetime | np.datetime64 | str | SupportsIndex
"""An aware datetime; a numpy.datetime64, UTC; ISO 8601 text, UTC where it says nothing else; nanoseconds."""

BEGINNING: Final = -(1 << 63)
END: Final = (1 << 63) - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FRACTION: Final = re.compile(r"[.,](\d+)", re.ASCII)
_FINE_DIGITS: Final = 9


def to_ns(when: Instant) -> int:
    """Return a time in nanoseconds since the epoch.

    Raises:
        ArchiveError: it is no time, or a datetime that doesn't say in which time zone it is.
    """
    if isinstance(when, str):
        return _of_text(when)
    if isinstance(when, np.datetime64):
        return _of_datetime64(when)
    if isinstance(when, datetime):
        return _of_datetime(when)
    try:
        return operator.index(when)
    except TypeError as error:
        raise ArchiveError(f"{when!r} is no time: {_expected()}") from error


def _of_text(text: str) -> int:
    # A datetime ends at microseconds; the columns don't.
    found = _FRACTION.search(text)
    if found and len(found[1]) > _FINE_DIGITS:
        raise ArchiveError(f"{text!r} is no time: there is nothing finer than nanoseconds")
    nanos = int(found[1].ljust(_FINE_DIGITS, "0")) if found else 0
    try:
        whole = datetime.fromisoformat(text if found is None else text[: found.start()] + text[found.end() :])
    except ValueError as error:
        raise ArchiveError(f"{text!r} is no time: {_expected()}") from error
    return _of_datetime(whole if whole.tzinfo else whole.replace(tzinfo=UTC)) + nanos


def _of_datetime(when: datetime) -> int:
    if when.utcoffset() is None:
        raise ArchiveError(f"{when!r} has no time zone: say tzinfo=datetime.UTC, or another")
    return (when - _EPOCH) // _MICROSECOND * 1000


def _of_datetime64(when: np.datetime64[Any]) -> int:
    fine = when.astype("M8[ns]")
    # Beyond the years 1677 to 2262 nanoseconds don't fit, and NumPy lets them run over.
    if np.isnat(when) or fine.astype("M8[s]") != when.astype("M8[s]"):
        raise ArchiveError(f"{when!r} is no time from 1678 to 2261")
    return int(fine.astype(np.int64))


def _expected() -> str:
    return "expected ISO 8601, an aware datetime, a numpy.datetime64 or nanoseconds since 1970"


def describe(time_ns: int) -> str:
    """Return a time for people: ISO 8601, UTC, to the nanosecond."""
    seconds, nanos = divmod(time_ns, NANOS_PER_SECOND)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{nanos:09}Z"
