"""What Kraken allows an address, and how it refuses.

Source: docs.kraken.com, "Spot WebSocket: general considerations" and "Spot REST: rate limits, errors".
"""

from __future__ import annotations

import math

import attrs

from multilogger.simulator.kraken.messages import compact
from multilogger.simulator.rest import Response
from multilogger.simulator.rules import Rules, Window


@attrs.define
class BannedWindow:
    """At most ``amount`` connects in any span of ``secs``; whoever wants more gets none for as long again."""

    amount: float
    secs: float
    banned_until: float = attrs.field(init=False, default=-math.inf)
    """On Trio's clock."""
    _window: Window = attrs.field(init=False)

    @_window.default
    def _empty(self) -> Window:
        return Window(self.amount, self.secs)

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Use some of it; return whether it was within the allowance."""
        if now < self.banned_until:
            return False
        if self._window.take(now, amount):
            return True
        self.banned_until = now + self.secs
        return False

    def __str__(self) -> str:
        return f"{self.amount:g} in {self.secs:g} s"


@attrs.define(kw_only=True)
class KrakenRules(Rules):
    """Rules whose refusals of requests are errors under the status 200, and do not say how long to wait."""

    def request(self, weight: float, delay_secs: float) -> Response | None:
        """Count a REST request; return its refusal, or None if it is within the rules."""
        refusal = super().request(weight, delay_secs)
        # A refusal with a time to wait is that of a server in front of the exchange's own.
        if refusal is None or any(name == "Retry-After" for name, _ in refusal.headers):
            return refusal
        return errors("EGeneral:Too many requests")


def errors(*words: str) -> Response:
    """Return an answer that is an error."""
    return Response(200, compact({"error": list(words)}))
