"""The way in: where a URL leads, and the WebSocket handshake by trio-websocket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, cast
from urllib.parse import urlsplit

import attrs
import trio
from trio_websocket import HandshakeError, WebSocketConnection, wrap_client_stream

from multilogger.connection.errors import FOREIGN
from multilogger.connection.tap import FrameTap
from multilogger.errors import ConnectFailed
from multilogger.exchanges.base import Limits, Nursery

_HEADERS: Final = [(b"User-Agent", b"multilogger")]
_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}
_HANDSHAKE_CHUNK_BYTES: Final = 4096
# No data frame ever gets into trio-websocket's message queue.
_QUEUED_MESSAGES: Final = 1


@attrs.frozen
class Endpoint:
    """Where a WebSocket URL leads."""

    secure: bool
    host: str
    port: int
    resource: str
    """Path and query, as in the request line."""
    authority: str
    """As in the ``Host`` header: with the port, if it is not the scheme's own."""

    @classmethod
    def of(cls, url: str) -> Endpoint:
        """Take a URL apart.

        Raises:
            ValueError: it is no ``ws://`` or ``wss://`` URL with a host.
        """
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError(f"{url!r} is no ws:// or wss:// URL")
        default = _DEFAULT_PORTS[parts.scheme]
        port = parts.port or default
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        authority = host if port == default else f"{host}:{port}"
        return cls(parts.scheme == "wss", parts.hostname, port, resource, authority)


async def shake_hands(
    nursery: Nursery, tap: FrameTap, endpoint: Endpoint, limits: Limits
) -> WebSocketConnection:
    """Do the WebSocket handshake; trio-websocket's reader runs in ``nursery`` from then on.

    Raises:
        ConnectFailed: the peer ended the connection.
        trio_websocket.HandshakeError: the peer refused.
    """
    reader = _Reader(nursery, tap)
    websocket: WebSocketConnection | None = None
    with reader.handshake:
        websocket = await wrap_client_stream(
            # It asks its nursery for nothing but this.
            cast("trio.Nursery", reader),
            cast("trio.SocketStream", tap),
            endpoint.authority,
            endpoint.resource,
            extra_headers=_HEADERS,
            message_queue_size=_QUEUED_MESSAGES,
            max_message_size=limits.max_message_bytes,
            receive_buffer_size=_HANDSHAKE_CHUNK_BYTES,
        )
    if websocket is None:
        if isinstance(reader.failure, HandshakeError):
            raise reader.failure
        raise ConnectFailed("the peer ended or broke the WebSocket handshake") from reader.failure
    return websocket


class _Reader:
    """Runs trio-websocket's reader in a nursery that must not see it fail.

    By itself the reader raises a refused handshake into the nursery, and leaves whoever waits for the
    handshake waiting if the connection just ends.
    """

    def __init__(self, nursery: Nursery, tap: FrameTap) -> None:
        self.handshake = trio.CancelScope()
        self.failure: Exception | None = None
        self._nursery = nursery
        self._tap = tap

    def start_soon(self, read: Callable[[], Awaitable[None]]) -> None:
        self._nursery.start_soon(self._run, read)

    async def _run(self, read: Callable[[], Awaitable[None]]) -> None:
        try:
            await read()
        except FOREIGN as error:
            self.failure = error
        finally:
            self._tap.abandon()
            self.handshake.cancel()
