"""Messages that come late, or twice."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import trio
from simulator_peer import Peer, binance, coinbase, connect
from trio.testing import MockClock, wait_all_tasks_blocked

from multilogger.simulator.faults import Cut, Disorder, Duplicate, Stall
from multilogger.simulator.venue import Venue

TOPICS = ["btcusdt@trade", "ethusdt@trade", "btcusdt@ticker", "ethusdt@ticker"]


async def recorder(nursery: trio.Nursery, venue: Venue[Any]) -> Peer:
    """Return a client that has subscribed trades and tickers."""
    if venue.name == "coinbase":
        peer = await connect(nursery, venue)
        request = {"product_ids": ["BTC-USD", "ETH-USD"], "channels": ["matches", "ticker"]}
        await peer.send({"type": "subscribe", **request})
    else:
        peer = await connect(nursery, venue, "/stream")
        await peer.send({"method": "SUBSCRIBE", "params": TOPICS, "id": 1})
    await wait_all_tasks_blocked()
    return peer


async def trade(venue: Venue[Any], secs: float, fills: int = 4) -> None:
    """Let the market trade and late messages come, ten times a second."""
    for tenth in range(round(secs * 10)):
        await trio.sleep(0.1)
        venue.deliver_late()
        venue.step(fills)
        if tenth % 10 == 9:
            venue.every_second()


async def rest(venue: Venue[Any]) -> None:
    """Let only late messages come until there are none."""
    while venue.detour.waiting:
        await trio.sleep(0.1)
        venue.deliver_late()


async def received(peer: Peer) -> list[tuple[str, int]]:
    """Return symbol and id of the trades that have come."""
    trades = []
    for text in await peer.gathered():
        message = json.loads(text)
        data = message.get("data", message)
        if data.get("type") in ("match", "last_match"):
            trades.append((data["product_id"], data["trade_id"]))
        elif data.get("e") == "trade":
            trades.append((data["s"], data["t"]))
    return trades


def entered(venue: Venue[Any]) -> list[tuple[str, int]]:
    """Return symbol and id of the trades in the ledger, in its order."""
    rows = venue.ledger.rows("TRADES")
    return [(row["symbol"].decode(), int(row["trade_id"])) for row in rows]


def late(trades: list[tuple[str, int]]) -> int:
    """Return how many trades have an id below one that came before."""
    highest: dict[str, int] = {}
    found = 0
    for symbol, number in trades:
        found += number < highest.get(symbol, 0)
        highest[symbol] = max(number, highest.get(symbol, 0))
    return found


@pytest.mark.parametrize("make", [coinbase, binance])
async def test_trades_come_late_and_none_is_lost(
    nursery: trio.Nursery, autojump_clock: MockClock, make: Any
) -> None:
    """Ids come below younger ones; in the end each trade came once, as the ledger has it, in its order."""
    venue = make()
    peer = await recorder(nursery, venue)
    await trade(venue, 1)
    venue.inject(Disorder(math.inf, share=0.1, seed=3))
    await trade(venue, 20)
    assert venue.detour.waiting
    await rest(venue)
    trades = await received(peer)
    assert trades == entered(venue)
    assert len(set(trades)) == len(trades)
    for symbol in {symbol for symbol, _ in trades}:
        ids = sorted(number for name, number in trades if name == symbol)
        assert ids == list(range(ids[0], ids[-1] + 1))
    assert 40 < late(trades) <= venue.detour.held_back < 160


@pytest.mark.parametrize("make", [coinbase, binance])
async def test_tickers_come_late_and_none_is_lost(
    nursery: trio.Nursery, autojump_clock: MockClock, make: Any
) -> None:
    """With tickers it is the same: times go back, and there are as many as ever."""
    counts = []
    for share in (0.0, 0.3):
        venue = make()
        await recorder(nursery, venue)
        await trade(venue, 1)
        venue.inject(Disorder(math.inf, share=share, seed=3))
        await trade(venue, 30)
        await rest(venue)
        rows = venue.ledger.rows("MD")
        times = rows["time_ns"][rows["symbol"] == rows["symbol"][0]].tolist()
        assert (times == sorted(times)) == (share == 0.0)
        counts.append(len(rows))
    assert counts[0] == counts[1] > 50


async def test_disorder_is_seeded_and_ends(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The same seed holds the same trades back, another one others, and after its time all come at once."""
    orders = []
    for seed in (1, 1, 2):
        venue = coinbase()
        await recorder(nursery, venue)
        await trade(venue, 1)
        venue.inject(Disorder(4.95, share=0.2, seed=seed))
        await trade(venue, 6)
        held = venue.detour.held_back
        await trade(venue, 5)
        assert venue.detour.held_back == held > 0
        assert not venue.detour.waiting
        orders.append(entered(venue))
    assert orders[0] == orders[1] != orders[2]


