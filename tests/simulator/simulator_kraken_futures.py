"""A simulated Kraken Futures, and clients of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import trio
from simulator_peer import START_NS, Peer, clock, connect

from multilogger.simulator.instruments import Instrument
from multilogger.simulator.kraken_futures.venue import KrakenFuturesVenue
from multilogger.simulator.market import Market

BTC: Final = "PI_XBTUSD"
ETH: Final = "FF_ETHUSD_301227"
OLD: Final = "PF_OLDUSD"


def kraken_futures(ledger_dir: Path | None = None) -> KrakenFuturesVenue:
    """Return one whose contracts have traded once."""
    listed = [KrakenFuturesVenue.instrument_of(symbol) for symbol in (BTC, ETH)]
    online = [_priced(instrument) for instrument in listed]
    offline = _priced(KrakenFuturesVenue.instrument_of(OLD), online=False)
    resolution_ns = KrakenFuturesVenue.resolution_ns
    market = Market(7, [*online, offline], first_trade_id=1000, resolution_ns=resolution_ns)
    market.open(START_NS)
    return KrakenFuturesVenue(market, clock, ledger_dir=ledger_dir)


def _priced(instrument: Instrument, *, online: bool = True) -> Instrument:
    return Instrument(
        symbol=instrument.symbol,
        base=instrument.base,
        quote=instrument.quote,
        price="64000.50",
        size_decimals=instrument.size_decimals,
        kind=instrument.kind,
        settle=instrument.settle,
        contract_size=instrument.contract_size,
        expiry_ns=instrument.expiry_ns,
        online=online,
    )


def request(feed: str, *symbols: str, event: str = "subscribe") -> dict[str, Any]:
    """Return a request."""
    return {"event": event, "feed": feed, **({"product_ids": list(symbols)} if symbols else {})}


def subscribed(feed: str, *symbols: str, event: str = "subscribed") -> dict[str, Any]:
    """Return an acknowledgement."""
    return request(feed, *symbols, event=event)


def alert(words: str) -> dict[str, Any]:
    """Return an alert."""
    return {"event": "alert", "message": words}


async def greeted(nursery: trio.Nursery, venue: KrakenFuturesVenue) -> Peer:
    """Return a client that was greeted."""
    peer = await connect(nursery, venue, "/ws/v1")
    assert await peer.receive() == {"event": "info", "version": 1}
    return peer


async def following(nursery: trio.Nursery, venue: KrakenFuturesVenue, *feeds: str) -> Peer:
    """Return a client that has subscribed feeds of Bitcoin's contract, the answers taken away."""
    peer = await greeted(nursery, venue)
    for feed in feeds:
        assert await peer.ask(request(feed, BTC)) == subscribed(feed, BTC)
        await messages(peer)
    return peer


async def messages(peer: Peer, feed: str | None = None) -> list[Any]:
    """Return what has come; the data of one feed, if it is named."""
    found = [json.loads(text) for text in await peer.gathered()]
    return [it for it in found if feed is None or ("event" not in it and it["feed"] == feed)]


async def second(venue: KrakenFuturesVenue, fills: int = 5) -> None:
    """Let a second pass, with some trades."""
    await trio.sleep(1)
    if fills:
        venue.step(fills)
    venue.every_second()
