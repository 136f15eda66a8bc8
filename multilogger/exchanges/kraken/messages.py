"""Kraken spot's messages, WebSocket API v2.

https://docs.kraken.com/api/docs/websocket-v2/trade and .../ticker::

    {"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":64000.1,
     "qty":0.01000000,"ord_type":"market","trade_id":81000001,"timestamp":"2026-11-22T10:00:00.123456Z"}, ..]}
    {"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":64000.0,"bid_qty":1.2,
     "ask":64000.1,"ask_qty":0.4,"last":64000.1,"volume":2100.5,..}]}

``side`` is the taker's. A message of trades may have several of them, of several taker orders. ``snapshot``
stands in place of ``update`` in the first message of a subscription: it tells the newest 50 trades, or the
ticker as it is. All numbers are JSON numbers, some with an exponent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from multilogger.errors import FrameError
from multilogger.exchanges.fields import (
    MOST,
    IsoClock,
    Spec,
    convert,
    decode_object,
    sane_time,
    sane_value,
    unnamed,
)
from multilogger.records import ExchangeId, Flag, Side, Trade

MOST_ID: Final = 2**63
TRADE: Final = "trade"
TICKER: Final = "ticker"
FLAGS: Final[Mapping[str, int]] = {"update": int(Flag.LIVE), "snapshot": int(Flag.REPLAYED)}
"""What the type of a message says of its rows. Members of an enumeration would cost more than the row."""
TAKERS_SIDE: Final = {"buy": 1, "sell": 0}
LAST_STAGES: Final = ("imminent_5m", "final_warning_30s")
"""Of a maintenance that is announced; the earlier ones come up to 72 hours before."""
_OURS: Final = ("spot_ws", "all")
"""Services whose maintenance cuts connections."""


class TradeData(msgspec.Struct, gc=False):
    """A trade of the channel ``trade``."""

    symbol: str
    side: str
    price: float
    qty: float
    trade_id: int
    timestamp: str


class TickerData(msgspec.Struct, gc=False):
    """A ticker of the channel ``ticker``: of the last trade its price alone, and no time that is sure."""

    symbol: str
    bid: float
    ask: float
    last: float | None = None
    """Only sure to be told if there was a trade within 24 hours."""
    volume: float | None = None
    """Of 24 hours."""


class Trades(msgspec.Struct, gc=False):
    """A message of the channel ``trade``."""

    type: str
    data: list[TradeData]


class Tickers(msgspec.Struct, gc=False):
    """A message of the channel ``ticker``."""

    type: str
    data: list[TickerData]


# Not strict: a number in text would be decoded like any other.
decode_trades: Final = msgspec.json.Decoder(Trades, strict=False).decode
decode_tickers: Final = msgspec.json.Decoder(Tickers, strict=False).decode

TRADE_SPEC: Final[Spec] = (
    ("symbol", str, "bad symbol"),
    ("side", str, "bad side"),
    ("price", float, "bad price"),
    ("qty", float, "bad size"),
    ("trade_id", int, "bad id"),
    ("timestamp", str, "bad time"),
)
TICKER_SPEC: Final[Spec] = (
    ("symbol", str, "bad symbol"),
    ("bid", float, "bad quote"),
    ("ask", float, "bad quote"),
    ("last", float | None, "bad price"),
    ("volume", float | None, "bad size"),
)
_TRADE_FIELDS: Final = frozenset(name for name, _, _ in TRADE_SPEC)


def absurd(price: float, size: float, otherwise: str) -> str:
    """Return why a row of the right types is refused."""
    if not 0 < price < MOST:
        return "bad price"
    return otherwise if 0 < size < MOST else "bad size"


def entries_of(message: Mapping[str, Any]) -> tuple[int, list[Any]]:
    """Return the flags of a message's rows, and what it has in ``data``.

    Raises:
        FrameError: it is neither snapshot nor update, or has no list of data.
    """
    if "data" not in message or "type" not in message:
        raise FrameError("missing field")
    kind, data = message["type"], message["data"]
    if not isinstance(kind, str) or kind not in FLAGS:
        raise FrameError("bad type")
    if not isinstance(data, list):
        raise FrameError("not a list")
    return FLAGS[kind], data


def channel_entries(frame: bytes, channel: str) -> tuple[int, list[Any]]:
    """Return the same of a frame; nothing of one of another channel.

    Raises:
        FrameError: it is no JSON object, or of this channel and can't be understood.
    """
    message = decode_object(frame)
    return entries_of(message) if message.get("channel") == channel else (0, [])


def as_object(entry: object) -> dict[str, Any]:
    """Return one of a message's data.

    Raises:
        FrameError: it is no object.
    """
    if not isinstance(entry, dict):
        raise FrameError("not an object")
    return entry


def trade_of(entry: object, *, recv_ns: int = 0, flags: int = 0) -> Trade:
    """Return a trade of a message as a record.

    Raises:
        FrameError: it can't be understood; the reasons are those of the rows of a stream.
    """
    fields = as_object(entry)
    data = convert(fields, TradeData, TRADE_SPEC)
    try:
        time_ns = IsoClock().ns(data.timestamp)
    except ValueError as error:
        raise FrameError("bad time") from error
    if data.side not in TAKERS_SIDE:
        raise FrameError("bad side")
    return trade_record(
        data.symbol,
        trade_id=data.trade_id,
        time_ns=time_ns,
        recv_ns=recv_ns,
        price=data.price,
        size=data.qty,
        side=Side(TAKERS_SIDE[data.side]),
        flags=Flag(flags),
        rest=unnamed(fields, _TRADE_FIELDS),
    )


def trade_record(
    symbol: str,
    *,
    trade_id: int,
    time_ns: int,
    recv_ns: int = 0,
    price: float,
    size: float,
    side: Side,
    flags: Flag,
    rest: Mapping[str, Any],
) -> Trade:
    """Return a trade as a record, of the stream or of the past.

    Raises:
        FrameError: a value is absurd.
    """
    if not (sane_value(price) and sane_value(size) and 0 <= trade_id < MOST_ID):
        raise FrameError(absurd(price, size, "bad id"))
    if not sane_time(time_ns):
        raise FrameError("bad time")
    return Trade(
        exchange=ExchangeId.KRAKEN,
        symbol=symbol,
        trade_id=trade_id,
        time_ns=time_ns,
        recv_ns=recv_ns,
        price=price,
        size=size,
        side=side,
        flags=flags,
        exchange_specific=rest,
    )


def maintenance_stage(status: Mapping[str, Any]) -> str:
    """Return how near the announced maintenances are that concern us; empty where there are none.

    Args:
        status: the one entry of a message of the channel ``status``.
    """
    announced = status.get("upcoming_maintenance")
    stages = [
        str(it.get("phase", ""))
        for it in (announced if isinstance(announced, list) else ())
        if isinstance(it, dict) and _concerns(it.get("affected_services"))
    ]
    return next((stage for stage in stages if stage in LAST_STAGES), stages[0] if stages else "")


def _concerns(services: object) -> bool:
    """Return whether a maintenance concerns our connections; one that does not say which concerns all."""
    return not isinstance(services, list) or any(it in _OURS for it in services)
