from __future__ import annotations

import json
import os
from functools import partial

import httpx
import pytest
import trio
from simulator_peer import Peer, binance, coinbase, connect, wrap
from trio.testing import MockClock, memory_stream_pair
from trio_websocket import ConnectionClosed

from multilogger.simulator.coinbase.venue import CoinbaseVenue
from multilogger.simulator.faults import Cut, Garbage, Refuse, Stall, run_schedule
from multilogger.simulator.rest import Request, Response, serve_rest
from multilogger.simulator.server import serve_connection
from multilogger.simulator.venues import demo_venues

SUBSCRIBE = {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["matches"]}


async def subscribed(nursery: trio.Nursery, venue: CoinbaseVenue) -> Peer:
    """Return a client that has read everything its subscription brought."""
    peer = await connect(nursery, venue)
    await peer.send(SUBSCRIBE)
    await peer.gathered()
    return peer


async def test_an_orderly_cut_loses_nothing(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What was entered arrives before the connection ends without a close frame."""
    venue = coinbase()
    peer = await subscribed(nursery, venue)
    venue.step(100)
    sent = venue.ledger.counts["TRADES"]
    venue.inject(Cut(reset=False))
    venue.step(100)
    assert venue.ledger.counts["TRADES"] == sent
    await trio.sleep(1)
    matches = [await peer.receive() for _ in range(sent - 1)]  # The first was the replay at subscribe.
    assert {match["type"] for match in matches} == {"match"}
    assert (await peer.ended())[0] == 1006
    assert not venue.connected()


async def test_a_reset_ends_the_connection_at_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A cut with reset closes without a close frame, and the venue serves the next connection."""
    venue = coinbase()
    peer = await subscribed(nursery, venue)
    venue.inject(Cut())
    assert (await peer.ended())[0] == 1006
    again = await connect(nursery, venue)
    assert (await again.ask(SUBSCRIBE))["type"] == "subscriptions"


async def test_a_stall_sends_nothing_and_enters_nothing(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """During a stall neither data nor answers come, and the ledger does not grow; then both go on."""
    venue = coinbase()
    peer = await subscribed(nursery, venue)
    venue.inject(Stall(30))
    newcomer = await connect(nursery, venue)
    await newcomer.send(SUBSCRIBE)
    before = dict(venue.ledger.counts)
    venue.step(100)
    assert await peer.gathered() == []
    assert await newcomer.gathered() == []
    assert venue.ledger.counts == before
    await trio.sleep(31)
    assert json.loads((await newcomer.gathered())[0])["type"] == "subscriptions"
    venue.step(100)
    assert len(await peer.gathered()) == len(await newcomer.gathered()) > 0


async def test_who_leaves_during_a_stall_is_sent_nothing(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A request that a client did not wait for is not answered, so its replay is not entered."""
    venue = coinbase()
    venue.inject(Stall(30))
    peer = await connect(nursery, venue)
    await peer.send(SUBSCRIBE)
    await peer.ws.aclose()
    await trio.sleep(31)
    assert venue.ledger.counts == {"TRADES": 0, "MD": 0}
    assert not venue.connected()


async def test_garbage_stands_between_good_messages(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """While it lasts, malformed messages come too; the good ones and the ledger are as ever."""
    venue = coinbase()
    peer = await subscribed(nursery, venue)
    venue.inject(Garbage(5))
    venue.step(20)
    texts = await peer.gathered()
    assert venue.garbage_messages == len(venue.garbage())
    assert len(texts) - venue.garbage_messages == venue.ledger.counts["TRADES"] - 1
    await trio.sleep(6)
    venue.step(20)
    assert all(json.loads(text)["type"] == "match" for text in await peer.gathered())


async def test_refused_connections_are_reset(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """New connections fail for a while; open ones go on."""
    venue = coinbase()
    peer = await subscribed(nursery, venue)
    venue.inject(Refuse(5))
    client_stream, server_stream = memory_stream_pair()
    await serve_connection(venue, server_stream)
    assert await client_stream.receive_some() == b""
    venue.step(50)
    assert await peer.gathered()
    await trio.sleep(5)
    await subscribed(nursery, venue)


async def test_faults_strike_on_schedule(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A schedule is worked through by time, whatever its order."""
    venue = coinbase()
    start = trio.current_time()
    await run_schedule(venue, [(20, Stall(5)), (10, Refuse(3))])
    assert trio.current_time() - start == pytest.approx(20)
    assert venue.refusing_until - start == pytest.approx(13)
    assert venue.stalled_until - start == pytest.approx(25)


async def test_the_server_pings_and_wants_an_answer(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A client that answers pings stays; one that reads nothing is cut a minute after the ping."""
    venue = binance()
    good = await connect(nursery, venue, "/stream")
    client_stream, server_stream = memory_stream_pair()
    nursery.start_soon(serve_connection, venue, server_stream)
    async with trio.open_nursery() as deaf:
        await wrap(deaf, client_stream, "/stream")
        deaf.cancel_scope.cancel()
    await trio.sleep(79)
    assert len(venue.connected()) == 2
    await trio.sleep(5)
    assert len(venue.connected()) == 1
    assert (await good.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1}))["result"] == []


async def test_a_slow_client_is_cut_alone(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A client for whom too much is waiting goes; the others get everything."""
    venue = coinbase()
    peer = await subscribed(nursery, venue)
    slow = await subscribed(nursery, venue)
    [_, target] = venue.connected()
    target.outbox._limit = 10_000
    for _ in range(20):
        venue.step(50)
    assert len(await peer.gathered()) == venue.ledger.counts["TRADES"] - 1
    assert list(venue.connected()) != []
    assert (await slow.ended())[0] == 1006
    assert len(venue.connected()) == 1


async def dial(nursery: trio.Nursery, url: str) -> tuple[Peer, trio.SocketStream]:
    """Open a connection over a real socket, which the caller closes."""
    port = int(url.rpartition(":")[2])
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    return Peer(await wrap(nursery, stream)), stream


async def test_a_venue_serves_both_ports() -> None:
    """Over real sockets the URLs are true, the market runs, a pause drains, and a reset is one."""
    clock = iter(range(10**18, 2 * 10**18, 10**6)).__next__
    [venue] = demo_venues(1, 2000, clock, None, names=["coinbase"])
    async with trio.open_nursery() as nursery:
        assert await nursery.start(venue.run) is venue
        async with httpx.AsyncClient() as client:
            for _ in range(2):
                assert len((await client.get(f"{venue.rest_url}/products")).json()) == 11
        peer, stream = await dial(nursery, venue.ws_url)
        async with stream:
            await peer.send({**SUBSCRIBE, "product_ids": ["BTC-USD", "ETH-USD"]})
            texts = [await peer.ws.get_message() for _ in range(40)]
            venue.pause()
            await venue.drained()
            texts += [await peer.ws.get_message() for _ in range(venue.sent_messages - len(texts))]
            assert venue.ledger.counts["TRADES"] == len(texts) - 1
            venue.inject(Cut())
            with pytest.raises(ConnectionClosed):
                await peer.ws.get_message()
        nursery.cancel_scope.cancel()


async def test_a_refused_connection_is_reset() -> None:
    """A client that comes while connections are refused finds a reset, not an orderly end."""
    [venue] = demo_venues(1, 1, lambda: 10**18, None, names=["coinbase"])
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.run)
        venue.inject(Refuse(10))
        stream = await trio.open_tcp_stream("127.0.0.1", int(venue.ws_url.rpartition(":")[2]))
        async with stream:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
        nursery.cancel_scope.cancel()


async def test_rest_speaks_http() -> None:
    """Queries and headers arrive, a client may close after one request, and nonsense hurts nobody."""

    async def echo(request: Request) -> Response:
        await trio.lowlevel.checkpoint()
        return Response.of([request.path, dict(request.query), request.headers.get("x-unit")], 418)

    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(serve_rest, echo, "127.0.0.1", 0))
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(os.urandom(20) + b"\r\n\r\n")
        await stream.aclose()
        async with httpx.AsyncClient() as client:
            headers = {"X-Unit": "1", "Connection": "close"}
            answer = await client.get(f"http://127.0.0.1:{port}/a%20b?x=1", headers=headers)
        assert (answer.status_code, answer.json()) == (418, ["/a b", {"x": "1"}, "1"])
        nursery.cancel_scope.cancel()
