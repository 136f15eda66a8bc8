"""Connections of several legs: to everybody else they are one."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest
import trio
from connection_links import make_link
from connection_peer import WordAdapter
from trio.testing import memory_stream_pair
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from multilogger.batch import SymbolTable
from multilogger.connection.joined import JoinedLink
from multilogger.connection.link import WebSocketLink
from multilogger.errors import ConnectFailed, ConnectionLost
from multilogger.records import ExchangeId
from multilogger.stats import ExchangeStats

pytestmark = pytest.mark.usefixtures("autojump_clock")


def route(frame: str) -> int | None:
    """The leg is the frame's last character; pings go everywhere."""
    return None if frame == "ping" else int(frame[-1])


class Numbered(WordAdapter):
    """An adapter that asks for each symbol on a leg of its own."""

    def subscribe(self, symbols: Sequence[str]) -> list[str]:  # noqa: ARG002 - whatever the symbols
        """Return a frame for each leg."""
        return ["market 0", "quotes 1"]


def make_adapter() -> Numbered:
    """Return an adapter for nobody's rows."""
    return Numbered(SymbolTable(ExchangeId("words")), ExchangeStats("words"))


@attrs.define
class Joined:
    """A joined link, and the server's ends of its legs."""

    link: JoinedLink
    peers: list[WebSocketConnection]


async def connect(nursery: trio.Nursery) -> Joined:
    """Return a connected link of two legs."""
    pairs = [memory_stream_pair() for _ in range(2)]
    legs: list[WebSocketLink] = [make_link(client) for client, _ in pairs]
    link = JoinedLink(legs, route, make_adapter, ("A",))
    peers: list[WebSocketConnection] = []

    async def serve() -> None:
        for _, server in pairs:
            request = await wrap_server_stream(nursery, server)
            peers.append(await request.accept())

    nursery.start_soon(serve)
    await link.connect(nursery)
    assert link.is_connected
    return Joined(link, peers)


async def test_frames_of_all_legs_come_and_go(nursery: trio.Nursery) -> None:
    """Each frame goes on its leg, a ping on all of them, and what comes by any of them comes."""
    joined = await connect(nursery)
    await joined.link.subscribe()
    await joined.link.send(["ping"])
    for peer, word in zip(joined.peers, ("market 0", "quotes 1"), strict=True):
        assert [await peer.get_message(), await peer.get_message()] == [word, "ping"]
    for number, peer in enumerate(joined.peers * 2):
        await peer.send_message(f"data {number}")
    came = sorted([await joined.link.read_message() for _ in range(4)])
    assert came == [b"data 0", b"data 1", b"data 2", b"data 3"]
    await joined.link.aclose()
    assert not joined.link.is_connected
    nursery.cancel_scope.cancel()


async def test_nothing_is_lost_to_a_cancelled_read(nursery: trio.Nursery) -> None:
    """A read that is given up leaves what comes to the next."""
    joined = await connect(nursery)
    with trio.move_on_after(1):
        await joined.link.read_frames()
    await joined.peers[1].send_message("late")
    await trio.testing.wait_all_tasks_blocked()
    with trio.CancelScope() as scope:
        scope.cancel()
        await joined.link.read_frames()
    assert await joined.link.read_message() == b"late"
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("lost", [0, 1])
async def test_the_loss_of_one_leg_is_the_loss_of_all(nursery: trio.Nursery, lost: int) -> None:
    """What came before comes; then the connection is lost, and closing it closes the other leg."""
    joined = await connect(nursery)
    await joined.peers[lost].send_message("last words")
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(joined.peers[lost].aclose)
    assert await joined.link.read_message() == b"last words"
    with pytest.raises(ConnectionLost):
        await joined.link.read_frames()
    assert not joined.link.is_connected
    await joined.link.aclose()
    with pytest.raises(ConnectionClosed):
        await joined.peers[1 - lost].get_message()
    with pytest.raises(ConnectionLost, match="not connected"):
        await joined.link.read_frames()
    nursery.cancel_scope.cancel()


async def test_a_leg_that_can_not_be_opened_closes_the_others(nursery: trio.Nursery) -> None:
    """Connecting fails as a whole."""
    (client, server), (refused, gone) = memory_stream_pair(), memory_stream_pair()
    await gone.aclose()
    link = JoinedLink([make_link(client), make_link(refused)], route, make_adapter, ("A",))
    peers: list[WebSocketConnection] = []

    async def serve() -> None:
        request = await wrap_server_stream(nursery, server)
        peers.append(await request.accept())

    nursery.start_soon(serve)
    with pytest.raises(ConnectFailed):
        await link.connect(nursery)
    assert not link.is_connected
    with pytest.raises(ConnectionClosed):
        await peers[0].get_message()
    nursery.cancel_scope.cancel()
