"""What a fault sees of a simulated exchange, and of its connections."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random
from typing import Any, Protocol

from multilogger.simulator.alarms import Alarms
from multilogger.simulator.condition import RestCondition
from multilogger.simulator.detour import Detour


class Target(Protocol):
    """What a fault may do to one connection."""

    def abort(self, *, reset: bool) -> None:
        """End the connection at once, without a close frame; what waits to be sent is lost."""
        ...

    def leave(self, code: int | None, reason: str = "") -> None:
        """Send what waits, then close; without a close frame if ``code`` is None."""
        ...

    def freeze(self) -> None:
        """Leave the connection half-open: it stands until the client leaves, but nothing gets through."""
        ...


class Site(Protocol):
    """What a fault may do to a simulated exchange; times are Trio's."""

    stalled_until: float
    """Until then nothing is sent and no request is answered."""
    refusing_until: float
    """Until then, new connections are reset at once."""
    garbled_until: float
    """Until then, malformed frames stand between the good ones."""
    silent_ack_until: float
    """Until then, subscriptions are acknowledged and bring nothing."""

    @property
    def rest(self) -> RestCondition:
        """Return how the REST side fares."""
        ...

    @property
    def detour(self) -> Detour[Any]:
        """Return what lets messages come late, or twice."""
        ...

    @property
    def alarms(self) -> Alarms:
        """Return what calls at a time; it does as long as the market runs."""
        ...

    def connected(self) -> Collection[Target]:
        """Return the open connections."""
        ...

    def symbols(self) -> Sequence[str]:
        """Return the symbols that trade."""
        ...

    def mute(self, symbol: str, until: float, part: str = "") -> None:
        """Let the present subscriptions of a symbol bring nothing until then.

        Args:
            symbol: whose.
            until: when they do again.
            part: only those with this in the topic's name.
        """
        ...

    def put_clock_wrong(self, secs: float, offset_secs: float) -> None:
        """Let the exchange's clock be wrong for a while."""
        ...

    def repeat(self, count: int, random: Random) -> None:
        """Send about so many trades again that were sent long ago."""
        ...

    def send_oversized(self, size: int) -> None:
        """Send a text message of so many bytes to every connection."""
        ...

    def announce_shutdown(self) -> None:
        """Tell the clients that they are about to be cut."""
        ...


class Fault(Protocol):
    """One kind of fault."""

    def strike(self, site: Site) -> None:
        """Do it now; lasting faults only set until when."""
        ...
