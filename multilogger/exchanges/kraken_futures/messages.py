"""Kraken Futures' messages: the feeds ``trade``, ``ticker`` and ``ticker_lite`` of its WebSocket API v1.

https://docs.kraken.com/api/docs/futures-api/websocket/trade, ``../ticker``, ``../ticker_lite``::

    {"product_id":"PF_XBTUSD","feed":"trade","uid":"0a1b2c3d-4e5f-4a6b-8c7d-8e9f0a1b2c3d","side":"sell",
     "type":"fill","time":1795341600123,"qty":0.0125,"price":64000.5,"seq":421135}
    {"feed":"trade_snapshot","product_id":"PF_XBTUSD","trades":[{..},..]}
    {"time":1795341600200,"product_id":"PF_XBTUSD","funding_rate":..,"feed":"ticker","bid":64000.0,
     "ask":64001.0,"bid_size":..,"ask_size":..,"volume":4237.27,..,"last":64000.5,..}
    {"feed":"ticker_lite","product_id":"PF_XBTUSD","bid":64000.0,"ask":64001.0,..,"volume":4237.27,..}

Prices and sizes are JSON numbers, times milliseconds; the order of the keys has changed over the years. The
side is the taker's. A snapshot comes once a subscription, with up to 100 trades, the newest first. A ticker
tells no size and no side of the last trade, ``ticker_lite`` neither last trade nor time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import msgspec

from multilogger.errors import FrameError
from multilogger.exchanges.composer import Market
from multilogger.exchanges.fields import MOST, Spec, convert, sane_time, sane_value
from multilogger.records import ExchangeId, Flag, Side, Trade

TAKERS_SIDE: Final = {"buy": 1, "sell": 0}
NANOS_PER_MILLISECOND: Final = 1_000_000
BLOCK: Final = "block"
"""The type of a trade that two parties agreed on beside the order book."""
_UUID_BYTES: Final = 16


class FillData(msgspec.Struct, gc=False):
    """An entry of ``trade_snapshot``."""

    uid: str
    side: str
    time: int
    qty: float
    price: float
    seq: Any = None
    """Rises by one a product, until the exchange restarts its engine. Any: no row needs it."""
    type: Any = None
    """``fill``, ``liquidation``, ``assignment``, ``termination`` or ``block``."""


class TradeData(FillData, gc=False, kw_only=True):
    """``trade``."""

    feed: str
    product_id: str


class QuoteData(msgspec.Struct, gc=False, kw_only=True):
    """``ticker_lite``: ``volume`` is that of 24 hours."""

    feed: str
    product_id: str
    bid: float
    ask: float
    volume: float


class TickerData(QuoteData, gc=False, kw_only=True):
    """``ticker``."""

    time: int
    last: float


# Not strict: numbers in text are decoded as numbers, with the same digits as by float().
decode_trade: Final = msgspec.json.Decoder(TradeData, strict=False).decode
decode_ticker: Final = msgspec.json.Decoder(TickerData, strict=False).decode

FILL_SPEC: Final[Spec] = (
    ("uid", str, "bad id"),
    ("side", str, "bad side"),
    ("time", int, "bad time"),
    ("qty", float, "bad size"),
    ("price", float, "bad price"),
)
_PRODUCT: Final = ("product_id", str, "bad symbol")
TRADE_SPEC: Final[Spec] = (_PRODUCT, *FILL_SPEC)
QUOTE_SPEC: Final[Spec] = (
    _PRODUCT,
    ("bid", float, "bad quote"),
    ("ask", float, "bad quote"),
    ("volume", float, "bad size"),
)
TICKER_SPEC: Final[Spec] = (*QUOTE_SPEC, ("time", int, "bad time"), ("last", float, "bad price"))


@attrs.define(eq=False)
class FuturesMarket(Market):
    """What is known of a product's last trade, when that was, and its newest ticker."""

    seq: int = 0
    """Of the last trade; 0 where it told none."""
    time_ns: int = 0
    """Exchange time of the last trade, nanoseconds since the epoch."""
    ticker: tuple[int, float, float, float] | None = None
    """Time, last price and quotes of the newest ticker that became a row; None before the first."""

    def note(self, seq: int, time_ns: int, price: float, size: float, side: int) -> None:
        """Take a trade for the last one, unless it is older: sent late, again, or by the slower connection.

        By either number alone an exchange whose clock was put back, or whose numbers begin anew, would have
        no newer trade for long.
        """
        if seq > self.seq or time_ns > self.time_ns:
            self.seq, self.time_ns = seq, time_ns
            self.price, self.size, self.side = price, size, side


def trade_id_of(uid: str) -> int:
    """Return the first 8 bytes of a UUID as a big-endian number.

    Raises:
        FrameError: it is no UUID.
    """
    try:
        octets = bytes.fromhex(uid.replace("-", ""))
    except ValueError as error:
        raise FrameError("bad id") from error
    if len(octets) != _UUID_BYTES:
        raise FrameError("bad id")
    return int.from_bytes(octets[:8], "big")


def side_of(word: str) -> int:
    """Return the aggressor's side.

    Raises:
        FrameError: the word is no side.
    """
    if word not in TAKERS_SIDE:
        raise FrameError("bad side")
    return TAKERS_SIDE[word]


def sequence_of(seq: object) -> int:
    """Return the number of a trade within its product; 0 for anything that is none."""
    return seq if type(seq) is int else 0


def absurd_trade(price: float, size: float) -> str:
    """Return why a trade of the right types is refused."""
    if not 0 < price < MOST:
        return "bad price"
    return "bad time" if 0 < size < MOST else "bad size"


def absurd_ticker(last: float, time_ns: int) -> str:
    """Return why a ticker of the right types is refused."""
    if not 0 < last < MOST:
        return "bad price"
    return "bad quote" if sane_time(time_ns) else "bad time"


def is_event(message: Mapping[str, Any]) -> bool:
    """Return whether a message says something of the connection, and is no data of a product."""
    return isinstance(message.get("event"), str) and "product_id" not in message


def entries_of(message: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return product and entries of a ``trade_snapshot``, the oldest trade first.

    Raises:
        FrameError: it has none.
    """
    name, entries = message.get("product_id"), message.get("trades")
    if name is None or entries is None:
        raise FrameError("missing field")
    if not isinstance(name, str):
        raise FrameError("bad symbol")
    if not isinstance(entries, list):
        raise FrameError("wrong type")
    return name, entries[::-1]


def fill_of(entry: object) -> FillData:
    """Return an entry of a ``trade_snapshot``.

    Raises:
        FrameError: it is none.
    """
    if not isinstance(entry, dict):
        raise FrameError("not an object")
    return convert(entry, FillData, FILL_SPEC)


def trade_of(
    symbol: str,
    uid: str,
    *,
    time_ns: int,
    price: float,
    size: float,
    side: str,
    recv_ns: int = 0,
    flags: Flag = Flag.LIVE,
    rest: Mapping[str, Any],
) -> Trade:
    """Return a trade as a record.

    Raises:
        FrameError: a value is absurd; the reasons are those of the rows of a stream.
    """
    if not (sane_value(price) and sane_value(size) and sane_time(time_ns)):
        raise FrameError(absurd_trade(price, size))
    return Trade(
        exchange=ExchangeId.KRAKEN_FUTURES,
        symbol=symbol,
        trade_id=trade_id_of(uid),
        time_ns=time_ns,
        recv_ns=recv_ns,
        price=price,
        size=size,
        side=Side(side_of(side)),
        flags=flags,
        exchange_specific=rest,
    )
