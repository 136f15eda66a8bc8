"""Binance USD-M futures, simulated; :mod:`.futures` tells what is modelled.

Since March 2026 streams are parted: ``/public`` has quotes, books and single trades, ``/market`` all else,
and addresses of before have what ``/public`` has. A stream is acknowledged everywhere.
"""

from __future__ import annotations

from typing import ClassVar, Final

import attrs

from multilogger.simulator.binance import futures_messages as messages
from multilogger.simulator.binance.futures import FuturesVenue
from multilogger.simulator.instruments import Instrument, listing

_PUBLIC: Final = "/public"
_MARKET: Final = "/market"
_PUBLIC_KINDS: Final = ("bookTicker", "trade", "depth", "rpiDepth")
_DELIVERY_NS: Final = 1_924_588_800 * 10**9
"""2030-12-27 08:00 UTC."""


def _perpetual(it: Instrument) -> Instrument:
    decimals = min(it.size_decimals, 3)
    return attrs.evolve(it, kind="perpetual", settle=it.quote, size_decimals=decimals)


def _instruments() -> tuple[Instrument, ...]:
    perpetuals = tuple(map(_perpetual, listing("USDT", "")))
    future = attrs.evolve(
        perpetuals[0], symbol="BTCUSDT_301227", kind="future", expiry_ns=_DELIVERY_NS, weight=0.5
    )
    return (*perpetuals, future)


class BinanceUsdmVenue(FuturesVenue):
    """Simulated Binance USD-M futures; topics are stream names."""

    name: ClassVar[str] = "binance_usdm"
    instruments: ClassVar[tuple[Instrument, ...]] = _instruments()
    number: ClassVar[int] = messages.USDM
    api: ClassVar[str] = "/fapi/v1"

    def place_of(self, path: str) -> tuple[str, str] | None:
        """Return ``/public`` or ``/market``, and the rest of the path."""
        for place in (_PUBLIC, _MARKET):
            if path.startswith(f"{place}/"):
                return place, path.removeprefix(place)
        return _PUBLIC, path

    def brings(self, place: str, topic: str) -> bool:
        """Return whether a stream is brought at a place."""
        is_public = topic.partition("@")[2].startswith(_PUBLIC_KINDS)
        return is_public == (place == _PUBLIC)
