"""Kraken Futures' dialect: what is subscribed, and what comes back as rows and events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, pairwise
from typing import Any, Final

from multilogger.batch import NO_ORDER, RowBuffer, SymbolTable
from multilogger.errors import FrameError
from multilogger.exchanges.base import Event
from multilogger.exchanges.fields import (
    FIRST_NS,
    LAST_NS,
    MOST,
    UNREADABLE,
    convert,
    decode_object,
    ignore,
    refuse,
)
from multilogger.exchanges.kraken_futures.messages import (
    BLOCK,
    NANOS_PER_MILLISECOND,
    QUOTE_SPEC,
    TICKER_SPEC,
    TRADE_SPEC,
    FillData,
    FuturesMarket,
    QuoteData,
    TickerData,
    TradeData,
    absurd_ticker,
    absurd_trade,
    decode_ticker,
    decode_trade,
    entries_of,
    fill_of,
    is_event,
    sequence_of,
    side_of,
    trade_id_of,
)
from multilogger.exchanges.kraken_futures.subscribing import Product, Subscriber
from multilogger.records import Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, NANOS_PER_SECOND, TRADES

_PINGS: Final = tuple(f'{{"event":"{event}","feed":"heartbeat"}}' for event in ("subscribe", "unsubscribe"))
"""The API answers no ping in JSON; of all requests that it answers these cost the least."""
_AGAIN_NS: Final = NANOS_PER_SECOND
"""A product's trades are asked for once more at most this often."""


