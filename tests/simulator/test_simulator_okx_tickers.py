"""Tickers of the simulated OKX: when they come, and which side the ledger says that they have."""

from __future__ import annotations

import json
from typing import Any

import trio
from simulator_okx import BOTH, args, data, okx, subscribe, subscribed
from simulator_peer import Peer
from trio.testing import MockClock

from multilogger.simulator.faults import Disorder
from multilogger.simulator.okx.venue import OkxVenue

TICKERS = args("tickers", "BTC-USDT")
ALL_TRADES = args("trades-all", "BTC-USDT")


def trade(venue: OkxVenue, *, bought: bool) -> None:
    """Let orders happen until one of BTC-USDT was the last, and its aggressor bought or sold."""
    market = venue.market.markets["BTC-USDT"]
    while True:
        before = len(market.cascades)
        venue.step(1)
        if len(market.cascades) > before and market.cascades[-1].last.bought is bought:
            return


async def traded(venue: OkxVenue, *, bought: bool) -> None:
    """Let the last order be one of a kind, and its ticker be due."""
    trade(venue, bought=bought)
    await trio.sleep(0.1)
    venue.every_second()


def rows(venue: OkxVenue) -> list[tuple[int, int]]:
    """Return milliseconds and side of the tickers in the ledger."""
    return [(int(it["time_ns"]) // 1_000_000, int(it["side"])) for it in venue.ledger.rows("MD")]


async def composed(peer: Peer) -> list[tuple[int, int]]:
    """Return milliseconds and side of the tickers that have come, the side as a recorder composes it."""
    newest, side, found = -1, -1, []
    for text in await peer.gathered():
        message: Any = json.loads(text)
        if "event" in message:
            continue
        (entry,) = message["data"]
        if message["arg"]["channel"] == "tickers":
            found.append((int(entry["ts"]), side))
        elif int(entry["tradeId"]) > newest:
            newest, side = int(entry["tradeId"]), int(entry["side"] == "buy")
    return found


async def test_tickers_are_rows_with_the_side_of_the_last_trade(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Row by row the ledger has what a recorder makes of the messages."""
    venue = okx()
    peer = await subscribed(nursery, venue, *BOTH)
    for _ in range(60):
        venue.step(4)
        await trio.sleep(0.05)
    found = await composed(peer)
    assert rows(venue) == found
    assert len({side for _, side in found}) == 2
    [first, *_] = venue.ledger.rows("MD")
    assert first["best_bid"] < first["best_ask"]


async def test_tickers_keep_their_distance(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """There is at most one ticker in 100 ms, the last state of them all, and none without a trade."""
    venue = okx()
    peer = await subscribed(nursery, venue, *TICKERS)
    await peer.gathered()
    for _ in range(100):
        venue.step(4)
        await trio.sleep(0.01)
    await trio.sleep(0.1)
    venue.every_second()
    found = await data(peer, "tickers")
    assert 9 <= len(found) <= 11
    assert found[-1]["last"] == venue.market.markets["BTC-USDT"].cascades[-1].last.price
    await trio.sleep(1)
    venue.every_second()
    assert await data(peer, "tickers") == []


async def test_tickers_of_late_trades(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Trades and tickers that come late are rows with the sides that a recorder finds."""
    venue = okx()
    peer = await subscribed(nursery, venue, *BOTH)
    venue.inject(Disorder(30.0, 0.3, seed=3, delays=(0.05, 0.6)))
    for _ in range(300):
        venue.step(2)
        venue.deliver_late()
        await trio.sleep(0.05)
    assert venue.detour.held_back > 20
    found = await composed(peer)
    assert sorted(rows(venue)) == sorted(found)
    assert found != sorted(found)


async def test_tickers_who_comes_back_gets_the_same(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A second connection is told the current ticker, which is one row; or a new one if trades came since."""
    venue = okx()
    await subscribed(nursery, venue, *BOTH)
    await traded(venue, bought=True)
    before = rows(venue)
    peer = await subscribed(nursery, venue, *BOTH)
    assert await composed(peer) == before[-1:]
    assert rows(venue) == before
    trade(venue, bought=False)
    await trio.sleep(0.01)
    trade(venue, bought=False)
    other = await subscribed(nursery, venue, *BOTH)
    assert await composed(other) == rows(venue)[-1:]
    assert rows(venue)[-1][1] == 0


async def test_tickers_without_trades_go_by_the_tick_rule(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Who gets tickers alone knows no side before the price moves; then up is a buy, down a sell."""
    venue = okx()
    peer = await subscribed(nursery, venue, *TICKERS)
    for _ in range(30):
        await trio.sleep(0.2)
        venue.step(6)
    side, last, expected = None, 0.0, []
    for it in await data(peer, "tickers"):
        price = float(it["last"])
        side = side if price == last or not last else int(price > last)
        last = price
        expected += [] if side is None else [(int(it["ts"]), side)]
    assert rows(venue) == expected
    assert len(expected) > 5


async def test_tickers_wait_for_who_may_remember(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Who comes back without a trade may know one from before, or not: no ticker comes until it has one."""
    venue = okx()
    first = await subscribed(nursery, venue, *BOTH)
    await first.ws.aclose()
    venue.silent_ack_until = trio.current_time() + 1
    peer = await subscribed(nursery, venue, *BOTH[:1])
    await trio.sleep(2)
    await peer.send(subscribe(*TICKERS))
    await traded(venue, bought=True)
    assert await data_of_pushes(peer) == []
    await peer.send({"op": "unsubscribe", "args": BOTH[:1]})
    await peer.send(subscribe(*BOTH[:1]))
    await peer.gathered()
    await traded(venue, bought=False)
    assert [it["arg"]["channel"] for it in await data_of_pushes(peer)][-1] == "tickers"


async def data_of_pushes(peer: Peer) -> list[Any]:
    """Return the pushes that have come."""
    return [message for text in await peer.gathered() if "data" in (message := json.loads(text))]


async def test_tickers_beside_all_trades(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Over two sockets a ticker comes once the last trade must have arrived, with that one's side."""
    venue = okx()
    public = await subscribed(nursery, venue, *TICKERS)
    business = await subscribed(nursery, venue, *ALL_TRADES, path="/ws/v5/business")
    await public.gathered()
    await traded(venue, bought=True)
    assert await data(public, "tickers") == []
    await trio.sleep(0.3)
    venue.every_second()
    (ticker,) = await data(public, "tickers")
    assert rows(venue)[-1] == (int(ticker["ts"]), 1)
    await business.ws.aclose()
    await trio.sleep(0.3)
    await traded(venue, bought=False)
    assert await data(public, "tickers") == []


async def test_tickers_during_a_stall(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Nothing comes during a stall, and what has changed meanwhile comes after it."""
    venue = okx()
    peer = await subscribed(nursery, venue, *BOTH)
    await peer.gathered()
    venue.stalled_until = trio.current_time() + 5
    await traded(venue, bought=True)
    assert await peer.gathered() == []
    await trio.sleep(5)
    venue.every_second()
    assert len(await data(peer, "tickers")) == 1
