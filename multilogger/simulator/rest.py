"""The REST side of a simulated exchange: GET requests over HTTP/1.1, by h11."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs
import h11
import trio

_IDLE_SECS: Final = 60
"""An idle connection is closed after this long, as web servers do."""
_RECEIVE_BYTES: Final = 16 * 1024


@attrs.frozen
class Request:
    """A GET request."""

    path: str
    """Percent-decoded, without the query."""
    query: Mapping[str, str]
    """The last value of each parameter."""
    headers: Mapping[str, str]
    """By lower-case name."""

    def integer(self, name: str, default: int | None = None) -> int | None:
        """Return a parameter as an integer; ``default`` where it is missing.

        Raises:
            ValueError: it is something else.
        """
        return int(self.query[name]) if name in self.query else default


@attrs.frozen
class Response:
    """An answer."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
        """Return ``value`` as JSON."""
        return cls(status, json.dumps(value, separators=(",", ":")).encode(), headers)


Answer = Callable[[Request], Awaitable[Response]]


async def serve_rest(
    answer: Answer, host: str, port: int, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> NoReturn:
    """Answer GET requests until cancelled; starts with the port, the real one where ``port`` is 0.

    Raises:
        ExceptionGroup: of an OSError, where the port can't be bound.
    """

    async def handle(stream: trio.SocketStream) -> None:
        async with stream:
            with trio.move_on_after(_IDLE_SECS) as idle:
                await serve_client(answer, stream, idle)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handle, port, host=host))
        task_status.started(listeners[0].socket.getsockname()[1])
        await trio.sleep_forever()
    raise AssertionError("a nursery that sleeps for ever only ends by cancellation")


async def serve_client(answer: Answer, stream: trio.abc.Stream, idle: trio.CancelScope | None = None) -> None:
    """Answer the requests of one client until it goes away or breaks the protocol.

    Args:
        answer: makes the answers.
        stream: the client's.
        idle: its deadline is moved on with every request.
    """
    connection = h11.Connection(h11.SERVER)
    try:
        while True:
            asked = await _next_request(connection, stream)
            if asked is None:
                return
            await _respond(connection, stream, await answer(asked))
            if idle is not None:
                idle.deadline = trio.current_time() + _IDLE_SECS
            if set(connection.states.values()) != {h11.DONE}:
                return
            connection.start_next_cycle()
    except (h11.RemoteProtocolError, trio.BrokenResourceError):
        return


async def _next_request(connection: h11.Connection, stream: trio.abc.Stream) -> Request | None:
    asked: Request | None = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(bytes(await stream.receive_some(_RECEIVE_BYTES)))
        elif isinstance(event, h11.Request):
            asked = _parse(event)
        elif isinstance(event, h11.EndOfMessage):
            return asked
        elif isinstance(event, h11.ConnectionClosed):
            return None


def _parse(event: h11.Request) -> Request:
    url = urlsplit(event.target.decode("ascii"))
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
    return Request(unquote(url.path), dict(parse_qsl(url.query)), headers)


async def _respond(connection: h11.Connection, stream: trio.abc.Stream, response: Response) -> None:
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(response.body))),
        *response.headers,
    ]
    head = connection.send(h11.Response(status_code=response.status, headers=headers))
    body = connection.send(h11.Data(data=response.body))
    end = connection.send(h11.EndOfMessage())
    await stream.send_all(b"".join(part for part in (head, body, end) if part))
