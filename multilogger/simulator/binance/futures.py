"""What the simulated USD-M and COIN-M futures of Binance have in common.

Modelled: silent acknowledgement of unknown streams, and of those that belong to another address; ten requests
a second, 200 streams a connection, a ping every three minutes, the 24-hour cut and the notice before it,
``@aggTrade``, ``@trade`` with what is settled off the book, and ``@bookTicker`` with its times; the listing,
aggregate trades of 24 hours, the newest trades, weights, 429 and 418.

A client should subscribe either trades or aggregate trades. Which last trade quotes are composed with is
certain where both come by one connection alone. Else the ledger says that nobody knows it, and quotes are not
sent before the recorder is sure to know any.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property, partial
from typing import ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs
import trio

from multilogger.simulator.binance import futures_messages as messages
from multilogger.simulator.binance.futures_client import FuturesClient, LastTrade, composed_with
from multilogger.simulator.binance.futures_rest import FuturesRest
from multilogger.simulator.binance.messages import MILLISECOND, Aggregate
from multilogger.simulator.binance.streams import StreamVenue
from multilogger.simulator.instruments import Instrument, guess_instrument
from multilogger.simulator.ledger import TickerEntry
from multilogger.simulator.market import Cascade, Fill
from multilogger.simulator.rest import Request, Response
from multilogger.simulator.wire import Outbox


class FuturesVenue(StreamVenue[FuturesClient]):
    """One of the markets; topics are stream names."""

    messages_per_fill: ClassVar[float] = 1.3
    requests_per_second: ClassVar[int] = 10
    most_streams: ClassVar[int] = 200
    weight_a_minute: ClassVar[float] = 2400
    pace_ns: ClassVar[int] = MILLISECOND
    ping_secs: float | None = 180.0
    pong_secs: float = 600.0

    number: ClassVar[int]
    """Of the market: 1 USD-M, 2 COIN-M."""
    api: ClassVar[str]
    """Path of the REST API, up to its version."""

    @cached_property
    def told_at(self) -> dict[str, float]:
        """When anybody was last sent a trade of a symbol, on Trio's clock."""
        return {}

    @classmethod
    def instrument_of(cls, symbol: str) -> Instrument:
        """Return an instrument for a venue symbol of which nothing else is known."""
        pair, _, day = symbol.partition("_")
        guess = guess_instrument(pair)
        kind = "future" if day.isdigit() else "perpetual"
        settle = guess.base if cls.number == messages.COINM else guess.quote
        return attrs.evolve(guess, symbol=symbol, kind=kind, settle=settle)

    # Connections.

    def place_of(self, path: str) -> tuple[str, str] | None:
        """Return the part of all streams that a path is for, and the rest of the path; None: it is none."""
        return "", path

    def brings(self, place: str, topic: str) -> bool:  # noqa: ARG002 - where there is one place for all
        """Return whether a stream is brought at a place."""
        return True

    def admit(self, path: str, outbox: Outbox) -> FuturesClient | None:
        """Take ``/stream`` and ``/ws``, with or without streams in the address, at any place there is."""
        url = urlsplit(path)
        found = self.place_of(unquote(url.path).rstrip("/"))
        if found is None:
            return None
        place, rest = found
        if rest == "/stream":
            streams = dict(parse_qsl(url.query)).get("streams", "")
        elif rest == "/ws" or rest.startswith("/ws/"):
            streams = rest.removeprefix("/ws").strip("/")
        else:
            return None
        client = FuturesClient(path, outbox, combined=rest == "/stream", place=place)
        for stream in filter(None, streams.split("/")):
            self.subscribe(client, stream)
        return client

    def subscribe(self, client: FuturesClient, topic: str) -> bool:
        """Enter a subscription, one that brings nothing if it is elsewhere; False if the client has it."""
        if not self.brings(client.place, topic):
            return self.add(client, topic, silently=True)
        return super().subscribe(client, topic)

    def unsubscribe(self, client: FuturesClient, topic: str) -> None:
        """End a subscription; whether the client still took the last trades of it, nobody knows."""
        super().unsubscribe(client, topic)
        symbol = self.topic_symbol(topic)
        if topic in _topics(symbol):
            client.last.pop(symbol, None)

    # Trades.

    def aggregates(self, cascade: Cascade) -> Sequence[Aggregate]:
        """Return the aggregate trades of a cascade."""
        return messages.aggregates(cascade)

    def past_fills(self, cascade: Cascade) -> Sequence[Fill]:
        """Return the fills of a cascade that the REST API tells of afterwards."""
        return [fill for run in messages.on_book(cascade) for fill in run]

    def spell_trade(self, cascade: Cascade, fill: Fill, unit_ns: int) -> str:  # noqa: ARG002 - milliseconds
        """Return a ``@trade`` event."""
        kind = "MARKET" if fill in self.past_fills(cascade) else "INSURANCE_FUND"
        return messages.trade(cascade.instrument.symbol, fill, kind, self.number)

    def spell_aggregate(self, symbol: str, aggregate: Aggregate, unit_ns: int) -> str:  # noqa: ARG002
        """Return an ``@aggTrade`` event."""
        return messages.agg_trade(symbol, aggregate, self.number)

    def note_trade(
        self, clients: Collection[FuturesClient], cascade: Cascade, fill: Fill, trade_id: int, size: str
    ) -> None:
        """Take note of what clients know by a trade; one off the book has not the market's price."""
        if fill not in self.past_fills(cascade):
            return
        symbol = cascade.instrument.symbol
        trade = LastTrade(trade_id, fill.time_ns, fill.price, size, fill.bought)
        self.told_at[symbol] = trio.current_time()
        for client in clients:
            client.note(symbol, trade)

    # Quotes.

    def spread_quotes(self, stream: str, cascade: Cascade, clients: list[FuturesClient]) -> None:
        """Send a ``bookTicker``, now or late."""
        self.detour.send(stream, clients, partial(self._send_quotes, stream, cascade), repeatable=False)

    def _send_quotes(self, stream: str, cascade: Cascade, clients: list[FuturesClient]) -> None:
        symbol = cascade.instrument.symbol
        tellers = self._tellers(symbol)
        for client in clients:
            self._note_told(client, symbol, tellers)
        certain, trade = composed_with(clients, symbol, unasked=not self._asked(symbol))
        if not certain:
            return
        self.emit(stream, clients, lambda _: messages.book_ticker(cascade, self.number))
        if trade is not None:
            self.ledger.ticker(
                TickerEntry(
                    symbol=symbol,
                    time_ns=cascade.last.time_ns,
                    sequence=cascade.quote.update_id,
                    price=trade.price,
                    volume=trade.size,
                    best_bid=cascade.quote.bid,
                    best_ask=cascade.quote.ask,
                    bought=trade.bought,
                )
            )

    def _tellers(self, symbol: str) -> set[FuturesClient]:
        """Return the connections that bring a symbol's trades now."""
        return {client for topic in _topics(symbol) for client in self.listeners(topic)}

    def _asked(self, symbol: str) -> bool:
        """Return whether anybody has ever asked for a symbol's trades."""
        return not self.followed.isdisjoint(_topics(symbol))

    def _note_told(self, client: FuturesClient, symbol: str, tellers: set[FuturesClient]) -> None:
        """Take note that since a connection stands all others have been sent a trade."""
        told = self.told_at.get(symbol)
        if symbol in client.heard or told is None or told < client.since:
            return
        if tellers and all(symbol in teller.last for teller in tellers):
            client.heard[symbol] = told

    def every_second(self) -> None:
        """Nothing: no stream here comes once a second."""

    def garbage(self) -> list[bytes]:
        """Return malformed messages about an instrument that trades."""
        return messages.garbage(self.newest(), self.number)

    # REST.

    @cached_property
    def _rest(self) -> FuturesRest:
        return FuturesRest(self.api, self.number, self.market, self.clock)

    def answer(self, request: Request) -> Response:
        """Answer a REST request."""
        return self._rest.answer(request)

    def weigh(self, request: Request) -> float:
        """Return what a REST request weighs."""
        return self._rest.weight(request)


def _topics(symbol: str) -> tuple[str, str]:
    """Return the streams of a symbol's trades."""
    stem = symbol.lower()
    return f"{stem}@trade", f"{stem}@aggTrade"