async def test_late_messages_keep_their_delay(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Nothing comes before the shortest delay, all has after the longest, also while the market rests."""
    venue = coinbase()
    await recorder(nursery, venue)
    await trade(venue, 1)
    venue.inject(Disorder(math.inf, share=1.0, delays=(2.0, 4.0)))
    venue.step(6)
    before = venue.ledger.counts["TRADES"]
    venue.pause()
    await trio.sleep(1.9)
    venue.deliver_late()
    assert venue.ledger.counts["TRADES"] == before
    await trio.sleep(2.2)
    venue.deliver_late()
    assert venue.ledger.counts["TRADES"] >= before + 6
    await venue.drained()


async def test_the_first_trade_of_a_subscription_is_in_time(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A client that knows no trade of an instrument yet could not tell that one is late."""
    venue = binance()
    peer = await recorder(nursery, venue)
    venue.inject(Disorder(math.inf, share=1.0))
    venue.step(40)
    assert {symbol for symbol, _ in await received(peer)} == {"BTCUSDT", "ETHUSDT"}
    assert venue.ledger.counts["TRADES"] == 2
    assert venue.detour.waiting == venue.detour.held_back >= 38


async def test_late_messages_are_bounded(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """At most a hundred messages of a topic wait; the others come in time."""
    venue = binance()
    await recorder(nursery, venue)
    venue.inject(Disorder(math.inf, share=1.0))
    venue.step(1000)
    assert venue.detour.waiting == 200
    assert venue.ledger.counts["TRADES"] >= 800


async def test_what_nobody_waits_for_any_more_was_not_sent(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Late messages of a connection that broke are lost; the next one gets none of them, nor the ledger."""
    venue = coinbase()
    await recorder(nursery, venue)
    await trade(venue, 1)
    venue.inject(Disorder(1, share=1.0))
    venue.step(10)
    held = venue.detour.waiting
    before = entered(venue)
    venue.inject(Cut())
    await trio.sleep(0.1)
    again = await recorder(nursery, venue)
    replayed = await received(again)
    await trio.sleep(4)
    venue.deliver_late()
    assert held > 10
    assert not venue.detour.waiting
    assert await received(again) == []
    assert entered(venue) == before + [trade for trade in replayed if trade not in before]


async def test_late_messages_wait_for_the_end_of_a_stall(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Nothing comes during a stall; what was held back before it does afterwards."""
    venue = coinbase()
    peer = await recorder(nursery, venue)
    await trade(venue, 1)
    venue.inject(Disorder(0.05, share=1.0))
    venue.step(10)
    venue.inject(Stall(10))
    await received(peer)
    await trio.sleep(9)
    venue.deliver_late()
    assert await received(peer) == []
    await trio.sleep(2)
    venue.deliver_late()
    assert len(await received(peer)) >= 10


async def test_a_ticker_that_opened_a_subscription_does_not_come_late(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A ticker held back that a new subscription began with is sent once: no id tells two of them apart."""
    venue = coinbase()
    await recorder(nursery, venue)
    await trade(venue, 1)
    venue.inject(Disorder(math.inf, share=1.0))
    venue.step(1)
    await recorder(nursery, venue)
    await rest(venue)
    rows = venue.ledger.rows("MD")
    assert len(set(zip(rows["symbol"].tolist(), rows["sequence"].tolist(), strict=True))) == len(rows)


@pytest.mark.parametrize("make", [coinbase, binance])
async def test_duplicates_are_sent_and_entered_once(
    nursery: trio.Nursery, autojump_clock: MockClock, make: Any
) -> None:
    """Some trades come a second time; the ledger has each once, late ones among them."""
    venue = make()
    peer = await recorder(nursery, venue)
    await trade(venue, 1)
    venue.inject(Duplicate(math.inf, share=0.1, seed=5))
    venue.inject(Disorder(math.inf, share=0.1, seed=6))
    await trade(venue, 10)
    await rest(venue)
    trades = await received(peer)
    assert sorted(set(trades)) == sorted(entered(venue))
    assert len(trades) - len(set(trades)) == venue.detour.repeated > 20


async def test_aggregates_come_late_and_twice(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Aggregate trades are held back and repeated like trades."""
    venue = binance()
    await connect(nursery, venue, "/stream?streams=btcusdt@aggTrade/ethusdt@aggTrade")
    await trade(venue, 1)
    venue.inject(Duplicate(math.inf, share=0.1))
    venue.inject(Disorder(math.inf, share=0.1))
    await trade(venue, 10)
    await rest(venue)
    trades = entered(venue)
    assert late(trades) > 5
    assert len(set(trades)) == len(trades)
