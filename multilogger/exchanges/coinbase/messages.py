"""Coinbase Exchange's messages.

https://docs.cdp.coinbase.com/exchange/websocket-feed/channels::

    {"type":"match","trade_id":700101,"maker_order_id":"..","taker_order_id":"..","side":"buy","size":"0.5",
     "price":"63999.00","product_id":"BTC-USD","sequence":9100000044,"time":"2026-11-22T10:00:00.123456Z"}
    {"type":"ticker","sequence":9100000044,"product_id":"BTC-USD","price":"63999.00",..,"best_bid":"63999.00",
     "best_ask":"63999.01",..,"side":"sell","time":"..","trade_id":700101,"last_size":"0.5"}

The side of a match is the maker's, that of a ticker the taker's. ``last_match`` and the first ticker of a
subscription tell what happened before it. A heartbeat comes once a second a product::

    {"type":"heartbeat","sequence":9100000050,"last_trade_id":700101,"product_id":"BTC-USD","time":".."}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from multilogger.errors import FrameError
from multilogger.exchanges.fields import MOST, IsoClock, Spec, order_id, sane_time, sane_value
from multilogger.records import ExchangeId, Flag, Side, Trade

MOST_ID: Final = 2**63

MAKERS_SIDE: Final = {"sell": 1, "buy": 0}
"""The aggressor by the maker's side: a resting sell was bought from."""
TAKERS_SIDE: Final = {"buy": 1, "sell": 0}


class PastTradeData(msgspec.Struct, gc=False):
    """A trade as a page of past ones has it."""

    trade_id: int
    price: float
    size: float
    side: str
    time: str
    maker_order_id: str | None = None
    taker_order_id: str | None = None


class MatchData(PastTradeData, gc=False, kw_only=True):
    """``match`` and ``last_match``."""

    product_id: str


class TickerData(msgspec.Struct, gc=False):
    """``ticker``."""

    product_id: str
    price: float
    last_size: float
    volume_24h: float
    side: str
    best_bid: float
    best_ask: float
    time: str


# Not strict: numbers in text are decoded as numbers, with the same digits as by float().
decode_match: Final = msgspec.json.Decoder(MatchData, strict=False).decode
decode_ticker: Final = msgspec.json.Decoder(TickerData, strict=False).decode

MATCH_SPEC: Final[Spec] = (
    ("product_id", str, "bad symbol"),
    ("trade_id", int, "bad id"),
    ("price", float, "bad price"),
    ("size", float, "bad size"),
    ("side", str, "bad side"),
    ("time", str, "bad time"),
    ("maker_order_id", str | None, "bad order id"),
    ("taker_order_id", str | None, "bad order id"),
)
PAST_TRADE_SPEC: Final[Spec] = tuple(field for field in MATCH_SPEC if field[0] != "product_id")
TICKER_SPEC: Final[Spec] = (
    ("product_id", str, "bad symbol"),
    ("price", float, "bad price"),
    ("last_size", float, "bad size"),
    ("volume_24h", float, "bad size"),
    ("side", str, "bad side"),
    ("best_bid", float, "bad quote"),
    ("best_ask", float, "bad quote"),
    ("time", str, "bad time"),
)


def absurd(price: float, size: float, time_ns: int, otherwise: str) -> str:
    """Return why a row of the right types is refused."""
    if not 0 < price < MOST:
        return "bad price"
    if not 0 < size < MOST:
        return "bad size"
    return otherwise if sane_time(time_ns) else "bad time"


def trade_of(
    data: PastTradeData, symbol: str, *, recv_ns: int = 0, flags: Flag = Flag.LIVE, rest: Mapping[str, Any]
) -> Trade:
    """Return a trade as a record.

    Raises:
        FrameError: a value is absurd; the reasons are those of the rows of a stream.
    """
    time_ns, side = time_of(data.time), side_of(data.side, MAKERS_SIDE)
    sane = sane_value(data.price) and sane_value(data.size) and sane_time(time_ns)
    if not (sane and 0 <= data.trade_id < MOST_ID):
        raise FrameError(absurd(data.price, data.size, time_ns, "bad id"))
    return Trade(
        exchange=ExchangeId.COINBASE,
        symbol=symbol,
        trade_id=data.trade_id,
        time_ns=time_ns,
        recv_ns=recv_ns,
        price=data.price,
        size=data.size,
        side=side,
        maker_order_id=order_id(data.maker_order_id),
        taker_order_id=order_id(data.taker_order_id),
        flags=flags,
        exchange_specific=rest,
    )


def time_of(text: str) -> int:
    """Return nanoseconds since the epoch.

    Raises:
        FrameError: it is no ISO-8601 UTC time.
    """
    try:
        return IsoClock().ns(text)
    except ValueError as error:
        raise FrameError("bad time") from error


def side_of(text: str, aggressors: Mapping[str, int]) -> Side:
    """Return the aggressor's side.

    Raises:
        FrameError: the word is no side.
    """
    if text not in aggressors:
        raise FrameError("bad side")
    return Side(aggressors[text])
