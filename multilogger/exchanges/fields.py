"""What the adapters share: bounds of sane values, times, order ids, and how a refusal is counted."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from multilogger.batch import NO_ORDER
from multilogger.errors import FrameError
from multilogger.stats import ExchangeStats

T = TypeVar("T")

MOST: Final = 1e15
"""Prices and sizes from here on are absurd; so is NaN, which no comparison holds for."""
FIRST_NS: Final = 946_684_800 * 10**9
"""2000-01-01: no exchange of ours is older."""
LAST_NS: Final = 2**32 * 10**9
"""Beyond the seconds that a u4 column holds."""
MICROSECONDS: Final = 10**14
"""Epoch times from here on are in microseconds; in milliseconds they would be beyond the year 5000."""
_UUID_CHARS: Final = 36
_BOTH_BYTES: Final = 32
_MOST_KINDS: Final = 50
_SAMPLE_BYTES: Final = 200
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)", re.ASCII)

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises on frames that are no JSON, or nested deeper than any message is."""

Spec = Sequence[tuple[str, Any, str]]
"""Field, type and the reason for which a row is refused if the field can't be read as that type."""


def sane_time(time_ns: int) -> bool:
    """Return whether a time is one that a column can hold and an exchange can mean."""
    return FIRST_NS <= time_ns < LAST_NS


def epoch_ns(value: int) -> int:
    """Return the nanoseconds of an epoch time in milliseconds or microseconds."""
    return value * 1_000 if value >= MICROSECONDS else value * 1_000_000


class IsoClock:
    """Parses ISO-8601 UTC times exactly to the nanosecond; the date of a second is worked out once."""

    def __init__(self) -> None:
        self._text = ""
        self._ns = 0

    def ns(self, text: str) -> int:
        """Return nanoseconds since the epoch.

        Args:
            text: such as ``2026-11-22T10:00:00.123456Z``, with no fraction up to nine digits of it.

        Raises:
            ValueError: it is no such time.
        """
        if len(text) == 27 and text[:20] == self._text and text[26] == "Z":  # noqa: PLR2004 - the usual form
            digits = text[20:26]
            if digits.isdecimal() and digits.isascii():
                return self._ns + int(digits) * 1000
        return self._any_form(text)

    def _any_form(self, text: str) -> int:
        found = _ISO.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no ISO-8601 UTC time")
        seconds = int(datetime.fromisoformat(found[1]).replace(tzinfo=UTC).timestamp())
        self._text, self._ns = found[1] + ".", seconds * 10**9
        return self._ns + int((found[2] or "").ljust(9, "0"))


def order_id(text: str | None) -> bytes:
    """Return the 16 bytes of a UUID in textual order; zeros for anything else."""
    if text is None:
        return NO_ORDER
    try:
        octets = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return NO_ORDER
    return octets if len(octets) == len(NO_ORDER) else NO_ORDER


def order_ids(maker: str | None, taker: str | None) -> tuple[bytes, bytes]:
    """Return both ids of a trade as :func:`order_id` does, at the cost of one where they are as usual."""
    if maker and taker and len(maker) == len(taker) == _UUID_CHARS:
        try:
            both = bytes.fromhex((maker + taker).replace("-", ""))
        except ValueError:
            return order_id(maker), order_id(taker)
        if len(both) == _BOTH_BYTES:
            return both[:16], both[16:]
    return order_id(maker), order_id(taker)


def refuse(stats: ExchangeStats, reason: str, frame: bytes) -> None:
    """Count a refused row or frame, and keep its beginning for the log."""
    stats.refused[reason] += 1
    stats.refused_samples[reason] = frame[:_SAMPLE_BYTES].decode(errors="replace")


def ignore(stats: ExchangeStats, kind: str) -> None:
    """Count a frame that nobody asked for; kinds beyond the first fifty are counted together."""
    known = kind in stats.ignored or len(stats.ignored) < _MOST_KINDS
    stats.ignored[kind[:_SAMPLE_BYTES] if known else "other"] += 1


def diagnose(data: object, spec: Spec) -> str:
    """Return why a message that its typed decoder refused was refused.

    Args:
        data: the message, decoded without types.
        spec: its fields; those that may be None may be missing too.
    """
    if not isinstance(data, dict):
        return "not an object"
    for name, kind, reason in spec:
        try:
            msgspec.convert(data.get(name), kind, strict=False)
        except msgspec.ValidationError:
            return reason if name in data else "missing field"
    return "wrong type"


def decode_any(frame: bytes) -> Any:
    """Decode a frame without types.

    Raises:
        FrameError: it is no JSON.
    """
    try:
        return msgspec.json.decode(frame)
    except UNREADABLE as error:
        raise FrameError("malformed json") from error


def decode_object(frame: bytes) -> dict[str, Any]:
    """Decode a frame that has to be a JSON object.

    Raises:
        FrameError: it is none.
    """
    message = decode_any(frame)
    if not isinstance(message, dict):
        raise FrameError("not an object")
    return message


def convert(message: Mapping[str, Any], kind: type[T], spec: Spec) -> T:
    """Return a decoded message as its typed struct.

    Raises:
        FrameError: a field is missing or of another type; ``spec`` gives the reason.
    """
    try:
        return msgspec.convert(message, kind, strict=False)
    except msgspec.ValidationError as error:
        raise FrameError(diagnose(message, spec)) from error


def unnamed(message: Mapping[str, Any], named: Collection[str]) -> dict[str, Any]:
    """Return the fields of a message that the unified record does not name."""
    return {name: value for name, value in message.items() if name not in named}


def sane_value(value: float | None) -> bool:
    """Return whether a price or size is one; None is not."""
    return value is not None and 0 < value < MOST
