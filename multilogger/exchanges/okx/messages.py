"""OKX's dialect: channels, their subscriptions, and what else is said on a connection.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data::

    {"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"900123",
     "px":"64000.1","sz":"0.03","side":"buy","ts":"1795341600100","count":"3","source":"0","seqId":33001}]}
    {"arg":{"channel":"trades-all",..},"data":[{"instId":..,"tradeId":..,"px":..,"sz":..,"side":..,"ts":..}]}
    {"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT","instId":"BTC-USDT",
     "last":"64000.1","lastSz":"0.03","askPx":"64000.2",..,"bidPx":"64000.1",..,"vol24h":"8100","ts":".."}]}

``side`` is the taker's. ``trades`` merges the fills of one taker order at one price: ``tradeId`` is the last
one's id, and ``count`` how many there were. ``trades-all``, on another path, has them one by one. Where an
instrument has no quote or no trade, a ticker's field is empty text. Sizes of derivatives are in contracts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from multilogger.errors import FrameError
from multilogger.exchanges.fields import MOST, Spec, sane_time, sane_value
from multilogger.records import ExchangeId, Flag, Side, Trade

D = TypeVar("D")

TRADES: Final = "trades"
ALL_TRADES: Final = "trades-all"
TICKERS: Final = "tickers"
PING: Final = "ping"
"""Not JSON; nor is the answer."""
PONG: Final = b"pong"

SIDES: Final = {"buy": 1, "sell": 0}
MOST_ID: Final = 2**63
MOST_FILLS: Final = 2**24
"""So many merged fills, and no more, find room in a row's flags."""
NS_PER_MS: Final = 1_000_000


class TradeData(msgspec.Struct, rename="camel", gc=False):
    """An entry of ``trades`` and ``trades-all``, and of a page of past trades."""

    trade_id: int
    px: float
    sz: float
    side: str
    ts: int
    count: int = 1


class TickerData(msgspec.Struct, rename="camel", gc=False):
    """An entry of ``tickers``, at most one in 100 ms."""

    last: float
    bid_px: float
    ask_px: float
    ts: int
    volume: float = msgspec.field(name="lastSz")


class DailyTickerData(TickerData, gc=False):
    """The same with the volume of 24 hours."""

    volume: float = msgspec.field(name="vol24h")


class _Push(msgspec.Struct, Generic[D], gc=False):
    data: list[D]


# Not strict: numbers in text are decoded as numbers, with the same digits as by float().
decode_trades: Final = msgspec.json.Decoder(_Push[TradeData], strict=False).decode
decode_tickers: Final = msgspec.json.Decoder(_Push[TickerData], strict=False).decode
decode_daily_tickers: Final = msgspec.json.Decoder(_Push[DailyTickerData], strict=False).decode

TRADE_SPEC: Final[Spec] = (
    ("tradeId", int, "bad id"),
    ("px", float, "bad price"),
    ("sz", float, "bad size"),
    ("side", str, "bad side"),
    ("ts", int, "bad time"),
    ("count", int, "bad count"),
)
_QUOTES: Final = (("bidPx", float, "bad quote"), ("askPx", float, "bad quote"), ("ts", int, "bad time"))
TICKER_SPEC: Final[Spec] = (("last", float, "bad price"), ("lastSz", float, "bad size"), *_QUOTES)
DAILY_TICKER_SPEC: Final[Spec] = (("last", float, "bad price"), ("vol24h", float, "bad size"), *_QUOTES)

_EMPTY: Final = {
    "last": "ticker without a trade",
    "lastSz": "ticker without a trade",
    "bidPx": "ticker without a quote",
    "askPx": "ticker without a quote",
}


def entries_of(message: Mapping[str, Any]) -> list[Any]:
    """Return the entries of a push.

    Raises:
        FrameError: it has no list of them.
    """
    if "data" not in message:
        raise FrameError("missing field")
    entries = message["data"]
    if not isinstance(entries, list):
        raise FrameError("not a list")
    return entries


def lacking(entry: object, spec: Spec) -> str | None:
    """Return what an illiquid instrument's ticker has not, in words; None if it lacks nothing."""
    if isinstance(entry, dict):
        for field, _, _ in spec:
            if entry.get(field) == "" and field in _EMPTY:
                return _EMPTY[field]
    return None


def absurd_trade(data: TradeData) -> str:
    """Return why a trade of the right types is refused."""
    if not 0 < data.px < MOST:
        return "bad price"
    if not 0 < data.sz < MOST:
        return "bad size"
    if not sane_time(data.ts * NS_PER_MS):
        return "bad time"
    if not 0 <= data.trade_id < MOST_ID:
        return "bad id"
    return "bad count" if data.side in SIDES else "bad side"


def absurd_ticker(data: TickerData) -> str:
    """Return why a ticker of the right types is refused."""
    if not 0 < data.last < MOST:
        return "bad price"
    if not 0 < data.volume < MOST:
        return "bad size"
    return "bad quote" if sane_time(data.ts * NS_PER_MS) else "bad time"


def sane_ids(data: TradeData) -> bool:
    """Return whether the ids of a trade's fills are ids, and not too many."""
    return 0 <= data.trade_id < MOST_ID and 1 <= data.count <= min(MOST_FILLS, data.trade_id + 1)


def trade_of(
    data: TradeData, symbol: str, *, recv_ns: int = 0, flags: Flag = Flag.LIVE, rest: Mapping[str, Any]
) -> Trade:
    """Return a trade as a record.

    Raises:
        FrameError: a value is absurd; the reasons are those of the rows of a stream.
    """
    time_ns = data.ts * NS_PER_MS
    sane = sane_value(data.px) and sane_value(data.sz) and sane_time(time_ns)
    if not (sane and sane_ids(data) and data.side in SIDES):
        raise FrameError(absurd_trade(data))
    return Trade(
        exchange=ExchangeId.OKX,
        symbol=symbol,
        trade_id=data.trade_id,
        time_ns=time_ns,
        recv_ns=recv_ns,
        price=data.px,
        size=data.sz,
        side=Side(SIDES[data.side]),
        flags=flags,
        count=data.count,
        exchange_specific=rest,
    )


def request(verb: str, number: int, channels: Sequence[str], symbols: Sequence[str]) -> str:
    """Return a request for some channels of some instruments.

    Args:
        verb: ``subscribe`` or ``unsubscribe``.
        number: under which it is answered.
        channels: of each instrument.
        symbols: the instruments.
    """
    args = [{"channel": channel, "instId": symbol} for channel in channels for symbol in symbols]
    return msgspec.json.encode({"id": str(number), "op": verb, "args": args}).decode()
