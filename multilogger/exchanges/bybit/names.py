"""How Bybit names contracts, for symbols of which no listing tells.

::

    BTCUSDT           perpetual in USDT        BTC-USDT-PERP
    BTCPERP           perpetual in USDC        BTC-USDC-PERP
    BTCUSDT-26DEC26   future in USDT           BTC-USDT-20261226
    BTC-26DEC26       future in USDC           BTC-USDC-20261226
    BTCUSD            inverse perpetual        BTC-USD-PERP
    BTCUSDZ26         inverse future           BTC-USD-20261225, the last Friday of the month
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime
from typing import Final

from multilogger.symbols.instruments import AssetClass
from multilogger.symbols.naming import contract_name
from multilogger.symbols.quotes import split_venue_symbol
from multilogger.tables import NANOS_PER_SECOND

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_CODES: Final = "FGHJKMNQUVXZ"
"""Of the months, as in the names of inverse futures."""
_LINEAR_FUTURE: Final = re.compile(r"(.+)-(\d{1,2})([A-Z]{3})(\d\d)", re.ASCII)
_INVERSE_FUTURE: Final = re.compile(rf"(.+)USD([{_CODES}])(\d\d)", re.ASCII)
_NAME: Final = re.compile(r"([^-]+)-([^-:]+)-(?:PERP|(\d{4})(\d\d)(\d\d))", re.ASCII)
_USDC_PERPETUAL: Final = "PERP"
_CENTURY: Final = 2000


def linear_name(symbol: str) -> str:
    """Return the normalized name that a linear symbol looks like; the symbol if it looks like none."""
    if found := _LINEAR_FUTURE.fullmatch(symbol):
        head, day, month, year = found.groups()
        base = head.removesuffix("USDT")
        quote = "USDC" if base == head or not base else "USDT"
        try:
            expiry = date(_CENTURY + int(year), _MONTHS.index(month) + 1, int(day))
        except ValueError:
            return symbol
        return _future(base or head, quote, expiry, settle=quote)
    base = symbol.removesuffix(_USDC_PERPETUAL)
    if base and base != symbol:
        return contract_name(base, "USDC", AssetClass.PERPETUAL, settle="USDC")
    pair = split_venue_symbol(symbol)
    return symbol if pair is None else contract_name(*pair, AssetClass.PERPETUAL, settle=pair[1])


def linear_symbol(name: str) -> str:
    """Return the symbol that a linear contract of this normalized name would have."""
    found = _NAME.fullmatch(name)
    if found is None:
        return name.replace("-", "")
    base, quote, year, month, day = found.groups()
    head = base if quote == "USDC" else f"{base}{quote}"
    if year is None:
        return f"{base}{_USDC_PERPETUAL}" if quote == "USDC" else head
    return f"{head}-{int(day)}{_MONTHS[(int(month) - 1) % 12]}{year[2:]}"


def inverse_name(symbol: str) -> str:
    """Return the normalized name that an inverse symbol looks like; the symbol if it looks like none."""
    if found := _INVERSE_FUTURE.fullmatch(symbol):
        base, code, year = found.groups()
        expiry = _last_friday(_CENTURY + int(year), _CODES.index(code) + 1)
        return _future(base, "USD", expiry, settle=base)
    pair = split_venue_symbol(symbol)
    return symbol if pair is None else contract_name(*pair, AssetClass.PERPETUAL, settle=pair[0])


def inverse_symbol(name: str) -> str:
    """Return the symbol that an inverse contract of this normalized name would have."""
    found = _NAME.fullmatch(name)
    if found is None:
        return name.replace("-", "")
    base, quote, year, month, _ = found.groups()
    return f"{base}{quote}" if year is None else f"{base}{quote}{_CODES[(int(month) - 1) % 12]}{year[2:]}"


def _future(base: str, quote: str, expiry: date, *, settle: str) -> str:
    at = datetime(expiry.year, expiry.month, expiry.day, tzinfo=UTC)
    expiry_ns = int(at.timestamp()) * NANOS_PER_SECOND
    return contract_name(base, quote, AssetClass.FUTURES, settle=settle, expiry_ns=expiry_ns)


def _last_friday(year: int, month: int) -> date:
    last = date(year, month, calendar.monthrange(year, month)[1])
    return date(year, month, last.day - (last.weekday() - calendar.FRIDAY) % 7)
