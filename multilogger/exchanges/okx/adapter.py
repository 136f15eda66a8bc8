"""OKX's dialect on one connection: what comes back as rows and events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from multilogger.batch import NO_ORDER, RowBuffer, SymbolTable
from multilogger.errors import FrameError
from multilogger.exchanges.base import Event, Rejected
from multilogger.exchanges.composer import Market
from multilogger.exchanges.fields import (
    FIRST_NS,
    LAST_NS,
    MOST,
    UNREADABLE,
    Spec,
    convert,
    decode_object,
    ignore,
    refuse,
)
from multilogger.exchanges.okx.messages import (
    DAILY_TICKER_SPEC,
    MOST_FILLS,
    MOST_ID,
    NS_PER_MS,
    PING,
    PONG,
    SIDES,
    TICKER_SPEC,
    TICKERS,
    TRADE_SPEC,
    DailyTickerData,
    TickerData,
    TradeData,
    absurd_ticker,
    absurd_trade,
    decode_daily_tickers,
    decode_tickers,
    decode_trades,
    entries_of,
    lacking,
)
from multilogger.exchanges.okx.subscribing import Subscriber
from multilogger.records import MERGED_SHIFT, Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES

_REPLAYED: Final = int(Flag.REPLAYED)
"""A plain number: joining an enumeration's flags costs as much as decoding a frame."""


@attrs.define(eq=False)
class _Newest:
    """The newest trade of a symbol that this connection has brought.

    Apart from what all connections know: while one replaces another, the same ticker has to be the same row
    whichever of them brings it, and however far the other one is ahead.
    """

    trade_id: int = -1
    time_ns: int = 0
    side: int | None = None


@attrs.define(eq=False)
class _Stream:
    """A subscribed channel of an instrument: how its frames are parsed, and what they are about."""

    decode: Callable[[bytes], Any]
    data: type[Any]
    spec: Spec
    pack: Callable[[Sequence[Any], bytes, _Stream, int, RowBuffer], None]
    number: int
    """Of the symbol."""
    newest: _Newest
    market: Market
    flags: int = _REPLAYED
    """Of the next rows: what comes first tells what was last before the subscription."""


