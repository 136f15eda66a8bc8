"""Binance spot, simulated: its combined and raw streams, and the public part of its REST API.

Modelled: silent acknowledgement of unknown and upper-case streams, errors with codes, five requests a
second, 1024 streams a connection, server pings, the 24-hour cut and the shutdown notice before it, lower-case
names in and upper-case symbols out, ``@trade``, ``@aggTrade``, ``@ticker`` once a second if something traded,
and ``@bookTicker`` without a time.

A client should subscribe either trades or aggregate trades: both are TRADES rows, with ids of their own.

Source: binance-spot-api-docs, ``web-socket-streams.md``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from multilogger.simulator.binance import messages
from multilogger.simulator.binance.client import BinanceClient
from multilogger.simulator.binance.rest import answer_rest, weight
from multilogger.simulator.binance.streams import StreamVenue
from multilogger.simulator.instruments import Instrument, listing
from multilogger.simulator.ledger import TickerEntry, untold
from multilogger.simulator.market import Cascade, Fill
from multilogger.simulator.rest import Request, Response
from multilogger.simulator.wire import Outbox


class BinanceVenue(StreamVenue[BinanceClient]):
    """A simulated Binance spot; topics are stream names."""

    name: ClassVar[str] = "binance"
    messages_per_fill: ClassVar[float] = 1.0
    requests_per_second: ClassVar[int] = 5
    weight_a_minute: ClassVar[float] = 6000
    ping_secs: float | None = 20.0
    instruments: ClassVar[tuple[Instrument, ...]] = listing("USDT", "")

    def admit(self, path: str, outbox: Outbox) -> BinanceClient | None:
        """Take ``/stream`` and ``/ws``, with or without streams in the address."""
        url = urlsplit(path)
        query = dict(parse_qsl(url.query))
        client = BinanceClient(path, outbox, combined=url.path.rstrip("/") == "/stream")
        if query.get("timeUnit", "").upper() == "MICROSECOND":
            client.unit_ns = messages.MICROSECOND
        if client.combined:
            streams = query.get("streams", "")
        elif url.path.startswith("/ws"):
            streams = unquote(url.path).removeprefix("/ws").strip("/")
        else:
            return None
        for stream in filter(None, streams.split("/")):
            self.subscribe(client, stream)
        return client

    # Trades.

    def aggregates(self, cascade: Cascade) -> Sequence[messages.Aggregate]:
        """Return the aggregate trades of a cascade."""
        return messages.aggregates(cascade)

    def spell_trade(self, cascade: Cascade, fill: Fill, unit_ns: int) -> str:
        """Return a ``@trade`` event."""
        return messages.trade(cascade.instrument.symbol, fill, unit_ns)

    def spell_aggregate(self, symbol: str, aggregate: messages.Aggregate, unit_ns: int) -> str:
        """Return an ``@aggTrade`` event."""
        return messages.agg_trade(symbol, aggregate, unit_ns)

    def note_trade(
        self,
        clients: Collection[BinanceClient],
        cascade: Cascade,
        fill: Fill,
        trade_id: int,  # noqa: ARG002 - the last one sent counts
        size: str,
    ) -> None:
        """Take note of what clients know by a trade."""
        symbol = cascade.instrument.symbol
        for client in clients:
            client.sides[symbol] = fill.bought
            client.last[symbol] = (fill.price, size)

    # Quotes and tickers.

    def spread_quotes(self, stream: str, cascade: Cascade, clients: list[BinanceClient]) -> None:
        """Send a ``bookTicker``."""
        symbol = cascade.instrument.symbol
        self.emit(stream, clients, lambda _: messages.book_ticker(cascade))
        for client in clients:
            # Before a trade is known, no row can be composed of quotes alone.
            if symbol in client.last:
                price, size = client.last[symbol]
                self._enter_ticker(cascade, untold(self.clock()), client.sides[symbol], price, size)
                return

    def every_second(self) -> None:
        """Send the tickers of what has traded."""
        now_ns = self.clock() // messages.MILLISECOND * messages.MILLISECOND
        for symbol, market in self.market.markets.items():
            stream = f"{symbol.lower()}@ticker"
            cascade = market.cascades[-1] if market.cascades else None
            if cascade is not None and not cascade.entered and self._side_is_certain(stream, symbol):
                # One mark does for both: an unchanged ticker is not sent again.
                cascade.entered = True
                send = partial(self._send_ticker, stream, cascade, now_ns)
                self.detour.send(stream, self.listeners(stream), send, repeatable=False)

    def _side_is_certain(self, stream: str, symbol: str) -> bool:
        """Return whether there are clients, and all are sure to find the same side, or none, for a ticker."""
        clients = self.listeners(stream)
        if not clients or any(client.may_remember(symbol) for client in clients):
            return False
        # A trade that came late to some of them is the last one to these alone.
        return len({client.sides[symbol] for client in clients if symbol in client.last}) <= 1

    def _send_ticker(self, stream: str, cascade: Cascade, now_ns: int, clients: list[BinanceClient]) -> None:
        self.emit(stream, clients, lambda unit_ns: messages.ticker(cascade, now_ns, unit_ns))
        self.told_symbols.add(cascade.instrument.symbol)
        sides = [client.side(cascade) for client in clients]
        known = [side for side in sides if side is not None]
        if known:
            self._enter_ticker(cascade, now_ns, known[0], cascade.last.price, cascade.last.size)

    def _enter_ticker(self, cascade: Cascade, time_ns: int, bought: bool, price: str, size: str) -> None:
        self.ledger.ticker(
            TickerEntry(
                symbol=cascade.instrument.symbol,
                time_ns=time_ns,
                sequence=cascade.quote.update_id,
                price=price,
                volume=size,
                best_bid=cascade.quote.bid,
                best_ask=cascade.quote.ask,
                bought=bought,
            )
        )

    def garbage(self) -> list[bytes]:
        """Return malformed messages about an instrument that trades."""
        return messages.garbage(self.newest())

    # REST.

    def answer(self, request: Request) -> Response:
        """Answer a REST request."""
        return answer_rest(self.market, self.clock, request)

    def weigh(self, request: Request) -> float:
        """Return what a REST request weighs."""
        return weight(request)
