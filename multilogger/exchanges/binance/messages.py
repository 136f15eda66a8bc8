"""Binance spot's dialect: combined streams and their subscriptions.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams::

    {"stream":"btcusdt@trade","data":{"e":"trade","E":1795341600101,"s":"BTCUSDT","t":5000001,
     "p":"64000.10","q":"0.01000","T":1795341600100,"m":true,"M":true}}
    {"stream":"btcusdt@aggTrade","data":{"e":"aggTrade",..,"a":3000001,"p":..,"q":..,"T":..,"m":true}}
    {"stream":"btcusdt@ticker","data":{"e":"24hrTicker","E":..,"c":last,"Q":its size,"b":bid,"a":ask,..,
     "L":5000001}}
    {"stream":"btcusdt@bookTicker","data":{"u":88000001,"s":"BTCUSDT","b":bid,"B":..,"a":ask,"A":..}}

``m`` true says that the buyer was the maker: the aggressor sold. ``bookTicker`` tells no time. A stream that
does not exist is acknowledged like any other, and stays silent. A ticker's ``L`` is the last trade's id, of
``trade`` and not of ``aggTrade``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from multilogger.errors import FrameError
from multilogger.exchanges.fields import MOST, Spec, decode_object, epoch_ns, sane_time, sane_value
from multilogger.records import ExchangeId, Flag, Side, Trade


class TradeData(msgspec.Struct, gc=False):
    """``@trade``."""

    t: int
    p: float
    q: float
    T: int
    m: bool


class AggTradeData(TradeData, gc=False):
    """``@aggTrade``: fills of one taker order at one price, with ids of their own."""

    t: int = msgspec.field(name="a")


class TickerData(msgspec.Struct, gc=False):
    """``@ticker``, once a second: the last trade and the 24-hour volume beside the best quotes."""

    E: int
    c: float
    Q: float
    v: float
    b: float
    a: float
    L: Any = None
    """Id of the last trade, -1 where there is none. Any: what is wrong with it must not cost the ticker."""


class BookTickerData(msgspec.Struct, gc=False):
    """``@bookTicker``, at every change of the best quotes."""

    b: float
    a: float


class _Trade(msgspec.Struct, gc=False):
    data: TradeData


class _AggTrade(msgspec.Struct, gc=False):
    data: AggTradeData


class _Ticker(msgspec.Struct, gc=False):
    data: TickerData


class _BookTicker(msgspec.Struct, gc=False):
    data: BookTickerData


# Not strict: numbers in text are decoded as numbers, with the same digits as by float().
decode_trade: Final = msgspec.json.Decoder(_Trade, strict=False).decode
decode_agg_trade: Final = msgspec.json.Decoder(_AggTrade, strict=False).decode
decode_ticker: Final = msgspec.json.Decoder(_Ticker, strict=False).decode
decode_book_ticker: Final = msgspec.json.Decoder(_BookTicker, strict=False).decode

_PRICES: Final = (("p", float, "bad price"), ("q", float, "bad size"))
_TRADE_TAIL: Final = (*_PRICES, ("T", int, "bad time"), ("m", bool, "bad side"))
SPECS: Final[dict[str, Spec]] = {
    "trade": (("t", int, "bad id"), *_TRADE_TAIL),
    "aggTrade": (("a", int, "bad id"), *_TRADE_TAIL),
    "ticker": (
        ("E", int, "bad time"),
        ("c", float, "bad price"),
        ("Q", float, "bad size"),
        ("v", float, "bad size"),
        ("b", float, "bad quote"),
        ("a", float, "bad quote"),
    ),
    "bookTicker": (("b", float, "bad quote"), ("a", float, "bad quote")),
}
"""The fields that each stream must have."""


MOST_ID: Final = 2**63


def absurd_trade(price: float, size: float, trade_id: int) -> str:
    """Return why a trade of the right types is refused."""
    if not 0 < price < MOST:
        return "bad price"
    if not 0 < size < MOST:
        return "bad size"
    return "bad time" if 0 <= trade_id < MOST_ID else "bad id"


def absurd_ticker(last: float, volume: float, time_ns: int) -> str:
    """Return why a ticker of the right types is refused."""
    if not 0 < last < MOST:
        return "bad price"
    if not 0 < volume < MOST:
        return "bad size"
    return "bad quote" if sane_time(time_ns) else "bad time"


def event_of(raw: bytes) -> tuple[str, dict[str, Any]]:
    """Return kind and content of an event, wrapped for a combined stream or not.

    Raises:
        FrameError: it is no JSON object.
    """
    message = decode_object(raw)
    data = message.get("data", message)
    if not isinstance(data, dict):
        raise FrameError("not an object")
    # Spot's bookTicker alone names no event type.
    kind = data.get("e", "bookTicker" if data.keys() >= {"u", "s", "b", "B", "a", "A"} else "")
    return str(kind), data


def symbol_of(event: Mapping[str, Any]) -> str:
    """Return the symbol that an event names.

    Raises:
        FrameError: it names none.
    """
    symbol = event.get("s")
    if not isinstance(symbol, str):
        raise FrameError("missing field")
    return symbol


def trade_of(
    data: TradeData,
    exchange: ExchangeId,
    symbol: str,
    *,
    recv_ns: int = 0,
    flags: Flag = Flag.LIVE,
    rest: Mapping[str, Any],
) -> Trade:
    """Return a trade as a record.

    Raises:
        FrameError: a value is absurd; the reasons are those of the rows of a stream.
    """
    time_ns = epoch_ns(data.T)
    sane = sane_value(data.p) and sane_value(data.q) and sane_time(time_ns)
    if not (sane and 0 <= data.t < MOST_ID):
        raise FrameError(absurd_trade(data.p, data.q, data.t))
    return Trade(
        exchange=exchange,
        symbol=symbol,
        trade_id=data.t,
        time_ns=time_ns,
        recv_ns=recv_ns,
        price=data.p,
        size=data.q,
        side=Side.SELL if data.m else Side.BUY,
        flags=flags,
        exchange_specific=rest,
    )
