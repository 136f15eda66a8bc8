"""The simulated Bybit's rules: requests, answers, limits, pings, idle connections."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from simulator_bybit import KINDS, SYMBOLS, data, open_peer, request, subscribed, topics, venue
from trio.testing import MockClock

from multilogger.simulator.feed_faults import SilentAck

NAMES = sorted(KINDS)


@pytest.mark.parametrize("name", NAMES)
async def test_dialects_of_answers(nursery: trio.Nursery, autojump_clock: MockClock, name: str) -> None:
    """Spot says "subscribe", the others nothing; these name the request even if it has no name."""
    peer = await open_peer(nursery, venue(name))
    answer = await peer.ask(request("kline.1." + SYMBOLS[name]))
    words = "subscribe" if name == "bybit" else ""
    assert answer == {
        "success": True,
        "ret_msg": words,
        "conn_id": answer["conn_id"],
        "req_id": "1",
        "op": "subscribe",
    }
    bare = await peer.ask({"op": "unsubscribe", "args": ["kline.1." + SYMBOLS[name]]})
    assert bare.get("req_id") == (None if name == "bybit" else "")


@pytest.mark.parametrize("name", NAMES)
async def test_first_data_and_answer(nursery: trio.Nursery, autojump_clock: MockClock, name: str) -> None:
    """Spot answers before the first data, linear and inverse after them; trades are of now alone."""
    market = venue(name)
    peer = await open_peer(nursery, market)
    await peer.send(request(*topics(name)))
    messages = await data(peer)
    kinds = [message.get("topic", "answer").rpartition(".")[0] or "answer" for message in messages]
    assert kinds == (["answer", "tickers", "orderbook.1"] if name == "bybit" else ["tickers", "answer"])
    assert all(message.get("type", "snapshot") == "snapshot" for message in messages)
    assert market.ledger.counts == {"TRADES": 0, "MD": 0}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bybit", "Invalid symbol :[publicTrade.NOPEUSDT]"),
        ("bybit_linear", "error:handler not found,topic:publicTrade.NOPEUSDT"),
        ("bybit_inverse", "error:handler not found,topic:publicTrade.NOPEUSDT"),
    ],
)
async def test_one_bad_topic_voids_a_request(
    nursery: trio.Nursery, autojump_clock: MockClock, name: str, words: str
) -> None:
    """It is named in the words of the market, and nothing of the request is subscribed."""
    market = venue(name)
    peer = await open_peer(nursery, market)
    answer = await peer.ask(request(*topics(name), "publicTrade.NOPEUSDT"))
    assert (answer["success"], answer["ret_msg"], answer["req_id"]) == (False, words, "1")
    market.step(50)
    assert await data(peer) == []


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_subscribed_already_voids_a_request(
    nursery: trio.Nursery, autojump_clock: MockClock, name: str
) -> None:
    """It is named, too; the earlier subscription goes on."""
    market = venue(name)
    first, other = topics(name)[0], topics(name)[1]
    peer, _ = await subscribed(nursery, market, first)
    answer = await peer.ask(request(first, other))
    assert (answer["success"], answer["ret_msg"]) == (False, f"error:already subscribed,topic:{first}")
    market.step(50)
    assert {message["topic"] for message in await data(peer)} == {first}


async def test_off_line_symbols(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Spot does not know them; of contracts before their launch a subscription is just silent."""
    peer = await open_peer(nursery, venue("bybit"))
    assert (await peer.ask(request("tickers.XYOUSDT")))["success"] is False
    market = venue("bybit_linear")
    peer = await open_peer(nursery, market)
    assert (await peer.ask(request("tickers.XYOUSDT")))["success"] is True
    market.step(50)
    assert await data(peer) == []


@pytest.mark.parametrize("name", NAMES)
async def test_topics_a_request(nursery: trio.Nursery, autojump_clock: MockClock, name: str) -> None:
    """Spot takes ten at a time, the others any number."""
    market = venue(name)
    peer = await open_peer(nursery, market)
    many = [f"kline.{number}.{SYMBOLS[name]}" for number in range(1, 12)]
    answer = await peer.ask(request(*many))
    assert answer["success"] is (name != "bybit")
    assert len(market.violations) == (name == "bybit")
    if name == "bybit":
        assert answer["ret_msg"] == "args size >10"
        assert (await peer.ask(request(*many[:10])))["success"] is True


