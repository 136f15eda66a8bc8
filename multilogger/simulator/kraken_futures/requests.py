"""What clients may ask the simulated Kraken Futures for, and its answers.

Source: Kraken documentation, "Derivatives WebSocket"; the words of its alerts are those that the exchange
was seen to use in 2026.
"""

from __future__ import annotations

import abc
import json
from functools import cached_property
from typing import Any, Final

import trio

from multilogger.simulator.kraken_futures import messages
from multilogger.simulator.kraken_futures.client import KrakenFuturesClient
from multilogger.simulator.venue import Venue

_PUBLIC: Final = ("trade", "ticker", "ticker_lite", "book", "heartbeat")
_PRIVATE: Final = ("open_orders", "fills", "balances", "open_positions", "account_log", "notifications_auth")


class KrakenFuturesRequests(Venue[KrakenFuturesClient]):
    """The part of a venue that answers requests; topics are ``feed:PRODUCT``."""

    @cached_property
    def told(self) -> set[str]:
        """Symbols that any client has been told a trade or ticker of."""
        return set()

    def receive(self, client: KrakenFuturesClient, text: str) -> None:
        """Answer ``subscribe`` and ``unsubscribe``, each product by itself."""
        client.heard_at = trio.current_time()
        event, feed, products = _parse(text)
        if event is None:
            self.send(client, messages.alert("Bad websocket message"))
        elif feed in _PRIVATE:
            self.send(client, messages.alert(f"Failed to {event} to authenticated feed"))
        elif feed not in _PUBLIC:
            self.send(client, messages.alert(f"Couldn't {event} to invalid feed"))
        else:
            wanted = [""] if feed == "heartbeat" else products
            if event == "subscribe":
                self._subscribe_all(client, feed, wanted)
            else:
                self._unsubscribe_all_of(client, feed, wanted)

    def subscribe(self, client: KrakenFuturesClient, topic: str) -> bool:
        """Enter a subscription; False if the client has it already."""
        symbol = self.topic_symbol(topic)
        if symbol in self.told:
            client.late.add(symbol)
        return super().subscribe(client, topic)

    def unsubscribe(self, client: KrakenFuturesClient, topic: str) -> None:
        """End a subscription; without trades nothing tells the last one any more."""
        super().unsubscribe(client, topic)
        feed, _, symbol = topic.partition(":")
        if feed == "trade" and symbol in client.last:
            del client.last[symbol]
            client.late.add(symbol)

    @abc.abstractmethod
    def replay(self, client: KrakenFuturesClient, feed: str, symbol: str) -> None:
        """Send what a subscription begins with."""

    def _subscribe_all(self, client: KrakenFuturesClient, feed: str, products: list[str]) -> None:
        begun: list[str] = []
        for product in products:
            symbol = self._listed(product)
            if symbol is None:
                self.send(client, messages.alert(f"Couldn't subscribe to invalid product `{product}`"))
                continue
            if self.subscribe(client, f"{feed}:{symbol}"):
                self.send(client, messages.subscribed("subscribed", feed, symbol or None))
            else:
                self.send(client, messages.alert("Already subscribed to feed, re-requesting"))
            begun.append(symbol)
        for symbol in filter(None, begun):
            if client.hears(f"{feed}:{symbol}"):
                self.replay(client, feed, symbol)

    def _unsubscribe_all_of(self, client: KrakenFuturesClient, feed: str, products: list[str]) -> None:
        for product in products:
            symbol = self._listed(product)
            if symbol is None or f"{feed}:{symbol}" not in client.topics:
                self.send(client, messages.alert("Not subscribed to feed"))
            else:
                self.unsubscribe(client, f"{feed}:{symbol}")
                self.send(client, messages.subscribed("unsubscribed", feed, symbol or None))

    def _listed(self, product: str) -> str | None:
        """Return a product as it is listed, in whatever case it was asked for; None if it does not trade."""
        if not product:
            return product
        instrument = self.market.instruments.get(product.upper())
        return instrument.symbol if instrument is not None and instrument.online else None


def _parse(text: str) -> tuple[str | None, str, list[str]]:
    """Return event, feed and products of a request; no event if it is none."""
    nothing: tuple[None, str, list[str]] = (None, "", [])
    try:
        request: Any = json.loads(text)
    except ValueError:
        return nothing
    if not isinstance(request, dict) or request.get("event") not in ("subscribe", "unsubscribe"):
        return nothing
    feed, products = request.get("feed"), request.get("product_ids", [])
    if not isinstance(feed, str) or not isinstance(products, list):
        return nothing
    if not all(isinstance(product, str) and product for product in products):
        return nothing
    return request["event"], feed, products
