"""When a connection may take over symbols from others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final

import structlog
import trio

from multilogger.connection.carriers import Carrier, Carriers
from multilogger.connection.feed import Feed

log = structlog.get_logger(__name__)

SETTLE_SECS: Final = 5.0
"""After this, a symbol that is quiet on the old connection, too, holds up nothing."""
CATCH_UP_SECS: Final = 20.0
"""A symbol that only the old connection brings is waited for so long, and as long again once asked anew."""


def behind(
    carriers: Carriers, numbers: dict[str, int], new: Carrier, old: Sequence[Carrier]
) -> dict[str, float]:
    """Return which symbols ``new`` does not carry as well as ``old`` yet, and for how long it has had them.

    It does once it has brought something of a symbol, or has carried it for :data:`SETTLE_SECS` in which the
    old connections brought nothing of it either: most symbols are quiet most of the time, and waiting for all
    of them would take for ever. What only the old ones bring shows that something is wrong with the new one.

    Args:
        carriers: of the exchange.
        numbers: of the symbols, by name.
        new: the connection that is to take over.
        old: those that are to let go.
    """
    now = trio.current_time()
    result = {}
    for symbol, number in numbers.items():
        since = carriers.since(symbol, new)
        if since == inf:
            result[symbol] = 0.0
        elif new.arrivals.last_of_any(number) < since:
            quiet = all(it.arrivals.last_of_any(number) < since for it in old)
            if not quiet or now - since < SETTLE_SECS:
                result[symbol] = now - since
    return result


class CatchingUp:
    """Whether a connection carries symbols as well as those that carried them before.

    Args:
        feed: what the connections share.
        old: the connections that are to let go.
    """

    def __init__(self, feed: Feed, old: Sequence[Carrier]) -> None:
        self._feed = feed
        self._old = old
        self._asked_again = False

    def is_done(self, new: Carrier, symbols: Iterable[str]) -> bool:
        """Return whether ``new`` may take over; to be asked again and again.

        What it does not bring although the old ones do is asked for anew, once. If that does not help, it
        takes over all the same: the old one may be near its end, and the watch knows what to do about a
        symbol that is silent.
        """
        feed = self._feed
        numbers = {symbol: feed.symbols.number(symbol) for symbol in symbols}
        late = behind(feed.carriers, numbers, new, self._old)
        if any(waited < CATCH_UP_SECS for waited in late.values()):
            return False
        if late and not self._asked_again:
            self._asked_again = True
            new.ask_again(list(late))
            return False
        if late:
            log.warning(
                "symbols are silent on a new connection", exchange=feed.stats.name, symbols=sorted(late)
            )
        return True
