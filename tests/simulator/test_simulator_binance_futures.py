from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import trio
from simulator_peer import START_NS, Peer, clock, connect
from trio.testing import MockClock

from multilogger.simulator.binance.coinm import BinanceCoinmVenue
from multilogger.simulator.binance.futures import FuturesVenue
from multilogger.simulator.binance.usdm import BinanceUsdmVenue
from multilogger.simulator.market import Market

KINDS = (BinanceUsdmVenue, BinanceCoinmVenue)
BTC = {BinanceUsdmVenue: "btcusdt", BinanceCoinmVenue: "btcusd_perp"}


def venue_of(kind: type[FuturesVenue], *, opened: bool = True) -> FuturesVenue:
    """Return a venue with some of its instruments, which have traded once."""
    kept = [it for it in kind.instruments if it.base in ("BTC", "ETH", "XYO")]
    market = Market(7, kept, first_trade_id=1000, resolution_ns=kind.resolution_ns, pace_ns=kind.pace_ns)
    if opened:
        market.open(START_NS)
    return kind(market, clock)


def usdm() -> FuturesVenue:
    """Return USD-M futures."""
    return venue_of(BinanceUsdmVenue)


async def subscribed(nursery: trio.Nursery, venue: FuturesVenue, path: str, *streams: str) -> Peer:
    """Return a client whose subscription is acknowledged."""
    peer = await connect(nursery, venue, path)
    assert await peer.ask({"method": "SUBSCRIBE", "params": streams, "id": 1}) == {"result": None, "id": 1}
    return peer


async def events(peer: Peer) -> list[dict[str, Any]]:
    """Return the events that have come, checking their streams' names."""
    messages = [json.loads(text) for text in await peer.gathered()]
    assert all(it["stream"].startswith(it["data"]["s"].lower()) for it in messages)
    return [it["data"] for it in messages]


@pytest.mark.parametrize(
    ("path", "stream", "comes"),
    [
        ("/market/stream", "btcusdt@aggTrade", True),
        ("/market/stream", "btcusdt@trade", False),
        ("/public/stream", "btcusdt@trade", True),
        ("/public/stream", "btcusdt@aggTrade", False),
        ("/stream", "btcusdt@trade", True),
        ("/stream", "btcusdt@aggTrade", False),
        ("/market/stream", "BTCUSDT@aggTrade", False),
        ("/market/stream", "zzzusdt@aggTrade", False),
    ],
)
async def test_a_stream_is_brought_at_its_place_alone(
    nursery: trio.Nursery, autojump_clock: MockClock, path: str, stream: str, *, comes: bool
) -> None:
    """Each is acknowledged everywhere, and stays silent where it does not belong; asked again, too."""
    venue = usdm()
    peer = await subscribed(nursery, venue, path, stream)
    await peer.ask({"method": "SUBSCRIBE", "params": [stream], "id": 2})
    listed = await peer.ask({"method": "LIST_SUBSCRIPTIONS", "id": 3})
    assert listed == {"result": [stream], "id": 3}
    venue.step(50)
    assert bool(await events(peer)) == comes
    assert bool(venue.ledger.counts["TRADES"]) == comes


