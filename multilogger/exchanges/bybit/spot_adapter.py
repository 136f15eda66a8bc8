"""The dialect of Bybit's spot market, whose tickers are composed of quotes and last prices."""

from __future__ import annotations

from typing import ClassVar

from multilogger.batch import RowBuffer
from multilogger.errors import FrameError
from multilogger.exchanges.bybit.adapter import BOOK_TOPIC, TICKERS_TOPIC, BybitAdapter, Parse, Topic
from multilogger.exchanges.bybit.known import Quotes
from multilogger.exchanges.bybit.tickers import (
    book_of,
    decode_book,
    decode_last,
    last_of,
    read,
    told_by_book,
    told_by_last,
)
from multilogger.exchanges.fields import ignore


class SpotAdapter(BybitAdapter):
    """One connection's parser and subscriber: the arguments are :class:`BybitAdapter`'s.

    ``orderbook.1`` has the quotes, and gives a row whenever they change. ``tickers`` has none; it gives a row
    when the last price changes.
    """

    symbols_a_request: ClassVar[int] = 3
    """Three topics each, of the ten that a request may have."""

    def ticker_parsers(self) -> dict[str, Parse]:
        """Return the topics that make up a ticker: the last price is told before the quotes."""
        return {TICKERS_TOPIC: self._last, BOOK_TOPIC: self._book}

    def _book(self, frame: bytes, topic: Topic, recv_ns: int, rows: RowBuffer) -> None:
        known = topic.known
        last, volume = known.quotes.last, known.quotes.volume
        try:
            message = read(frame, decode_book, book_of)
            time_ns, bid, ask = told_by_book(message)
        except FrameError:
            # What it says is not known, and what was said before is not true any more.
            known.quotes, known.update = Quotes(last, volume=volume), None
            raise
        if not (bid and ask):
            known.quotes, known.update = Quotes(last, volume=volume), None
            ignore(self._stats, f"{BOOK_TOPIC} with an empty side")
        elif message.data.u == known.update:
            self.unchanged(topic)
        else:
            known.quotes, known.update = Quotes(last, bid, ask, volume), message.data.u
            self.add_row(topic, time_ns, recv_ns, rows, quotes_changed=True)
        topic.fresh = False

    def _last(self, frame: bytes, topic: Topic, recv_ns: int, rows: RowBuffer) -> None:
        known, before = topic.known, topic.known.quotes
        try:
            message = read(frame, decode_last, last_of)
            time_ns, last, volume = told_by_last(message, daily=self._daily_volume)
        except FrameError:
            known.quotes = Quotes(0.0, before.bid, before.ask)
            raise
        known.quotes = Quotes(last, before.bid, before.ask, volume)
        if self._daily_volume:
            known.market.ticker_side(last)
        if last == before.last:
            self.unchanged(topic)
        else:
            self.add_row(topic, time_ns, recv_ns, rows, quotes_changed=False)
        topic.fresh = False
