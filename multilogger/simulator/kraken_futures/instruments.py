"""What the simulated Kraken Futures lists: perpetual and dated contracts, inverse and linear ones.

Source: Kraken support, "Ticker symbols": ``PI`` and ``FI`` are inverse, one contract is a dollar; ``PF`` and
``FF`` are linear, their sizes are in the base.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import attrs

from multilogger.simulator.instruments import Instrument, guess_instrument, listing

_DAY: Final = "301227"
_SYMBOL: Final = re.compile(r"([PF])([IF])_(\w+?)(USD)(?:_(\d{6}))?", re.ASCII)
_ASSETS: Final = {"XBT": "BTC"}
_PREFIXES: Final = {"BTC": "PI", "ETH": "FF", "XRP": "PI", "LTC": "FI"}
"""All others are linear and perpetual."""
_DECIMALS: Final = {"ETH": 3, "SOL": 2, "AVAX": 2, "LINK": 1}
"""Of the sizes of linear contracts; all others are counted in whole coins."""


def contract(symbol: str) -> Instrument:
    """Return the contract that a symbol is of; for one of another form, what it looks like."""
    found = _SYMBOL.fullmatch(symbol)
    if found is None:
        return guess_instrument(symbol)
    maturity, style, code, quote, day = found.groups()
    base = _ASSETS.get(code, code)
    return Instrument(
        symbol=symbol,
        base=base,
        quote=quote,
        price="1.00000000",
        size_decimals=0 if style == "I" else 8,
        kind="perpetual" if maturity == "P" else "future",
        settle=base if style == "I" else quote,
        contract_size="1" if style == "I" else "",
        expiry_ns=_expiry_ns(day) if day else None,
    )


def _expiry_ns(day: str) -> int:
    """Return the last trading time of a day: 8:00 UTC."""
    return int(datetime.strptime(f"{day}08", "%y%m%d%H").replace(tzinfo=UTC).timestamp()) * 10**9


def _listed(coin: Instrument) -> Instrument:
    """Return a coin of the demo as a contract, with its price and its share of the trades."""
    prefix = _PREFIXES.get(coin.base, "PF")
    code = next((code for code, asset in _ASSETS.items() if asset == coin.base), coin.base)
    dated = f"_{_DAY}" if prefix[0] == "F" else ""
    made = contract(f"{prefix}_{code}{coin.quote}{dated}")
    inverse = bool(made.contract_size)
    return attrs.evolve(
        made,
        price=coin.price,
        tick=coin.tick,
        size_decimals=0 if inverse else _DECIMALS.get(coin.base, 0),
        typical_size=coin.typical_size * float(coin.price) if inverse else coin.typical_size,
        weight=coin.weight,
        online=coin.online,
    )


INSTRUMENTS: Final = tuple(map(_listed, listing("USD", "-")))
"""The demo's."""
