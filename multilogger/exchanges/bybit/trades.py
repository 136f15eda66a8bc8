"""Bybit's trades, as its topic ``publicTrade`` has them.

https://bybit-exchange.github.io/docs/v5/websocket/public/trade::

    {"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1795341600110,"data":[{"T":1795341600100,
     "s":"BTCUSDT","S":"Buy","v":"0.010","p":"64000.10","L":"PlusTick","i":"0c0ffee0-..","BT":false,
     "RPI":false,"seq":70010001},..]}

Up to 1024 trades in a message, of now alone whatever its type says. ``S`` is the taker's side. ``i`` is a
long number on spot, and a UUID elsewhere. Keys come in any order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from multilogger.errors import FrameError
from multilogger.exchanges.fields import MOST, Spec, diagnose, sane_time, sane_value
from multilogger.records import ExchangeId, Flag, Side, Trade

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


class _Trades(msgspec.Struct, gc=False):
    data: list[TradeData]


# Not strict: numbers in text are decoded as numbers, with the same digits as by float().
decode_trades: Final = msgspec.json.Decoder(_Trades, strict=False).decode

TRADE_SPEC: Final[Spec] = (
    ("i", str, "bad id"),
    ("T", int, "bad time"),
    ("p", float, "bad price"),
    ("v", float, "bad size"),
    ("S", Literal["Buy", "Sell"], "bad side"),
)


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
    """Return a trade's id: an integer, or of a UUID the first 8 bytes, big-endian; -1 for anything else."""
    if text.isdigit():
        return int(text) if text.isascii() and len(text) <= _MOST_DIGITS else _NO_ID
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
