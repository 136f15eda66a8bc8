from __future__ import annotations

import itertools
from functools import partial

import pytest
import trio
from connection_links import make_link
from connection_peer import Venue, Words, no_listing, until
from connection_wire import URL, clock, read_head, response_head
from trio.testing import MockClock, memory_stream_pair

from multilogger.config import ExchangeConfig
from multilogger.connection.budget import BAN_SECS, Budget, Budgets
from multilogger.connection.connector import make_connector
from multilogger.connection.link import WebSocketLink
from multilogger.errors import ConnectFailed, ConnectionLost
from multilogger.exchanges.base import Allowance, ExchangeConnection, Limits, Services
from multilogger.stats import ExchangeStats, Stats

CONNECTS = (Allowance(40, 300.0), Allowance(5, 1.0))
LINKS = 50


def most_within(times: list[float], secs: float) -> int:
    """Return how many of ``times``, in order, are within any span of ``secs`` at most."""
    return max(sum(1 for at in times if end - secs < at - 1e-9 <= end) for end in times)


def make_exchange(venue: Venue, limits: Limits, stats: Stats, budgets: Budgets | None = None) -> Words:
    """Return an exchange whose connections share their budgets."""
    connector = make_connector(clock, open_stream=venue.open_stream, budgets=budgets, stats=stats.exchange)
    settings = ExchangeConfig(ws_endpoint=URL, rest_endpoint="http://venue.test")
    exchange = Words(settings, Services(no_listing, connector))
    exchange.limits = limits  # type: ignore[misc]  # a class variable for exchanges, an attribute for this one
    return exchange


async def keep_up(exchange: Words, number: int, up: set[int]) -> None:
    """Keep a connection up, as a session does, with no more patience than it has."""
    while True:
        link = exchange.create_connection((f"S{number}",))
        async with trio.open_nursery() as nursery:
            await link.wait_turn()
            try:
                with trio.fail_after(1):
                    await link.connect(nursery)
                await link.subscribe()
                up.add(number)
                while True:
                    await link.read_frames()
            except (ConnectFailed, ConnectionLost):
                up.discard(number)
                await link.aclose()
                nursery.cancel_scope.cancel()


