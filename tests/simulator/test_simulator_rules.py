"""What the exchanges allow their clients, and the faults of their REST side."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from simulator_peer import binance, coinbase, connect
from trio.testing import MockClock
from trio_websocket import ConnectionRejected

from multilogger.simulator.rest import Request, Response
from multilogger.simulator.rest_faults import FailingRest, SlowRest, TooManyRequests
from multilogger.simulator.rules import Bucket, Window
from multilogger.simulator.venue import Venue

TRADES = {
    "coinbase": Request("/products/BTC-USD/trades", {}, {}),
    "binance": Request("/api/v3/historicalTrades", {"symbol": "BTCUSDT"}, {}),
}
MAKERS = [coinbase, binance]


async def ask(venue: Venue[Any]) -> Response:
    """Return the answer to a request for trades."""
    return await venue.reply(TRADES[venue.name])


async def statuses(venue: Venue[Any], count: int) -> list[int]:
    """Return the statuses of so many answers, one after the other."""
    return [(await ask(venue)).status for _ in range(count)]


def retry_after(answer: Response) -> str | None:
    """Return what the header tells."""
    return dict(answer.headers).get("Retry-After")


def test_windows_slide() -> None:
    """No span of the window's length holds more than the amount; what was refused counts, too."""
    window = Window(3, 10.0)
    taken = {at: window.take(at) for at in (0, 1, 2, 3, 10.5, 14, 15)}
    assert [at for at, within in taken.items() if not within] == [3, 10.5]
    assert window.used(25) == 0
    assert [window.take(30, amount) for amount in (2.0, 1.5)] == [True, False]


def test_buckets_fill_up() -> None:
    """A burst is allowed once, then the rate; what was refused costs nothing."""
    bucket = Bucket(2, 4)
    assert [bucket.take(0.0) for _ in range(5)] == [True] * 4 + [False]
    assert [bucket.take(1.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(100.0) for _ in range(5)] == [True] * 4 + [False]


@pytest.mark.parametrize(("make", "most"), [(coinbase, 20), (binance, 300)])
async def test_too_many_connects(
    nursery: trio.Nursery, autojump_clock: MockClock, make: Any, most: int
) -> None:
    """Whoever connects too often is refused with 429, and it is noted; later it is welcome again."""
    venue = make()
    path = "/stream" if venue.name == "binance" else "/"
    for _ in range(most):
        peer = await connect(nursery, venue, path)
        await peer.ws.aclose()
    assert venue.violations == []
    with pytest.RaisesGroup(pytest.RaisesExc(ConnectionRejected), flatten_subgroups=True):
        async with trio.open_nursery() as inner:
            await connect(inner, venue, path)
    assert len(venue.violations) == 1
    assert "more connects than" in venue.violations[0]
    await trio.sleep(301)
    await connect(nursery, venue, path)


async def test_messages_of_all_connections_count(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Coinbase counts the messages of an address: who sends the one too many is cut."""
    venue = coinbase()
    peers = [await connect(nursery, venue) for _ in range(3)]
    for _ in range(34):
        for peer in peers:
            await peer.send({"type": "unsubscribe", "channels": ["matches"]})
    await trio.sleep(0.5)
    assert len(venue.connected()) < 3
    assert all("more messages than 100 in 1 s" in words for words in venue.violations)
    assert venue.violations


async def test_messages_of_a_connection_count(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Binance counts those of each connection."""
    venue = binance()
    peers = [await connect(nursery, venue, "/stream") for _ in range(3)]
    for _ in range(5):
        for peer in peers:
            await peer.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    assert venue.violations == []
    await peers[0].send({"method": "LIST_SUBSCRIPTIONS", "id": 1})
    assert (await peers[0].ended())[0] == 1008
    assert len(venue.connected()) == 2
    assert "more messages of a connection than 5 in 1 s" in venue.violations[0]


async def test_coinbase_answers_429(autojump_clock: MockClock) -> None:
    """Fifteen at once are fine, then ten a second; the rest is refused without more words."""
    venue = coinbase()
    assert await statuses(venue, 17) == [200] * 15 + [429] * 2
    assert len(venue.violations) == 2
    await trio.sleep(1.0)
    assert await statuses(venue, 11) == [200] * 10 + [429]
    assert retry_after(await ask(venue)) is None


async def test_binance_answers_429_and_bans_who_goes_on(autojump_clock: MockClock) -> None:
    """Above the weight of a minute comes 429; whoever does not wait as told is banned, with 418."""
    venue = binance()
    assert set(await statuses(venue, 240)) == {200}
    refused = await ask(venue)
    assert (refused.status, retry_after(refused)) == (429, "30")
    # What was under way when the refusal came is refused, but no disobedience.
    assert (await ask(venue)).status == 429
    assert len(venue.violations) == 1
    await trio.sleep(5)
    banned = await ask(venue)
    assert (banned.status, retry_after(banned)) == (418, "120")
    assert "before the end of a ban" in venue.violations[1]
    await trio.sleep(121)
    assert (await ask(venue)).status == 200
    assert len(venue.violations) == 2


@pytest.mark.parametrize("make", MAKERS)
async def test_slow_answers(autojump_clock: MockClock, make: Any) -> None:
    """While it lasts every answer takes so much longer, and then as long as ever."""
    venue = make()
    venue.rest_delay_secs = 0.5
    venue.inject(SlowRest(10, 3.0))
    took = []
    for _ in range(4):
        start = trio.current_time()
        assert (await ask(venue)).status == 200
        took.append(trio.current_time() - start)
    assert took == pytest.approx([3.5, 3.5, 3.5, 0.5])


@pytest.mark.parametrize("make", MAKERS)
async def test_failing_answers(autojump_clock: MockClock, make: Any) -> None:
    """While it lasts every answer is the server's error, which is no JSON."""
    venue = make()
    venue.inject(FailingRest(10, 503))
    answer = await ask(venue)
    assert (answer.status, answer.body[:6]) == (503, b"<html>")
    await trio.sleep(10)
    assert (await ask(venue)).status == 200
    assert venue.violations == []


@pytest.mark.parametrize("make", MAKERS)
async def test_no_more_requests(autojump_clock: MockClock, make: Any) -> None:
    """Whoever waits as told is told again while it lasts, and served then; whoever does not is banned."""
    venue = make()
    venue.inject(TooManyRequests(25, retry_after=10))
    for _ in range(3):
        answer = await ask(venue)
        assert (answer.status, retry_after(answer)) == (429, "10")
        await trio.sleep(10)
    assert (await ask(venue)).status == 200
    assert venue.violations == []
    venue.inject(TooManyRequests(25, status=418, retry_after=10))
    assert (await ask(venue)).status == 418
    await trio.sleep(9)
    assert (await ask(venue)).status == 418
    assert len(venue.violations) == 1


async def test_a_refusal_without_a_time_forbids_nothing(autojump_clock: MockClock) -> None:
    """Without Retry-After a client may ask again, and is refused while it lasts."""
    venue = binance()
    venue.inject(TooManyRequests(5, retry_after=None))
    answer = await ask(venue)
    assert (answer.status, retry_after(answer)) == (429, None)
    await trio.sleep(4)
    assert await statuses(venue, 3) == [429] * 3
    await trio.sleep(1)
    assert await statuses(venue, 3) == [200] * 3
    assert venue.violations == []


async def test_the_violations_kept_are_bounded(autojump_clock: MockClock) -> None:
    """A client that never obeys fills no memory."""
    venue = coinbase()
    for _ in range(10_100):
        venue.rules.note("again")
    await trio.lowlevel.checkpoint()
    assert len(venue.violations) == 10_000
