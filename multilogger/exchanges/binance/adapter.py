"""Binance spot's dialect: what is subscribed, and what comes back as rows and events."""

from __future__ import annotations

from collections.abc import Iterable

from multilogger.batch import NO_ORDER, RowBuffer, SymbolTable
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
from multilogger.exchanges.binance.streams import Stream, StreamAdapter
from multilogger.exchanges.composer import Market
from multilogger.exchanges.fields import (
    FIRST_NS,
    LAST_NS,
    MICROSECONDS,
    MOST,
    UNREADABLE,
    epoch_ns,
    ignore,
    refuse,
    sane_time,
)
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES


class BinanceAdapter(StreamAdapter[Market]):
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
        super().__init__(symbols, stats, [(trades_stream, md_stream)], SPECS)
        self._markets = markets
        self._daily_volume = daily_volume
        self._names_trades = trades_stream == "trade"
        self.newest_ids: dict[int, int] = {}
        """The newest trade id that a ticker has named, by symbol number; none of ``aggTrade``."""
        self._parsers = {
            "trade": (self._trade, decode_trade),
            "aggTrade": (self._trade, decode_agg_trade),
            "ticker": (self._ticker, decode_ticker),
            "bookTicker": (self._book_ticker, decode_book_ticker),
        }

    def _open(self, symbol: str) -> Iterable[Stream[Market]]:
        market = self._markets.setdefault(symbol, Market())
        number = self._symbols.number(symbol)
        return [Stream(*self._parsers[kind], kind, number, market) for kind in self._kinds]

    def _close(self, stream: Stream[Market]) -> None:
        self.newest_ids.pop(stream.number, None)

    # Values are checked in place: a call costs as much as all comparisons of a row.

    def _trade(self, frame: bytes, stream: Stream[Market], recv_ns: int, rows: RowBuffer) -> None:
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

    def _ticker(self, frame: bytes, stream: Stream[Market], recv_ns: int, rows: RowBuffer) -> None:
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

    def _book_ticker(self, frame: bytes, stream: Stream[Market], recv_ns: int, rows: RowBuffer) -> None:
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
