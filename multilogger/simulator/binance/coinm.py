"""Binance COIN-M futures, simulated; :mod:`.futures` tells what is modelled. Sizes are whole contracts."""

from __future__ import annotations

from typing import ClassVar, Final

import attrs

from multilogger.simulator.binance import futures_messages as messages
from multilogger.simulator.binance.futures import FuturesVenue
from multilogger.simulator.instruments import Instrument, listing

_CONTRACT_USD: Final = {"BTC": "100"}
_USUAL_USD: Final = "10"
_DELIVERY_NS: Final = 1_924_588_800 * 10**9
"""2030-12-27 08:00 UTC."""


def _perpetual(it: Instrument) -> Instrument:
    return attrs.evolve(
        it,
        symbol=f"{it.symbol}_PERP",
        kind="perpetual",
        settle=it.base,
        contract_size=_CONTRACT_USD.get(it.base, _USUAL_USD),
        size_decimals=0,
        typical_size=20.0,
    )


def _instruments() -> tuple[Instrument, ...]:
    perpetuals = tuple(map(_perpetual, listing("USD", "")))
    future = attrs.evolve(
        perpetuals[0], symbol="BTCUSD_301227", kind="future", expiry_ns=_DELIVERY_NS, weight=0.5
    )
    return (*perpetuals, future)


class BinanceCoinmVenue(FuturesVenue):
    """Simulated Binance COIN-M futures; topics are stream names."""

    name: ClassVar[str] = "binance_coinm"
    instruments: ClassVar[tuple[Instrument, ...]] = _instruments()
    number: ClassVar[int] = messages.COINM
    api: ClassVar[str] = "/dapi/v1"
