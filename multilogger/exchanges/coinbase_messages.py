"""Coinbase Exchange's messages.

https://docs.cdp.coinbase.com/exchange/websocket-feed/channels::

    {"type":"match","trade_id":700101,"maker_order_id":"..","taker_order_id":"..","side":"buy","size":"0.5",
     "price":"63999.00","product_id":"BTC-USD","sequence":9100000044,"time":"2026-11-22T10:00:00.123456Z"}
    {"type":"ticker","sequence":9100000044,"product_id":"BTC-USD","price":"63999.00",..,"best_bid":"63999.00",
     "best_ask":"63999.01",..,"side":"sell","time":"..","trade_id":700101,"last_size":"0.5"}

The side of a match is the maker's, that of a ticker the taker's. ``last_match`` and the first ticker of a
subscription tell what happened before it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from multilogger.exchanges.fields import MOST, Spec, sane_time

MOST_ID: Final = 2**63

MAKERS_SIDE: Final = {"sell": 1, "buy": 0}
"""The aggressor by the maker's side: a resting sell was bought from."""
TAKERS_SIDE: Final = {"buy": 1, "sell": 0}


class MatchData(msgspec.Struct, gc=False):
    """``match`` and ``last_match``."""

    product_id: str
    trade_id: int
    price: float
    size: float
    side: str
    time: str
    maker_order_id: str | None = None
    taker_order_id: str | None = None


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
