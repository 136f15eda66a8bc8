"""The simulated Bybit's data: what is sent, and that the ledger has just what a recorder makes of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import trio
from simulator_bybit import (
    KINDS,
    MS,
    SYMBOLS,
    Recorder,
    data,
    entered,
    request,
    subscribed,
    topics,
    trade_id,
    venue,
)
from trio.testing import MockClock

from multilogger.simulator.faults import Duplicate
from multilogger.simulator.feed_faults import Replay

NAMES = sorted(KINDS)
CONTRACTS = ["bybit_inverse", "bybit_linear"]


def of(messages: list[Any], kind: str) -> list[Any]:
    """Return the messages of one kind of topic."""
    return [message for message in messages if message["topic"].startswith(f"{kind}.")]


@pytest.mark.parametrize("name", NAMES)
async def test_the_ledger_is_what_a_recorder_makes(
    nursery: trio.Nursery, autojump_clock: MockClock, name: str
) -> None:
    """Row by row: trades by their ids, tickers composed as the documentation says."""
    market, symbol = venue(name), SYMBOLS[name]
    peer, messages = await subscribed(nursery, market)
    for number in range(60):
        market.step(3)
        if number % 5 == 0:
            market.every_second()
        await trio.sleep(0.7)
    messages += await data(peer)
    recorder = Recorder()
    for message in messages:
        recorder.take(message)
    assert len(recorder.rows) > 30
    assert entered(market, symbol) == recorder.rows
    trades = [entry for message in of(messages, "publicTrade") for entry in message["data"]]
    for row, entry in zip(market.ledger.rows("TRADES"), trades, strict=True):
        assert (row["trade_id"], row["side"]) == (trade_id(entry["i"]), 1 if entry["S"] == "Buy" else 0)
        assert (row["price"], row["size"]) == (float(entry["p"]), float(entry["v"]))
        assert row["time_ns"] == entry["T"] * MS


@pytest.mark.parametrize("name", NAMES)
async def test_trades_come_several_in_a_message(
    nursery: trio.Nursery, autojump_clock: MockClock, name: str
) -> None:
    """An order's trades share a sequence number, and may need more than one message."""
    market = venue(name)
    peer, _ = await subscribed(nursery, market, topics(name)[0])
    market.step(400)
    messages = await data(peer)
    sizes = [len(message["data"]) for message in messages]
    assert set(sizes) == {1, 2, 3}
    shared = [(a, b) for a, b in pairwise(messages) if len(a["data"]) == 3 and len(b["data"]) == 2]
    assert shared
    assert any(
        {entry["seq"] for entry in (*a["data"], *b["data"])} == {a["data"][0]["seq"]} for a, b in shared
    )
    ids = [entry["i"] for message in messages for entry in message["data"]]
    assert len(set(ids)) == len(ids)
    assert all((len(it) == 19) if name == "bybit" else (len(it) == 36) for it in ids)


