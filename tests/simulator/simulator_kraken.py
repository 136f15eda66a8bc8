"""A simulated Kraken spot for tests, and what its clients ask for."""

from __future__ import annotations

import json
from typing import Any, Final

import trio
from simulator_peer import START_NS, Peer, clock, connect, instrument

from multilogger.simulator.kraken.spot import KrakenVenue
from multilogger.simulator.market import Market

BOTH: Final = ("trade", "ticker")
GREETING: Final = 13_834_774_380_200_032_777


def kraken(rate: float = 1.0) -> KrakenVenue:
    """Return a Kraken whose instruments have traded once; one id in 200 is skipped."""
    listed = [
        instrument("BTC/USD", "BTC", "USD", "64000.0"),
        instrument("SHIB/USD", "SHIB", "USD", "0.00001785"),
        instrument("OLD/USD", "OLD", "USD", online=False),
    ]
    market = Market(7, listed, first_trade_id=1000, pace_ns=1000)
    market.open(START_NS)
    return KrakenVenue(market, clock, rate=rate)


def subscribe(*symbols: str, channel: str = "trade", number: int = 1, **params: Any) -> dict[str, Any]:
    """Return a request."""
    named = {"channel": channel, "symbol": list(symbols), **params}
    return {"method": "subscribe", "params": named, "req_id": number}


async def greeted(nursery: trio.Nursery, venue: KrakenVenue) -> Peer:
    """Return a client that has read its greeting."""
    peer = await connect(nursery, venue, "/v2")
    status = await peer.receive()
    assert (status["channel"], status["data"][0]["system"]) == ("status", "online")
    return peer


async def subscribed(nursery: trio.Nursery, venue: KrakenVenue, *symbols: str, **params: Any) -> Peer:
    """Return a client that has read all that its subscriptions to trades and tickers began with."""
    peer = await greeted(nursery, venue)
    await peer.send(subscribe(*symbols))
    await peer.send(subscribe(*symbols, channel="ticker", number=2, **params))
    await peer.gathered()
    return peer


async def messages(peer: Peer) -> list[Any]:
    """Return the messages that have come, but for heartbeats."""
    found = [json.loads(text) for text in await peer.gathered()]
    return [it for it in found if it.get("channel") != "heartbeat"]


async def data(peer: Peer, channel: str) -> list[Any]:
    """Return the data of a channel's messages that have come."""
    return [
        it for message in await messages(peer) if message.get("channel") == channel for it in message["data"]
    ]
