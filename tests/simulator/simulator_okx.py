"""Clients of a simulated OKX."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import trio
from simulator_peer import START_NS, Peer, clock, connect

from multilogger.simulator.market import Market
from multilogger.simulator.okx.venue import OkxVenue

_LISTED = ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP", "BTC-USD-311226", "XYO-USDT")


def args(channel: str, *symbols: str) -> list[dict[str, str]]:
    """Return the arguments of a request for one channel."""
    return [{"channel": channel, "instId": symbol} for symbol in symbols]


BOTH = [*args("trades", "BTC-USDT"), *args("tickers", "BTC-USDT")]


def subscribe(*arguments: Any) -> dict[str, Any]:
    """Return a request."""
    return {"id": "1", "op": "subscribe", "args": list(arguments)}


def okx(ledger_dir: Path | None = None) -> OkxVenue:
    """Return an OKX whose instruments have traded once; the first of them trades most."""
    listed = [it for it in OkxVenue.instruments if it.symbol in _LISTED]
    listed = [attrs.evolve(it, weight=4.0 if it.symbol == "BTC-USDT" else 1.0) for it in listed]
    market = Market(7, listed, first_trade_id=1000, resolution_ns=OkxVenue.resolution_ns)
    market.open(START_NS)
    return OkxVenue(market, clock, ledger_dir=ledger_dir)


async def subscribed(
    nursery: trio.Nursery, venue: OkxVenue, *arguments: Any, path: str = "/ws/v5/public"
) -> Peer:
    """Return a client whose subscriptions are acknowledged."""
    peer = await connect(nursery, venue, path)
    await peer.send(subscribe(*arguments))
    for argument in arguments:
        answer = await peer.receive()
        assert (answer["event"], answer["arg"]) == ("subscribe", argument)
    return peer


async def data(peer: Peer, channel: str) -> list[Any]:
    """Return the entries of a channel that have come."""
    messages = [json.loads(text) for text in await peer.gathered()]
    return [entry for it in messages if it["arg"]["channel"] == channel for entry in it["data"]]