async def test_spot_books_are_snapshots_with_a_number(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """``u`` rises by one a change; after three seconds without one the same book comes again."""
    market = venue()
    peer, first = await subscribed(nursery, market, "orderbook.1.BTCUSDT")
    for _ in range(20):
        market.step(10)
        await trio.sleep(0.1)
    books = [*first, *await data(peer)]
    assert [book["data"]["u"] for book in books] == list(range(1, len(books) + 1))
    market.every_second()
    assert await data(peer) == []
    for _ in range(2):
        await trio.sleep(3)
        market.every_second()
    again = await data(peer)
    assert [book["data"] for book in again] == [books[-1]["data"]] * 2
    assert again[0]["ts"] > books[-1]["ts"] + 2900
    assert market.ledger.counts["MD"] == 0


async def test_spot_tickers_have_no_quotes(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """They are always snapshots, and come again although nothing has changed."""
    market = venue()
    peer, first = await subscribed(nursery, market, "tickers.BTCUSDT")
    market.step(40)
    market.every_second()
    messages = [*first, *await data(peer)]
    assert len(messages) == 3
    assert {message["type"] for message in messages} == {"snapshot"}
    assert not any(name.startswith(("bid", "ask")) for message in messages for name in message["data"])
    assert messages[1]["data"]["lastPrice"] == messages[2]["data"]["lastPrice"]


@pytest.mark.parametrize("name", CONTRACTS)
async def test_contracts_tickers_are_deltas(
    nursery: trio.Nursery, autojump_clock: MockClock, name: str
) -> None:
    """After a snapshot only what has changed is told; marks change all the time."""
    market = venue(name)
    peer, (snapshot,) = await subscribed(nursery, market, f"tickers.{SYMBOLS[name]}")
    assert snapshot["type"] == "snapshot"
    assert {"lastPrice", "bid1Price", "ask1Price", "volume24h", "fundingRate"} <= snapshot["data"].keys()
    known = dict(snapshot["data"])
    left_out = set[str]()
    for _ in range(30):
        market.step(10)
        for message in await data(peer):
            assert message["type"] == "delta"
            told = {name: message["data"].get(name) for name in ("lastPrice", "bid1Price", "ask1Price")}
            assert all(value != known[field] for field, value in told.items() if value is not None)
            left_out |= {field for field, value in told.items() if value is None}
            known |= message["data"]
        await trio.sleep(0.1)
    assert left_out
    newest = market.newest(SYMBOLS[name])
    assert newest is not None
    assert (known["lastPrice"], known["bid1Price"]) == (newest.last.price, newest.quote.bid)
    market.every_second()
    (mark,) = await data(peer)
    assert not {"lastPrice", "bid1Price", "ask1Price"} & mark["data"].keys()


@pytest.mark.parametrize("name", NAMES)
async def test_key_orders_differ(nursery: trio.Nursery, autojump_clock: MockClock, name: str) -> None:
    """The markets spell their messages differently."""
    market = venue(name)
    peer, (first, *_) = await subscribed(nursery, market)
    market.step(50)
    trade = of(await data(peer), "publicTrade")[0]
    spot = name == "bybit"
    assert list(first)[1] == ("ts" if spot else "type")
    assert list(trade)[1] == ("ts" if spot else "type")
    assert next(iter(trade["data"][0])) == ("i" if spot else "T")


@pytest.mark.parametrize("name", NAMES)
async def test_who_comes_back_gets_quotes_after_a_trade(
    nursery: trio.Nursery, autojump_clock: MockClock, name: str
) -> None:
    """It may remember an earlier trade, or not: only its own trades settle which rows it makes."""
    market, symbol = venue(name), SYMBOLS[name]
    first, _ = await subscribed(nursery, market)
    market.step(50)
    await first.ws.aclose()
    second, messages = await subscribed(nursery, market)
    market.every_second()
    assert [*messages, *await data(second)] == []
    before = len(entered(market, symbol))
    market.step(50)
    messages = await data(second)
    assert messages[0]["topic"].startswith("publicTrade.")
    recorder = Recorder()
    for message in messages:
        recorder.take(message)
    assert entered(market, symbol)[before:] == recorder.rows != []


@pytest.mark.parametrize("name", NAMES)
async def test_two_connections_make_the_same_rows(
    nursery: trio.Nursery, autojump_clock: MockClock, name: str
) -> None:
    """A row is entered once, and both make it; what they would see differently is not sent to either."""
    market, symbol = venue(name), SYMBOLS[name]
    one, _ = await subscribed(nursery, market)
    market.step(50)
    two, _ = await subscribed(nursery, market)
    recorders = [Recorder(), Recorder()]
    for number in range(40):
        market.step(4)
        if number == 20:
            market.mute(symbol, trio.current_time() + 3, "publicTrade")
        market.every_second()
        await trio.sleep(0.5)
    for peer, recorder in zip((one, two), recorders, strict=True):
        for message in await data(peer):
            recorder.take(message)
    assert set(recorders[0].rows) | set(recorders[1].rows) == set(entered(market, symbol))
    assert set(recorders[1].rows) <= set(recorders[0].rows)
    assert len(recorders[1].rows) > 10
    assert len(set(entered(market, symbol))) == len(entered(market, symbol))


@pytest.mark.parametrize("name", NAMES)
async def test_trades_that_come_twice(nursery: trio.Nursery, autojump_clock: MockClock, name: str) -> None:
    """The ledger has them once; quotes after one are of the trade that came last."""
    market, symbol = venue(name), SYMBOLS[name]
    peer, messages = await subscribed(nursery, market)
    market.inject(Duplicate(20, share=0.5, seed=3))
    for _ in range(40):
        market.step(4)
        await trio.sleep(0.5)
        market.deliver_late()
    messages += await data(peer)
    ids = [entry["i"] for message in of(messages, "publicTrade") for entry in message["data"]]
    assert len(ids) > len(set(ids)) == market.ledger.counts["TRADES"]
    recorder = Recorder()
    for message in messages:
        recorder.take(message)
    assert entered(market, symbol) == recorder.rows


async def test_old_trades_come_again_to_whom_they_came(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A recorder can't know that it has a trade that an earlier connection brought long ago."""
    market = venue()
    first, _ = await subscribed(nursery, market, "publicTrade.BTCUSDT")
    market.step(100)
    known = {entry["i"] for message in await data(first) for entry in message["data"]}
    await first.ws.aclose()
    second, _ = await subscribed(nursery, market, "publicTrade.BTCUSDT")
    market.inject(Replay(200))
    assert await data(second) == []
    market.step(100)
    own = {entry["i"] for message in await data(second) for entry in message["data"]}
    market.inject(Replay(200))
    again = {entry["i"] for message in await data(second) for entry in message["data"]}
    assert again
    assert again <= own
    assert not again & known


async def test_trades_are_entered_when_they_are_made(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """If wanted, and from the first subscription of a symbol's trades on; tickers only when they are sent."""
    market = venue()
    market.enter_all = True
    market.step(50)
    assert market.ledger.counts["TRADES"] == 0
    peer, _ = await subscribed(nursery, market, "publicTrade.BTCUSDT")
    await peer.ws.aclose()
    market.step(50)
    rows = market.ledger.rows("TRADES")
    assert len(rows) > 5
    assert set(rows["symbol"].tolist()) == {b"BTCUSDT"}
    assert market.ledger.counts["MD"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_garbage_is_about_trades(name: str) -> None:
    """No state that a recorder keeps is concerned by it."""
    market = venue(name)
    garbage = market.garbage()
    assert len(garbage) == 9
    assert not any(b"tickers" in payload or b"orderbook" in payload for payload in garbage)


def test_symbols_of_messages() -> None:
    """A message is about what its topic ends with."""
    market = venue("bybit_linear")
    assert market.symbol_of(b'{"topic":"tickers.BTC-26DEC31","data":{}}') == "BTC-26DEC31"
    assert market.symbol_of(b'{"topic":"orderbook.1.BTCUSDT"}') == "BTCUSDT"
    assert [market.symbol_of(it) for it in (b'{"op":"ping"}', b"[]", b'{"topic":7}', b'{"topic":""}')] == [
        None
    ] * 4


@pytest.mark.parametrize("name", NAMES)
async def test_a_clock_that_goes_back(nursery: trio.Nursery, autojump_clock: MockClock, name: str) -> None:
    """Times of quotes follow the exchange's clock, right or wrong."""
    market, symbol = venue(name), SYMBOLS[name]
    peer, messages = await subscribed(nursery, market)
    market.step(30)
    market.set_clock(-20_000 * MS)
    market.step(30)
    messages += await data(peer)
    recorder = Recorder()
    for message in messages:
        recorder.take(message)
    times = [row[0] for row in recorder.rows]
    assert times != sorted(times)
    assert entered(market, symbol) == recorder.rows
    assert await peer.ask(request("kline.1." + symbol))
