"""Faults of a feed that stands: half-open connections, deaf subscriptions, wrong clocks and their like."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from simulator_peer import START_NS, Peer, binance, coinbase, connect
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_websocket import ConnectionClosed

from multilogger.simulator.faults import Cut
from multilogger.simulator.feed_faults import (
    HalfOpen,
    Oversize,
    Replay,
    Shutdown,
    SilentAck,
    StallSymbol,
    Storm,
    WrongClock,
)
from multilogger.simulator.rest import Request
from multilogger.simulator.venue import Venue

STREAMS = {"coinbase": "/", "binance": "/stream"}
MAKERS = [coinbase, binance]


def request(venue: Venue[Any], *symbols: str, verb: str = "subscribe") -> dict[str, Any]:
    """Return a request for the trades of some symbols, all by default."""
    wanted = list(symbols or venue.symbols())
    if venue.name == "coinbase":
        return {"type": verb, "product_ids": wanted, "channels": ["matches"]}
    return {"method": verb.upper(), "params": [f"{name.lower()}@trade" for name in wanted], "id": 1}


async def subscribed(nursery: trio.Nursery, venue: Venue[Any], *symbols: str) -> Peer:
    """Return a client that has read everything its subscription brought."""
    peer = await connect(nursery, venue, STREAMS[venue.name])
    await peer.send(request(venue, *symbols))
    await peer.gathered()
    return peer


async def trades(peer: Peer) -> list[tuple[str, int]]:
    """Return symbol and id of the trades that have come."""
    found = []
    for text in await peer.gathered():
        message = json.loads(text)
        data = message.get("data", message)
        if data.get("type") in ("match", "last_match"):
            found.append((data["product_id"], data["trade_id"]))
        elif data.get("e") == "trade":
            found.append((data["s"], data["t"]))
    return found


@pytest.mark.parametrize("make", MAKERS)
async def test_half_open(nursery: trio.Nursery, autojump_clock: MockClock, make: Any) -> None:
    """Nothing comes, and nothing is answered, not even a ping, until the client leaves; a new one is fine."""
    venue = make()
    peer = await subscribed(nursery, venue)
    venue.inject(HalfOpen())
    before = venue.ledger.counts["TRADES"]
    venue.step(50)
    assert venue.ledger.counts["TRADES"] == before
    await peer.send(request(venue, verb="unsubscribe"))
    with trio.move_on_after(3600) as pinging:
        await peer.ws.ping()
    assert pinging.cancelled_caught
    venue.inject(Cut())
    assert await peer.gathered() == []
    assert peer.ws.closed is None
    assert len(venue.connected()) == 1
    again = await subscribed(nursery, venue)
    venue.step(50)
    assert await trades(again)
    await venue.drained()
    with trio.move_on_after(5):
        await peer.ws.aclose()
    await trio.aclose_forcefully(peer.ws._stream)
    await wait_all_tasks_blocked()
    assert len(venue.connected()) == 1


@pytest.mark.parametrize("make", MAKERS)
async def test_a_symbol_stalls(nursery: trio.Nursery, autojump_clock: MockClock, make: Any) -> None:
    """Nothing of the symbol comes until it is subscribed anew or the time is over; all else does."""
    venue = make()
    first, second = await subscribed(nursery, venue), await subscribed(nursery, venue)
    mute, loud = venue.symbols()
    venue.inject(StallSymbol(60, mute))
    venue.step(40)
    assert {symbol for symbol, _ in await trades(first)} == {loud}
    assert {symbol for symbol, _ in await trades(second)} == {loud}
    await second.send(request(venue, mute, verb="unsubscribe"))
    await second.send(request(venue, mute))
    await second.gathered()
    venue.step(40)
    assert {symbol for symbol, _ in await trades(first)} == {loud}
    assert {symbol for symbol, _ in await trades(second)} == {mute, loud}
    await trio.sleep(60)
    venue.step(40)
    assert {symbol for symbol, _ in await trades(first)} == {mute, loud}
    path = f"/products/{mute}/trades" if venue.name == "coinbase" else "/api/v3/trades"
    rows = json.loads((await venue.reply(Request(path, {"symbol": mute}, {}))).body)
    ids = sorted(row.get("trade_id", row.get("id")) for row in rows)
    assert ids == list(range(ids[0], venue.market.markets[mute].recent[-1].trade_id + 1))


async def test_a_part_of_a_symbol_stalls(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """With a part named, only that channel is silent; which symbol it is the seed says."""
    venue = coinbase()
    peer = await connect(nursery, venue)
    await peer.send({**request(venue), "channels": ["matches", "heartbeat"]})
    await peer.gathered()
    venue.inject(StallSymbol(60, seed=4, part="matches"))
    venue.step(40)
    [loud] = {symbol for symbol, _ in await trades(peer)}
    venue.every_second()
    beats = [json.loads(text) for text in await peer.gathered()]
    assert {beat["product_id"] for beat in beats} == set(venue.symbols())
    [mute] = set(venue.symbols()) - {loud}
    newest = [beat["last_trade_id"] for beat in beats if beat["product_id"] == mute]
    assert newest == [venue.market.markets[mute].recent[-1].trade_id]


@pytest.mark.parametrize("make", MAKERS)
async def test_subscriptions_are_acknowledged_in_vain(
    nursery: trio.Nursery, autojump_clock: MockClock, make: Any
) -> None:
    """What is subscribed during the fault brings nothing, then or later, until it is subscribed anew."""
    venue = make()
    old = await subscribed(nursery, venue)
    venue.inject(SilentAck(30))
    peer = await connect(nursery, venue, STREAMS[venue.name])
    answer = await peer.ask(request(venue))
    assert answer.get("type", "subscriptions") == "subscriptions"
    venue.step(40)
    assert await trades(old)
    assert await trades(peer) == []
    await trio.sleep(31)
    venue.step(40)
    assert await trades(peer) == []
    [symbol, _] = venue.symbols()
    await peer.send(request(venue, symbol, verb="unsubscribe"))
    await peer.send(request(venue, symbol))
    await peer.gathered()
    venue.step(40)
    assert {name for name, _ in await trades(peer)} == {symbol}


@pytest.mark.parametrize("make", MAKERS)
async def test_old_trades_come_again(nursery: trio.Nursery, autojump_clock: MockClock, make: Any) -> None:
    """Only what was sent before is sent again, and the ledger has it once."""
    venue = make()
    await trio.sleep(1)
    venue.step(100)  # Nobody has subscribed these.
    peer = await subscribed(nursery, venue)
    first = await trades(peer)
    venue.step(200)
    sent = first + await trades(peer)
    before = dict(venue.ledger.counts)
    venue.inject(Replay(100, seed=3))
    repeated = await trades(peer)
    known = {(row["symbol"].decode(), int(row["trade_id"])) for row in venue.ledger.rows("TRADES")}
    assert len(repeated) > 20
    assert set(repeated) <= known
    assert set(sent) <= known
    assert venue.ledger.counts == before


async def test_oversized_messages(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A message of just the size asked for comes, also one beyond what a slow client may leave waiting."""
    venue = coinbase()
    careful = await subscribed(nursery, venue)
    venue.inject(Oversize(venue.outbox_bytes + 1000))
    with pytest.raises(ConnectionClosed, match="1009"):
        await careful.ws.get_message()
    careless = await subscribed(nursery, venue)
    careless.ws._max_message_size = 1 << 30
    venue.inject(Oversize(venue.outbox_bytes + 1000))
    text = str(await careless.ws.get_message())
    assert len(text) == venue.outbox_bytes + 1000
    assert json.loads(text)["type"] == "oversized"


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("offset", [-30.0, 30.0])
async def test_a_wrong_clock(
    nursery: trio.Nursery, autojump_clock: MockClock, make: Any, offset: float
) -> None:
    """Times are wrong by the offset while it lasts, right before and after, and ledger and REST have them."""
    venue = make()
    nursery.start_soon(venue.alarms.run)
    await subscribed(nursery, venue)
    expected: list[int] = []
    for wrong in (0.0, offset, 0.0):
        await trio.sleep(5)
        venue.step(10)
        now = START_NS + int((trio.current_time() + wrong) * 1e9)
        expected += [now // 10**6] * (venue.ledger.counts["TRADES"] - len(expected))
        if not wrong:
            venue.inject(WrongClock(8, offset))
        await trio.sleep(2)
    times = venue.ledger.rows("TRADES")["time_ns"] // 10**6
    replayed = 2 if venue.name == "coinbase" else 0
    assert times[replayed:] == pytest.approx(expected[replayed:], abs=1)
    fills = [fill for market in venue.market.markets.values() for fill in market.recent if fill.entered]
    assert sorted(fill.time_ns // 10**6 for fill in fills) == sorted(times.tolist())


async def test_a_shutdown_is_announced(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Binance tells of it; after the lead the connections of then are cut, and newer ones stay."""
    venue = binance()
    nursery.start_soon(venue.alarms.run)
    peer = await subscribed(nursery, venue)
    start = trio.current_time()
    venue.inject(Shutdown(10))
    assert json.loads((await peer.gathered())[0])["data"]["e"] == "serverShutdown"
    newer = await subscribed(nursery, venue)
    assert (await peer.ended())[0] == 1001
    assert trio.current_time() - start == pytest.approx(10, abs=0.1)
    venue.step(20)
    assert await trades(newer)


async def test_a_shutdown_without_a_word(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Coinbase says nothing, and cuts."""
    venue = coinbase()
    nursery.start_soon(venue.alarms.run)
    peer = await subscribed(nursery, venue)
    venue.inject(Shutdown(10))
    assert await peer.gathered() == []
    assert (await peer.ended())[0] == 1001


async def test_a_storm_cuts_again_and_again(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Each time all connections end that there are then, and afterwards no more."""
    venue = coinbase()
    nursery.start_soon(venue.alarms.run)
    await subscribed(nursery, venue)
    ends = []
    start = trio.current_time()
    venue.inject(Storm(3, every=4.0))
    while trio.current_time() < start + 20:
        peer = await subscribed(nursery, venue)
        with trio.move_on_after(20):
            await peer.ended()
            ends.append(round(trio.current_time() - start))
    assert ends == [4, 8]
    assert len(venue.connected()) == 1
