from __future__ import annotations

import ssl
from typing import cast

import pytest
import trio
import trustme
from connection_links import make_link
from connection_peer import Words, make_rig, no_listing
from connection_wire import URL, clock, frame, read_head, response_head
from trio.testing import memory_stream_pair

from multilogger.connection.connector import make_connector
from multilogger.connection.handshake import Endpoint
from multilogger.errors import ConnectFailed, ConnectionLost
from multilogger.exchanges.base import Services


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 451 No\r\nContent-Length: 18\r\n\r\nnot in your region", "status 451 not in your region"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "status 503"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "ended or broke the WebSocket handshake"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
            "ended or broke the WebSocket handshake",
        ),
        (b"HTTP/1.1 101 Switching", "ended or broke the WebSocket handshake"),
        (b"", "ended or broke the WebSocket handshake"),
    ],
)
async def test_refused_handshakes(nursery: trio.Nursery, answer: bytes, why: str) -> None:
    """Whatever goes wrong in the handshake is ConnectFailed, in the caller and not in the nursery."""
    client, server = memory_stream_pair()

    async def refuse() -> None:
        await read_head(server)
        await server.send_all(answer)
        await trio.testing.wait_all_tasks_blocked()
        await trio.aclose_forcefully(server)

    nursery.start_soon(refuse)
    link = make_link(client)
    with pytest.raises(ConnectFailed, match=f"venue.test:9000: .*{why}"):
        await link.connect(nursery)
    assert not link.is_connected
    with pytest.raises(ConnectionLost, match="not connected"):
        await link.read_frames()
    await link.aclose()


async def test_refused_connections(nursery: trio.Nursery) -> None:
    """An operating system's error becomes ours, with its words."""
    rig = make_rig(nursery)
    rig.venue.down = True
    with pytest.raises(
        ConnectFailed, match=r"venue.test:9000: ConnectionRefusedError: venue.test:9000 is down"
    ):
        await rig.exchange.create_connection(("A",)).connect(nursery)


def tls_pair(server_name: str, nursery: trio.Nursery) -> tuple[Words, trio.SSLStream[trio.abc.Stream]]:
    """Return an exchange whose connections find a TLS server that claims to be ``server_name``."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(server_name).configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    client, server = memory_stream_pair()

    async def open_stream(host: str, port: int) -> trio.abc.Stream:
        assert (host, port) == ("venue.test", 443)
        await trio.lowlevel.checkpoint()
        return client

    connector = make_connector(clock, tls=lambda: trusting, open_stream=open_stream)
    settings = Words.config_type(ws_endpoint="wss://venue.test", rest_endpoint="https://venue.test")
    exchange = Words(settings, Services(no_listing, connector))
    stream = trio.SSLStream(cast("trio.abc.Stream", server), context, server_side=True, https_compatible=True)

    async def answer() -> None:
        try:
            await stream.send_all(response_head(await read_head(stream)) + frame(b"secret"))
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(server)

    nursery.start_soon(answer)
    return exchange, stream


async def test_tls(nursery: trio.Nursery) -> None:
    """A wss URL speaks TLS with a verified peer."""
    exchange, _ = tls_pair("venue.test", nursery)
    link = exchange.create_connection(("A",))
    await link.connect(nursery)
    assert await link.read_message() == b"secret"


async def test_tls_verifies_the_host(nursery: trio.Nursery) -> None:
    """A certificate for another host is refused, and the error says so."""
    exchange, _ = tls_pair("other.test", nursery)
    with pytest.raises(ConnectFailed, match=r"venue.test: SSLCertVerificationError.*[Hh]ostname mismatch"):
        await exchange.create_connection(("A",)).connect(nursery)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (URL, Endpoint(False, "venue.test", 9000, "/feed?x=1", "venue.test:9000")),
        ("wss://venue.test", Endpoint(True, "venue.test", 443, "/", "venue.test")),
        ("ws://[::1]:80/ws", Endpoint(False, "::1", 80, "/ws", "[::1]")),
    ],
)
def test_urls(url: str, expected: Endpoint) -> None:
    """A URL gives host, port, resource and Host header."""
    assert Endpoint.of(url) == expected


@pytest.mark.parametrize("url", ["https://venue.test", "wss:///path", "venue.test"])
def test_other_urls_are_refused(url: str) -> None:
    """What is no WebSocket URL is named in the error."""
    with pytest.raises(ValueError, match="is no ws:// or wss:// URL"):
        Endpoint.of(url)
