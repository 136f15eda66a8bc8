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


class OptionKind(enum.Enum):
    """What an option gives the right to do."""

    CALL = "call"
    PUT = "put"


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
    """Smallest order, in the exchange's unit of sizes; None where the exchange states none."""
    tick_size: float | None = None
    """Smallest step of the price."""
    settle: str = ""
    """The asset that a derivative is settled in; empty on spot markets."""
    contract_size: float | None = None
    """How much one contract stands for, in ``contract_unit``; None where sizes are in base currency."""
    contract_unit: str = ""
    """The asset that contracts are counted in: the base, or the quote where contracts are inverse."""
    expiry_ns: int | None = None
    """When a future or option expires, nanoseconds since the epoch (UTC)."""
    strike: float | None = None
    """Of an option, in quote currency."""
    option: OptionKind | None = None
    listed_ns: int | None = None
    """Since when it is listed, by the exchange's own word, nanoseconds since the epoch."""
    venue_id: str = ""
    """The exchange's own id of it that stays when it is renamed; empty where there is none but the symbol."""
