"""Bybit's quotes and last prices, as its topics ``orderbook.1`` and ``tickers`` have them.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook and ``/ticker``::

    {"topic":"orderbook.1.BTCUSDT","ts":1795341600120,"type":"snapshot","data":{"s":"BTCUSDT",
     "b":[["64000.00","2.1"]],"a":[["64000.10","0.4"]],"u":4002,"seq":70010003},"cts":1795341600117}
    {"topic":"tickers.BTCUSDT","ts":1795341600200,"type":"snapshot","cs":70010002,
     "data":{"symbol":"BTCUSDT","lastPrice":"64000.10","volume24h":"8100.2",..}}
    {"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","bid1Price":"64000.00",..},
     "cs":70010002,"ts":1795341600200}

The first two are spot's, always snapshots: ``orderbook.1`` comes again with the same ``u`` after 3 seconds
without a change, and ``tickers`` has no quotes. The third is of linear and inverse: what a delta leaves out
is unchanged. Keys come in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from multilogger.errors import FrameError
from multilogger.exchanges.bybit.trades import MILLISECOND
from multilogger.exchanges.fields import UNREADABLE, Spec, decode_object, diagnose, sane_time, sane_value

T = TypeVar("T")


class BookData(msgspec.Struct, gc=False):
    """The best level of each side, price and size; no level of a side that is empty."""

    u: int
    b: list[list[float]]
    a: list[list[float]]


class LastData(msgspec.Struct, gc=False, rename="camel"):
    """The last price."""

    last_price: float
    volume24h: Any = UNSET
    """Any: where it is not recorded, what is wrong with it must not cost the last price."""


class TickerData(msgspec.Struct, gc=False, rename="camel"):
    """Last price and quotes, as far as they have changed."""

    last_price: float | UnsetType = UNSET
    bid1_price: float | UnsetType = UNSET
    ask1_price: float | UnsetType = UNSET
    volume24h: Any = UNSET


class Book(msgspec.Struct, gc=False):
    """``orderbook.1``: ``u`` changes with the quotes."""

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
decode_book: Final = msgspec.json.Decoder(Book, strict=False).decode
decode_last: Final = msgspec.json.Decoder(Last, strict=False).decode
decode_ticker: Final = msgspec.json.Decoder(Ticker, strict=False).decode

_TIME: Final = ("ts", int, "bad time")
_LEVELS: Final = list[list[float]]
SPECS: Final[dict[type[Any], tuple[Spec, Spec]]] = {
    Book: ((_TIME,), (("u", int, "bad id"), ("b", _LEVELS, "bad quote"), ("a", _LEVELS, "bad quote"))),
    Last: ((_TIME,), (("lastPrice", float, "bad price"),)),
    Ticker: (
        (_TIME, ("type", Literal["snapshot", "delta"], "bad type")),
        (
            ("lastPrice", float, "bad price"),
            ("bid1Price", float, "bad quote"),
            ("ask1Price", float, "bad quote"),
        ),
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
    """Return what makes a message of a decoded frame.

    Args:
        kind: :class:`Book`, :class:`Last` or :class:`Ticker`. What is returned raises FrameError where a
            field is missing, or of another type.
    """

    def make(message: Mapping[str, Any]) -> T:
        try:
            return msgspec.convert(message, kind, strict=False)
        except msgspec.ValidationError as error:
            raise FrameError(_why_not(kind, message)) from error

    return make


def _why_not(kind: type[Any], message: Mapping[str, Any]) -> str:
    beside, within = SPECS[kind]
    if "data" not in message:
        return "missing field"
    data = message["data"]
    if kind is Ticker and isinstance(data, dict):
        within = [field for field in within if field[0] in data]
    reason = diagnose(data, within)
    return diagnose(message, beside) if reason == "wrong type" else reason


book_of: Final = message_of(Book)
last_of: Final = message_of(Last)
ticker_of: Final = message_of(Ticker)


def told_by_book(message: Book) -> tuple[int, float, float]:
    """Return time, best bid and best ask of an ``orderbook.1``; 0 for an empty side.

    Raises:
        FrameError: a value is absurd.
    """
    bid, ask = _best_of(message.data.b), _best_of(message.data.a)
    return time_of(message.ts), bid, ask


def told_by_last(message: Last, *, daily: bool) -> tuple[int, float, float]:
    """Return time, last price and volume of a ``tickers`` of spot; 0 for a volume that is not needed.

    Raises:
        FrameError: a value is absurd.
    """
    last = message.data.last_price
    if not sane_value(last):
        raise FrameError("bad price")
    volume = volume_of(message.data.volume24h) if daily else 0.0
    return time_of(message.ts), last, volume


def time_of(ts: int) -> int:
    """Return nanoseconds since the epoch.

    Raises:
        FrameError: it is no time that an exchange can mean.
    """
    time_ns = ts * MILLISECOND
    if not sane_time(time_ns):
        raise FrameError("bad time")
    return time_ns


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


def _best_of(levels: list[list[float]]) -> float:
    if not levels:
        return 0.0
    if len(levels[0]) < 2 or not sane_value(levels[0][0]):  # noqa: PLR2004 - price and size
        raise FrameError("bad quote")
    return levels[0][0]
