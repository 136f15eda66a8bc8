"""Quote assets: what prices are quoted in, and how to find them in names without a separator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from multilogger.symbols.instruments import QuoteType

_FIAT: Final = "USD EUR GBP JPY AUD CAD CHF BRL TRY RUB UAH ZAR PLN RON ARS MXN COP CZK NGN KRW SGD INR IDR"
_STABLECOINS: Final = (
    "USDT USDC BUSD DAI TUSD USDP PAX FDUSD USDS USDE PYUSD EURC EURI EURT AEUR GUSD UST USTC GYEN IDRT BIDR"
    " BVND BKRW VAI XUSD RLUSD USD1 USDG MXNB"
)
_CRYPTO: Final = "BTC XBT ETH BNB SOL XRP TRX DOGE DOT"

QUOTES: Final[Mapping[str, QuoteType]] = {
    asset: kind
    for assets, kind in (
        (_FIAT, QuoteType.FIAT),
        (_STABLECOINS, QuoteType.STABLECOIN),
        (_CRYPTO, QuoteType.CRYPTO),
    )
    for asset in assets.split()
}
"""The quote assets known by name."""

_LONGEST_FIRST: Final = sorted(QUOTES, key=len, reverse=True)


def quote_type(quote: str) -> QuoteType:
    """Return what kind of asset ``quote`` is; what is not known for money is a crypto asset."""
    return QUOTES.get(quote.upper(), QuoteType.CRYPTO)


def split_venue_symbol(symbol: str) -> tuple[str, str] | None:
    """Return base and quote of a name without a separator; None where no known quote ends it.

    The longest known quote wins: ``BTCFDUSD`` is BTC in FDUSD, not BTCFD in USD.
    """
    for quote in _LONGEST_FIRST:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    return None
