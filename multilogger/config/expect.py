"""Validators that know in words what they expect, so that one line tells what a key may hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

_SHOWN: Final = 80
"""Characters of a wrong value that a fault quotes."""


def show(value: object) -> str:
    """Return ``value`` as a fault quotes it: close to its TOML spelling, on one line, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


@attrs.frozen
class Expect:
    """An attrs validator that knows in words what it expects.

    Raises:
        ValueError: ``key: expected …, got …``.
    """

    expected: str
    """Completes "expected …": ``a whole number between 1 and 65535``."""
    holds: Callable[[Any], bool]

    def __call__(self, _instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        """Check ``value``; what attrs calls."""
        if not self.holds(value):
            raise ValueError(f"{attribute.name}: expected {self.expected}, got {show(value)}")


def whole(low: int, high: int) -> Expect:
    """Expect a whole number between ``low`` and ``high``, both included."""
    return Expect(f"a whole number between {low} and {high}", lambda value: low <= value <= high)


def number(low: float, high: float) -> Expect:
    """Expect a number between ``low`` and ``high``, both included; NaN is none."""
    return Expect(f"a number between {low:g} and {high:g}", lambda value: low <= value <= high)


def one_of(*options: str) -> Expect:
    """Expect one of a few words."""
    return Expect(f"one of {', '.join(map(show, options))}", lambda value: value in options)


def url(*schemes: str) -> Expect:
    """Expect a URL of one of ``schemes``, with a host and, if it has one, a possible port."""
    words = " or ".join(f"{scheme}://" for scheme in schemes)
    return Expect(f"a URL with {words} and a host", lambda value: _is_url(value, schemes))


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # urlsplit's answer to brackets that don't match and ports that are none
        return False
    return parts.scheme in schemes and bool(parts.hostname) and port != 0 and not any(map(str.isspace, text))


SHORTEST_SECS: Final = 0.01
"""Of all intervals and deadlines: what the event loop still keeps with some precision."""


def seconds(high: float, low: float = SHORTEST_SECS) -> Expect:
    """Expect a number of seconds, at most ``high``."""
    return number(low, high)
