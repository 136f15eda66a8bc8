"""Simulated exchanges without sockets: streams in memory, the network, and hours that pass at once."""

from __future__ import annotations

import time

import httpx
import pytest
import trio
from simulator_peer import Peer, binance, coinbase, wrap
from trio.testing import MockClock, check_two_way_stream, wait_all_tasks_blocked

from multilogger.simulator.faults import Cut, Refuse
from multilogger.simulator.network import MemoryNetwork
from multilogger.simulator.pipes import MemoryStream, stream_pair

MATCHES = {"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channels": ["matches"]}


async def pair() -> tuple[MemoryStream, MemoryStream]:
    """Return both ends of a connection."""
    await trio.lowlevel.checkpoint()
    return stream_pair()


async def full_pair() -> tuple[MemoryStream, MemoryStream]:
    """Return both ends of a connection that has room for nothing more in either direction."""
    here, there = stream_pair(3)
    await here.send_all(b"abc")
    await there.send_all(b"abc")
    return here, there


async def test_streams_do_as_trio_wants() -> None:
    """Trio's own check of a stream's behaviour passes, with room and without."""
    await check_two_way_stream(pair, full_pair)


async def test_streams_are_bounded(autojump_clock: MockClock) -> None:
    """What does not fit waits until the peer reads; nothing is lost or reordered on the way."""
    here, there = stream_pair(100)
    data = bytes(range(250))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.send_all, data)
        await wait_all_tasks_blocked()
        assert len(there._incoming.data) == 100
        received = bytearray()
        while len(received) < 250:
            received += await there.receive_some(30)
    assert received == data


async def test_an_orderly_end_lets_what_was_sent_arrive() -> None:
    """After a close the peer reads what is left, then the end; its own data get nowhere."""
    here, there = stream_pair()
    await here.send_all(b"last words")
    await here.aclose()
    assert await there.receive_some() == b"last words"
    assert await there.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await there.send_all(b"what?")


async def test_a_reset_is_no_end() -> None:
    """After a reset what was under way is lost, and the peer finds the connection broken."""
    here, there = stream_pair()
    await here.send_all(b"last words")
    here.arm_reset()
    await here.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await there.receive_some()


async def dial(network: MemoryNetwork, nursery: trio.Nursery, url: str) -> Peer:
    """Open a WebSocket connection to a venue."""
    host, _, port = url.removeprefix("ws://").partition(":")
    stream = await network.open_stream(host, int(port))
    return Peer(await wrap(nursery, stream))


