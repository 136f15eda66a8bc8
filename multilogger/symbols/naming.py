"""How instruments are called here: ``BTC-USDT``, ``BTC-USDT-PERP``, ``BTC-USD-20261225``.

A contract quoted in fiat money settles in its base, one quoted in anything else in its quote. Where it is
otherwise, the settlement asset follows the quote: ``BTC-USD:USD-PERP`` beside the inverse ``BTC-USD-PERP``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from multilogger.symbols.instruments import AssetClass, OptionKind, QuoteType
from multilogger.symbols.quotes import quote_type
from multilogger.tables import NANOS_PER_SECOND


def pair_name(base: str, quote: str) -> str:
    """Return the name of a spot instrument, such as ``BTC-USDT``."""
    return f"{base}-{quote}"


def contract_name(
    base: str,
    quote: str,
    kind: AssetClass,
    *,
    settle: str,
    expiry_ns: int | None = None,
    strike: str = "",
    option: OptionKind | None = None,
) -> str:
    """Return the name of a derivative.

    Args:
        base: what the contract is about.
        quote: what its price is in.
        kind: perpetual, future or option.
        settle: what it is settled in.
        expiry_ns: of a future or option; its UTC day is part of the name.
        strike: of an option, as the exchange spells it.
        option: whether it is a call or a put.

    Raises:
        ValueError: a future without an expiry, or an option without strike and kind.
    """
    usual = base if quote_type(quote) is QuoteType.FIAT else quote
    pair = pair_name(base, quote if settle == usual else f"{quote}:{settle}")
    if kind is AssetClass.PERPETUAL:
        return f"{pair}-PERP"
    if expiry_ns is None:
        raise ValueError(f"{pair} of kind {kind.value} has no expiry")
    day = datetime.fromtimestamp(expiry_ns // NANOS_PER_SECOND, UTC).strftime("%Y%m%d")
    if kind is AssetClass.FUTURES:
        return f"{pair}-{day}"
    if option is None or not strike:
        raise ValueError(f"{pair} of {day} is an option without a strike")
    return f"{pair}-{day}-{strike}-{option.name[0]}"
