from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
import trio
from simulator_kraken import BOTH, GREETING, data, greeted, kraken, messages, subscribe, subscribed
from simulator_peer import connect
from trio.testing import MockClock

from multilogger.simulator import pulse
from multilogger.simulator.feed_faults import Shutdown
from multilogger.simulator.kraken.limits import BannedWindow
from multilogger.simulator.kraken.messages import number


async def test_every_symbol_is_answered_by_itself(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Good and bad symbols of one request are granted and refused under its id; then come the snapshots."""
    peer = await greeted(nursery, kraken())
    await peer.send(subscribe("BTC/USD", "XBT/USD", "OLD/USD", "SHIB/USD", snapshot=True))
    answers = await messages(peer)
    assert [it["req_id"] for it in answers[:4]] == [1] * 4
    assert [it["success"] for it in answers[:4]] == [True, False, True, True]
    assert answers[0]["result"] == {"channel": "trade", "snapshot": True, "symbol": "BTC/USD"}
    assert answers[1]["error"] == "Currency pair not supported XBT/USD"
    assert (answers[1]["symbol"], answers[1]["method"]) == ("XBT/USD", "subscribe")
    assert [it["type"] for it in answers[4:]] == ["snapshot"] * 2
    assert answers[0]["time_in"].endswith("Z")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("{", "Malformed request"),
        ("[]", "Malformed request"),
        ({"method": "add_order", "req_id": 1}, "Unsupported method"),
        ({"method": "subscribe", "req_id": 1}, "Unsupported channel None"),
        (subscribe("BTC/USD", channel="level3"), "Unsupported channel level3"),
        (subscribe(), "Symbol(s) not specified"),
        (subscribe("BTC/USD", channel="ticker", event_trigger="quotes"), "Unsupported event_trigger"),
        (
            {"method": "unsubscribe", "params": {"channel": "trade", "symbol": ["BTC/USD"]}},
            "Subscription Not Found",
        ),
    ],
)
async def test_bad_requests(
    nursery: trio.Nursery, autojump_clock: MockClock, request_: Any, words: str
) -> None:
    """A bad request is refused in words, and the connection goes on."""
    peer = await greeted(nursery, kraken())
    answer = await peer.ask(request_)
    assert (answer["error"], answer["success"]) == (words, False)
    assert (await peer.ask({"method": "ping", "req_id": 7}))["method"] == "pong"


async def test_unsubscribing_and_subscribing_again(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What is ended brings nothing more; what is there already can't be had twice."""
    venue = kraken()
    peer = await greeted(nursery, venue)
    await peer.send(subscribe("BTC/USD", snapshot=False))
    await peer.send(subscribe("BTC/USD", number=2))
    assert [it["success"] for it in await messages(peer)] == [True, False]
    answer = await peer.ask({**subscribe("BTC/USD", number=3), "method": "unsubscribe"})
    assert (answer["success"], answer["method"], answer["req_id"]) == (True, "unsubscribe", 3)
    venue.step(20)
    assert await messages(peer) == []
    assert venue.ledger.counts["TRADES"] == 0


async def test_greetings_have_ids_beyond_a_double(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Each connection is greeted with an id of its own; there is no path but that of version 2."""
    venue = kraken()
    ids = []
    for _ in range(2):
        peer = await connect(nursery, venue, "/v2")
        ids.append((await peer.receive())["data"][0]["connection_id"])
    assert ids == [GREETING + 1, GREETING + 2]
    assert int(float(ids[0])) != ids[0]
    assert venue.admit("/", next(iter(venue.connected())).outbox) is None


async def test_the_last_fifty_trades_are_replayed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A subscription begins with them, in order; the ledger has them once, and none of those before."""
    venue = kraken()
    venue.market.step(venue.clock(), 300)
    for _ in range(2):
        peer = await greeted(nursery, venue)
        await peer.send(subscribe("BTC/USD"))
        (snapshot,) = [it for it in await messages(peer) if it.get("type") == "snapshot"]
        ids = [it["trade_id"] for it in snapshot["data"]]
        assert ids == sorted(ids)
        assert len(ids) == 50
        assert ids[-1] == venue.market.markets["BTC/USD"].recent[-1].trade_id
    assert venue.ledger.rows("TRADES")["trade_id"].tolist() == ids


async def test_the_ledger_is_what_was_sent(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Row by row it says what the messages say; a ticker has size and side of the last trade sent."""
    venue = kraken()
    peer = await subscribed(nursery, venue, "BTC/USD", "SHIB/USD")
    for _ in range(5):
        venue.step(20)
        await trio.sleep(1)
    sent = await messages(peer)
    trades = [it for message in sent if message["channel"] == "trade" for it in message["data"]]
    assert any(len(message["data"]) > 1 for message in sent)
    rows = venue.ledger.rows("TRADES")[-len(trades) :]
    assert rows["trade_id"].tolist() == [it["trade_id"] for it in trades]
    assert rows["price"].tolist() == [it["price"] for it in trades]
    assert rows["size"].tolist() == [it["qty"] for it in trades]
    assert rows["side"].tolist() == [int(it["side"] == "buy") for it in trades]
    tickers = [(at, it["data"][0]) for at, it in enumerate(sent) if it["channel"] == "ticker"]
    for row, (at, ticker) in zip(venue.ledger.rows("MD")[-len(tickers) :], tickers, strict=True):
        last = next(
            it["data"][-1]
            for it in reversed(sent[:at])
            if it["channel"] == "trade" and it["data"][0]["symbol"] == ticker["symbol"]
        )
        assert (row["volume"], row["side"]) == (last["qty"], int(last["side"] == "buy"))
        assert (row["price"], row["best_bid"], row["best_ask"]) == (
            ticker["last"],
            ticker["bid"],
            ticker["ask"],
        )
        assert row["time_ns"] < 0
        assert not {"timestamp", "last_qty", "side"} & ticker.keys()


async def test_some_ids_are_skipped(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """One id in two hundred is no trade: it is neither sent, nor replayed, nor in the ledger."""
    venue = kraken()
    peer = await subscribed(nursery, venue, "BTC/USD")
    venue.step(1000)
    ids = {it["trade_id"] for it in await data(peer, "trade")}
    skipped = set(range(min(ids), max(ids))) - ids
    assert skipped
    assert {it % 200 for it in skipped} == {100}
    assert not skipped & set(venue.ledger.rows("TRADES")["trade_id"].tolist())
    assert kraken(rate=500.0).skipped_of == 5000


async def test_tickers_by_trigger(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """By trades there is one for every order, by quotes one for every change of them, without a trade too."""
    venue = kraken()
    by_trade = await subscribed(nursery, venue, "BTC/USD")
    by_quote = await subscribed(nursery, venue, "BTC/USD", event_trigger="bbo")
    orders = 0
    for _ in range(40):
        orders += sum(it.instrument.symbol == "BTC/USD" for it in venue.market.step(venue.clock(), 1))
        venue.spread(venue.market.markets["BTC/USD"].cascades[-1])
    every, changes = [await data(peer, "ticker") for peer in (by_trade, by_quote)]
    quotes = [(it["bid"], it["ask"]) for it in changes]
    assert len(every) == 40
    assert 0 < len(changes) < len(every)
    assert all(before != after for before, after in pairwise(quotes))


async def test_the_ticker_of_a_second_connection(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The first begins with the ticker as it is; a second one, whose tickers are left out, without."""
    venue = kraken()
    for count in (1, 0):
        peer = await greeted(nursery, venue)
        for at, channel in enumerate(BOTH):
            await peer.send(subscribe("BTC/USD", channel=channel, number=at))
        assert len(await data(peer, "ticker")) == count
        assert venue.ledger.counts["MD"] == 1


async def test_tickers_wait_while_the_last_trade_is_in_doubt(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Who awaits trades, and got none, may remember some of before: it gets no tickers."""
    venue = kraken()
    await subscribed(nursery, venue, "BTC/USD")
    second = await greeted(nursery, venue)
    await second.send(subscribe("BTC/USD", snapshot=False))
    await second.send(subscribe("BTC/USD", channel="ticker", snapshot=False))
    await second.gathered()
    venue.mute("BTC/USD", trio.current_time() + 60, "trade")
    venue.step(10)
    assert await data(second, "ticker") == []
    await trio.sleep(61)
    venue.step(10)
    assert await data(second, "ticker") != []


async def test_the_channel_of_instruments(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """It tells assets and pairs, small numbers with an exponent."""
    peer = await greeted(nursery, kraken())
    await peer.send({"method": "subscribe", "params": {"channel": "instrument"}, "req_id": 79})
    texts = await peer.gathered()
    grant, snapshot = map(json.loads, texts)
    assert grant["result"] == {"channel": "instrument", "snapshot": True}
    pairs = {it["symbol"]: it for it in snapshot["data"]["pairs"]}
    assert [it["status"] for it in pairs.values()] == ["online", "online", "cancel_only"]
    assert pairs["SHIB/USD"]["price_increment"] == 1e-8
    assert '"price_increment":1e-08' in texts[1]
    assert {"BTC", "USD"} <= {it["id"] for it in snapshot["data"]["assets"]}


def test_numbers() -> None:
    """A number keeps its digits, zeros too; only a small one has an exponent."""
    assert [number(it) for it in ("64000.10", "0.01000000", "0.0001", "0")] == [
        "64000.10",
        "0.01000000",
        "0.0001",
        "0",
    ]
    assert [number(it) for it in ("0.00001785", "0.00000001", "0.00009")] == ["1.785e-05", "1e-08", "9e-05"]


async def test_heartbeats_and_idle_connections(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Heartbeats come where nothing else does; who wants nothing and says nothing is cut in a minute."""
    venue = kraken()
    nursery.start_soon(pulse.run_seconds, venue)
    quiet = await greeted(nursery, venue)
    await quiet.send(subscribe("OLD/USD"))
    idle = await greeted(nursery, venue)
    await trio.sleep(30)
    await idle.ask({"method": "ping"})
    asked = trio.current_time()
    assert await idle.ended() == (1000, "idle")
    assert trio.current_time() - asked == pytest.approx(60, abs=2)
    texts = await quiet.gathered()
    assert 80 <= texts.count('{"channel":"heartbeat"}') <= 92


async def test_too_many_messages_are_refused(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """More than ten in a second are refused in words; the connection stands."""
    venue = kraken()
    peer = await greeted(nursery, venue)
    for _ in range(12):
        await peer.send({"method": "ping", "req_id": 5})
    answers = await messages(peer)
    assert [it.get("error") for it in answers] == [None] * 10 + ["Exceeded msg rate"] * 2
    assert answers[-1]["req_id"] == 5
    assert len(venue.violations) == 2
    await trio.sleep(1)
    assert (await peer.ask({"method": "ping"}))["method"] == "pong"


def test_too_many_connects_bring_a_ban() -> None:
    """The one that is too much, and all within the next ten minutes, are refused."""
    window = BannedWindow(150, 600.0)
    assert all(window.take(float(at)) for at in range(150))
    assert [window.take(150.0), window.take(700.0), window.take(749.9)] == [False] * 3
    assert window.take(751.0)
    assert str(window) == "150 in 600 s"
    assert isinstance(kraken().rules.connects, BannedWindow)


async def test_a_restart_is_announced(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Before a restart all connections are told of a maintenance."""
    venue = kraken()
    peer = await greeted(nursery, venue)
    nursery.start_soon(venue.alarms.run)
    venue.inject(Shutdown(5.0))
    status = (await peer.receive())["data"][0]
    (event,) = status["upcoming_maintenance"]
    assert (event["phase"], event["affected_services"]) == ("final_warning_30s", ["spot_ws"])
    assert (await peer.ended())[0] == 1001


def test_symbols_of_messages() -> None:
    """A message is about the symbol of its first datum; answers and noise are about none."""
    venue = kraken()
    assert venue.symbol_of(b'{"channel":"trade","data":[{"symbol":"BTC/USD"}]}') == "BTC/USD"
    for payload in (b'{"method":"pong"}', b"[]", b'{"data":[]}', b'{"data":[5]}', b'{"data":{"pairs":[]}}'):
        assert venue.symbol_of(payload) is None
    assert venue.topic_symbol("ticker.bbo:BTC/USD") == "BTC/USD"
