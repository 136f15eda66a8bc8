from __future__ import annotations

import struct

import pytest
import trio
from connection_links import connect_pair, connect_served, make_link
from connection_peer import make_rig
from connection_wire import CLOSE, NOW_NS, PING, frame, read_head, response_head
from trio.testing import memory_stream_pair

from multilogger.errors import ConnectionLost, ProtocolViolation
from multilogger.exchanges.base import ExchangeConnection, Frames, Limits


async def receive_exactly(stream: trio.abc.Stream, count: int) -> bytes:
    """Return so many bytes."""
    got = b""
    while len(got) < count:
        got += bytes(await stream.receive_some(count - len(got)))
    return got


async def test_data_in_the_chunk_of_the_response_head(nursery: trio.Nursery) -> None:
    """Frames that come with the end of the handshake are the first to be read, stamped like all others."""
    client, server = memory_stream_pair()
    link = make_link(client)

    async def answer() -> None:
        head = response_head(await read_head(server))
        await server.send_all(head + frame(b"one") + frame(b"p", PING) + frame(b"two")[:3])
        await server.send_all(frame(b"two")[3:])

    nursery.start_soon(answer)
    await link.connect(nursery)
    assert link.is_connected
    assert await link.read_frames() == Frames(NOW_NS, [b"one"])
    assert await link.read_frames() == Frames(NOW_NS, [b"two"])
    pong = await receive_exactly(server, 7)
    assert pong[:2] == b"\x8a\x81"


async def test_a_response_head_in_pieces(nursery: trio.Nursery) -> None:
    """The end of the head is found wherever it is cut."""
    client, server = memory_stream_pair()
    link = make_link(client)

    async def answer() -> None:
        for byte in response_head(await read_head(server)) + frame(b"one"):
            await server.send_all(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked()

    nursery.start_soon(answer)
    await link.connect(nursery)
    assert (await link.read_frames()).payloads == [b"one"]


async def test_request_names_host_and_resource() -> None:
    """The request carries path, query, host with port and our name."""
    async with trio.open_nursery() as nursery:
        client, server = memory_stream_pair()
        nursery.start_soon(make_link(client).connect, nursery)
        head = await read_head(server)
        nursery.cancel_scope.cancel()
    assert head.startswith(b"GET /feed?x=1 HTTP/1.1\r\n")
    assert b"host: venue.test:9000\r\n" in head.replace(b"Host", b"host")
    assert b"multilogger" in head


async def test_ping_is_answered_while_streaming(nursery: trio.Nursery) -> None:
    """Control frames between data frames reach trio-websocket, whose pong carries the payload."""
    link, server = await connect_pair(nursery)
    await server.send_all(frame(b"a") + frame(b"payload", PING) + frame(b"b"))
    assert (await link.read_frames()).payloads == [b"a", b"b"]
    pong = await receive_exactly(server, 13)
    mask, masked = pong[2:6], pong[6:]
    assert pong[:2] == b"\x8a\x87"
    assert bytes(byte ^ mask[i % 4] for i, byte in enumerate(masked)) == b"payload"


async def test_messages_one_at_a_time(nursery: trio.Nursery) -> None:
    """The public contract's read_message gives every message of a chunk in turn."""
    link, server = await connect_pair(nursery)
    await server.send_all(frame(b"a") + frame(b"b") + frame(b"c"))
    assert [await link.read_message() for _ in range(3)] == [b"a", b"b", b"c"]


async def test_close_reason_of_the_peer_is_told(nursery: trio.Nursery) -> None:
    """The peer's own words for its close are in the error, after the last message."""
    link, peer = await connect_served(nursery)
    await peer.send_message("last")
    nursery.start_soon(peer.aclose, 1008, "ErrSlowConsume")
    assert await link.read_message() == b"last"
    with pytest.raises(ConnectionLost, match=r"venue.test:9000: closed by the peer .* 1008 ErrSlowConsume"):
        await link.read_frames()
    await link.aclose()
    assert not link.is_connected


async def test_an_end_without_a_close_frame(nursery: trio.Nursery) -> None:
    """A connection that just ends is lost, on every further read too."""
    link, server = await connect_pair(nursery)
    await server.send_all(frame(b"last") + frame(b"cut off")[:4])
    await trio.aclose_forcefully(server)
    assert await link.read_message() == b"last"
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="ended by the peer without a close frame"):
            await link.read_frames()
    with pytest.raises(ConnectionLost):
        await link.send(["too late"])
    await link.aclose()


