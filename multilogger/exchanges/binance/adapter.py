"""Binance spot's dialect: what is subscribed, and what comes back as rows and events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Final

import attrs
import msgspec

from multilogger.batch import NO_ORDER, RowBuffer, SymbolTable
from multilogger.errors import FrameError
from multilogger.exchanges.base import Confirmed, Event, Rejected, Renew, Send
from multilogger.exchanges.binance.messages import (
    MOST_ID,
    SPECS,
    absurd_ticker,
    absurd_trade,
    decode_agg_trade,
    decode_book_ticker,
    decode_ticker,
    decode_trade,
)
from multilogger.exchanges.composer import Market
from multilogger.exchanges.fields import (
    FIRST_NS,
    LAST_NS,
    MICROSECONDS,
    MOST,
    UNREADABLE,
    decode_object,
    diagnose,
    epoch_ns,
    ignore,
    refuse,
    sane_time,
)
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES

_SYMBOLS_A_REQUEST: Final = 50
"""Two streams each: a request of this size stays far below what the server reads at once."""


@attrs.define(eq=False)
class _Stream:
    """A subscribed stream: how its frames are parsed, and what they are about."""

    parse: Callable[[bytes, _Stream, int, RowBuffer], None]
    decode: Callable[[bytes], Any]
    kind: str
    number: int
    """Of the symbol."""
    market: Market


class BinanceAdapter:
    """One connection's parser and subscriber.

    Args:
        symbols: numbers the rows' symbols.
        stats: where refusals are counted.
        markets: by venue symbol, shared by all connections of the exchange.
        trades_stream: ``trade`` or ``aggTrade``.
        md_stream: ``ticker`` or ``bookTicker``.
        daily_volume: whether MD's volume is that of 24 hours.
    """

    def __init__(
        self,
        symbols: SymbolTable,
        stats: ExchangeStats,
        markets: dict[str, Market],
        *,
        trades_stream: str,
        md_stream: str,
        daily_volume: bool,
    ) -> None:
        self._symbols = symbols
        self._stats = stats
        self._markets = markets
        self._kinds = (trades_stream, md_stream)
        self._daily_volume = daily_volume
        self._names_trades = trades_stream == "trade"
        self.newest_ids: dict[int, int] = {}
        """The newest trade id that a ticker has named, by symbol number; none of ``aggTrade``."""
        self._streams: dict[bytes, _Stream] = {}
        self._ids = count(1)
        self._requests: dict[int, tuple[str, ...]] = {}
        self._parsers = {
            "trade": (self._trade, decode_trade),
            "aggTrade": (self._trade, decode_agg_trade),
            "ticker": (self._ticker, decode_ticker),
            "bookTicker": (self._book_ticker, decode_book_ticker),
        }

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return SUBSCRIBE requests; each is answered under its id."""
        for symbol in symbols:
            market = self._markets.setdefault(symbol, Market())
            number = self._symbols.number(symbol)
            for kind in self._kinds:
                stream = _Stream(*self._parsers[kind], kind, number, market)
                self._streams[_stream(symbol, kind).encode()] = stream
        portions = range(0, len(symbols), _SYMBOLS_A_REQUEST)
        return [self._request(symbols[at : at + _SYMBOLS_A_REQUEST]) for at in portions]

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return an UNSUBSCRIBE request; data still under way count as unsubscribed."""
        streams = [_stream(symbol, kind) for symbol in symbols for kind in self._kinds]
        for stream in streams:
            gone = self._streams.pop(stream.encode(), None)
            if gone is not None:
                self.newest_ids.pop(gone.number, None)
        return [_encode("UNSUBSCRIBE", streams, next(self._ids))] if streams else []

    def ping(self) -> None:
        """The server pings, by the protocol."""

    def receive(self, frames: Sequence[bytes], recv_ns: int, rows: RowBuffer) -> Sequence[Event]:
        """Parse data frames; see :class:`~multilogger.exchanges.base.Adapter`."""
        events: list[Event] = []
        streams = self._streams
        for frame in frames:
            # {"stream":"btcusdt@trade",..: what any other spelling has there is the name of no stream.
            stream = streams.get(frame[11 : frame.find(b'"', 11)])
            if stream is not None:
                stream.parse(frame, stream, recv_ns, rows)
                continue
            try:
                self._uncommon(frame, recv_ns, rows, events)
            except FrameError as error:
                refuse(self._stats, error.reason, frame)
        return events

    def _request(self, symbols: Sequence[str]) -> str:
        number = next(self._ids)
        self._requests[number] = tuple(symbols)
        streams = [_stream(symbol, kind) for symbol in symbols for kind in self._kinds]
        return _encode("SUBSCRIBE", streams, number)

    # Values are checked in place: a call costs as much as all comparisons of a row.

    def _trade(self, frame: bytes, stream: _Stream, recv_ns: int, rows: RowBuffer) -> None:
        try:
            data = stream.decode(frame).data
        except UNREADABLE:
            self._refuse(frame, stream.kind)
            return
        trade_id, price, size, time = data.t, data.p, data.q, data.T
        time_ns = time * 1_000_000 if time < MICROSECONDS else time * 1_000
        sane = 0 < price < MOST and 0 < size < MOST and FIRST_NS <= time_ns < LAST_NS
        if not (sane and 0 <= trade_id < MOST_ID):
            refuse(self._stats, absurd_trade(price, size, trade_id), frame)
            return
        side = 0 if data.m else 1
        market = stream.market
        market.price, market.size, market.side = price, size, side
        rows.trades += TRADES.pack(
            stream.number, 0, time_ns, recv_ns, trade_id, price, size, NO_ORDER, NO_ORDER, side
        )

    def _ticker(self, frame: bytes, stream: _Stream, recv_ns: int, rows: RowBuffer) -> None:
        try:
            data = stream.decode(frame).data
        except UNREADABLE:
            self._refuse(frame, stream.kind)
            return
        if self._names_trades and type(data.L) is int and 0 <= data.L < MOST_ID:
            self.newest_ids[stream.number] = data.L
        last, bid, ask = data.c, data.b, data.a
        volume = data.v if self._daily_volume else data.Q
        time_ns = epoch_ns(data.E)
        sane = 0 < last < MOST and 0 < volume < MOST and 0 < bid < MOST and 0 < ask < MOST
        if not (sane and sane_time(time_ns)):
            refuse(self._stats, absurd_ticker(last, volume, time_ns), frame)
            return
        side = stream.market.ticker_side(last)
        if side is None:
            ignore(self._stats, "ticker before the first trade")
            return
        rows.md += MD.pack(stream.number, 0, time_ns, recv_ns, last, volume, bid, ask, side)

    def _book_ticker(self, frame: bytes, stream: _Stream, recv_ns: int, rows: RowBuffer) -> None:
        try:
            data = stream.decode(frame).data
        except UNREADABLE:
            self._refuse(frame, stream.kind)
            return
        bid, ask = data.b, data.a
        if not (0 < bid < MOST and 0 < ask < MOST and FIRST_NS <= recv_ns < LAST_NS):
            refuse(self._stats, "bad quote" if FIRST_NS <= recv_ns < LAST_NS else "bad time", frame)
            return
        last = stream.market
        if last.side is None or last.price == 0.0:
            ignore(self._stats, "bookTicker before the first trade")
            return
        # Spot's bookTicker tells no time: the receive time stands for it.
        rows.md += MD.pack(stream.number, 0, recv_ns, recv_ns, last.price, last.size, bid, ask, last.side)

    def _refuse(self, frame: bytes, kind: str) -> None:
        """Say why a typed decoder refused a frame."""
        try:
            reason = diagnose(decode_object(frame).get("data"), SPECS[kind])
        except FrameError as error:
            reason = error.reason
        refuse(self._stats, reason, frame)

    def _uncommon(self, frame: bytes, recv_ns: int, rows: RowBuffer, events: list[Event]) -> None:
        """Take what the hot loop did not recognize: answers, notices, other spellings, other streams."""
        message = decode_object(frame)
        data = message.get("data", message)
        if isinstance(data, dict) and data.get("e") == "serverShutdown":
            events.append(Renew("serverShutdown"))
        elif isinstance(stream := message.get("stream"), str):
            self._other_stream(stream, frame, recv_ns, rows)
        elif "result" in message or "error" in message or "code" in message:
            events.extend(self._answer(message))
        else:
            ignore(self._stats, str(message.get("e", "unknown frame")))

    def _other_stream(self, stream: str, frame: bytes, recv_ns: int, rows: RowBuffer) -> None:
        found = self._streams.get(stream.encode())
        if found is not None:
            found.parse(frame, found, recv_ns, rows)
            return
        kind = stream.partition("@")[2]
        ignore(self._stats, "unsubscribed symbol" if kind in self._kinds else kind or stream)

    def _answer(self, message: dict[str, Any]) -> Sequence[Event]:
        """Return what the answer to a request means."""
        number = message.get("id")
        symbols = self._requests.pop(number, ()) if isinstance(number, int) else ()
        error = message.get("error", message if "code" in message else None)
        if error is None:
            return [Confirmed(symbols)] if symbols else []
        if not symbols:
            ignore(self._stats, "error without a request of ours")
            return []
        if len(symbols) == 1:
            return [Rejected(symbols, _words(error))]
        # One bad symbol voids a request, and the answer does not name it: ask again by halves.
        half = len(symbols) // 2
        return [Send((self._request(symbols[:half]), self._request(symbols[half:])))]


def _stream(symbol: str, kind: str) -> str:
    return f"{symbol.lower()}@{kind}"


def _encode(method: str, streams: list[str], number: int) -> str:
    return msgspec.json.encode({"method": method, "params": streams, "id": number}).decode()


def _words(error: object) -> str:
    if isinstance(error, dict):
        return f"{error.get('msg', '')} (code {error.get('code', 'none')})".strip()
    return str(error)
