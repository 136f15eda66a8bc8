"""The simulated Kraken Futures: answers, data and ledger."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import trio
from simulator_kraken_futures import (
    BTC,
    ETH,
    OLD,
    alert,
    following,
    greeted,
    kraken_futures,
    messages,
    request,
    second,
    subscribed,
)
from simulator_peer import START_NS, connect
from trio.testing import MockClock

from multilogger.simulator.faults import Duplicate
from multilogger.simulator.kraken_futures.venue import IDLE_SECS

REQUESTING = alert("Already subscribed to feed, re-requesting")


def invalid(symbol: str) -> dict[str, Any]:
    """Return the refusal of a product."""
    return alert(f"Couldn't subscribe to invalid product `{symbol}`")


async def test_each_product_is_answered(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Answers come in the order of the request, then what the subscriptions begin with."""
    peer = await greeted(nursery, kraken_futures())
    await peer.send(request("trade", BTC, "PF_NOPEUSD", OLD, ETH))
    told = await messages(peer)
    assert told[:4] == [
        subscribed("trade", BTC),
        invalid("PF_NOPEUSD"),
        invalid(OLD),
        subscribed("trade", ETH),
    ]
    assert [(it["feed"], it["product_id"]) for it in told[4:]] == [
        ("trade_snapshot", BTC),
        ("trade_snapshot", ETH),
    ]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("{", "Bad websocket message"),
        ([], "Bad websocket message"),
        ({"event": "ping"}, "Bad websocket message"),
        ({"event": "subscribe"}, "Bad websocket message"),
        ({"event": "subscribe", "feed": "trade", "product_ids": BTC}, "Bad websocket message"),
        ({"event": "subscribe", "feed": "trade", "product_ids": [7]}, "Bad websocket message"),
        (request("weather", BTC), "Couldn't subscribe to invalid feed"),
        (request("weather", BTC, event="unsubscribe"), "Couldn't unsubscribe to invalid feed"),
        (request("fills"), "Failed to subscribe to authenticated feed"),
        (request("trade", BTC, event="unsubscribe"), "Not subscribed to feed"),
    ],
)
async def test_alerts(nursery: trio.Nursery, autojump_clock: MockClock, asked: Any, words: str) -> None:
    """What can't be followed is answered in prose, and the connection goes on."""
    peer = await greeted(nursery, kraken_futures())
    assert await peer.ask(asked) == alert(words)
    assert await peer.ask(request("ticker", BTC)) == subscribed("ticker", BTC)


