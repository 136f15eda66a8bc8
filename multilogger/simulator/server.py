"""One client's WebSocket connection to a simulated exchange, from handshake to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, wrap_server_stream

from multilogger.simulator.wire import Outbox, SharedStream, arm_reset

if TYPE_CHECKING:
    from multilogger.simulator.client import Client
    from multilogger.simulator.venue import Venue

    C = TypeVar("C", bound=Client)

_HANDSHAKE_SECS: Final = 10
"""For a client that connects and then says nothing."""
_FAREWELL_SECS: Final = 1
"""For what waits to be sent, and again for the close handshake."""
_TOO_MANY_REQUESTS: Final = 429
_REQUEST_QUEUE: Final = 64
"""Requests that may wait; were it full, trio-websocket would answer no ping."""


async def serve_connection(venue: Venue[C], stream: trio.abc.Stream) -> None:
    """Serve one client, until it goes away or has to.

    Resource handling: the stream is closed, however this ends.
    """
    try:
        allowed = venue.rules.connect()
        if venue.refuses():
            arm_reset(stream)
            return
        async with trio.open_nursery() as nursery:
            shared = SharedStream(stream)
            if allowed:
                await _serve(venue, shared, stream, nursery)
            elif (request := await _handshake(shared, nursery)) is not None:
                await request.reject(_TOO_MANY_REQUESTS)
            nursery.cancel_scope.cancel()
    except* (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # The client went away, which is its right.
    finally:
        await trio.aclose_forcefully(stream)


async def _serve(
    venue: Venue[C], shared: SharedStream, stream: trio.abc.Stream, nursery: trio.Nursery
) -> None:
    request = await _handshake(shared, nursery)
    if request is None:
        return
    client = venue.admit(request.path, Outbox(shared, venue.outbox_bytes))
    if client is None:
        await request.reject(404)
        return
    venue.enter(client)
    try:
        ws = await request.accept()
        await _converse(venue, client, ws)
    finally:
        venue.drop(client)
        if client.reset:
            arm_reset(stream)
    if client.close_code is not None:
        with trio.move_on_after(_FAREWELL_SECS):
            await ws.aclose(client.close_code, client.close_reason)


async def _handshake(shared: SharedStream, nursery: trio.Nursery) -> WebSocketRequest | None:
    with trio.move_on_after(_HANDSHAKE_SECS):
        return await wrap_server_stream(nursery, shared, message_queue_size=_REQUEST_QUEUE)
    return None


async def _converse(venue: Venue[C], client: C, ws: WebSocketConnection) -> None:
    with client.scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.outbox.run)
            nursery.start_soon(venue.attend, client)
            nursery.start_soon(_leave, client)
            if venue.ping_secs is not None:
                nursery.start_soon(_ping, client, ws, venue.ping_secs, venue.pong_secs)
            await _read(venue, client, ws)


async def _read(venue: Venue[C], client: C, ws: WebSocketConnection) -> None:
    while True:
        message = await ws.get_message()
        client.spoke = True
        await venue.wait_flowing()
        # A stall may have outlasted the client; what it asked for must not be entered as sent.
        if ws.closed is None and not client.leaving.is_set():
            venue.request(client, message if isinstance(message, str) else message.decode(errors="replace"))


async def _ping(client: Client, ws: WebSocketConnection, every: float, patience: float) -> None:
    while True:
        await trio.sleep(every)
        with trio.move_on_after(patience) as waiting:
            await ws.ping()
        if waiting.cancelled_caught:
            client.leave(1008, "Pong timeout")


async def _leave(client: Client) -> None:
    await client.leaving.wait()
    with trio.move_on_after(_FAREWELL_SECS):
        await client.outbox.wait_below(0)
    client.scope.cancel()
