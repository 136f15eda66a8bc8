"""The public records: what every exchange's messages become, whatever the exchange.

They serve users of the package and everything that is not done per message; the recorder's hot path packs
the same fields straight into rows (:mod:`multilogger.batch`).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

import attrs

_EXCHANGE_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


class Side(enum.IntEnum):
    """The aggressor (taker) of a trade, with the value that the side columns hold."""

    SELL = 0
    BUY = 1


class Flag(enum.IntFlag):
    """How a row came to us: the bits of the ``flags`` column."""

    LIVE = 0
    BACKFILLED = 1
    REPLAYED = 2
    """Sent by the exchange at subscribe, for a trade or ticker that happened before."""
    SUSPECT = 4
    """Kept as it came, but failed a check: price jump, crossed quotes, clock, size."""


MERGED_SHIFT: Final = 8
"""From this bit on, ``flags`` of a trade count the fills merged into it beyond the first."""


class ExchangeId(str):
    """The lower-case name of an exchange, as in configuration, directories and metrics.

    A string rather than an enumeration, because plugins bring exchanges of their own.

    Raises:
        ValueError: the name is not lower-case letters, digits and underscores.
    """

    __slots__ = ()

    COINBASE: ClassVar[ExchangeId]
    BINANCE: ClassVar[ExchangeId]
    KRAKEN: ClassVar[ExchangeId]
    BYBIT: ClassVar[ExchangeId]
    OKX: ClassVar[ExchangeId]
    BINANCE_USDM: ClassVar[ExchangeId]
    BINANCE_COINM: ClassVar[ExchangeId]
    BYBIT_LINEAR: ClassVar[ExchangeId]
    BYBIT_INVERSE: ClassVar[ExchangeId]
    KRAKEN_FUTURES: ClassVar[ExchangeId]

    def __new__(cls, name: str) -> Self:
        """Check and wrap ``name``."""
        if not _EXCHANGE_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no exchange name: lower-case letters, digits and _ are")
        return super().__new__(cls, name)


for _name in (
    *("coinbase", "binance", "kraken", "bybit", "okx"),
    *("binance_usdm", "binance_coinm", "bybit_linear", "bybit_inverse", "kraken_futures"),
):
    setattr(ExchangeId, _name.upper(), ExchangeId(_name))


@attrs.frozen(kw_only=True)
class Trade:
    """One trade."""

    exchange: ExchangeId
    symbol: str
    """The exchange's own spelling, such as ``BTCUSDT``."""
    trade_id: int
    time_ns: int
    """Exchange time of the trade, nanoseconds since the epoch (UTC)."""
    recv_ns: int
    """Local time at which the frame was received, nanoseconds since the epoch."""
    price: float
    size: float
    """In the exchange's own unit: base currency on spot markets, contracts on derivatives."""
    side: Side
    """The aggressor's."""
    maker_order_id: bytes = bytes(16)
    """16 bytes, a UUID in textual order; zeros where the exchange gives none."""
    taker_order_id: bytes = bytes(16)
    flags: Flag = Flag.LIVE
    count: int = 1
    """Fills that the exchange has merged into it; their ids end with ``trade_id``."""
    exchange_specific: Mapping[str, Any] = attrs.field(factory=dict)
    """Every field of the message that has no place above, as the exchange spelled it."""


@attrs.frozen(kw_only=True)
class MarketData:
    """The state of a market at one time: last trade and best quotes."""

    exchange: ExchangeId
    symbol: str
    time_ns: int
    """Exchange time; the receive time for feeds without one."""
    recv_ns: int
    price: float | None
    """Price of the last trade; None where neither this message nor an earlier one told it."""
    volume: float | None
    """Size of the last trade, or the 24-hour volume where so configured; None as for ``price``."""
    side: Side | None
    """Aggressor of the last trade; None as for ``price``."""
    best_bid: float
    best_ask: float
    flags: Flag = Flag.LIVE
    exchange_specific: Mapping[str, Any] = attrs.field(factory=dict)
