"""What an exchange allows its clients, all of one address together: who asks for more is noted, and punished.

Exchanges limit by sliding windows (so much in any minute) or by buckets (so much a second, and some more at
once). After too many REST requests they answer 429, and to those who do not wait as they are told, 418.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, Protocol

import attrs
import trio

from multilogger.simulator.rest import Response

_GRACE_SECS: Final = 0.25
"""Requests that were under way when the refusal came are no disobedience."""
_MOST_NOTED: Final = 10_000
"""Violations kept in words; a client that never obeys must not fill the memory."""
_TEAPOT: Final = 418
_TOO_MANY: Final = 429


class Allowance(Protocol):
    """So much, in some sense."""

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Use some of it; return whether it was within the allowance."""
        ...


@attrs.define
class Window:
    """At most ``amount`` in any span of ``secs``; what was refused counts as well."""

    amount: float
    secs: float
    _taken: deque[tuple[float, float]] = attrs.field(init=False, factory=deque)
    _sum: float = attrs.field(init=False, default=0.0)

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Use some of it; return whether it was within the allowance."""
        self._taken.append((now, amount))
        self._sum += amount
        return self.used(now) <= self.amount

    def used(self, now: float) -> float:
        """Return what was taken within the last span."""
        while self._taken and self._taken[0][0] <= now - self.secs:
            self._sum -= self._taken.popleft()[1]
        return self._sum

    def __str__(self) -> str:
        return f"{self.amount:g} in {self.secs:g} s"


@attrs.define
class Bucket:
    """``rate`` a second, and up to ``burst`` at once; what was refused does not count."""

    rate: float
    burst: float
    _left: float = attrs.field(init=False)
    _at: float = attrs.field(init=False, default=-math.inf)

    @_left.default
    def _full(self) -> float:
        return self.burst

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Use some of it; return whether it was within the allowance."""
        self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if amount > self._left:
            return False
        self._left -= amount
        return True

    def __str__(self) -> str:
        return f"{self.rate:g} a second, {self.burst:g} at once"


@attrs.define(kw_only=True)
class Rules:
    """The allowances of one exchange, and what of them was not kept."""

    connects: Allowance
    """Attempts to connect."""
    messages: Allowance | None = None
    """Client messages of all connections; that of one connection alone is the dialect's own."""
    weight: Allowance
    """REST requests, or what they weigh."""
    retry_after_secs: float | None = None
    """How long whoever asked for too much has to be silent; None: the next request may do."""
    ban_secs: float = 120.0
    """How long whoever was not silent is banned."""
    violations: list[str] = attrs.field(factory=list)
    """What was not kept, in words, the oldest first."""
    banned_from: float = math.inf
    """From then on the client knows that it has to be silent, on Trio's clock."""
    banned_until: float = -math.inf

    def connect(self) -> bool:
        """Count an attempt to connect; return whether it was within the rules."""
        return self._take("connects", self.connects)

    def message(self) -> bool:
        """Count a client message; return whether it was within the rules."""
        return self.messages is None or self._take("messages", self.messages)

    def request(self, weight: float, delay_secs: float) -> Response | None:
        """Count a REST request; return its refusal, or None if it is within the rules.

        Args:
            weight: of the request.
            delay_secs: after which it is answered.
        """
        now = trio.current_time()
        if now < self.banned_until:
            if now < self.banned_from:
                return self._refusal(_TOO_MANY, now)
            self.note(f"a REST request {self.banned_until - now:.1f} s before the end of a ban")
            self.ban(now + self.ban_secs, delay_secs)
            return self._refusal(_TEAPOT, now)
        if self._take("REST weight", self.weight, weight):
            return None
        if self.retry_after_secs is None:
            return Response.of({"message": "Public rate limit exceeded"}, _TOO_MANY)
        self.ban(now + self.retry_after_secs, delay_secs)
        return self._refusal(_TOO_MANY, now)

    def ban(self, until: float, delay_secs: float) -> None:
        """Want no REST requests until then, from when the client has read of it."""
        if trio.current_time() >= self.banned_until:
            self.banned_from = trio.current_time() + delay_secs + _GRACE_SECS
        self.banned_until = max(until, self.banned_until)

    def note(self, words: str) -> None:
        """Note a violation."""
        if len(self.violations) < _MOST_NOTED:
            self.violations.append(f"{trio.current_time():.3f} s: {words}")

    def _take(self, what: str, allowance: Allowance, amount: float = 1.0) -> bool:
        kept = allowance.take(trio.current_time(), amount)
        if not kept:
            self.note(f"more {what} than {allowance}")
        return kept

    def _refusal(self, status: int, now: float) -> Response:
        left = str(max(1, math.ceil(self.banned_until - now)))
        words = {"code": -1003, "msg": "Too many requests; please wait as the header Retry-After says."}
        return Response.of(words, status, (("Retry-After", left),))
