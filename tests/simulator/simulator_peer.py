"""Clients of simulated exchanges, over memory streams, so that the virtual clock may jump."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import trio
from trio.testing import memory_stream_pair
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from multilogger.simulator.binance.spot import BinanceVenue
from multilogger.simulator.coinbase.venue import CoinbaseVenue
from multilogger.simulator.instruments import Instrument
from multilogger.simulator.market import Market
from multilogger.simulator.server import serve_connection
from multilogger.simulator.venue import Venue

START_NS = 1_795_341_600_123_456_789
"""2026-11-22 10:00:00 UTC and a bit."""


def clock() -> int:
    """Return a time that follows Trio's clock."""
    return START_NS + int(trio.current_time() * 1e9)


def instrument(
    symbol: str, base: str, quote: str, price: str = "100.00", *, online: bool = True
) -> Instrument:
    """Return an instrument."""
    return Instrument(symbol=symbol, base=base, quote=quote, price=price, online=online)


def coinbase(ledger_dir: Path | None = None) -> CoinbaseVenue:
    """Return a Coinbase whose instruments have traded once."""
    listed = [
        instrument("BTC-USD", "BTC", "USD", "64000.00"),
        instrument("ETH-USD", "ETH", "USD"),
        instrument("OLD-USD", "OLD", "USD", online=False),
    ]
    market = Market(7, listed, first_trade_id=1000, pace_ns=1000)
    market.open(START_NS)
    return CoinbaseVenue(market, clock, ledger_dir=ledger_dir)


def binance(ledger_dir: Path | None = None) -> BinanceVenue:
    """Return a Binance whose instruments have traded once."""
    listed = [
        instrument("BTCUSDT", "BTC", "USDT", "64000.00"),
        instrument("ETHUSDT", "ETH", "USDT"),
        instrument("OLDUSDT", "OLD", "USDT", online=False),
    ]
    market = Market(7, listed, first_trade_id=1000, resolution_ns=1_000_000)
    market.open(START_NS)
    return BinanceVenue(market, clock, ledger_dir=ledger_dir)


class Peer:
    """A client that talks JSON."""

    def __init__(self, ws: WebSocketConnection) -> None:
        self.ws = ws

    async def send(self, message: Any) -> None:
        """Send a message as JSON, or text as it is."""
        await self.ws.send_message(message if isinstance(message, str) else json.dumps(message))

    async def receive(self) -> Any:
        """Return the next message, decoded."""
        return json.loads(await self.ws.get_message())

    async def ask(self, message: Any) -> Any:
        """Send a message and return what comes next."""
        await self.send(message)
        return await self.receive()

    async def gathered(self) -> list[str]:
        """Return the texts that have come once nothing moves any more."""
        texts: list[str] = []
        while True:
            with trio.move_on_after(0.001) as waiting:
                texts.append(str(await self.ws.get_message()))
            if waiting.cancelled_caught:
                return texts

    async def ended(self) -> tuple[int, str | None]:
        """Read until the connection ends; return the close code and reason."""
        with suppress(ConnectionClosed):
            while True:
                await self.ws.get_message()
        assert self.ws.closed is not None
        return self.ws.closed.code, self.ws.closed.reason


async def connect(nursery: trio.Nursery, venue: Venue[Any], path: str = "/") -> Peer:
    """Open a connection to a venue that needs no server to run."""
    client_stream, server_stream = memory_stream_pair()
    nursery.start_soon(serve_connection, venue, server_stream)
    return Peer(await wrap(nursery, client_stream, path))


async def wrap(nursery: trio.Nursery, stream: trio.abc.Stream, path: str = "/") -> WebSocketConnection:
    """Shake hands over any stream, whatever the annotation of trio-websocket says."""
    transport = cast("trio.SocketStream", stream)
    return await wrap_client_stream(nursery, transport, "venue.test", path, message_queue_size=10_000)