class OkxAdapter:
    """One connection's parser and subscriber.

    Args:
        symbols: numbers the rows' symbols.
        stats: where refusals are counted.
        markets: by venue symbol, shared by all connections of the exchange.
        legs: the channels that go over each socket of the connection.
        daily_volume: whether MD's volume is that of 24 hours.
    """

    def __init__(
        self,
        symbols: SymbolTable,
        stats: ExchangeStats,
        markets: dict[str, Market],
        *,
        legs: Sequence[tuple[str, ...]],
        daily_volume: bool,
    ) -> None:
        self._symbols = symbols
        self._stats = stats
        self._markets = markets
        self._channels = [channel for channels in legs for channel in channels]
        self._subscriber = Subscriber(legs, stats)
        self._streams: dict[bytes, _Stream] = {}
        self._newest: dict[str, _Newest] = {}
        self._tickers = (
            (decode_daily_tickers, DailyTickerData, DAILY_TICKER_SPEC)
            if daily_volume
            else (decode_tickers, TickerData, TICKER_SPEC)
        )

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return subscribe requests; each channel of each symbol is acknowledged on its own."""
        for symbol in symbols:
            for channel in self._channels:
                self._streams[_key(channel, symbol)] = self._stream(channel, symbol)
        return self._subscriber.subscribe(symbols)

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return unsubscribe requests; data still under way count as unsubscribed."""
        self._forget(symbols)
        return self._subscriber.unsubscribe(symbols)

    def ping(self) -> str:
        """Return what keeps a connection without data open."""
        return PING

    def receive(self, frames: Sequence[bytes], recv_ns: int, rows: RowBuffer) -> Sequence[Event]:
        """Parse data frames; see :class:`~multilogger.exchanges.base.Adapter`."""
        events: list[Event] = []
        streams = self._streams
        for frame in frames:
            # {"arg":{"channel":"trades","instId":"BTC-USDT"},..: any other spelling is the name of no stream.
            stream = streams.get(frame[: frame.find(b"}")])
            if stream is None:
                try:
                    self._uncommon(frame, recv_ns, rows, events)
                except FrameError as error:
                    refuse(self._stats, error.reason, frame)
                continue
            try:
                entries = stream.decode(frame).data
            except UNREADABLE:
                self._one_by_one(frame, stream, recv_ns, rows)
            else:
                if entries:
                    stream.pack(entries, frame, stream, recv_ns, rows)
                else:
                    ignore(self._stats, "no data")
        return events

    def _stream(self, channel: str, symbol: str) -> _Stream:
        tickers = channel == TICKERS
        decode, data, spec = self._tickers if tickers else (decode_trades, TradeData, TRADE_SPEC)
        return _Stream(
            decode=decode,
            data=data,
            spec=spec,
            pack=self._pack_tickers if tickers else self._pack_trades,
            number=self._symbols.number(symbol),
            newest=self._newest.setdefault(symbol, _Newest()),
            market=self._markets.setdefault(symbol, Market()),
        )

    def _forget(self, symbols: Sequence[str]) -> None:
        for symbol in symbols:
            for channel in self._channels:
                self._streams.pop(_key(channel, symbol), None)

    # Values are checked in place: a call costs as much as all comparisons of a row.

    def _pack_trades(
        self, entries: Sequence[TradeData], frame: bytes, stream: _Stream, recv_ns: int, rows: RowBuffer
    ) -> None:
        flags, stream.flags = stream.flags, 0
        for data in entries:
            trade_id, price, size, fills = data.trade_id, data.px, data.sz, data.count
            time_ns, side = data.ts * NS_PER_MS, SIDES.get(data.side)
            sane = 0 < price < MOST and 0 < size < MOST and FIRST_NS <= time_ns < LAST_NS
            if not (sane and 0 < fills <= trade_id + 1 <= MOST_ID and fills <= MOST_FILLS) or side is None:
                refuse(self._stats, absurd_trade(data), frame)
                continue
            newest = stream.newest
            if trade_id > newest.trade_id or time_ns > newest.time_ns:
                newest.trade_id, newest.time_ns, newest.side = trade_id, time_ns, side
                market = stream.market
                market.price, market.size, market.side = price, size, side
            merged = flags | (fills - 1) << MERGED_SHIFT
            rows.trades += TRADES.pack(
                stream.number, merged, time_ns, recv_ns, trade_id, price, size, NO_ORDER, NO_ORDER, side
            )

    def _pack_tickers(
        self, entries: Sequence[TickerData], frame: bytes, stream: _Stream, recv_ns: int, rows: RowBuffer
    ) -> None:
        flags, stream.flags = stream.flags, 0
        for data in entries:
            last, volume, bid, ask = data.last, data.volume, data.bid_px, data.ask_px
            time_ns = data.ts * NS_PER_MS
            sane = 0 < last < MOST and 0 < volume < MOST and 0 < bid < MOST and 0 < ask < MOST
            if not (sane and FIRST_NS <= time_ns < LAST_NS):
                refuse(self._stats, absurd_ticker(data), frame)
                continue
            side = stream.newest.side
            if side is None:
                side = stream.market.ticker_side(last)
            if side is None:
                ignore(self._stats, "ticker before the first trade")
                continue
            rows.md += MD.pack(stream.number, flags, time_ns, recv_ns, last, volume, bid, ask, side)

    def _one_by_one(self, frame: bytes, stream: _Stream, recv_ns: int, rows: RowBuffer) -> None:
        """Take the entries that can be read of a frame that can't be as a whole, and say why others can't."""
        try:
            entries = entries_of(decode_object(frame))
        except FrameError as error:
            refuse(self._stats, error.reason, frame)
            return
        if not entries:
            ignore(self._stats, "no data")
            return
        good = []
        for entry in entries:
            kind = lacking(entry, stream.spec)
            if kind is not None:
                ignore(self._stats, kind)
                continue
            try:
                good.append(convert(entry, stream.data, stream.spec))
            except FrameError as error:
                refuse(self._stats, error.reason, frame)
        stream.pack(good, frame, stream, recv_ns, rows)

    def _uncommon(self, frame: bytes, recv_ns: int, rows: RowBuffer, events: list[Event]) -> None:
        """Take what the hot loop did not recognize: pongs, answers, other spellings, other channels."""
        if frame == PONG:
            return
        message = decode_object(frame)
        if "event" in message:
            self._answer(message, events)
            return
        arg = message.get("arg")
        if not isinstance(arg, dict):
            ignore(self._stats, "unknown frame")
            return
        channel, symbol = arg.get("channel"), arg.get("instId")
        if not isinstance(channel, str):
            raise FrameError("missing field")
        if channel not in self._channels:
            ignore(self._stats, channel)
            return
        if not isinstance(symbol, str):
            raise FrameError("bad symbol" if "instId" in arg else "missing field")
        found = self._streams.get(_key(channel, symbol))
        if found is None:
            ignore(self._stats, "unsubscribed symbol")
        else:
            self._one_by_one(frame, found, recv_ns, rows)

    def _answer(self, message: dict[str, Any], events: list[Event]) -> None:
        for event in self._subscriber.answer(message):
            if isinstance(event, Rejected):
                self._forget(event.symbols)
            events.append(event)


def _key(channel: str, symbol: str) -> bytes:
    """Return how a push of a channel begins."""
    return f'{{"arg":{{"channel":"{channel}","instId":"{symbol}"'.encode()
