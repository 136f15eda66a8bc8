"""What the simulated OKX lists: spot, perpetuals and a future over one host, and the forms of their names."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import attrs

from multilogger.simulator.instruments import Instrument, guess_instrument, listing

TYPES: Final = {"spot": "SPOT", "perpetual": "SWAP", "future": "FUTURES", "option": "OPTION"}
"""``instType`` by kind."""
_NANOS: Final = 1_000_000_000
_EXPIRY_HOUR: Final = 8
"""UTC."""
_DERIVATIVE: Final = re.compile(r"([^-]+)-([^-]+)-(?:(SWAP)|(\d{6})(-.+)?)")
_COINS: Final = {it.base: it for it in listing("USDT", "-")}


def expiry_ns(day: str) -> int:
    """Return when what is named after a day, such as ``261225``, expires: nanoseconds since the epoch."""
    at = datetime.strptime(day, "%y%m%d").replace(hour=_EXPIRY_HOUR, tzinfo=UTC)
    return int(at.timestamp()) * _NANOS


def family(instrument: Instrument) -> str:
    """Return the underlying of a derivative, such as ``BTC-USD``."""
    return f"{instrument.base}-{instrument.quote}"


def instrument_of(symbol: str) -> Instrument:
    """Return an instrument for a symbol of which nothing but the name is known."""
    found = _DERIVATIVE.fullmatch(symbol)
    if found is None:
        return guess_instrument(symbol)
    base, quote, swap, day, option = found.groups()
    return Instrument(
        symbol=symbol,
        base=base,
        quote=quote,
        price="1.00000000",
        size_decimals=8,
        kind="perpetual" if swap else "option" if option else "future",
        settle=base if quote == "USD" else quote,
        contract_size="1",
        expiry_ns=expiry_ns(day) if day else None,
    )


def _linear(base: str, contract_size: str, typical_size: float, weight: float) -> Instrument:
    """Return a perpetual settled in USDT."""
    return attrs.evolve(
        _COINS[base],
        symbol=f"{base}-USDT-SWAP",
        size_decimals=2,
        typical_size=typical_size,
        weight=weight,
        kind="perpetual",
        settle="USDT",
        contract_size=contract_size,
    )


_INVERSE: Final = attrs.evolve(
    _COINS["BTC"],
    symbol="BTC-USD-SWAP",
    quote="USD",
    size_decimals=0,
    typical_size=12.0,
    weight=1.5,
    kind="perpetual",
    settle="BTC",
    contract_size="100",
)
_FUTURE: Final = attrs.evolve(
    _INVERSE, symbol="BTC-USD-311226", kind="future", weight=0.7, expiry_ns=expiry_ns("311226")
)

INSTRUMENTS: Final = (
    *(_COINS[base] for base in ("BTC", "ETH", "SOL", "XRP", "DOGE")),
    _linear("BTC", "0.01", 2.0, 4.0),
    _linear("ETH", "0.1", 3.0, 2.0),
    _linear("SOL", "1", 5.0, 1.0),
    _INVERSE,
    _FUTURE,
    _COINS["XYO"],
)
"""Five spot instruments, four perpetuals, one future, and one that is off-line."""
