"""What the simulated markets of Binance have in common: streams of trades, notice, cut and weights."""

from __future__ import annotations

import abc
import json
from collections.abc import Callable, Collection, Sequence
from functools import cached_property, partial
from typing import ClassVar, Generic, TypeVar

import attrs
import trio

from multilogger.simulator.binance import messages
from multilogger.simulator.binance.client import StreamClient
from multilogger.simulator.binance.requests import BinanceRequests
from multilogger.simulator.ledger import TradeEntry
from multilogger.simulator.market import Cascade, Fill
from multilogger.simulator.rest import Request, Response
from multilogger.simulator.rules import Rules, Window
from multilogger.simulator.wire import text_frame

S = TypeVar("S", bound=StreamClient)


class StreamVenue(BinanceRequests[S], Generic[S]):
    """A simulated market of Binance; topics are stream names."""

    resolution_ns: ClassVar[int] = messages.MILLISECOND
    weight_a_minute: ClassVar[float]
    """REST weight that an address may use."""
    lifetime_secs: float = 24 * 3600
    """A connection is cut at this age."""
    shutdown_notice_secs: float | None = None
    """How long before the cut ``serverShutdown`` is sent; None sends none."""

    @cached_property
    def told_symbols(self) -> set[str]:
        """Symbols that any client has been told a trade or ticker of."""
        return set()

    def make_rules(self) -> Rules:
        """Return what an address may ask for."""
        self._weight = Window(self.weight_a_minute, 60.0)
        return Rules(connects=Window(300, 300.0), weight=self._weight, retry_after_secs=30.0)

    async def attend(self, client: S) -> None:
        """Cut the connection at the end of its life."""
        notice = self.shutdown_notice_secs
        await trio.sleep(self.lifetime_secs - (notice or 0))
        if notice is not None:
            self._announce(client)
            await trio.sleep(notice)
        client.leave(1008, "disconnected")

    def announce_shutdown(self) -> None:
        """Send ``serverShutdown`` to all."""
        for client in list(self.connected()):
            self._announce(client)

    def _announce(self, client: S) -> None:
        event = f'{{"e":"serverShutdown","E":{self.clock() // client.unit_ns}}}'
        self.send(client, _wrapped(client, "!serverShutdown", event))

    def subscribe(self, client: S, topic: str) -> bool:
        """Enter a subscription; False if the client has it already."""
        symbol = self.topic_symbol(topic)
        if symbol in self.told_symbols:
            client.late.add(symbol)
        return super().subscribe(client, topic)

    # What a market says of its trades.

    @abc.abstractmethod
    def aggregates(self, cascade: Cascade) -> Sequence[messages.Aggregate]:
        """Return the aggregate trades of a cascade."""

    @abc.abstractmethod
    def spell_trade(self, cascade: Cascade, fill: Fill, unit_ns: int) -> str:
        """Return a ``@trade`` event."""

    @abc.abstractmethod
    def spell_aggregate(self, symbol: str, aggregate: messages.Aggregate, unit_ns: int) -> str:
        """Return an ``@aggTrade`` event."""

    @abc.abstractmethod
    def note_trade(
        self, clients: Collection[S], cascade: Cascade, fill: Fill, trade_id: int, size: str
    ) -> None:
        """Take note of what clients know by a trade."""

    @abc.abstractmethod
    def spread_quotes(self, stream: str, cascade: Cascade, clients: list[S]) -> None:
        """Send the best quotes after a cascade to those who have subscribed them."""

    # Data.

    def spread(self, cascade: Cascade) -> None:
        """Send trades and aggregate trades, then the best quotes."""
        symbol = cascade.instrument.symbol
        stem = symbol.lower()
        if clients := self.listeners(stream := f"{stem}@trade"):
            for fill in cascade.fills:
                self.detour.send(stream, clients, partial(self._send_trade, stream, cascade, fill))
        if clients := self.listeners(stream := f"{stem}@aggTrade"):
            for aggregate in self.aggregates(cascade):
                send = partial(self._send_aggregate, stream, cascade, aggregate)
                self.detour.send(stream, clients, send)
        if clients := self.listeners(stream := f"{stem}@bookTicker"):
            self.spread_quotes(stream, cascade, clients)

    def enter_made(self, cascade: Cascade) -> None:
        """Enter trades and aggregate trades, whichever any client has ever wanted."""
        symbol = cascade.instrument.symbol
        stem = symbol.lower()
        if f"{stem}@trade" in self.followed:
            for fill in self.past_fills(cascade):
                self.enter_fill(symbol, fill)
        if f"{stem}@aggTrade" in self.followed:
            for aggregate in self.aggregates(cascade):
                self._enter_aggregate(symbol, aggregate)

    def spread_again(self, cascade: Cascade) -> None:
        """Send those trades and aggregate trades again that the ledger has."""
        symbol = cascade.instrument.symbol
        stem = symbol.lower()
        if clients := self.listeners(stream := f"{stem}@trade"):
            for fill in cascade.fills:
                if fill.entered:
                    self._send_trade(stream, cascade, fill, clients)
        if clients := self.listeners(stream := f"{stem}@aggTrade"):
            for aggregate in self.aggregates(cascade):
                if aggregate.entered:
                    self._send_aggregate(stream, cascade, aggregate, clients)

    def _send_trade(self, stream: str, cascade: Cascade, fill: Fill, clients: list[S]) -> None:
        symbol = cascade.instrument.symbol
        self.emit(stream, clients, lambda unit_ns: self.spell_trade(cascade, fill, unit_ns))
        self.told_symbols.add(symbol)
        self.note_trade(clients, cascade, fill, fill.trade_id, fill.size)
        self.enter_fill(symbol, fill)

    def _send_aggregate(
        self, stream: str, cascade: Cascade, aggregate: messages.Aggregate, clients: list[S]
    ) -> None:
        symbol = cascade.instrument.symbol
        self.emit(stream, clients, lambda unit_ns: self.spell_aggregate(symbol, aggregate, unit_ns))
        self.told_symbols.add(symbol)
        self.note_trade(clients, cascade, aggregate.first, aggregate.aggregate_id, aggregate.size)
        self._enter_aggregate(symbol, aggregate)

    def _enter_aggregate(self, symbol: str, aggregate: messages.Aggregate) -> None:
        if not aggregate.entered:
            aggregate.first.aggregate_entered = True
            self.ledger.trade(self._entry_of(symbol, aggregate))

    def unsent(self, cascade: Cascade) -> list[TradeEntry]:
        """Return trades and aggregate trades, unless those or these were sent."""
        singles = super().unsent(cascade)
        if not singles:
            return []
        symbol = cascade.instrument.symbol
        aggregates = [self._entry_of(symbol, it) for it in self.aggregates(cascade) if not it.entered]
        return singles + aggregates if aggregates else []

    def _entry_of(self, symbol: str, aggregate: messages.Aggregate) -> TradeEntry:
        whole = self.entry(symbol, aggregate.first)
        return attrs.evolve(whole, trade_id=aggregate.aggregate_id, size=aggregate.size)

    def emit(self, stream: str, clients: Collection[S], spell: Callable[[int], str]) -> None:
        """Send an event of a stream to some of its subscribers, each in its mode."""
        frames: dict[tuple[bool, int], bytes] = {}
        for client in list(clients):
            mode = (client.combined, client.unit_ns)
            if mode not in frames:
                frames[mode] = text_frame(_wrapped(client, stream, spell(client.unit_ns)))
            self.send_frame(client, frames[mode])

    def symbol_of(self, payload: bytes) -> str | None:
        """Return the event's ``s``, or what its stream is named after."""
        message = json.loads(payload)
        if not isinstance(message, dict):
            return None
        data = message.get("data", message)
        symbol = data.get("s") if isinstance(data, dict) else None
        if isinstance(symbol, str):
            return symbol
        stem, at, _ = str(message.get("stream", "")).partition("@")
        return stem.upper() if at else None

    def topic_symbol(self, topic: str) -> str:
        """Return the symbol of ``stem@kind``; a stream that is not spelled in lower case has none."""
        stem = topic.partition("@")[0]
        return stem.upper() if stem == stem.lower() else ""

    def newest(self) -> Cascade:
        """Return the newest cascade of an instrument that trades."""
        return next(market.cascades[-1] for market in self.market.markets.values() if market.cascades)

    async def reply(self, request: Request) -> Response:
        """Answer a REST request, and tell the weight used within the last minute."""
        response = await super().reply(request)
        used = round(self._weight.used(trio.current_time()))
        return attrs.evolve(response, headers=(*response.headers, ("X-MBX-USED-WEIGHT-1M", str(used))))


def _wrapped(client: StreamClient, stream: str, data: str) -> bytes:
    return (f'{{"stream":"{stream}","data":{data}}}' if client.combined else data).encode()
