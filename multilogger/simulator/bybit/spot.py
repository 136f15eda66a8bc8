"""Bybit spot, simulated: ``publicTrade``, ``orderbook.1`` and ``tickers``, which are always snapshots.

``orderbook.1`` comes again with the same ``u`` after three seconds without a change. ``tickers`` has no
quotes; it comes when something was traded, and once a second all the same.

Source: bybit-exchange.github.io/docs/v5/websocket/public.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar, Final

import attrs

from multilogger.simulator.bybit import messages
from multilogger.simulator.bybit.client import BybitClient, Told
from multilogger.simulator.bybit.venue import BybitBase
from multilogger.simulator.instruments import Instrument, listing
from multilogger.simulator.market import Cascade, Fill, Quote

_REPEAT_NS: Final = 3_000_000_000
"""A book is sent again if it has not changed for so long."""


@attrs.frozen
class _Book:
    """The best quotes, as they are."""

    update: int
    quote: Quote
    changed_ns: int
    sequence: int


class BybitVenue(BybitBase):
    """A simulated Bybit spot."""

    name: ClassVar[str] = "bybit"
    category: ClassVar[str] = "spot"
    messages_per_fill: ClassVar[float] = 1.5
    instruments: ClassVar[tuple[Instrument, ...]] = listing("USDT", "")
    most_args: ClassVar[int | None] = 10
    ack: ClassVar[str] = "subscribe"
    greets_first: ClassVar[bool] = False
    always_names_request: ClassVar[bool] = False

    @cached_property
    def _books(self) -> dict[str, _Book]:
        """By symbol."""
        return {}

    def no_such_topic(self, topic: str) -> str:
        """Return what is said of a topic that does not exist."""
        return f"Invalid symbol :[{topic}]"

    def has_topics(self, symbol: str) -> bool:
        """Return whether a symbol can be subscribed: what does not trade is not known here."""
        return symbol in self.market.instruments and self.market.instruments[symbol].online

    def trade_id(self, symbol: str, fill: Fill) -> int:  # noqa: ARG002 - other markets need it
        """Return a trade's id."""
        return messages.spot_id(fill)

    def trade_name(self, symbol: str, fill: Fill) -> str:
        """Return a trade's id as text."""
        return str(self.trade_id(symbol, fill))

    def trades(self, symbol: str, fills: list[Fill], sequence: int) -> bytes:
        """Return a ``publicTrade``."""
        return messages.spot_trades(symbol, fills, sequence)

    def listed(self, instrument: Instrument) -> dict[str, Any]:
        """Return an entry of the listing."""
        return messages.spot_listed(instrument)

    def greet(self, client: BybitClient, topics: list[str]) -> None:
        """Send the last price and the book as they are."""
        for topic in topics:
            kind, _, symbol = topic.rpartition(".")
            cascade = self.newest(symbol)
            if cascade is None or not client.hears(topic):
                continue
            if kind == "tickers":
                self._tell_last(cascade, self.clock(), client)
            elif kind == "orderbook.1":
                self._tell_book(symbol, self._book(cascade), self.clock(), client)

    def quote(self, cascade: Cascade) -> None:
        """Send the book, which every order changes, and the last price."""
        symbol, now_ns = cascade.instrument.symbol, self.clock()
        known = self._books.get(symbol)
        update = 1 if known is None else known.update + 1
        book = self._books[symbol] = _Book(update, cascade.quote, now_ns, cascade.last.sequence)
        self._tell_book(symbol, book, now_ns)
        self._tell_last(cascade, now_ns)

    def every_second(self) -> None:
        """Send last prices anew, and books that have not changed for three seconds."""
        now_ns = self.clock()
        for symbol in self.symbols():
            cascade = self.newest(symbol)
            if cascade is None:
                continue
            self._tell_last(cascade, now_ns)
            book = self._book(cascade)
            if now_ns - book.changed_ns >= _REPEAT_NS:
                self._tell_book(symbol, book, now_ns)

    def _book(self, cascade: Cascade) -> _Book:
        """Return a symbol's book; before anybody was told of it, as its last order left it."""
        fresh = _Book(1, cascade.quote, cascade.last.time_ns, cascade.last.sequence)
        return self._books.setdefault(cascade.instrument.symbol, fresh)

    def _tell_book(self, symbol: str, book: _Book, now_ns: int, client: BybitClient | None = None) -> None:
        quote = book.quote

        def after(before: Told) -> Told:
            return Told(before.last, quote.bid, quote.ask, book.update)

        def spell(_: Told, now: Told, ts_ns: int) -> bytes:
            sizes = quote.bid_size, quote.ask_size
            return messages.book(symbol, now, sizes, book.sequence, book.changed_ns, ts_ns)

        self.say(f"orderbook.1.{symbol}", now_ns, after, spell, [client] if client else None)

    def _tell_last(self, cascade: Cascade, now_ns: int, client: BybitClient | None = None) -> None:
        def after(before: Told) -> Told:
            return attrs.evolve(before, last=cascade.last.price)

        def spell(_before: Told, _now: Told, ts_ns: int) -> bytes:
            return messages.spot_ticker(cascade, ts_ns)

        self.say(f"tickers.{cascade.instrument.symbol}", now_ns, after, spell, [client] if client else None)
