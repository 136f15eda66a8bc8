"""Bybit's messages: public topics of spot, linear and inverse.

https://bybit-exchange.github.io/docs/v5/websocket/public/trade, ``/orderbook`` and ``/ticker``::

    {"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1795341600110,"data":[{"T":1795341600100,
     "s":"BTCUSDT","S":"Buy","v":"0.010","p":"64000.10","i":"0c0ffee0-..","BT":false,"seq":70010001},..]}
    {"topic":"orderbook.1.BTCUSDT","ts":1795341600120,"type":"snapshot","data":{"s":"BTCUSDT",
     "b":[["64000.00","2.1"]],"a":[["64000.10","0.4"]],"u":4002,"seq":70010003},"cts":1795341600117}
    {"topic":"tickers.BTCUSDT","ts":1795341600200,"type":"snapshot","cs":70010002,
     "data":{"symbol":"BTCUSDT","lastPrice":"64000.10","volume24h":"8100.2",..}}
    {"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","bid1Price":"64000.00"},"cs":..,"ts":..}

``S`` is the taker's side. ``i`` is a long number on spot and a UUID elsewhere. The third is spot's, a snapshot
without quotes; the fourth is of linear and inverse: what a delta leaves out is unchanged. Keys come in any order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from multilogger.errors import FrameError
from multilogger.exchanges.fields import MOST, UNREADABLE, Spec, decode_object, diagnose, sane_time, sane_value
from multilogger.records import ExchangeId, Flag, Side, Trade

T = TypeVar("T")

MILLISECOND: Final = 1_000_000
MOST_ID: Final = 2**64
_MOST_DIGITS: Final = 20
"""Of an id below that."""
_UUID: Final = re.compile(
    r"([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE
)
_NO_ID: Final = -1


class TradeData(msgspec.Struct, gc=False):
    """An entry of ``publicTrade``."""

    i: str
    T: int
    p: float
    v: float
    S: Literal["Buy", "Sell"]


class BookData(msgspec.Struct, gc=False):
    """What ``orderbook.1`` says: the best level of each side; empty where a side is."""

    u: int
    b: list[list[float]]
    a: list[list[float]]


class LastData(msgspec.Struct, gc=False):
    """What ``tickers`` of spot says."""

    lastPrice: float
    volume24h: Any = UNSET
    """Any: where it is not recorded, what is wrong with it must not cost the last price."""


class TickerData(msgspec.Struct, gc=False):
    """What ``tickers`` of linear and inverse says; a delta leaves out what has not changed."""

    lastPrice: float | UnsetType = UNSET
    bid1Price: float | UnsetType = UNSET
    ask1Price: float | UnsetType = UNSET
    volume24h: Any = UNSET


class _Trades(msgspec.Struct, gc=False):
    data: list[TradeData]


class Book(msgspec.Struct, gc=False):
    """``orderbook.1``: snapshots alone; ``u`` changes with the quotes."""

    ts: int
    data: BookData


class Last(msgspec.Struct, gc=False):
    """``tickers`` of spot."""

    ts: int
    data: LastData


class Ticker(msgspec.Struct, gc=False):
    """``tickers`` of linear and inverse."""

    ts: int
    type: Literal["snapshot", "delta"]
    data: TickerData


# Not strict: numbers in text are decoded as numbers, with the same digits as by float().
decode_trades: Final = msgspec.json.Decoder(_Trades, strict=False).decode
decode_book: Final = msgspec.json.Decoder(Book, strict=False).decode
decode_last: Final = msgspec.json.Decoder(Last, strict=False).decode
decode_ticker: Final = msgspec.json.Decoder(Ticker, strict=False).decode

TRADE_SPEC: Final[Spec] = (
    ("i", str, "bad id"),
    ("T", int, "bad time"),
    ("p", float, "bad price"),
    ("v", float, "bad size"),
    ("S", Literal["Buy", "Sell"], "bad side"),
)
_TIME: Final = ("ts", int, "bad time")
_LEVELS: Final = list[list[float]]
SPECS: Final[dict[type[Any], tuple[Spec, Spec]]] = {
    Book: ((_TIME,), (("u", int, "bad id"), ("b", _LEVELS, "bad quote"), ("a", _LEVELS, "bad quote"))),
    Last: ((_TIME,), (("lastPrice", float, "bad price"),)),
    Ticker: (
        (_TIME, ("type", Literal["snapshot", "delta"], "bad type")),
        (("lastPrice", float, "bad price"), ("bid1Price", float, "bad quote"), ("ask1Price", float, "bad quote")),
    ),
}
"""What each message must have: beside its data, and in them; of a ticker's data what is there."""


