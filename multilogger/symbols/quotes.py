"""Quote assets: what prices are quoted in, and how to find them in venue symbols."""

from __future__ import annotations

import re
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

_NEVER_SUFFIXES: Final = frozenset({"AEUR", "XUSD", "GUSD"})
"""Rare quotes whose names end those of frequent pairs: ADA in EUR, AVAX in USD, PAXG in USD."""
_SUFFIXES: Final = sorted(QUOTES.keys() - _NEVER_SUFFIXES, key=lambda quote: (-len(quote), quote))
"""Longest first."""
_SEPARATOR: Final = re.compile(r"[-/_]")
_CONTRACTS: Final = frozenset({"PERP", "SWAP"})


def quote_type(quote: str) -> QuoteType:
    """Return what kind of asset ``quote`` is; what is not known for money is a crypto asset."""
    return QUOTES.get(quote.upper(), QuoteType.CRYPTO)


def split_venue_symbol(symbol: str) -> tuple[str, str] | None:
    """Return base and quote of an upper-case spot name, by its separator or else by a known quote at its end.

    The longest quote that leaves a known coin wins (``USDTUSD`` is USDT in USD, not USD in TUSD), else the
    longest (``NEWFDUSD`` is NEW in FDUSD, not NEWFD in USD). That is a guess: ``BATUSD`` would be BA in TUSD.

    Returns:
        The pair; None where no known quote ends the name, and for dated and perpetual contracts.
    """
    if _SEPARATOR.search(symbol):
        return _split_at_separator(symbol)
    pairs = [(symbol.removesuffix(quote), quote) for quote in _SUFFIXES if symbol.endswith(quote)]
    pairs = [(base, quote) for base, quote in pairs if base]
    return next((pair for pair in pairs if _is_coin(pair[0])), pairs[0] if pairs else None)


def _split_at_separator(symbol: str) -> tuple[str, str] | None:
    base, *quotes = _SEPARATOR.split(symbol)
    if len(quotes) != 1 or not base or not quotes[0] or quotes[0].isdigit() or quotes[0] in _CONTRACTS:
        return None
    return base, quotes[0]


def _is_coin(asset: str) -> bool:
    return QUOTES.get(asset, QuoteType.FIAT) is not QuoteType.FIAT