async def test_oversized_message(nursery: trio.Nursery) -> None:
    """Good messages are read first; the peer is told 1009."""
    link, server = await connect_pair(nursery, Limits(max_message_bytes=100, messages_per_second=1000))
    await server.send_all(frame(b"good") + frame(bytes(101)))
    assert await link.read_message() == b"good"
    with pytest.raises(ProtocolViolation, match="101 bytes or more, the limit is 100"):
        await link.read_frames()
    await link.aclose()
    close = await receive_exactly(server, 8)
    assert bytes(a ^ b for a, b in zip(close[6:8], close[2:4], strict=True)) == struct.pack(">H", 1009)


async def test_malformed_frame(nursery: trio.Nursery) -> None:
    """A masked frame of a server ends the connection with our error, and trio-websocket refuses it too."""
    link, server = await connect_pair(nursery)
    await server.send_all(frame(b"good") + b"\x81\x81mask!")
    assert await link.read_message() == b"good"
    with pytest.raises(ProtocolViolation, match="a masked frame"):
        await link.read_frames()
    await trio.testing.wait_all_tasks_blocked()
    assert not link.is_connected
    await link.aclose()
    assert await server.receive_some() == b""


async def test_close_is_polite(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    """The peer sees a close frame 1000; data that comes after it is dropped, pings don't disturb."""
    link, server = await connect_pair(nursery)
    nursery.start_soon(link.aclose)
    close = await receive_exactly(server, 8)
    assert close[0] == 0x80 | CLOSE
    assert bytes(a ^ b for a, b in zip(close[6:8], close[2:4], strict=True)) == struct.pack(">H", 1000)
    await server.send_all(frame(b"late") + frame(b"p", PING))
    await trio.testing.wait_all_tasks_blocked()
    await server.send_all(frame(struct.pack(">H", 1000), CLOSE))
    assert await server.receive_some() == b""
    assert autojump_clock.current_time() == 0


async def test_close_does_not_wait_for_ever(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """A peer that does not answer is given a second."""
    link, server = await connect_pair(nursery)
    await link.aclose()
    assert autojump_clock.current_time() == pytest.approx(1.0)
    await receive_exactly(server, 8)
    assert await server.receive_some() == b""


async def test_close_when_cancelled(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    """Under cancellation the transport is closed at once."""
    link, server = await connect_pair(nursery)
    with trio.CancelScope() as scope:
        scope.cancel()
        await link.aclose()
    assert scope.cancelled_caught
    while await server.receive_some():
        pass
    assert autojump_clock.current_time() == 0


async def test_close_during_a_read(nursery: trio.Nursery) -> None:
    """Closing from another task ends the read with our error."""
    link, _server = await connect_pair(nursery)
    errors: list[ConnectionLost] = []

    async def read() -> None:
        try:
            await link.read_frames()
        except ConnectionLost as error:
            errors.append(error)

    nursery.start_soon(read)
    await trio.testing.wait_all_tasks_blocked()
    await link.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert len(errors) == 1


async def test_connect_and_reconnect(nursery: trio.Nursery) -> None:
    """A link can be opened again, and subscribes again."""
    rig = make_rig(nursery)
    link = rig.exchange.create_connection(("A", "B"))
    assert isinstance(link, ExchangeConnection)
    await link.connect(nursery)
    await link.subscribe()
    assert [await link.read_message() for _ in range(2)] == [b"ok A", b"ok B"]
    await link.reconnect(nursery)
    assert [await link.read_message() for _ in range(2)] == [b"ok A", b"ok B"]
    assert len(rig.venue.peers) == 2
    await link.aclose()


async def test_sending_keeps_the_pace(nursery: trio.Nursery, autojump_clock: trio.testing.MockClock) -> None:
    """Four messages a second need half a second for three."""
    link, _server = await connect_pair(nursery, Limits(messages_per_second=4))
    await link.send(["a", "b", "c"])
    assert autojump_clock.current_time() == pytest.approx(0.5)