@pytest.mark.parametrize("name", NAMES)
async def test_topics_a_connection(nursery: trio.Nursery, autojump_clock: MockClock, name: str) -> None:
    """All topics of a connection together, as a list, may have 21,000 characters."""
    market = venue(name)
    peer = await open_peer(nursery, market)
    taken: list[str] = []
    while True:
        few = [f"kline.{len(taken) + number}.{SYMBOLS[name]}" for number in range(1, 11)]
        await trio.sleep(1)
        answer = await peer.ask(request(*few))
        if not answer["success"]:
            break
        taken += few
    assert "21000" in answer["ret_msg"]
    assert len(json.dumps(taken, separators=(",", ":"))) <= 21_000
    assert len(json.dumps(taken + few, separators=(",", ":"))) > 21_000
    assert len(market.violations) == 1


@pytest.mark.parametrize("bad", ["{", "[]", {"op": "dance"}, {}, {"op": "subscribe", "args": [7]}])
async def test_bad_requests(nursery: trio.Nursery, autojump_clock: MockClock, bad: Any) -> None:
    """They are answered, and the connection goes on."""
    peer = await open_peer(nursery, venue())
    assert (await peer.ask(bad))["success"] is False
    assert (await peer.ask({"op": "ping"}))["ret_msg"] == "pong"


@pytest.mark.parametrize("name", NAMES)
async def test_pongs(nursery: trio.Nursery, autojump_clock: MockClock, name: str) -> None:
    """A ping is answered by one."""
    peer = await open_peer(nursery, venue(name))
    answer = await peer.ask({"op": "ping", "req_id": "p1"})
    assert answer.pop("conn_id")
    assert answer == {"success": True, "ret_msg": "pong", "req_id": "p1", "op": "ping"}


async def test_idle_connections_are_cut(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """After ten minutes without a word of either side; a ping or data put it off."""
    market = venue()
    silent = await open_peer(nursery, market)
    pinging = await open_peer(nursery, market)
    listening, _ = await subscribed(nursery, market)
    start = trio.current_time()
    for _ in range(11):
        await trio.sleep(60)
        await pinging.ask({"op": "ping"})
        market.step(20)
    assert silent.ws.closed is not None
    assert pinging.ws.closed is None
    assert listening.ws.closed is None
    await data(listening)
    await pinging.ended()
    assert trio.current_time() - start == pytest.approx(11 * 60 + 600, abs=1)


@pytest.mark.parametrize("name", NAMES)
async def test_paths(nursery: trio.Nursery, autojump_clock: MockClock, name: str) -> None:
    """Each market has one path."""
    market = venue(name)
    await open_peer(nursery, market)
    outbox = next(iter(market.connected())).outbox
    for path in ("/", "/v5/public/option", "/v5/private", "/v5/public"):
        assert market.admit(path, outbox) is None
    assert market.admit(f"/v5/public/{market.category}/?x=1", outbox) is not None


async def test_a_silent_acknowledgement(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """It brings nothing, not even the first data, until the subscription is made anew."""
    market = venue()
    market.inject(SilentAck(5))
    peer, first = await subscribed(nursery, market)
    await trio.sleep(10)
    market.step(50)
    assert (first, await data(peer)) == ([], [])
    await peer.ask(request(*topics("bybit"), verb="unsubscribe"))
    await peer.send(request(*topics("bybit")))
    assert len(await data(peer)) == 3


def test_instruments() -> None:
    """Linear has contracts in USDT and USDC, perpetual and dated; those of inverse count dollars."""
    linear = {it.symbol: it for it in KINDS["bybit_linear"].instruments}
    assert {"BTCUSDT", "LTCPERP", "LINKUSDT-26DEC31", "AVAX-26DEC31"} <= set(linear)
    assert {it.settle for it in linear.values()} == {"USDT", "USDC"}
    inverse = KINDS["bybit_inverse"].instruments
    assert all(it.settle == it.base and it.size_decimals == 0 for it in inverse)
    assert [it.symbol for it in inverse if it.kind == "future"] == ["LINKUSDZ31"]
    for kind in KINDS.values():
        assert sum(it.online for it in kind.instruments) == 10
        assert len(kind.instruments) == 11


def test_instruments_of_symbols_alone() -> None:
    """What is known of an instrument by its symbol is enough to list it."""
    perpetual = KINDS["bybit_linear"].instrument_of("BTCPERP")
    assert (perpetual.symbol, perpetual.base, perpetual.quote, perpetual.settle) == (
        "BTCPERP",
        "BTC",
        "USDC",
        "USDC",
    )
    assert KINDS["bybit_inverse"].instrument_of("ETHUSD").settle == "ETH"
    assert KINDS["bybit"].instrument_of("ETHUSDC").quote == "USDC"