def read(frame: bytes, decode: Callable[[bytes], T], general: Callable[[Mapping[str, Any]], T]) -> T:
    """Return a decoded frame, or find out why it can't be decoded.

    Args:
        frame: as it came.
        decode: its typed decoder.
        general: makes the same of what the frame is in JSON.

    Raises:
        FrameError: a field is missing, or of another type.
    """
    try:
        return decode(frame)
    except UNREADABLE:
        return general(decode_object(frame))


def message_of(kind: type[T]) -> Callable[[Mapping[str, Any]], T]:
    """Return what makes a :class:`Book`, :class:`Last` or :class:`Ticker` of a decoded frame, or raises FrameError."""

    def make(message: Mapping[str, Any]) -> T:
        try:
            return msgspec.convert(message, kind, strict=False)
        except msgspec.ValidationError as error:
            raise FrameError(_why_not(kind, message)) from error

    return make


def _why_not(kind: type[Any], message: Mapping[str, Any]) -> str:
    beside, within = SPECS[kind]
    data = message.get("data")
    if kind is Ticker and isinstance(data, dict):
        within = [field for field in within if field[0] in data]
    if "data" not in message:
        return "missing field"
    reason = diagnose(data, within)
    return diagnose(message, beside) if reason == "wrong type" else reason


book_of: Final = message_of(Book)
last_of: Final = message_of(Last)
ticker_of: Final = message_of(Ticker)


def entries_of(message: Mapping[str, Any]) -> list[Any]:
    """Return the entries of a ``publicTrade``, whatever they are.

    Raises:
        FrameError: there is no list of them.
    """
    entries = message.get("data")
    if not isinstance(entries, list):
        raise FrameError("wrong type" if "data" in message else "missing field")
    return entries


def trade_data(entry: Any) -> TradeData:
    """Return an entry of a ``publicTrade``.

    Raises:
        FrameError: a field is missing or of another type.
    """
    try:
        return msgspec.convert(entry, TradeData, strict=False)
    except msgspec.ValidationError as error:
        raise FrameError(diagnose(entry, TRADE_SPEC)) from error


def trade_id_of(text: str) -> int:
    """Return the integer that a trade's id is; of a UUID its first 8 bytes, big-endian; -1 for anything else."""
    if text.isdigit():
        known = text.isascii() and len(text) <= _MOST_DIGITS
        return int(text) if known else _NO_ID
    found = _UUID.fullmatch(text)
    return _NO_ID if found is None else int(found[1] + found[2] + found[3], 16)


def absurd_trade(price: float, size: float, time_ns: int) -> str:
    """Return why a trade of the right types is refused."""
    if not 0 < price < MOST:
        return "bad price"
    if not 0 < size < MOST:
        return "bad size"
    return "bad id" if sane_time(time_ns) else "bad time"


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
    time_ns, trade_id = data.T * MILLISECOND, trade_id_of(data.i)
    sane = sane_value(data.p) and sane_value(data.v) and sane_time(time_ns)
    if not (sane and 0 <= trade_id < MOST_ID):
        raise FrameError(absurd_trade(data.p, data.v, time_ns))
    return Trade(
        exchange=exchange,
        symbol=symbol,
        trade_id=trade_id,
        time_ns=time_ns,
        recv_ns=recv_ns,
        price=data.p,
        size=data.v,
        side=Side.BUY if data.S == "Buy" else Side.SELL,
        flags=flags,
        exchange_specific=rest,
    )


def time_of(ts: int) -> int:
    """Return nanoseconds since the epoch.

    Raises:
        FrameError: it is no time that an exchange can mean.
    """
    time_ns = ts * MILLISECOND
    if not sane_time(time_ns):
        raise FrameError("bad time")
    return time_ns


def best_of(levels: list[list[float]]) -> float:
    """Return the best price of a side of the book; 0 where that is empty.

    Raises:
        FrameError: it is no price.
    """
    if not levels:
        return 0.0
    if len(levels[0]) < 2 or not sane_value(levels[0][0]):  # noqa: PLR2004 - price and size
        raise FrameError("bad quote")
    return levels[0][0]


def volume_of(value: Any) -> float:
    """Return the volume of 24 hours.

    Raises:
        FrameError: it is no volume, or was left out.
    """
    if value is UNSET:
        raise FrameError("missing field")
    try:
        volume = msgspec.convert(value, float, strict=False)
    except msgspec.ValidationError as error:
        raise FrameError("bad size") from error
    if not sane_value(volume):
        raise FrameError("bad size")
    return volume
