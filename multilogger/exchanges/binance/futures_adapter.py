"""The dialect of Binance's futures: what is subscribed, and what comes back as rows and events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from multilogger.batch import NO_ORDER, RowBuffer, SymbolTable
from multilogger.exchanges.binance.futures_market import Carried, FuturesMarket
from multilogger.exchanges.binance.futures_messages import (
    FUTURES_SPECS,
    MARKET,
    decode_agg_trade,
    decode_quotes,
    decode_trade,
)
from multilogger.exchanges.binance.messages import MOST_ID, absurd_trade
from multilogger.exchanges.binance.streams import Kinds, Stream, StreamAdapter
from multilogger.exchanges.fields import FIRST_NS, LAST_NS, MICROSECONDS, MOST, UNREADABLE, ignore, refuse
from multilogger.records import Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES

_OFF_BOOK: Final = int(Flag.SUSPECT)


class FuturesAdapter(StreamAdapter[Carried]):
    """One connection's parser and subscriber.

    Args:
        symbols: numbers the rows' symbols.
        stats: where refusals are counted.
        markets: by venue symbol, shared by all connections of the exchange.
        legs: the kinds of streams on each leg.
        other: the ``st`` of events that are another market's.
    """

    def __init__(
        self,
        symbols: SymbolTable,
        stats: ExchangeStats,
        markets: dict[str, FuturesMarket],
        *,
        legs: Sequence[Kinds],
        other: int,
    ) -> None:
        super().__init__(symbols, stats, legs, FUTURES_SPECS)
        self._markets = markets
        self._other = other
        self._parsers = {
            "trade": (self._trade, decode_trade),
            "aggTrade": (self._trade, decode_agg_trade),
            "bookTicker": (self._quotes, decode_quotes),
        }

    def _open(self, symbol: str) -> Iterable[Stream[Carried]]:
        market = self._markets.setdefault(symbol, FuturesMarket())
        number, carried = self._symbols.number(symbol), Carried(market)
        return [Stream(*self._parsers[kind], kind, number, carried) for kind in self._kinds]

    # Values are checked in place: a call costs as much as all comparisons of a row.

    def _trade(self, frame: bytes, stream: Stream[Carried], recv_ns: int, rows: RowBuffer) -> None:
        try:
            data = stream.decode(frame).data
        except UNREADABLE:
            self._refuse(frame, stream.kind)
            return
        if data.st == self._other:
            ignore(self._stats, "other market")
            return
        trade_id, price, size, time = data.t, data.p, data.q, data.T
        time_ns = time * 1_000_000 if time < MICROSECONDS else time * 1_000
        sane = 0 < price < MOST and 0 < size < MOST and FIRST_NS <= time_ns < LAST_NS
        if not (sane and 0 <= trade_id < MOST_ID):
            refuse(self._stats, absurd_trade(price, size, trade_id), frame)
            return
        side, flags = 0 if data.m else 1, 0
        if data.X == MARKET:
            last, carried = (price, size, side), stream.market
            tape = carried.own
            if trade_id > tape.trade_id or time_ns > tape.time_ns:
                tape.trade_id, tape.time_ns, tape.last = trade_id, time_ns, last
                tape = carried.market
                if trade_id > tape.trade_id or time_ns > tape.time_ns:
                    tape.trade_id, tape.time_ns, tape.last = trade_id, time_ns, last
        else:
            # Its price is not the market's.
            flags = _OFF_BOOK
        rows.trades += TRADES.pack(
            stream.number, flags, time_ns, recv_ns, trade_id, price, size, NO_ORDER, NO_ORDER, side
        )

    def _quotes(self, frame: bytes, stream: Stream[Carried], recv_ns: int, rows: RowBuffer) -> None:
        try:
            data = stream.decode(frame).data
        except UNREADABLE:
            self._refuse(frame, stream.kind)
            return
        if data.st == self._other:
            ignore(self._stats, "other market")
            return
        bid, ask, time = data.b, data.a, data.T
        time_ns = time * 1_000_000 if time < MICROSECONDS else time * 1_000
        if not (0 < bid < MOST and 0 < ask < MOST and FIRST_NS <= time_ns < LAST_NS):
            refuse(self._stats, "bad quote" if FIRST_NS <= time_ns < LAST_NS else "bad time", frame)
            return
        market = stream.market.market
        last = stream.market.own.last or market.last
        if last is None:
            ignore(self._stats, "bookTicker before the first trade")
            return
        update = data.u
        if update > market.update:
            market.update, market.update_ns = update, time_ns
            market.recent.append((update, last))
        else:
            last = market.again(update, time_ns, last)
        price, size, side = last
        rows.md += MD.pack(stream.number, 0, time_ns, recv_ns, price, size, bid, ask, side)
