"""Links whose peer is the test."""

from __future__ import annotations

import trio
from connection_peer import WordAdapter
from connection_wire import URL, clock, read_head, response_head
from trio.testing import memory_stream_pair
from trio_websocket import WebSocketConnection, wrap_server_stream

from multilogger.batch import SymbolTable
from multilogger.connection.budget import Budget
from multilogger.connection.link import WebSocketLink
from multilogger.exchanges.base import Limits
from multilogger.records import ExchangeId
from multilogger.stats import ExchangeStats


def make_link(
    stream: trio.abc.Stream, limits: Limits | None = None, url: str = URL, budget: Budget | None = None
) -> WebSocketLink:
    """Return a link that will find ``stream`` instead of a network."""

    async def open_stream(host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return stream

    return WebSocketLink(
        url,
        ("A", "B"),
        lambda: WordAdapter(SymbolTable(ExchangeId("words")), ExchangeStats("words")),
        limits=limits or Limits(messages_per_second=1000),
        clock=clock,
        open_stream=open_stream,
        budget=budget,
    )


async def connect_pair(
    nursery: trio.Nursery, limits: Limits | None = None
) -> tuple[WebSocketLink, trio.abc.Stream]:
    """Return a connected link and the server's end, on which the test speaks raw bytes."""
    client, server = memory_stream_pair()
    link = make_link(client, limits)

    async def answer() -> None:
        await server.send_all(response_head(await read_head(server)))

    nursery.start_soon(answer)
    await link.connect(nursery)
    return link, server


async def connect_served(nursery: trio.Nursery) -> tuple[WebSocketLink, WebSocketConnection]:
    """Return a connected link and trio-websocket's server end of it."""
    client, server = memory_stream_pair()
    link = make_link(client)
    connected = trio.Event()

    async def connect() -> None:
        await link.connect(nursery)
        connected.set()

    nursery.start_soon(connect)
    request = await wrap_server_stream(nursery, server)
    peer = await request.accept()
    await connected.wait()
    return link, peer
