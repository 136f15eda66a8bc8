"""What a connection to Kraken Futures has asked for, and what of it was answered.

A request names one feed and any number of products, under no id. Each product is answered by itself, in the
order of the request: ``subscribed`` names it, an ``alert`` in prose most often does::

    {"event":"subscribe","feed":"trade","product_ids":["PF_XBTUSD","PF_NOPEUSD"]}
    {"event":"subscribed","feed":"trade","product_ids":["PF_XBTUSD"]}
    {"event":"alert","message":"Couldn't subscribe to invalid product `PF_NOPEUSD`"}

So one request is under way at a time. Where an answer names none of its products, halves of those without an
answer are asked for until one is alone: it is meant then.

A subscription that stands may be asked for once more, and begins anew, with the newest trades::

    {"event":"alert","message":"Already subscribed to feed, re-requesting"}
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs
import msgspec

from multilogger.exchanges.base import Confirmed, Event, Rejected, Send
from multilogger.exchanges.fields import ignore
from multilogger.exchanges.kraken_futures.messages import FuturesMarket
from multilogger.stats import ExchangeStats

_WORDS: Final = re.compile(r"\w+")
_STANDS: Final = "already subscribed"
"""In the alert that answers a request for what has been subscribed before."""
_ENDED: Final = ("not subscribed", "unsubscri")
"""In the alerts that answer the end of a subscription."""


@attrs.define(eq=False)
class Product:
    """A subscribed product, on this connection."""

    symbol: str
    """As it was asked for."""
    number: int
    market: FuturesMarket
    missing: set[str]
    """Feeds that are not confirmed yet."""
    ticked: bool = False
    """Whether its first ticker, which tells the past, has come."""
    seq: int = 0
    """The highest number of its trades; 0 before the first, or where they have none."""
    numbered: bool = True
    """Whether its numbers rise by one, as far as is known."""
    missed_from: int = 0
    """The first number that was left out, until a snapshot comes; 0 if none was."""
    asked: bool = False
    """Whether its trades were asked for once more, and have not come."""
    asked_ns: int = 0
    """When they last were, nanoseconds since the epoch."""


@attrs.frozen
class _Request:
    feed: str
    symbols: tuple[str, ...]
    again: bool = False
    """Whether a subscription that stands is to begin anew."""


class Subscriber:
    """Asks for products one feed after the other.

    Args:
        feeds: what is asked for of every product, in this order.
        stats: where answers to nothing are counted.
    """

    def __init__(self, feeds: Sequence[str], stats: ExchangeStats) -> None:
        self.products: dict[str, Product] = {}
        """By symbol, and by symbol in capitals: so the exchange may spell its answers."""
        self._feeds = feeds
        self._stats = stats
        self._feed = ""
        self._unanswered: dict[str, None] = {}
        """Symbols of the request under way."""
        self._waiting: deque[_Request] = deque()

    @property
    def asking(self) -> bool:
        """Whether a request is under way."""
        return bool(self._unanswered)

    def ask(self, symbols: Sequence[str], numbered: Iterable[tuple[int, FuturesMarket]]) -> list[str]:
        """Return the request for products, unless one is under way: then it is sent after that.

        Args:
            symbols: the products.
            numbered: number and market of each.
        """
        for symbol, (number, market) in zip(symbols, numbered, strict=True):
            product = Product(symbol, number, market, set(self._feeds))
            self.products[symbol] = self.products[symbol.upper()] = product
        self._waiting.extend(_Request(feed, tuple(symbols)) for feed in self._feeds)
        return [] if self.asking else self._next()

    def ask_again(self, symbol: str) -> list[Event]:
        """Ask once more for the first feed of a product, which stands; by itself, as no answer names it."""
        self._waiting.append(_Request(self._feeds[0], (symbol,), again=True))
        return self._go_on()

    def end(self, symbols: Sequence[str]) -> list[str]:
        """Return the requests that end subscriptions, and what was waiting for an answer to one of them."""
        was_asking = self.asking
        for symbol in symbols:
            self._forget(symbol)
        ends = [_encode("unsubscribe", feed, symbols) for feed in self._feeds] if symbols else []
        return [*ends, *(self._next() if was_asking and not self.asking else ())]

    def hear(self, event: str, message: Mapping[str, Any]) -> list[Event]:
        """Return what an event of the exchange means for the subscriptions."""
        if event == "subscribed":
            return self._confirm(str(message.get("feed")), _names(message))
        if event in ("alert", "error"):
            return self._alerted(str(message.get("message", "")))
        if event == "subscribed_failed":
            return self._reject(self._asked_of(_names(message)), event)
        if event not in ("info", "unsubscribed"):
            ignore(self._stats, event)
        return []

    def _confirm(self, feed: str, names: Iterable[str]) -> list[Event]:
        events: list[Event] = []
        for product in filter(None, map(self._find, names)):
            if feed in product.missing:
                product.missing.discard(feed)
                events += [] if product.missing else [Confirmed((product.symbol,))]
            if feed == self._feed:
                self._unanswered.pop(product.symbol, None)
        return [*events, *self._go_on()]

    def _alerted(self, words: str) -> list[Event]:
        plain = words.lower()
        if any(mark in plain for mark in _ENDED):
            ignore(self._stats, "alert about an unsubscription")
            return []
        if not self.asking:
            ignore(self._stats, "alert without a subscription under way")
            return []
        named = self._asked_of(_WORDS.findall(words))
        if named:
            return self._reject(named, words)
        if len(self._unanswered) > 1:
            half = len(self._unanswered) // 2
            symbols = tuple(self._unanswered)
            halves = (_Request(self._feed, symbols[half:]), _Request(self._feed, symbols[:half]))
            self._waiting.extendleft(halves)
            self._unanswered.clear()
            return self._go_on()
        (only,) = self._unanswered
        stands = _STANDS in plain or self._feed not in self.products[only].missing
        return self._confirm(self._feed, (only,)) if stands else self._reject((only,), words)

    def _reject(self, symbols: tuple[str, ...], reason: str) -> list[Event]:
        for symbol in symbols:
            self._forget(symbol)
        return [Rejected(symbols, reason), *self._go_on()] if symbols else []

    def _asked_of(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the symbols of the request under way that are among some names."""
        found = dict.fromkeys(product.symbol for product in filter(None, map(self._find, names)))
        return tuple(symbol for symbol in found if symbol in self._unanswered)

    def _find(self, name: str) -> Product | None:
        return self.products.get(name) or self.products.get(name.upper())

    def _forget(self, symbol: str) -> None:
        self.products.pop(symbol, None)
        self.products.pop(symbol.upper(), None)
        self._unanswered.pop(symbol, None)

    def _go_on(self) -> list[Event]:
        frames = [] if self.asking else self._next()
        return [Send(tuple(frames))] if frames else []

    def _next(self) -> list[str]:
        """Begin with what waits; what was ended or confirmed meanwhile is not asked for."""
        while self._waiting:
            request = self._waiting.popleft()
            self._feed = request.feed
            known = [it for it in request.symbols if it in self.products]
            wanted = [it for it in known if request.again or self._feed in self.products[it].missing]
            if wanted:
                self._unanswered = dict.fromkeys(wanted)
                return [_encode("subscribe", self._feed, wanted)]
        return []


def _names(message: Mapping[str, Any]) -> list[str]:
    names = message.get("product_ids")
    return [str(name) for name in names] if isinstance(names, list) else []


def _encode(event: str, feed: str, symbols: Sequence[str]) -> str:
    request = {"event": event, "feed": feed, "product_ids": list(symbols)}
    return msgspec.json.encode(request).decode()
