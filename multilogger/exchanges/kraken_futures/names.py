"""How Kraken Futures calls its contracts, and what they are: ``PI_XBTUSD`` is ``BTC-USD-PERP``.

https://support.kraken.com/articles/360022835891-ticker-symbols: the first letter says whether a contract is
perpetual or of a fixed maturity, the second how it is settled: inverse ones in the base, flexible and vanilla
ones in the quote. Bitcoin is ``XBT`` here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import attrs

from multilogger.symbols.instruments import AssetClass, QuoteType
from multilogger.symbols.naming import contract_name
from multilogger.symbols.quotes import quote_type
from multilogger.tables import NANOS_PER_SECOND

_SYMBOL: Final = re.compile(r"([PF])([IFV])_([A-Za-z0-9]+?)(?:_(\d{6}))?", re.ASCII)
_NAME: Final = re.compile(r"([^-:]+)-([^-:]+)(?::([^-:]+))?-(PERP|20\d{6})", re.ASCII)
_QUOTES: Final = ("USD", "EUR", "GBP", "USDT", "USDC", "XBT", "ETH")
_ASSETS: Final = {"XBT": "BTC", "XDG": "DOGE"}
"""What the exchange calls otherwise than everybody else."""


@attrs.frozen(kw_only=True)
class Contract:
    """What a symbol says of its contract."""

    base: str
    quote: str
    inverse: bool
    """Whether it is settled in the base, and counted in units of the quote."""
    day_ns: int | None
    """Start of the day of its maturity, nanoseconds since the epoch; None for a perpetual one."""

    @property
    def settle(self) -> str:
        """What it is settled in."""
        return self.base if self.inverse else self.quote

    @property
    def asset_class(self) -> AssetClass:
        """Whether it is perpetual or a future."""
        return AssetClass.PERPETUAL if self.day_ns is None else AssetClass.FUTURES

    @property
    def name(self) -> str:
        """The normalized name."""
        return contract_name(
            self.base, self.quote, self.asset_class, settle=self.settle, expiry_ns=self.day_ns
        )


def asset(code: str) -> str:
    """Return what everybody else calls an asset."""
    return _ASSETS.get(code.upper(), code)


def spelled(symbol: str) -> str:
    """Return a symbol as the WebSocket API spells it: listings of old are in lower case."""
    return symbol.upper() if symbol.islower() else symbol


def contract_of(symbol: str, base: str | None = None, quote: str | None = None) -> Contract | None:
    """Return what a symbol says of its contract; None where it has another form.

    Args:
        symbol: in any case.
        base: as listed, if it is known.
        quote: the same.
    """
    found = _SYMBOL.fullmatch(spelled(symbol))
    if found is None:
        return None
    if base is None or quote is None:
        quote = next((it for it in _QUOTES if found[3].endswith(it) and found[3] != it), None)
        if quote is None:
            return None
        base = found[3].removesuffix(quote)
    day_ns = None if found[4] is None else _day_ns(found[4])
    if (day_ns is None) != (found[1] == "P"):
        return None
    return Contract(base=asset(base), quote=asset(quote), inverse=found[2] == "I", day_ns=day_ns)


def symbol_of(name: str) -> str:
    """Return the symbol that a normalized name would have here; the name itself if it is of no contract."""
    found = _NAME.fullmatch(name)
    if found is None:
        return name
    base, quote, settle, maturity = found.groups()
    fiat = quote_type(quote) is QuoteType.FIAT
    inverse = settle == base or (settle is None and fiat)
    if settle not in (None, base, quote):
        return name
    style = "I" if inverse else "F" if fiat else "V"
    pair = "".join("XBT" if it == "BTC" else it for it in (base, quote))
    return f"P{style}_{pair}" if maturity == "PERP" else f"F{style}_{pair}_{maturity[2:]}"


def _day_ns(digits: str) -> int | None:
    try:
        day = datetime.strptime(digits, "%y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(day.timestamp()) * NANOS_PER_SECOND
