"""The newest trade ids that an exchange names beside the trades themselves."""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np
import trio

from multilogger.connection.carriers import Carrier
from multilogger.connection.feed import Feed
from multilogger.exchanges.base import NewestIds
from multilogger.tables import Array

_AT_A_TIME: Final = 128
"""Symbols that are looked at before others may run: of thousands the reading must not wait for all."""


@attrs.define(eq=False)
class _Named:
    """What one connection was told of one symbol."""

    carrier: Carrier
    first: int
    """The first id; what it counts may have been traded before the connection."""
    newest: int


class NamedIds:
    """What all connections of an exchange were told.

    Args:
        feed: what the connections share.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._named: dict[int, _Named] = {}

    async def tell(self) -> None:
        """Tell the ledger of ids that are new since the last time."""
        named = set()
        for at, symbol in enumerate(self._feed.carriers.carried):
            if at % _AT_A_TIME == 0:
                await trio.lowlevel.checkpoint()
            number = self._feed.symbols.number(symbol)
            for carrier in self._feed.carriers.of(symbol)[-1:]:
                newest = _newest(carrier, number)
                if newest is not None:
                    named.add(number)
                    if self._is_news(number, carrier, newest):
                        self._feed.coverage.heard_of(symbol, newest)
        for number in self._named.keys() - named:
            del self._named[number]

    def _is_news(self, number: int, carrier: Carrier, newest: int) -> bool:
        known = self._named.get(number)
        if known is None or known.carrier is not carrier:
            self._named[number] = _Named(carrier, newest, newest)
            return True
        news = newest != known.newest
        known.newest = newest
        return news

    def restart(self, number: int) -> None:
        """Count what is named of a symbol anew: it is asked for again."""
        self._named.pop(number, None)

    def ahead(self) -> Array:
        """Return the numbers of the symbols of which a newer trade was named than came.

        One that was named at once does not count: whether it was traded before the connection or was missed,
        what is missing is found out by its id, and says nothing of how the connection is now.
        """
        quality = self._feed.quality
        ahead = [
            number
            for number, named in self._named.items()
            if named.newest > named.first and named.newest > (quality.last_trade_id(number) or -1)
        ]
        return np.array(ahead, np.intp)


def _newest(carrier: Carrier, number: int) -> int | None:
    adapter = carrier.adapter
    return adapter.newest_ids.get(number) if isinstance(adapter, NewestIds) else None