async def test_a_network_serves_both_sides(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """By its names a venue is reached for WebSockets and REST, and its market trades by the virtual clock."""
    network, venue = MemoryNetwork(), coinbase()
    network.register(venue)
    await nursery.start(network.run)
    assert (venue.ws_url, venue.rest_url) == ("ws://coinbase.sim:1", "http://coinbase.sim:2")
    venue.rate = 31
    peer = await dial(network, nursery, venue.ws_url)
    await peer.send(MATCHES)
    await trio.sleep(60)
    trades = len(await peer.gathered()) - 3
    assert 1150 <= trades <= 1250
    async with httpx.AsyncClient(transport=network.transport) as client:
        listing = await client.get(f"{venue.rest_url}/products")
        assert len(listing.json()) == 3
        page = await client.get(f"{venue.rest_url}/products/BTC-USD/trades", params={"limit": 7})
        assert page.json()[0]["trade_id"] == int(page.headers["CB-BEFORE"])
        assert len(page.json()) == 7
        assert (await client.get(f"{venue.rest_url}/nothing")).status_code == 404


async def test_nobody_else_is_there(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Other names and ports refuse, and so does everything before the network runs."""
    network, venue = MemoryNetwork(), coinbase()
    network.register(venue)
    with pytest.raises(ValueError, match=r"coinbase\.sim"):
        network.register(coinbase())
    with pytest.raises(OSError, match=r"coinbase\.sim:1"):
        await network.open_stream("coinbase.sim", 1)
    await nursery.start(network.run)
    for host, port in (("coinbase.sim", 2), ("binance.sim", 1)):
        with pytest.raises(OSError, match=host):
            await network.open_stream(host, port)
    async with httpx.AsyncClient(transport=network.transport) as client:
        for url in ("http://coinbase.sim:1/products", "http://binance.sim:2/"):
            with pytest.raises(httpx.ConnectError):
                await client.get(url)


async def test_rest_takes_its_time(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """An answer comes after the venue's delay, and not at all to a client that waits less long."""
    network, venue = MemoryNetwork(), binance()
    network.register(venue)
    await nursery.start(network.run)
    venue.rest_delay_secs = 4.0
    async with httpx.AsyncClient(transport=network.transport, timeout=5.0) as client:
        start = trio.current_time()
        answer = await client.get(f"{venue.rest_url}/api/v3/time")
        assert answer.status_code == 200
        assert trio.current_time() - start == pytest.approx(4.0)
        venue.rest_delay_secs = 6.0
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"{venue.rest_url}/api/v3/time")
        assert trio.current_time() - start == pytest.approx(9.0)


async def test_cuts_and_refusals_are_told_apart(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A reset breaks the stream, an orderly cut ends it, and a refused connection is reset at once."""
    network, venue = MemoryNetwork(), coinbase()
    network.register(venue)
    await nursery.start(
        network.run,
    )
    for fault, broken in ((Cut(reset=True), True), (Cut(reset=False), False), (Refuse(5), True)):
        stream = await network.open_stream("coinbase.sim", 1)
        if not isinstance(fault, Refuse):
            async with trio.open_nursery() as reader:
                await wrap(reader, stream)
                reader.cancel_scope.cancel()
        venue.inject(fault)
        if isinstance(fault, Refuse):
            stream = await network.open_stream("coinbase.sim", 1)
        if broken:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
        else:
            assert await stream.receive_some() == b""


async def test_a_market_that_comes_later_begins_at_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A venue registered while the network runs trades, too."""
    network, venue = MemoryNetwork(), coinbase()
    await nursery.start(network.run)
    network.register(venue)
    peer = await dial(network, nursery, venue.ws_url)
    await peer.send(MATCHES)
    await trio.sleep(2)
    assert len(await peer.gathered()) > 100


@pytest.mark.parametrize(("rate", "beat"), [(0.2, 0.02), (0.2, 5.0), (4.0, 5.0), (40.0, 1.0)])
async def test_low_rates_and_long_beats(
    nursery: trio.Nursery, autojump_clock: MockClock, rate: float, beat: float
) -> None:
    """Whatever the beat, the market makes the messages of its rate."""
    network, venue = MemoryNetwork(), binance()
    venue.rate, venue.beat_secs = rate, beat
    network.register(venue)
    await nursery.start(network.run)
    before = trades_made(venue.market.markets)
    await trio.sleep(1000)
    assert trades_made(venue.market.markets) - before == pytest.approx(1000 * rate, abs=6 + 2 * rate * beat)


def trades_made(markets: object) -> int:
    """Return how many trades there have been."""
    assert isinstance(markets, dict)
    return sum(market.recent[-1].trade_id for market in markets.values() if market.recent)


async def test_a_raised_rate_is_felt_at_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A market that sleeps until its next trade wakes up when the rate rises, and rests when it is paused."""
    network, venue = MemoryNetwork(), binance()
    venue.rate = 0.001
    network.register(venue)
    await nursery.start(network.run)
    await trio.sleep(10)
    start = trades_made(venue.market.markets)
    venue.rate = 100
    await trio.sleep(10)
    assert trades_made(venue.market.markets) - start == pytest.approx(1000, abs=10)
    venue.pause()
    resting = trades_made(venue.market.markets)
    await trio.sleep(1000)
    assert trades_made(venue.market.markets) == resting
    venue.resume()
    await trio.sleep(1)
    assert trades_made(venue.market.markets) - resting == pytest.approx(100, abs=10)


async def test_an_hour_costs_little(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A virtual hour at a message a second with beats of some seconds takes far less than a second."""
    network, venue = MemoryNetwork(), coinbase()
    venue.rate, venue.beat_secs, venue.period_secs = 1.0, 5.0, 10.0
    network.register(venue)
    await nursery.start(network.run)
    peer = await dial(network, nursery, venue.ws_url)
    await peer.send(MATCHES)
    began = time.process_time()
    await trio.sleep(3600)
    spent = time.process_time() - began
    print(f"{spent:.3f} s, {len(await peer.gathered())} messages")
    assert spent < 2.0
