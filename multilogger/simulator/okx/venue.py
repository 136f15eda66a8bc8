"""OKX v5, simulated: its public and business channels, and the public part of its REST API.

Modelled: one acknowledgement an argument, refusal in the exchange's words, also of channels on the wrong
path, 480 requests an hour and connection, three connections a second, pings in bare text, the close 4004
after 30 s in which nothing was sent, the notice 64008 before a cut, the last trade and the current ticker at
subscribe, ``trades`` with merged fills, ``trades-all`` with every fill, ``tickers`` at most every 100 ms, and
past trades fill by fill. Channels without data here: order books, candles, prices of derivatives.

A client should subscribe either ``trades`` or ``trades-all``: both are TRADES rows of the same ids.

Source: https://www.okx.com/docs-v5/en/.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from itertools import count
from typing import ClassVar, Final
from urllib.parse import urlsplit

import attrs
import trio

from multilogger.simulator.instruments import Instrument
from multilogger.simulator.ledger import TradeEntry
from multilogger.simulator.market import Cascade, Fill
from multilogger.simulator.okx import messages
from multilogger.simulator.okx.client import OkxClient
from multilogger.simulator.okx.instruments import INSTRUMENTS, instrument_of
from multilogger.simulator.okx.messages import ALL_TRADES, TICKERS, TRADES, Merged
from multilogger.simulator.okx.rest import TOO_MANY, answer_rest, error, weight
from multilogger.simulator.okx.tickers import OkxTickers
from multilogger.simulator.rest import Request, Response
from multilogger.simulator.rules import Rules, Window
from multilogger.simulator.wire import Outbox

IDLE_SECS: Final = 30.0
_PATHS: Final = {"/ws/v5/public": False, "/ws/v5/business": True}
_TOO_MANY_STATUS: Final = 429


class OkxVenue(OkxTickers):
    """A simulated OKX; topics are ``channel:INSTID``."""

    name: ClassVar[str] = "okx"
    messages_per_fill: ClassVar[float] = 1.0
    requests_per_second: ClassVar[int] = 20
    """None is documented."""
    resolution_ns: ClassVar[int] = messages.MILLISECOND
    instruments: ClassVar[tuple[Instrument, ...]] = INSTRUMENTS
    settings: ClassVar[Mapping[str, str]] = {"inst_types": "SPOT,SWAP,FUTURES"}

    @classmethod
    def instrument_of(cls, symbol: str) -> Instrument:
        """Return an instrument of the kind that the symbol's form tells."""
        return instrument_of(symbol)

    @cached_property
    def _numbers(self) -> Iterator[int]:
        """Of connections."""
        return count(1)

    def make_rules(self) -> Rules:
        """Return what an address may ask for."""
        return Rules(connects=Window(3, 1.0), weight=Window(20, 2.0))

    def admit(self, path: str, outbox: Outbox) -> OkxClient | None:
        """Take the public and the business path."""
        business = _PATHS.get(urlsplit(path).path.rstrip("/"))
        if business is None:
            return None
        return OkxClient(path, outbox, business=business, conn_id=f"{next(self._numbers):08x}")

    async def attend(self, client: OkxClient) -> None:
        """Hang up on a client to whom nothing was sent for 30 s; a stall is no fault of its own."""
        while trio.current_time() < client.active_at + IDLE_SECS:
            await trio.sleep_until(client.active_at + IDLE_SECS)
            if self.silent:
                await self.wait_flowing()
                client.active_at = trio.current_time()
        client.leave(4004, "No data received in 30s.")

    def send_frame(self, client: OkxClient, frame: bytes) -> None:
        """Send one encoded frame to one client."""
        client.active_at = trio.current_time()
        super().send_frame(client, frame)

    def subscribe(self, client: OkxClient, topic: str) -> bool:
        """Enter a subscription; False if the client has it already."""
        symbol = self.topic_symbol(topic)
        if symbol in self.told:
            client.late.add(symbol)
        return super().subscribe(client, topic)

    def replay(self, client: OkxClient, topic: str) -> None:
        """Send the last trade, or the current ticker, once its side is certain."""
        channel, _, symbol = topic.partition(":")
        cascades = self.market.markets[symbol].cascades
        if not cascades:
            return
        if channel == TRADES:
            self._send_merged(symbol, messages.merged(cascades[-1])[-1], [client])
        elif channel == ALL_TRADES:
            self._send_fill(symbol, cascades[-1].last, [client])
        elif channel == TICKERS:
            self.replay_ticker(symbol, client)

    # Data.

    def spread(self, cascade: Cascade) -> None:
        """Send merged trades, and every fill."""
        symbol = cascade.instrument.symbol
        if clients := self.listeners(topic := f"{TRADES}:{symbol}"):
            for one in messages.merged(cascade):
                self.detour.send(topic, clients, partial(self._send_merged, symbol, one))
        if clients := self.listeners(topic := f"{ALL_TRADES}:{symbol}"):
            for fill in cascade.fills:
                self.detour.send(topic, clients, partial(self._send_fill, symbol, fill))

    def enter_made(self, cascade: Cascade) -> None:
        """Enter merged trades or every fill, whichever any client has ever wanted."""
        symbol = cascade.instrument.symbol
        if f"{TRADES}:{symbol}" in self.followed:
            for one in messages.merged(cascade):
                self._enter_merged(symbol, one)
        if f"{ALL_TRADES}:{symbol}" in self.followed:
            for fill in cascade.fills:
                self.enter_fill(symbol, fill)

    def spread_again(self, cascade: Cascade) -> None:
        """Send those trades again that the ledger has."""
        symbol = cascade.instrument.symbol
        for one in messages.merged(cascade):
            if one.first.aggregate_entered:
                self._send_merged(symbol, one, self.listeners(f"{TRADES}:{symbol}"))
        for fill in cascade.fills:
            if fill.entered:
                self._send_fill(symbol, fill, self.listeners(f"{ALL_TRADES}:{symbol}"))

    def _send_merged(self, symbol: str, one: Merged, clients: list[OkxClient]) -> None:
        self._enter_merged(symbol, one)
        self.tell_trade(symbol, one.last, clients)
        self.broadcast(clients, messages.trade(symbol, one))

    def _send_fill(self, symbol: str, fill: Fill, clients: list[OkxClient]) -> None:
        self.enter_fill(symbol, fill)
        self.tell_trade(symbol, fill, clients)
        self.broadcast(clients, messages.single_trade(symbol, fill))

    def _enter_merged(self, symbol: str, one: Merged) -> None:
        if not one.first.aggregate_entered:
            one.first.aggregate_entered = True
            fills = tuple(self.entry(symbol, fill) for fill in one.fills) if len(one.fills) > 1 else ()
            self.ledger.trade(attrs.evolve(self.entry(symbol, one.last), size=one.size, fills=fills))

    def unsent(self, cascade: Cascade) -> list[TradeEntry]:
        """Return the fills that nobody was sent, alone or merged."""
        symbol = cascade.instrument.symbol
        apart = (one for one in messages.merged(cascade) if not one.first.aggregate_entered)
        return [self.entry(symbol, fill) for one in apart for fill in one.fills if not fill.entered]

    # What others ask for.

    def garbage(self) -> list[bytes]:
        """Return malformed messages about an instrument that trades."""
        cascade = next(market.cascades[-1] for market in self.market.markets.values() if market.cascades)
        return messages.garbage(cascade)

    def symbol_of(self, payload: bytes) -> str | None:
        """Return the ``instId`` of what a push is about."""
        message = json.loads(payload)
        arg = message.get("arg") if isinstance(message, dict) else None
        symbol = arg.get("instId") if isinstance(arg, dict) else None
        return symbol if isinstance(symbol, str) else None

    def topic_symbol(self, topic: str) -> str:
        """Return the instrument of ``channel:INSTID``."""
        return topic.partition(":")[2]

    def answer(self, request: Request) -> Response:
        """Answer a REST request."""
        return answer_rest(self.market, self.clock, request)

    def weigh(self, request: Request) -> float:
        """Return what a REST request weighs."""
        return weight(request)

    async def reply(self, request: Request) -> Response:
        """Answer a REST request; refusals are in OKX's own words."""
        response = await super().reply(request)
        if response.status == _TOO_MANY_STATUS:
            return attrs.evolve(error(TOO_MANY, _TOO_MANY_STATUS), headers=response.headers)
        return response
