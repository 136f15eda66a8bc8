"""Kraken spot's dialect: what is subscribed, and what comes back as rows and events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from multilogger.batch import NO_ORDER, RowBuffer, SymbolTable
from multilogger.errors import FrameError
from multilogger.exchanges.base import Event, Rejected, Renew
from multilogger.exchanges.composer import Market
from multilogger.exchanges.fields import (
    FIRST_NS,
    LAST_NS,
    MOST,
    UNREADABLE,
    IsoClock,
    convert,
    decode_object,
    ignore,
    refuse,
)
from multilogger.exchanges.kraken.messages import (
    FLAGS,
    LAST_STAGES,
    MOST_ID,
    TAKERS_SIDE,
    TICKER,
    TICKER_SPEC,
    TRADE,
    TRADE_SPEC,
    TickerData,
    TradeData,
    absurd,
    as_object,
    decode_tickers,
    decode_trades,
    entries_of,
    maintenance_stage,
)
from multilogger.exchanges.kraken.subscriptions import Subscriptions
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES

_ONLINE: Final = "online"
_MAINTENANCE: Final = "maintenance"


@attrs.define(eq=False)
class LastTrade(Market):
    """The trade with the highest id that a connection has brought: neither replays nor disorder change it."""

    trade_id: int = -1


@attrs.define(eq=False)
class _Pair:
    """A subscribed pair, on this connection."""

    number: int
    """Of the symbol."""
    last: LastTrade
    """Of this connection alone: another one may be ahead of it, and its tickers must not mix with these."""


class KrakenAdapter:
    """One connection's parser and subscriber.

    Args:
        symbols: numbers the rows' symbols.
        stats: where refusals are counted.
        lasts: by symbol, what the connection that traded last knows; new connections begin with that.
        trigger: ``trades`` or ``bbo``: what makes a ticker.
        daily_volume: whether MD's volume is that of 24 hours.
    """

    def __init__(
        self,
        symbols: SymbolTable,
        stats: ExchangeStats,
        lasts: dict[str, LastTrade],
        *,
        trigger: str,
        daily_volume: bool,
    ) -> None:
        self._symbols = symbols
        self._stats = stats
        self._lasts = lasts
        self._daily_volume = daily_volume
        self._clock = IsoClock()
        self._pairs: dict[str, _Pair] = {}
        self.newest_ids: dict[int, int] = {}
        """The newest trade when each pair was subscribed, by symbol number: none after it was missed then."""
        self._subscriptions = Subscriptions(stats, trigger)
        self._greeted = False
        """Whether the status that opens a connection has come."""
        # How frames begin, as the exchange spells them.
        self._parsers: dict[bytes, Callable[[bytes, int, RowBuffer], None]] = {
            b'{"channel":"trade",': self._trades,
            b'{"channel":"ticker"': self._tickers,
        }

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return the requests for trades and tickers; each symbol of each is answered by itself."""
        for symbol in symbols:
            known = self._lasts.get(symbol)
            last = LastTrade() if known is None else attrs.evolve(known)
            self._pairs[symbol] = _Pair(self._symbols.number(symbol), last)
        return self._subscriptions.subscribe(symbols)

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return the requests; data still under way count as unsubscribed."""
        self._leave(symbols)
        return self._subscriptions.unsubscribe(symbols)

    def ping(self) -> str:
        """Return a request that is answered by a pong: a quiet connection is cut after a minute."""
        return self._subscriptions.ping()

    def receive(self, frames: Sequence[bytes], recv_ns: int, rows: RowBuffer) -> Sequence[Event]:
        """Parse data frames; see :class:`~multilogger.exchanges.base.Adapter`."""
        events: list[Event] = []
        parsers = self._parsers
        for frame in frames:
            parse = parsers.get(frame[:19])
            if parse is not None:
                parse(frame, recv_ns, rows)
                continue
            try:
                self._uncommon(frame, recv_ns, rows, events)
            except FrameError as error:
                refuse(self._stats, error.reason, frame)
        return events

    def _trades(self, frame: bytes, recv_ns: int, rows: RowBuffer) -> None:
        try:
            message = decode_trades(frame)
            flags = FLAGS[message.type]
        except (*UNREADABLE, KeyError):
            self._one_by_one(frame, TRADE, recv_ns, rows)
            return
        self._take_trades(message.data, flags, frame, recv_ns, rows)

    def _tickers(self, frame: bytes, recv_ns: int, rows: RowBuffer) -> None:
        try:
            message = decode_tickers(frame)
            flags = FLAGS[message.type]
        except (*UNREADABLE, KeyError):
            self._one_by_one(frame, TICKER, recv_ns, rows)
            return
        self._take_tickers(message.data, flags, frame, recv_ns, rows)

    def _take_trades(
        self, trades: list[TradeData], flags: int, frame: bytes, recv_ns: int, rows: RowBuffer
    ) -> None:
        if flags:
            # The order of a snapshot is not documented; that of ids is the one in which they happened.
            trades.sort(key=lambda trade: trade.trade_id)
        if not trades:
            ignore(self._stats, "no data")
        pairs, clock = self._pairs, self._clock
        for trade in trades:
            pair = pairs.get(trade.symbol)
            if pair is None:
                ignore(self._stats, "unsubscribed symbol")
                continue
            side = TAKERS_SIDE.get(trade.side)
            try:
                time_ns = clock.ns(trade.timestamp)
            except ValueError:
                time_ns = -1
            price, size, trade_id = trade.price, trade.qty, trade.trade_id
            # Values are checked in place: a call costs as much as all comparisons of a row.
            sane = 0 < price < MOST and 0 < size < MOST and FIRST_NS <= time_ns < LAST_NS
            if side is None or not (sane and 0 <= trade_id < MOST_ID):
                self._refuse_trade(trade, time_ns, frame)
                continue
            last = pair.last
            if trade_id > last.trade_id:
                last.trade_id, last.price, last.size, last.side = trade_id, price, size, side
                self._lasts[trade.symbol] = last
            if flags:
                self.newest_ids[pair.number] = trade_id
            rows.trades += TRADES.pack(
                pair.number, flags, time_ns, recv_ns, trade_id, price, size, NO_ORDER, NO_ORDER, side
            )

    def _refuse_trade(self, trade: TradeData, time_ns: int, frame: bytes) -> None:
        reason = absurd(trade.price, trade.qty, "bad time")
        if reason == "bad time" and FIRST_NS <= time_ns < LAST_NS:
            reason = "bad id" if trade.side in TAKERS_SIDE else "bad side"
        refuse(self._stats, reason, frame)

    def _take_tickers(
        self, tickers: list[TickerData], flags: int, frame: bytes, recv_ns: int, rows: RowBuffer
    ) -> None:
        if not tickers:
            ignore(self._stats, "no data")
        for ticker in tickers:
            pair = self._pairs.get(ticker.symbol)
            if pair is None:
                ignore(self._stats, "unsubscribed symbol")
                continue
            last, bid, ask = pair.last, ticker.bid, ticker.ask
            # It tells a price if there was a trade within 24 hours; an older one may be known all the same.
            price = ticker.last or last.price
            volume = (ticker.volume or 0.0) if self._daily_volume else last.size
            if not (0 < bid < MOST and 0 < ask < MOST and FIRST_NS <= recv_ns < LAST_NS):
                refuse(self._stats, "bad quote" if FIRST_NS <= recv_ns < LAST_NS else "bad time", frame)
            elif not 0 <= price < MOST:
                refuse(self._stats, "bad price", frame)
            elif self._daily_volume and not 0 < volume < MOST:
                refuse(self._stats, "bad size", frame)
            elif not (price and volume) or (side := last.ticker_side(price)) is None:
                ignore(self._stats, "ticker before the first trade")
            else:
                # The receive time stands for the exchange's, which a ticker need not tell.
                rows.md += MD.pack(pair.number, flags, recv_ns, recv_ns, price, volume, bid, ask, side)

    def _one_by_one(self, frame: bytes, channel: str, recv_ns: int, rows: RowBuffer) -> None:
        """Take what is good of a message that its typed decoder refused, and say why of the rest."""
        try:
            flags, entries = entries_of(decode_object(frame))
        except FrameError as error:
            refuse(self._stats, error.reason, frame)
            return
        for entry in entries:
            try:
                if channel == TRADE:
                    trade = convert(as_object(entry), TradeData, TRADE_SPEC)
                    self._take_trades([trade], flags, frame, recv_ns, rows)
                else:
                    ticker = convert(as_object(entry), TickerData, TICKER_SPEC)
                    self._take_tickers([ticker], flags, frame, recv_ns, rows)
            except FrameError as error:
                refuse(self._stats, error.reason, frame)
        if not entries:
            ignore(self._stats, "no data")

    def _uncommon(self, frame: bytes, recv_ns: int, rows: RowBuffer, events: list[Event]) -> None:
        """Take what the hot loop did not recognize: answers, notices, other spellings, other channels."""
        message = decode_object(frame)
        if "method" in message:
            events.extend(self._answer(message))
            return
        channel = message.get("channel")
        if channel == TRADE:
            self._trades(frame, recv_ns, rows)
        elif channel == TICKER:
            self._tickers(frame, recv_ns, rows)
        elif channel == "status":
            events.extend(self._status(message))
        elif channel != "heartbeat":
            ignore(self._stats, channel if channel and isinstance(channel, str) else "unknown frame")

    def _answer(self, message: dict[str, Any]) -> list[Event]:
        events = self._subscriptions.answer(message)
        for event in events:
            if isinstance(event, Rejected):
                self._leave(event.symbols)
        return events

    def _leave(self, symbols: Sequence[str]) -> None:
        for symbol in symbols:
            gone = self._pairs.pop(symbol, None)
            if gone is not None:
                self.newest_ids.pop(gone.number, None)

    def _status(self, message: dict[str, Any]) -> list[Event]:
        """Return whether the exchange is about to cut connections.

        The first status is the greeting. What it says was known when the connection was opened, so that
        another one would be greeted in the same way.
        """
        greeting, self._greeted = not self._greeted, True
        data = message.get("data")
        status = data[0] if isinstance(data, list) and data and isinstance(data[0], dict) else {}
        system, stage = status.get("system"), maintenance_stage(status)
        if not greeting and (system == _MAINTENANCE or stage in LAST_STAGES):
            return [Renew(f"status: {stage if stage in LAST_STAGES else system}")]
        if stage:
            ignore(self._stats, "upcoming maintenance")
        elif system != _ONLINE:
            ignore(self._stats, f"status {system}" if isinstance(system, str) else "status")
        return []