@pytest.mark.parametrize(
    ("kind", "path", "place"),
    [
        (BinanceUsdmVenue, "/public/stream?streams=btcusdt@bookTicker/btcusdt@trade", "/public"),
        (BinanceUsdmVenue, "/market/ws/btcusdt@aggTrade", "/market"),
        (BinanceUsdmVenue, "/ws", "/public"),
        (BinanceUsdmVenue, "/private/stream", None),
        (BinanceUsdmVenue, "/public", None),
        (BinanceUsdmVenue, "/wsx", None),
        (BinanceCoinmVenue, "/stream", ""),
        (BinanceCoinmVenue, "/ws/btcusd_perp@aggTrade", ""),
        (BinanceCoinmVenue, "/market/stream", None),
    ],
)
async def test_addresses(
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    kind: type[FuturesVenue],
    path: str,
    place: str | None,
) -> None:
    """There are raw and combined streams, with and without streams in the address, at their places."""
    venue = venue_of(kind)
    with trio.move_on_after(30):
        await connect(nursery, venue, "/stream")
    client = venue.admit(path, next(iter(venue.connected())).outbox)
    assert (None if client is None else client.place) == place
    if client is not None:
        assert (len(client.topics), client.combined) == (path.count("@"), "/stream" in path)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_ledger_has_the_aggregates_that_were_sent(
    nursery: trio.Nursery, autojump_clock: MockClock, kind: type[FuturesVenue]
) -> None:
    """Ids are contiguous, sizes sums; the market is named; whole contracts are told where they are sizes."""
    venue = venue_of(kind)
    path = "/market/stream" if kind is BinanceUsdmVenue else "/stream"
    peer = await subscribed(nursery, venue, path, f"{BTC[kind]}@aggTrade")
    venue.step(300)
    sent = await events(peer)
    rows = venue.ledger.rows("TRADES")
    assert [it["a"] for it in sent] == list(range(sent[0]["a"], sent[-1]["a"] + 1))
    assert rows["trade_id"].tolist() == [it["a"] for it in sent]
    assert rows["price"].tolist() == [float(it["p"]) for it in sent]
    assert rows["size"].tolist() == [float(it["q"]) for it in sent]
    assert rows["time_ns"].tolist() == [it["T"] * 10**6 for it in sent]
    assert rows["side"].tolist() == [0 if it["m"] else 1 for it in sent]
    assert {it["st"] for it in sent} == {kind.number}
    assert all(isinstance(it["E"], int) and it["E"] > it["T"] for it in sent)
    assert any(it["f"] != it["l"] for it in sent)
    assert all("." not in it["q"] for it in sent) == (kind is BinanceCoinmVenue)


