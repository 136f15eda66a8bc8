"""Faults of the data feed that are harder to see than a broken connection: it stands, and looks well.

Together with :mod:`.faults` and :mod:`.rest_faults`, these are all that strike simulated exchanges.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

import attrs
import trio

from multilogger.simulator.faults import Cut
from multilogger.simulator.site import Site

_MEBIBYTE = 1024 * 1024


@attrs.frozen
class HalfOpen:
    """The connections of now stand, but nothing gets through any more: no data, answers, pings, or ends.

    So they are until the client leaves. New connections are as good as ever. What waited to be sent is lost.
    """

    def strike(self, site: Site) -> None:
        """Break them."""
        for target in list(site.connected()):
            target.freeze()


@attrs.frozen
class StallSymbol:
    """Open subscriptions of one symbol bring nothing for a while, or until they are ended and made anew.

    All else goes on, also on the same connections. REST knows of everything.
    """

    secs: float
    symbol: str = ""
    """Empty: the seed chooses one."""
    seed: int = 0
    part: str = ""
    """Only topics with this in their name, such as ``matches`` or ``@trade``."""

    def strike(self, site: Site) -> None:
        """Begin."""
        symbol = self.symbol or Random(self.seed).choice(site.symbols())
        site.mute(symbol, trio.current_time() + self.secs, self.part)


@attrs.frozen
class SilentAck:
    """Subscriptions are acknowledged and bring nothing; those that were made before go on.

    Nothing comes after the fault either, until what was subscribed during it is ended and subscribed again.
    """

    secs: float

    def strike(self, site: Site) -> None:
        """Begin."""
        site.silent_ack_until = max(site.silent_ack_until, trio.current_time() + self.secs)


@attrs.frozen
class Replay:
    """Some trades that were sent before, however long ago, are sent again."""

    count: int = 20
    """Taker orders whose trades are."""
    seed: int = 0

    def strike(self, site: Site) -> None:
        """Send them."""
        site.repeat(self.count, Random(self.seed))


@attrs.frozen
class Oversize:
    """Every connection gets a message larger than any client should take; data go on behind it."""

    size: int = 16 * _MEBIBYTE + 1
    """In bytes."""

    def strike(self, site: Site) -> None:
        """Send it."""
        site.send_oversized(self.size)


@attrs.frozen
class WrongClock:
    """The exchange's clock is wrong for a while, in all that it tells; then times go back, or jump.

    What was told stays so: REST and the ledger have the same wrong times of these trades.
    """

    secs: float
    offset: float
    """By which it is fast, in seconds; negative: slow."""

    def strike(self, site: Site) -> None:
        """Put it wrong, in place of any error before."""
        site.put_clock_wrong(self.secs, self.offset)


@attrs.frozen
class Shutdown:
    """The server is restarted: all connections end after a lead, which some exchanges announce.

    Connections that are opened within the lead reach another server, and stay.
    """

    lead: float = 10.0
    """Seconds between the notice and the end."""

    def strike(self, site: Site) -> None:
        """Announce it."""
        site.announce_shutdown()
        targets = list(site.connected())
        for target in targets:
            leave: Callable[[], None] = partial(target.leave, 1001, "going away")
            site.alarms.at(trio.current_time() + self.lead, leave)


@attrs.frozen
class Storm:
    """All connections break, again and again."""

    count: int = 5
    every: float = 2.0
    """Seconds."""
    reset: bool = True
    """By a TCP reset, see :class:`~multilogger.simulator.faults.Cut`."""

    def strike(self, site: Site) -> None:
        """Break them for the first time."""
        cut = Cut(self.reset)
        cut.strike(site)
        for number in range(1, self.count):
            site.alarms.at(trio.current_time() + number * self.every, partial(cut.strike, site))
