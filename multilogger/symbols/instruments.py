"""Instruments: what an exchange lists, in the exchange's spelling and in ours."""

from __future__ import annotations

import enum

import attrs

from multilogger.records import ExchangeId


class AssetClass(enum.Enum):
    """What kind of contract an instrument is."""

    SPOT = "spot"
    FUTURES = "futures"
    PERPETUAL = "perpetual"
    OPTION = "option"


class QuoteType(enum.Enum):
    """What prices are quoted in."""

    FIAT = "fiat"
    STABLECOIN = "stablecoin"
    CRYPTO = "crypto"


@attrs.frozen(kw_only=True)
class SymbolInfo:
    """One listed instrument."""

    exchange: ExchangeId
    symbol: str
    """The exchange's own spelling."""
    normalized: str
    base: str
    quote: str
    quote_type: QuoteType
    asset_class: AssetClass = AssetClass.SPOT
    active: bool = True
    """Whether it can be traded now, by the exchange's own status."""
    status: str = ""
    """The exchange's own word for it."""
    min_size: float | None = None
    """Smallest order in base currency; None where the exchange states none."""
    tick_size: float | None = None
    """Smallest step of the price."""