async def test_trades_off_the_book(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Some trades are told by ``X``: they have ids, but are in no aggregate, and not in the REST API."""
    venue = venue_of(BinanceCoinmVenue)
    peer = await subscribed(nursery, venue, "/stream", "btcusd_perp@trade")
    venue.step(3000)
    sent = await events(peer)
    off = {it["t"] for it in sent if it["X"] != "MARKET"}
    assert [it["t"] for it in sent] == list(range(sent[0]["t"], sent[-1]["t"] + 1))
    assert off
    assert set(venue.ledger.rows("TRADES")["trade_id"].tolist()) == {it["t"] for it in sent}
    market = venue.market.markets["BTCUSD_PERP"]
    inside = {fill.trade_id for it in market.cascades for fill in venue.past_fills(it)}
    assert off.isdisjoint(inside)
    for cascade in market.cascades:
        sizes = sum(float(fill.size) for fill in venue.past_fills(cascade))
        assert sum(float(it.size) for it in venue.aggregates(cascade)) == pytest.approx(sizes)


@pytest.mark.parametrize("kind", KINDS)
async def test_quotes_have_times_and_the_pair(
    nursery: trio.Nursery, autojump_clock: MockClock, kind: type[FuturesVenue]
) -> None:
    """Times rise from one to the next; ids do, too."""
    venue = venue_of(kind)
    symbol = BTC[kind].upper()
    peer = await subscribed(nursery, venue, "/stream", f"{BTC[kind]}@trade", f"{BTC[kind]}@bookTicker")
    for _ in range(5):
        venue.step(30)
    quotes = [it for it in await events(peer) if it["e"] == "bookTicker"]
    assert len(quotes) > 10
    assert all(a["T"] < b["T"] and a["u"] < b["u"] for a, b in pairwise(quotes))
    assert {(it["s"], it["ps"], it["st"]) for it in quotes} == {
        (symbol, symbol.partition("_")[0], kind.number)
    }


async def test_quotes_and_trades_of_one_connection(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """There a row has the last trade that came before its quotes; off the book is no such trade."""
    venue = venue_of(BinanceCoinmVenue, opened=False)
    peer = await subscribed(nursery, venue, "/stream", "btcusd_perp@trade", "btcusd_perp@bookTicker")
    for _ in range(20):
        venue.step(50)
    rows, last, expected = venue.ledger.rows("MD"), None, []
    for it in await events(peer):
        if it["e"] == "bookTicker":
            assert last is not None
            values = (float(last["p"]), float(last["q"]), 0 if last["m"] else 1)
            expected.append((it["T"] * 10**6, *values, float(it["b"]), float(it["a"])))
        elif it["X"] == "MARKET":
            last = it
    names = ["time_ns", "price", "volume", "side", "best_bid", "best_ask"]
    assert [tuple(row[name] for name in names) for row in rows] == expected
    assert len(expected) > 100


async def test_quotes_without_trades_are_no_rows(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Who has asked for nothing else gets them, after a while; nobody could make a row of them."""
    venue = usdm()
    peer = await subscribed(nursery, venue, "/public/stream", "btcusdt@bookTicker")
    venue.step(20)
    assert await events(peer) == []
    await trio.sleep(2)
    venue.step(20)
    assert {it["e"] for it in await events(peer)} == {"bookTicker"}
    assert venue.ledger.counts["MD"] == 0


async def test_quotes_and_trades_of_two_connections(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Quotes come once the trades are sure to be known, and with which of them nobody can tell."""
    venue = usdm()
    market = await subscribed(nursery, venue, "/market/stream", "btcusdt@aggTrade")
    public = await subscribed(nursery, venue, "/public/stream", "btcusdt@bookTicker")
    venue.step(20)
    assert await events(market)
    assert await events(public) == []
    await trio.sleep(2)
    venue.step(60)
    quotes, rows = await events(public), venue.ledger.rows("MD")
    assert rows["time_ns"].tolist() == [it["T"] * 10**6 for it in quotes]
    assert rows["best_bid"].tolist() == [float(it["b"]) for it in quotes]
    assert np.isnan(rows["price"]).all()
    assert len(quotes) > 5


async def test_quotes_of_who_comes_back(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A recorder that comes back may know trades or not, by either address: a trade settles that."""
    venue = usdm()
    first = await subscribed(nursery, venue, "/public/stream", "btcusdt@trade", "btcusdt@bookTicker")
    venue.step(20)
    known = venue.ledger.counts["MD"]
    await first.ws.aclose()
    await trio.sleep(5)
    # The quotes have come late: there is no new trade before them.
    late = venue.market.markets["BTCUSDT"].cascades[-1]
    again = await subscribed(nursery, venue, "/public/stream", "btcusdt@trade", "btcusdt@bookTicker")
    venue.spread_quotes("btcusdt@bookTicker", late, venue.listeners("btcusdt@bookTicker"))
    assert await events(again) == []
    assert venue.ledger.counts["MD"] == known
    venue.step(20)
    assert (await events(again))[-1]["e"] == "bookTicker"
    assert not np.isnan(venue.ledger.rows("MD")["price"]).any()


async def test_quotes_of_two_that_know_different_trades(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A connection beside another that has not had its first trade yet makes the row uncertain."""
    venue = venue_of(BinanceCoinmVenue)
    streams = ("btcusd_perp@aggTrade", "btcusd_perp@bookTicker")
    await subscribed(nursery, venue, "/stream", *streams)
    venue.step(20)
    await subscribed(nursery, venue, "/stream", *streams)
    late = venue.market.markets["BTCUSD_PERP"].cascades[-1]
    venue.spread_quotes(streams[1], late, venue.listeners(streams[1]))
    assert np.isnan(venue.ledger.rows("MD")["price"]).tolist()[-1]
    venue.step(20)
    assert not np.isnan(venue.ledger.rows("MD")["price"]).tolist()[-1]


async def test_quotes_after_an_end_of_trades(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Whether the last trades of a subscription that ends are still taken, nobody knows."""
    venue = venue_of(BinanceCoinmVenue)
    streams = ["btcusd_perp@aggTrade", "btcusd_perp@bookTicker"]
    peer = await subscribed(nursery, venue, "/stream", *streams)
    venue.step(20)
    for method in ("UNSUBSCRIBE", "SUBSCRIBE"):
        await peer.send({"method": method, "params": streams, "id": 2})
    await peer.gathered()
    late = venue.market.markets["BTCUSD_PERP"].cascades[-1]
    venue.spread_quotes(streams[1], late, venue.listeners(streams[1]))
    assert await events(peer) == []


def test_instruments_of_symbols() -> None:
    """Of a symbol alone it is told what kind of contract it is, and in what it is settled."""
    perpetual, future = map(BinanceCoinmVenue.instrument_of, ("BTCUSD_PERP", "BTCUSD_261225"))
    assert (perpetual.base, perpetual.quote, perpetual.settle, perpetual.kind) == (
        *("BTC", "USD", "BTC"),
        "perpetual",
    )
    assert (future.symbol, future.kind) == ("BTCUSD_261225", "future")
    assert BinanceUsdmVenue.instrument_of("ETHUSDT").settle == "USDT"
    assert {it.kind for it in BinanceUsdmVenue.instruments} == {"perpetual", "future"}
