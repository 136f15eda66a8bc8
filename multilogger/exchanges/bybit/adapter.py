"""What Bybit's dialects have in common: subscriptions, trades, and when a ticker row is complete."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import attrs

from multilogger.batch import NO_ORDER, RowBuffer, SymbolTable
from multilogger.errors import FrameError
from multilogger.exchanges.base import Event
from multilogger.exchanges.bybit.known import BybitMarket, Known
from multilogger.exchanges.bybit.requests import NOT_OURS, PING, Subscriptions
from multilogger.exchanges.bybit.trades import (
    MOST_ID,
    TradeData,
    absurd_trade,
    decode_trades,
    entries_of,
    trade_data,
    trade_id_of,
)
from multilogger.exchanges.fields import (
    FIRST_NS,
    LAST_NS,
    MOST,
    UNREADABLE,
    decode_object,
    ignore,
    refuse,
)
from multilogger.records import Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES

TRADES_TOPIC: Final = "publicTrade"
TICKERS_TOPIC: Final = "tickers"
BOOK_TOPIC: Final = "orderbook.1"
_BEGINNING: Final = '{"topic":"'
_AFTER_BEGINNING: Final = len(_BEGINNING)

Parse = Callable[[bytes, "Topic", int, RowBuffer], None]


@attrs.define(eq=False)
class Topic:
    """A subscribed topic: how its frames are parsed, and what they are about."""

    parse: Parse
    kind: str
    known: Known
    fresh: bool = True
    """Whether nothing of it has come yet: its first message tells how things stood before."""


class BybitAdapter(abc.ABC):
    """One connection's parser and subscriber.

    Args:
        symbols: numbers the rows' symbols.
        stats: where refusals are counted.
        markets: by venue symbol, shared by all connections of the exchange.
        daily_volume: whether MD's volume is that of 24 hours.
    """

    symbols_a_request: ClassVar[int]

    def __init__(
        self,
        symbols: SymbolTable,
        stats: ExchangeStats,
        markets: dict[str, BybitMarket],
        *,
        daily_volume: bool,
    ) -> None:
        self._symbols = symbols
        self._stats = stats
        self._markets = markets
        self._daily_volume = daily_volume
        self._parsers: dict[str, Parse] = {TRADES_TOPIC: self._trades, **self.ticker_parsers()}
        self._subscriptions = Subscriptions(tuple(self._parsers), self.symbols_a_request)
        self._topics: dict[bytes, Topic] = {}
        """By how their frames begin, as the exchange spells them."""

    @abc.abstractmethod
    def ticker_parsers(self) -> dict[str, Parse]:
        """Return the topics that make up a ticker, and what parses their frames."""

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return subscribe requests; each is answered under its id."""
        for symbol in symbols:
            market = self._markets.setdefault(symbol, BybitMarket())
            known = market.told = Known(self._symbols.number(symbol), market)
            for kind, parse in self._parsers.items():
                self._topics[_beginning(f"{kind}.{symbol}")] = Topic(parse, kind, known)
        return self._subscriptions.begin(symbols)

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return unsubscribe requests; data still under way count as unsubscribed."""
        for symbol in symbols:
            for kind in self._parsers:
                self._topics.pop(_beginning(f"{kind}.{symbol}"), None)
        return self._subscriptions.end(symbols)

    def ping(self) -> str:
        """Return the ping that the exchange wants every 20 seconds."""
        return PING

    def receive(self, frames: Sequence[bytes], recv_ns: int, rows: RowBuffer) -> Sequence[Event]:
        """Parse data frames; see :class:`~multilogger.exchanges.base.Adapter`."""
        events: list[Event] = []
        topics = self._topics
        for frame in frames:
            # {"topic":"publicTrade.BTCUSDT",..: any other spelling begins like no topic.
            topic = topics.get(frame[: frame.find(b'"', _AFTER_BEGINNING)])
            try:
                if topic is not None:
                    topic.parse(frame, topic, recv_ns, rows)
                else:
                    self._uncommon(frame, recv_ns, rows, events)
            except FrameError as error:
                refuse(self._stats, error.reason, frame)
        return events

    # Values are checked in place: a call costs as much as all comparisons of a row.

    def _trades(self, frame: bytes, topic: Topic, recv_ns: int, rows: RowBuffer) -> None:
        known = topic.known
        try:
            trades = decode_trades(frame).data
        except UNREADABLE:
            trades = self._readable(frame)
        else:
            if not trades:
                ignore(self._stats, "publicTrade without trades")
        newest = None
        for data in trades:
            price, size, time_ns, trade_id = data.p, data.v, data.T * 1_000_000, trade_id_of(data.i)
            sane = 0 < price < MOST and 0 < size < MOST and FIRST_NS <= time_ns < LAST_NS
            if not (sane and 0 <= trade_id < MOST_ID):
                refuse(self._stats, absurd_trade(price, size, time_ns), frame)
                continue
            side = 1 if data.S == "Buy" else 0
            newest = price, size, side
            rows.trades += TRADES.pack(
                known.number, 0, time_ns, recv_ns, trade_id, price, size, NO_ORDER, NO_ORDER, side
            )
        if newest is not None:
            known.trade(*newest)

    def _readable(self, frame: bytes) -> list[TradeData]:
        """Return the trades of a frame that can be read, where some can't: one must not cost the others."""
        trades = []
        for entry in entries_of(decode_object(frame)):
            try:
                trades.append(trade_data(entry))
            except FrameError as error:
                refuse(self._stats, error.reason, frame)
        return trades

    def add_row(
        self, topic: Topic, time_ns: int, recv_ns: int, rows: RowBuffer, *, quotes_changed: bool
    ) -> None:
        """Add a ticker row, once all its fields are known.

        Args:
            topic: whose message this is.
            time_ns: of the message.
            recv_ns: when it was received.
            rows: where the row goes.
            quotes_changed: whether the quotes have; else it is the last price.
        """
        known, market = topic.known, topic.known.market
        quotes = known.quotes
        if not (quotes.bid and quotes.ask):
            return  # It comes by another message, or by a later one.
        own = known.price != 0.0
        side = known.side if own else market.side
        if self._daily_volume:
            price, volume = quotes.last, quotes.volume
            if not (price and volume):
                return
        elif own:
            price, volume = known.price, known.size
            if not quotes_changed and price != quotes.last:
                # The trade is under way, or was missed: its size isn't known.
                ignore(self._stats, f"{topic.kind} ahead of its trade")
                return
        else:
            price, volume = market.price, market.size
            if price and not quotes.last:
                return
            side = side if price == quotes.last else None
        if side is None:
            if not topic.fresh:  # What comes first is of use later, whatever it lacks.
                ignore(self._stats, f"{topic.kind} before the first trade")
            return
        flags = Flag.REPLAYED if topic.fresh else Flag.LIVE
        rows.md += MD.pack(known.number, flags, time_ns, recv_ns, price, volume, quotes.bid, quotes.ask, side)

    def unchanged(self, topic: Topic) -> None:
        """Count a message that says nothing new."""
        ignore(self._stats, f"{topic.kind} without a change")

    # All else.

    def _uncommon(self, frame: bytes, recv_ns: int, rows: RowBuffer, events: list[Event]) -> None:
        """Take what the hot loop did not recognize: answers, other spellings, other topics."""
        message = decode_object(frame)
        topic, verb = message.get("topic"), message.get("op")
        if isinstance(topic, str):
            self._other_topic(topic, frame, recv_ns, rows)
        elif verb in ("ping", "pong"):
            return  # Spot, linear and inverse answer a ping by "ping", options by "pong".
        elif verb in ("subscribe", "unsubscribe"):
            self._answer(message, events)
        else:
            ignore(self._stats, verb if isinstance(verb, str) and verb else "unknown frame")

    def _other_topic(self, name: str, frame: bytes, recv_ns: int, rows: RowBuffer) -> None:
        topic = self._topics.get(_beginning(name))
        if topic is not None:
            topic.parse(frame, topic, recv_ns, rows)
            return
        kind = name.rpartition(".")[0]
        ignore(
            self._stats, "unsubscribed symbol" if kind in self._parsers else kind or name or "unknown frame"
        )

    def _answer(self, message: dict[str, Any], events: list[Event]) -> None:
        meaning, ours = self._subscriptions.answer(message)
        events += meaning
        if not ours and message["success"] is False:
            ignore(self._stats, NOT_OURS)


def _beginning(topic: str) -> bytes:
    return f"{_BEGINNING}{topic}".encode()