class KrakenFuturesAdapter:
    """One connection's parser and subscriber.

    Args:
        symbols: numbers the rows' symbols.
        stats: where refusals are counted.
        markets: by venue symbol, shared by all connections of the exchange.
        md_stream: ``ticker`` or ``ticker_lite``.
        daily_volume: whether MD's volume is that of 24 hours.
    """

    def __init__(
        self,
        symbols: SymbolTable,
        stats: ExchangeStats,
        markets: dict[str, FuturesMarket],
        *,
        md_stream: str,
        daily_volume: bool,
    ) -> None:
        self._symbols = symbols
        self._stats = stats
        self._markets = markets
        self._daily_volume = daily_volume
        # Trades first: without the last one a ticker has no size and no side.
        self._subscriber = Subscriber(("trade", md_stream), stats)
        self._products = self._subscriber.products
        self._pings = cycle(_PINGS)
        self._missed: dict[str, Product] = {}
        """Products whose trades are to be asked for once more."""
        self._feeds: dict[str, Callable[[dict[str, Any], bytes, int, RowBuffer], None]] = {
            "trade": self._any_trade,
            "trade_snapshot": self._snapshot,
            md_stream: self._any_ticker if md_stream == "ticker" else self._quotes,
            "heartbeat": lambda *_: None,
        }
        # How frames begin today. What is no such message after all goes the general way.
        self._hot: dict[bytes, Callable[[bytes, int, RowBuffer], bool]] = {b'{"produc': self._trade}
        if md_stream == "ticker":
            self._hot[b'{"time":'] = self._ticker

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return a subscribe request, unless one is under way: then it is sent after that."""
        numbered = [
            (self._symbols.number(symbol), self._markets.setdefault(symbol, FuturesMarket()))
            for symbol in symbols
        ]
        return self._subscriber.ask(symbols, numbered)

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return unsubscribe requests; data still under way count as unsubscribed."""
        return self._subscriber.end(symbols)

    def ping(self) -> str | None:
        """Begin the feed ``heartbeat``, or end it; nothing while subscriptions are under way."""
        return None if self._subscriber.asking else next(self._pings)

    def receive(self, frames: Sequence[bytes], recv_ns: int, rows: RowBuffer) -> Sequence[Event]:
        """Parse data frames; see :class:`~multilogger.exchanges.base.Adapter`."""
        events: list[Event] = []
        hot = self._hot
        for frame in frames:
            try:
                parse = hot.get(frame[:8])
                if parse is None or not parse(frame, recv_ns, rows):
                    self._uncommon(frame, recv_ns, rows, events)
            except FrameError as error:
                refuse(self._stats, error.reason, frame)
        if self._missed:
            events += self._ask_for_missed(recv_ns)
        return events

    # The hot path: False says that the frame is something else, or not what it should be.

    def _trade(self, frame: bytes, recv_ns: int, rows: RowBuffer) -> bool:
        try:
            data = decode_trade(frame)
            product = self._products[data.product_id]
        except (*UNREADABLE, KeyError):
            return False
        if data.feed != "trade":
            return False
        self._pack_trade(data, product, 0, recv_ns, rows)
        return True

    def _ticker(self, frame: bytes, recv_ns: int, rows: RowBuffer) -> bool:
        try:
            data = decode_ticker(frame)
            product = self._products[data.product_id]
        except (*UNREADABLE, KeyError):
            return False
        if data.feed != "ticker":
            return False
        self._pack_ticker(data, product, recv_ns, rows)
        return True

    # Values are checked in place: a call costs as much as all comparisons of a row.

    def _pack_trade(
        self, data: FillData, product: Product, flags: int, recv_ns: int, rows: RowBuffer
    ) -> None:
        trade_id, side = trade_id_of(data.uid), side_of(data.side)
        price, size, time_ns = data.price, data.qty, data.time * NANOS_PER_MILLISECOND
        if not (0 < price < MOST and 0 < size < MOST and FIRST_NS <= time_ns < LAST_NS):
            raise FrameError(absurd_trade(price, size))
        seq = sequence_of(data.seq)
        if data.type != BLOCK:
            product.market.note(seq, time_ns, price, size, side)
        if seq > product.seq:
            if 0 < product.seq < seq - 1 and product.numbered and not flags:
                product.missed_from = product.missed_from or product.seq + 1
                self._missed[product.symbol] = product
            product.seq = seq
        rows.trades += TRADES.pack(
            product.number, flags, time_ns, recv_ns, trade_id, price, size, NO_ORDER, NO_ORDER, side
        )

    def _pack_ticker(self, data: TickerData, product: Product, recv_ns: int, rows: RowBuffer) -> None:
        last, bid, ask, time_ns = data.last, data.bid, data.ask, data.time * NANOS_PER_MILLISECOND
        if not (0 < last < MOST and 0 < bid < MOST and 0 < ask < MOST and FIRST_NS <= time_ns < LAST_NS):
            raise FrameError(absurd_ticker(last, time_ns))
        market, told = product.market, (time_ns, last, bid, ask)
        volume, side = self._volume(data, market), market.ticker_side(last)
        # The first ticker of a subscription tells the past: perhaps what was recorded before it.
        first, product.ticked = not product.ticked, True
        if first and told == market.ticker:
            self._stats.duplicates += 1
        elif side is None or not volume:
            ignore(self._stats, "ticker before the first trade")
        elif first and time_ns < market.time_ns:
            # Which trade was its last one is not known any more.
            ignore(self._stats, "first ticker older than the last trade")
        else:
            flags = Flag.REPLAYED if first and market.ticker is None else 0
            market.ticker = told
            rows.md += MD.pack(product.number, flags, time_ns, recv_ns, last, volume, bid, ask, side)

    def _pack_quotes(self, data: QuoteData, product: Product, recv_ns: int, rows: RowBuffer) -> None:
        bid, ask, last = data.bid, data.ask, product.market
        if not (0 < bid < MOST and 0 < ask < MOST and FIRST_NS <= recv_ns < LAST_NS):
            raise FrameError("bad quote" if FIRST_NS <= recv_ns < LAST_NS else "bad time")
        volume = self._volume(data, last)
        if last.side is None or last.price == 0.0:
            ignore(self._stats, "ticker_lite before the first trade")
            return
        # The feed tells no time: the receive time stands for it.
        rows.md += MD.pack(product.number, 0, recv_ns, recv_ns, last.price, volume, bid, ask, last.side)

    def _volume(self, data: QuoteData, market: FuturesMarket) -> float:
        """Return what MD's volume is to be; 0 where the last trade is not known."""
        if not self._daily_volume:
            return market.size
        if not 0 < data.volume < MOST:
            raise FrameError("bad size")
        return data.volume

    # The general way.

    def _uncommon(self, frame: bytes, recv_ns: int, rows: RowBuffer, events: list[Event]) -> None:
        """Take what the hot loop did not recognize: answers, other spellings, other feeds."""
        message = decode_object(frame)
        feed = message.get("feed")
        if is_event(message):
            events.extend(self._subscriber.hear(message["event"], message))
        elif not isinstance(feed, str):
            raise FrameError("missing field")
        elif feed in self._feeds:
            self._feeds[feed](message, frame, recv_ns, rows)
        else:
            ignore(self._stats, feed)

    def _any_trade(self, message: dict[str, Any], _frame: bytes, recv_ns: int, rows: RowBuffer) -> None:
        data = convert(message, TradeData, TRADE_SPEC)
        product = self._product(data.product_id)
        if product is not None:
            self._pack_trade(data, product, 0, recv_ns, rows)

    def _any_ticker(self, message: dict[str, Any], _frame: bytes, recv_ns: int, rows: RowBuffer) -> None:
        data = convert(message, TickerData, TICKER_SPEC)
        product = self._product(data.product_id)
        if product is not None:
            self._pack_ticker(data, product, recv_ns, rows)

    def _quotes(self, message: dict[str, Any], _frame: bytes, recv_ns: int, rows: RowBuffer) -> None:
        data = convert(message, QuoteData, QUOTE_SPEC)
        product = self._product(data.product_id)
        if product is not None:
            self._pack_quotes(data, product, recv_ns, rows)

    def _snapshot(self, message: dict[str, Any], frame: bytes, recv_ns: int, rows: RowBuffer) -> None:
        """Take the trades before the subscription; an odd one must not cost the others."""
        name, entries = entries_of(message)
        product = self._product(name)
        if product is None:
            return
        if not entries:
            ignore(self._stats, "trade_snapshot without trades")
        numbers = []
        for entry in entries:
            numbers.append(0)
            try:
                fill = fill_of(entry)
                numbers[-1] = sequence_of(fill.seq)
                self._pack_trade(fill, product, Flag.REPLAYED, recv_ns, rows)
            except FrameError as error:
                refuse(self._stats, error.reason, frame)
        self._settle(product, numbers)

    def _settle(self, product: Product, numbers: list[int]) -> None:
        """Take note of the numbers of a snapshot: nothing is missed from the oldest one on."""
        if numbers and 0 < product.missed_from < numbers[0]:
            ignore(self._stats, "missed trades older than the trade_snapshot")
        # No document says that they never jump. If they do within a snapshot, a jump means nothing.
        if any(0 < before < after - 1 for before, after in pairwise(numbers)):
            product.numbered = False
        product.missed_from, product.asked = 0, False
        self._missed.pop(product.symbol, None)

    def _ask_for_missed(self, recv_ns: int) -> list[Event]:
        """Ask for trades whose numbers were left out: a subscription that begins anew brings the last 100."""
        events: list[Event] = []
        for product in list(self._missed.values()):
            if product.asked or self._products.get(product.symbol) is not product:
                # What is under way will bring these, too.
                del self._missed[product.symbol]
            elif not 0 <= recv_ns - product.asked_ns < _AGAIN_NS:
                del self._missed[product.symbol]
                product.asked, product.asked_ns = True, recv_ns
                events += self._subscriber.ask_again(product.symbol)
        return events

    def _product(self, name: str) -> Product | None:
        """Return a subscribed product; what is not subscribed is counted."""
        product = self._products.get(name)
        if product is None:
            ignore(self._stats, "unsubscribed symbol")
        return product