async def test_a_reconnect_storm_keeps_the_allowance(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Fifty connections lost at once, twice, come back one after the other, never more than are allowed."""
    venue, stats = Venue(nursery), Stats(started_ns=0)
    exchange = make_exchange(venue, Limits(messages_per_second=1000, connects=CONNECTS), stats)
    up: set[int] = set()
    for number in range(LINKS):
        nursery.start_soon(keep_up, exchange, number, up)
    for _ in range(3):
        await until(lambda: len(up) == LINKS, step=0.5)
        for peer in list(venue.peers):
            await peer.cut()
        venue.peers.clear()
        await until(lambda: not up)
        assert stats.exchanges["words"].budgets["connects/300s"].waiting > LINKS - 5
    await until(lambda: len(up) == LINKS, step=0.5)
    assert len(venue.attempts) == 4 * LINKS
    assert [most_within(venue.attempts, one.secs) for one in CONNECTS] == [one.amount for one in CONNECTS]
    # As early as the allowance lets them: 40 every five minutes.
    assert venue.attempts[-1] == pytest.approx(4 * 300, abs=10)


async def test_a_venue_that_is_down_is_not_stormed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Attempts that fail count like those that don't."""
    venue, stats = Venue(nursery), Stats(started_ns=0)
    venue.down = True
    exchange = make_exchange(venue, Limits(connects=(Allowance(5, 1.0),)), stats)
    for number in range(20):
        nursery.start_soon(keep_up, exchange, number, set())
    await trio.sleep(29.5)
    assert most_within(venue.attempts, 1.0) == 5
    assert len(venue.attempts) == 5 * 30
    nursery.cancel_scope.cancel()


async def test_exchanges_on_one_host_do_not_share(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """An allowance is of an exchange at a host: another one, simulated there too, has its own."""
    venue, budgets = Venue(nursery), Budgets()
    limits = Limits(connects=(Allowance(1, 60.0),))
    links: list[ExchangeConnection] = []
    for _ in range(2):
        exchange = make_exchange(venue, limits, Stats(started_ns=0), budgets)
        links.append(exchange.create_connection(("A",)))
    await links[0].wait_turn()
    with trio.move_on_after(59) as same:
        await links[1].wait_turn()
    assert same.cancelled_caught
    exchange.id = type(exchange.id)("others")  # type: ignore[misc]
    await exchange.create_connection(("A",)).wait_turn()
    assert trio.current_time() == pytest.approx(59)


async def test_messages_share_the_allowance_of_the_host(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """What all connections send together stays within the host's allowance, and each keeps its own pace."""
    venue, stats = Venue(nursery), Stats(started_ns=0)
    limits = Limits(
        messages_per_second=10, messages_per_host=(Allowance(8, 1.0),), connects=(Allowance(9, 1.0),)
    )
    exchange = make_exchange(venue, limits, stats)
    heard: list[tuple[int, float]] = []
    links = [exchange.create_connection(("A",)) for _ in range(3)]
    async with trio.open_nursery() as sending:
        for number, link in enumerate(links):
            await link.connect(nursery)
            for _ in range(10):
                sending.start_soon(partial(note_sent, link, number, heard))
    times = [at for _, at in heard]
    assert len(times) == 30
    assert most_within(times, 1.0) == 8
    assert 3 <= times[-1] < 4
    for number in range(3):
        own = [at for sender, at in heard if sender == number]
        assert min(b - a for a, b in itertools.pairwise(own)) > 0.1 - 1e-9
    assert stats.exchanges["words"].budgets["messages/1s"].total == 30


async def note_sent(link: ExchangeConnection, number: int, heard: list[tuple[int, float]]) -> None:
    """Send a message and note when that was done."""
    await link.send(["hello"])
    heard.append((number, trio.current_time()))


async def test_a_connection_has_allowances_of_its_own(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """What a connection may send in an hour is kept, and a new connection begins anew."""
    venue = Venue(nursery)
    limits = Limits(messages_per_second=1000, messages_per_connection=(Allowance(3, 3600.0),))
    link = WebSocketLink(URL, ("A",), pytest.fail, limits=limits, clock=clock, open_stream=venue.open_stream)
    await link.connect(nursery)
    await link.send(["a", "b", "c"])
    assert trio.current_time() < 1
    await link.send(["d"])
    assert trio.current_time() == pytest.approx(3600, abs=1)
    await link.aclose()
    await link.connect(nursery)
    await link.send(["a", "b", "c"])
    assert trio.current_time() == pytest.approx(3600, abs=1)


async def test_a_cancelled_message_uses_up_nothing(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A frame that was still waiting when its sender was stopped takes no turn from those behind it."""
    venue, stats = Venue(nursery), Stats(started_ns=0)
    limits = Limits(messages_per_second=1000, messages_per_host=(Allowance(1, 10.0),))
    exchange = make_exchange(venue, limits, stats)
    links = [exchange.create_connection(("A",)) for _ in range(2)]
    for link in links:
        await link.connect(nursery)
    await links[0].send(["a"])
    with trio.move_on_after(5):
        await links[0].send(["never"])
    await links[1].send(["b"])
    assert trio.current_time() == pytest.approx(10)
    await trio.testing.wait_all_tasks_blocked()
    assert [peer.heard for peer in venue.peers] == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("answer", "secs"),
    [
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n", 30),
        (b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", 1),
        (b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n", BAN_SECS),
        (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 0),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 0),
    ],
)
async def test_a_refused_handshake_holds_the_others_back(
    nursery: trio.Nursery, autojump_clock: MockClock, answer: bytes, secs: float
) -> None:
    """An exchange that has had too many connections is left alone by all, for as long as it asks."""
    client, server = memory_stream_pair()
    budget = Budget(Limits(connects=(Allowance(100, 1.0),)), ExchangeStats("words"))

    async def refuse() -> None:
        await read_head(server)
        await server.send_all(answer)

    nursery.start_soon(refuse)
    link = make_link(client, budget=budget)
    await link.wait_turn()
    with pytest.raises(ConnectFailed, match="the WebSocket handshake was refused"):
        await link.connect(nursery)
    assert budget.connects.held_secs() == pytest.approx(secs)
    await link.wait_turn()
    assert trio.current_time() == pytest.approx(secs)


async def test_a_connection_that_stands_ends_the_doubling(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Refusals without Retry-After hold back longer and longer, and anew after a success."""
    budget = Budget(Limits(connects=(Allowance(100, 1.0),)), ExchangeStats("words"))
    held = []
    for refused in (True, True, True, False, True):
        client, server = memory_stream_pair()
        nursery.start_soon(answer_handshake, server, refused)
        link = make_link(client, budget=budget)
        await link.wait_turn()
        try:
            await link.connect(nursery)
        except ConnectFailed:
            held.append(budget.connects.held_secs())
    assert held == pytest.approx([1, 2, 4, 1])


async def answer_handshake(server: trio.abc.Stream, refused: bool) -> None:
    """Refuse a handshake, or take it."""
    head = await read_head(server)
    refusal = b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n"
    await server.send_all(refusal if refused else response_head(head))


async def test_reconnecting_waits_for_its_turn(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Who uses a connection by itself stays within the allowance, too."""
    venue = Venue(nursery)
    exchange = make_exchange(venue, Limits(connects=(Allowance(1, 60.0),)), Stats(started_ns=0))
    link = exchange.create_connection(("A",))
    await link.wait_turn()
    await link.connect(nursery)
    await link.reconnect(nursery)
    assert venue.attempts == pytest.approx([0, 60], abs=0.1)
