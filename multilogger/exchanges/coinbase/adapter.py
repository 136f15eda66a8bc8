"""Coinbase Exchange's dialect: what is subscribed, and what comes back as rows and events."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import attrs
import msgspec

from multilogger.batch import RowBuffer, SymbolTable
from multilogger.errors import FrameError
from multilogger.exchanges.base import Confirmed, Event, Rejected, Send
from multilogger.exchanges.coinbase.messages import (
    MAKERS_SIDE,
    MATCH_SPEC,
    MOST_ID,
    TAKERS_SIDE,
    TICKER_SPEC,
    absurd,
    decode_match,
    decode_ticker,
)
from multilogger.exchanges.fields import (
    FIRST_NS,
    LAST_NS,
    MOST,
    UNREADABLE,
    IsoClock,
    Spec,
    decode_object,
    diagnose,
    ignore,
    order_ids,
    refuse,
)
from multilogger.records import Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES

CHANNELS: Final = ("ticker", "matches", "heartbeat")
_REQUIRED: Final = ("ticker", "matches")
"""A symbol is confirmed when the exchange lists it under these."""


_Parse = Callable[[bytes, int, RowBuffer], None]


@attrs.define(eq=False)
class _Product:
    """A subscribed product, on this connection."""

    number: int
    ticked: bool = False
    """Whether its first ticker, which tells the past, has come."""


class CoinbaseAdapter:
    """One connection's parser and subscriber.

    Acknowledgements are cumulative and name no request, and errors need not name a product. So one
    subscription is under way at a time; a refused one is asked for again without what it names, or by halves.

    Args:
        symbols: numbers the rows' symbols.
        stats: where refusals are counted.
        daily_volume: whether MD's volume is that of 24 hours.
    """

    def __init__(self, symbols: SymbolTable, stats: ExchangeStats, *, daily_volume: bool) -> None:
        self._symbols = symbols
        self._stats = stats
        self._daily_volume = daily_volume
        self._clock = IsoClock()
        self._products: dict[str, _Product] = {}
        self.newest_ids: dict[int, int] = {}
        """The newest trade id that a heartbeat has named, by symbol number.

        Its match may be still to come on this connection.
        """
        self._asking: tuple[str, ...] = ()
        self._waiting: deque[tuple[str, ...]] = deque()
        self._kinds: dict[str, _Parse] = {
            "match": self._match,
            "last_match": self._last_match,
            "ticker": self._ticker,
        }
        # How frames begin, as the exchange spells them. Only these two kinds end within sixteen bytes; a kind
        # that begins like one of the others must not be taken for it.
        self._parsers: dict[bytes, _Parse] = {
            b'{"type":"match",': self._match,
            b'{"type":"ticker"': self._ticker,
        }

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return a subscribe request, unless one is under way: then it is sent after that."""
        for symbol in symbols:
            self._products[symbol] = _Product(self._symbols.number(symbol))
        if symbols:
            self._waiting.append(tuple(symbols))
        return [] if self._asking else list(self._ask_next())

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """Return an unsubscribe request; data still under way count as unsubscribed."""
        for symbol in symbols:
            gone = self._products.pop(symbol, None)
            if gone is not None:
                self.newest_ids.pop(gone.number, None)
        return [_encode("unsubscribe", symbols)] if symbols else []

    def ping(self) -> None:
        """The protocol's own pings do."""

    def receive(self, frames: Sequence[bytes], recv_ns: int, rows: RowBuffer) -> Sequence[Event]:
        """Parse data frames; see :class:`~multilogger.exchanges.base.Adapter`."""
        events: list[Event] = []
        parsers = self._parsers
        for frame in frames:
            parse = parsers.get(frame[:16])
            if parse is not None:
                parse(frame, recv_ns, rows)
                continue
            try:
                self._uncommon(frame, recv_ns, rows, events)
            except FrameError as error:
                refuse(self._stats, error.reason, frame)
        return events

    def _match(self, frame: bytes, recv_ns: int, rows: RowBuffer, flags: int = 0) -> None:
        try:
            data = decode_match(frame)
            product = self._products[data.product_id]
            time_ns = self._clock.ns(data.time)
            side = MAKERS_SIDE[data.side]
        except (*UNREADABLE, ValueError, KeyError):
            self._refuse(frame, MATCH_SPEC)
            return
        price, size, trade_id = data.price, data.size, data.trade_id
        if not (
            0 < price < MOST and 0 < size < MOST and 0 <= trade_id < MOST_ID and FIRST_NS <= time_ns < LAST_NS
        ):
            refuse(self._stats, absurd(price, size, time_ns, "bad id"), frame)
            return
        maker, taker = order_ids(data.maker_order_id, data.taker_order_id)
        rows.trades += TRADES.pack(
            product.number, flags, time_ns, recv_ns, trade_id, price, size, maker, taker, side
        )

    def _last_match(self, frame: bytes, recv_ns: int, rows: RowBuffer) -> None:
        self._match(frame, recv_ns, rows, Flag.REPLAYED)

    def _ticker(self, frame: bytes, recv_ns: int, rows: RowBuffer) -> None:
        try:
            data = decode_ticker(frame)
            product = self._products[data.product_id]
            time_ns = self._clock.ns(data.time)
            side = TAKERS_SIDE[data.side]
        except (*UNREADABLE, ValueError, KeyError):
            self._refuse(frame, TICKER_SPEC)
            return
        price, bid, ask = data.price, data.best_bid, data.best_ask
        volume = data.volume_24h if self._daily_volume else data.last_size
        sane = 0 < price < MOST and 0 < volume < MOST and 0 < bid < MOST and 0 < ask < MOST
        if not (sane and FIRST_NS <= time_ns < LAST_NS):
            refuse(self._stats, absurd(price, volume, time_ns, "bad quote"), frame)
            return
        flags = 0 if product.ticked else Flag.REPLAYED
        product.ticked = True
        rows.md += MD.pack(product.number, flags, time_ns, recv_ns, price, volume, bid, ask, side)

    def _refuse(self, frame: bytes, spec: Spec) -> None:
        """Say why a match or ticker could not be taken."""
        try:
            message = decode_object(frame)
        except FrameError as error:
            refuse(self._stats, error.reason, frame)
            return
        reason = diagnose(message, spec)
        if reason != "wrong type":
            refuse(self._stats, reason, frame)
            return
        # All fields have their types: it is one of the values.
        if message["product_id"] not in self._products:
            ignore(self._stats, "unsubscribed symbol")
            return
        refuse(self._stats, "bad time" if message["side"] in TAKERS_SIDE else "bad side", frame)

    def _uncommon(self, frame: bytes, recv_ns: int, rows: RowBuffer, events: list[Event]) -> None:
        """Take what the hot loop did not recognize: answers, other spellings, other channels."""
        message = decode_object(frame)
        kind = message.get("type")
        if not isinstance(kind, str):
            raise FrameError("missing field")
        parse = self._kinds.get(kind)
        if parse is not None:
            parse(frame, recv_ns, rows)
        elif kind == "heartbeat":
            self._heartbeat(message)
        elif kind == "subscriptions":
            events.extend(self._acknowledged(message))
        elif kind == "error":
            events.extend(self._failed(message))
        else:
            ignore(self._stats, kind)

    def _heartbeat(self, message: dict[str, Any]) -> None:
        """Note how far its product's trades go; it is a sign of life, whatever else it says."""
        symbol, newest = message.get("product_id"), message.get("last_trade_id")
        product = self._products.get(symbol) if isinstance(symbol, str) else None
        if product is not None and type(newest) is int and 0 <= newest < MOST_ID:
            self.newest_ids[product.number] = newest

    # Subscriptions: one request under way, the others wait.

    def _ask_next(self) -> Iterable[str]:
        self._asking = ()
        while self._waiting and not self._asking:
            # What was unsubscribed while it waited is not asked for.
            self._asking = tuple(filter(self._products.__contains__, self._waiting.popleft()))
        return (_encode("subscribe", self._asking),) if self._asking else ()

    def _go_on(self) -> list[Event]:
        frames = tuple(self._ask_next())
        return [Send(frames)] if frames else []

    def _acknowledged(self, message: dict[str, Any]) -> list[Event]:
        """Confirm what is under way once the exchange lists it; an answer to something else lists less."""
        active = _active(message)
        if not self._asking or not active.issuperset(self._asking):
            return []
        return [Confirmed(self._asking), *self._go_on()]

    def _failed(self, message: dict[str, Any]) -> list[Event]:
        words = ": ".join(str(message[name]) for name in ("message", "reason") if message.get(name))
        if not self._asking:
            ignore(self._stats, "error without a subscription under way")
            return []
        named = set(words.replace(",", " ").split())
        rejected = tuple(symbol for symbol in self._asking if symbol in named)
        if not rejected and len(self._asking) == 1:
            rejected = self._asking
        if rejected:
            self._wait_first([symbol for symbol in self._asking if symbol not in rejected])
            return [Rejected(rejected, words), *self._go_on()]
        half = len(self._asking) // 2
        self._wait_first(self._asking[half:])
        self._wait_first(self._asking[:half])
        return self._go_on()

    def _wait_first(self, symbols: Sequence[str]) -> None:
        if symbols:
            self._waiting.appendleft(tuple(symbols))


def _active(message: dict[str, Any]) -> set[str]:
    """Return the products that are listed under all required channels."""
    listed: dict[str, set[str]] = {}
    channels = message.get("channels")
    for channel in channels if isinstance(channels, list) else ():
        if isinstance(channel, dict) and isinstance(channel.get("product_ids"), list):
            listed[str(channel.get("name"))] = set(map(str, channel["product_ids"]))
    return set.intersection(*(listed.get(name, set()) for name in _REQUIRED))


def _encode(verb: str, symbols: Sequence[str]) -> str:
    request = {"type": verb, "product_ids": list(symbols), "channels": list(CHANNELS)}
    return msgspec.json.encode(request).decode()