async def test_products_in_any_case(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Answers and data spell them as listed."""
    venue = kraken_futures()
    peer = await greeted(nursery, venue)
    assert await peer.ask(request("trade", "pi_xbtUSD")) == subscribed("trade", BTC)
    venue.step(20)
    assert {it["product_id"] for it in await messages(peer)} == {BTC}


async def test_trades_before_a_subscription(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """At most the last 100 come, the newest first; asked for once more they come again."""
    venue = kraken_futures()
    peer = await greeted(nursery, venue)
    await peer.send(request("trade", BTC))
    few = (await messages(peer, "trade_snapshot"))[0]["trades"]
    assert len(few) == len(venue.market.markets[BTC].recent)
    venue.step(400)
    await messages(peer)
    assert await peer.ask(request("trade", BTC)) == REQUESTING
    (snapshot,) = await messages(peer)
    numbers = [it["seq"] for it in snapshot["trades"]]
    assert numbers == list(range(numbers[0], numbers[0] - 100, -1))
    assert numbers[0] == venue.market.markets[BTC].recent[-1].trade_id
    assert venue.ledger.counts["TRADES"] == numbers[0] - venue.market.markets[BTC].recent[0].trade_id + 1


async def test_the_ledger_is_what_was_sent(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Row by row it says what the messages say; a ticker's size and side are those of the last trade sent."""
    venue = kraken_futures()
    peer = await following(nursery, venue, "trade", "ticker")
    before = dict(venue.ledger.counts)
    for _ in range(5):
        await second(venue, 20)
    told = await messages(peer)
    trades = [it for it in told if it["feed"] == "trade"]
    assert all(after["seq"] == it["seq"] + 1 for it, after in pairwise(trades))
    rows = venue.ledger.rows("TRADES")[before["TRADES"] :]
    for row, it in zip(rows, trades, strict=True):
        assert row["trade_id"] == int(it["uid"].replace("-", "")[:16], 16)
        assert (row["time_ns"], row["price"], row["size"]) == (it["time"] * 10**6, it["price"], it["qty"])
        assert row["side"] == (1 if it["side"] == "buy" else 0)
        assert it["type"] == "fill"
    tickers = [(number, it) for number, it in enumerate(told) if it["feed"] == "ticker"]
    assert len(tickers) == 5
    rows = venue.ledger.rows("MD")[before["MD"] :]
    for row, (number, it) in zip(rows, tickers, strict=True):
        last = next(one for one in reversed(told[:number]) if one["feed"] == "trade")
        assert (row["volume"], row["side"]) == (last["qty"], 1 if last["side"] == "buy" else 0)
        assert (row["time_ns"], row["price"]) == (it["time"] * 10**6, it["last"])
        assert (row["best_bid"], row["best_ask"]) == (it["bid"], it["ask"])


async def test_tickers_come_if_something_changed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """One comes at the subscription, and once a second if there was a trade."""
    venue = kraken_futures()
    peer = await following(nursery, venue, "trade")
    await peer.send(request("ticker", BTC))
    (first,) = await messages(peer, "ticker")
    assert 0 <= first["time"] - START_NS // 10**6 <= 10
    assert {"bid", "ask", "last", "volume", "funding_rate"} <= first.keys()
    for _ in range(3):
        await second(venue, 0)
    assert await messages(peer) == []
    await second(venue)
    (ticker,) = await messages(peer, "ticker")
    assert first["time"] < ticker["time"]
    # A dated contract has no funding.
    await peer.send(request("trade", ETH))
    await peer.send(request("ticker", ETH))
    (dated,) = await messages(peer, "ticker")
    assert "funding_rate" not in dated
    assert (dated["maturityTime"], dated["tag"]) == (1_924_588_800_000, "quarter")


async def test_the_newest_ticker_is_sent_again(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Who comes with the same last trade gets the same ticker; beside a later trade it gets none."""
    venue = kraken_futures()
    first = await following(nursery, venue, "trade", "ticker")
    await second(venue)
    (told,) = await messages(first, "ticker")
    other = await following(nursery, venue, "trade")
    await other.send(request("ticker", BTC))
    assert await messages(other, "ticker") == [told]
    assert venue.ledger.counts["MD"] == 2
    await trio.sleep(0.1)
    venue.step(20)
    late = await following(nursery, venue, "trade", "ticker")
    assert await messages(late, "ticker") == []
    venue.every_second()
    assert [len(await messages(peer, "ticker")) for peer in (first, other, late)] == [1, 1, 1]


async def test_without_trades_nobody_knows_the_last_one(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Tickers alone are no rows; after an unsubscription of trades none come at all."""
    venue = kraken_futures()
    peer = await following(nursery, venue, "ticker")
    await second(venue)
    assert len(await messages(peer, "ticker")) == 1
    assert venue.ledger.counts == {"TRADES": 0, "MD": 0}
    await peer.send(request("trade", BTC))
    await second(venue)
    assert len(await messages(peer, "ticker")) == 1
    await peer.send(request("trade", BTC, event="unsubscribe"))
    assert await messages(peer) == [subscribed("trade", BTC, event="unsubscribed")]
    await second(venue)
    assert await messages(peer) == []
    assert venue.ledger.counts["MD"] == 1


async def test_clients_who_disagree_get_no_tickers(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """While a client has missed the newest trade, what its recorder makes of a ticker is not certain."""
    venue = kraken_futures()
    peers = [await following(nursery, venue, "trade", "ticker") for _ in range(2)]
    clients = list(venue.connected())
    fill = venue.market.markets[BTC].recent[0]
    clients[0].last[BTC] = fill
    venue.market.step(START_NS + 10**9, 5)
    await second(venue, 0)
    assert [await messages(peer, "ticker") for peer in peers] == [[], []]
    venue.step(20)
    await second(venue, 0)
    assert [len(await messages(peer, "ticker")) for peer in peers] == [1, 1]


async def test_quotes_have_no_time(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """``ticker_lite`` has neither time nor last price; the ledger has when it was sent, below zero."""
    venue = kraken_futures()
    peer = await following(nursery, venue, "trade", "ticker_lite")
    for _ in range(3):
        await second(venue)
        await second(venue, 0)
    told = await messages(peer)
    quotes = [it for it in told if it["feed"] == "ticker_lite"]
    assert len(quotes) == 3
    assert not any({"time", "last"} & it.keys() for it in quotes)
    rows = venue.ledger.rows("MD")
    assert rows["best_bid"].tolist() == [it["bid"] for it in quotes]
    assert (rows["time_ns"] < -START_NS).all()
    newest = [it["price"] for it in told if it["feed"] == "trade"][-1]
    assert rows["price"][-1] == newest


async def test_heartbeats(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """They come once a second to who has asked for them, until they are ended."""
    venue = kraken_futures()
    peer = await greeted(nursery, venue)
    assert await peer.ask(request("heartbeat")) == subscribed("heartbeat")
    assert await peer.ask(request("heartbeat")) == REQUESTING
    await second(venue)
    beat = {"feed": "heartbeat", "time": (START_NS + 10**9) // 10**6}
    assert await messages(peer) == [beat]
    end = request("heartbeat", event="unsubscribe")
    assert await peer.ask(end) == subscribed("heartbeat", event="unsubscribed")
    assert await peer.ask(end) == alert("Not subscribed to feed")
    await second(venue)
    assert await messages(peer) == []


async def test_repeated_trades_are_entered_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What is sent a second time is the same trade, and no other row."""
    venue = kraken_futures()
    peer = await following(nursery, venue, "trade")
    entered = venue.ledger.counts["TRADES"]
    venue.inject(Duplicate(secs=10, share=1.0, delays=(0.0, 0.0)))
    venue.step(20)
    venue.deliver_late()
    numbers = [it["seq"] for it in await messages(peer, "trade")]
    once = sorted(set(numbers))
    assert sorted(numbers) == sorted(once + once)
    assert venue.ledger.counts["TRADES"] - entered == len(once)


async def test_who_is_not_heard_is_cut(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A message a minute keeps the connection; a minute without one ends it."""
    venue = kraken_futures()
    peer = await greeted(nursery, venue)
    start = trio.current_time()
    for _ in range(3):
        await trio.sleep(IDLE_SECS - 1)
        await peer.ask(request("heartbeat"))
    assert await peer.ended() == (1000, "Idle timeout")
    assert trio.current_time() - start == pytest.approx(4 * IDLE_SECS - 3, abs=0.1)


async def test_other_paths_are_refused(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """There is nothing but ``/ws/v1``."""
    venue = kraken_futures()
    await connect(nursery, venue, "/ws/v1?x=1")
    outbox = next(iter(venue.connected())).outbox
    assert [venue.admit(path, outbox) for path in ("/", "/ws", "/ws/v2")] == [None] * 3
