"""What an exchange is connected by: a connection, its frames, and the client that asks its REST API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import attrs


@attrs.frozen
class Frames:
    """Data frames that arrived in one chunk."""

    recv_ns: int
    """Local time right after the receive, nanoseconds since the epoch."""
    payloads: list[bytes]


class Nursery(Protocol):
    """Where a connection may start its tasks: a Trio nursery."""

    def start_soon(self, async_fn: Callable[..., Any], /, *args: Any) -> None:
        """Start a task."""
        ...


@runtime_checkable
class ExchangeConnection(Protocol):
    """One WebSocket connection for some symbols of one exchange."""

    @property
    def is_connected(self) -> bool:
        """Whether the WebSocket is open."""
        ...

    async def wait_turn(self) -> None:
        """Wait until the exchange's limits allow another connection; to be called before :meth:`connect`.

        Apart from it, so that a deadline for connecting need not count how long the others take.
        """
        ...

    async def connect(self, nursery: Nursery) -> None:
        """Open the connection; its background task lives in ``nursery``.

        Raises:
            ConnectFailed: no connection, TLS or WebSocket handshake.
        """
        ...

    async def subscribe(self) -> None:
        """Send the subscriptions of all symbols, paced as the exchange demands."""
        ...

    async def send(self, frames: Sequence[str]) -> None:
        """Send text frames, paced as the exchange demands."""
        ...

    async def read_frames(self) -> Frames:
        """Return the data frames of the next chunk that has any.

        Raises:
            ConnectionLost: the connection ended.
            ProtocolViolation: the peer broke the protocol or sent an oversized message.
        """
        ...

    async def read_message(self) -> bytes:
        """Return the next data frame; the same errors as :meth:`read_frames`."""
        ...

    async def reconnect(self, nursery: Nursery) -> None:
        """Close what is left, connect anew and subscribe."""
        ...

    async def aclose(self) -> None:
        """Close the connection, politely if the peer answers soon."""
        ...


class HttpGet(Protocol):
    """A GET request of the caller's HTTP client, within the exchange's REST allowance."""

    async def __call__(
        self, url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0
    ) -> bytes:
        """Return the body of a 200 answer, after waiting for the allowance.

        Args:
            url: without query.
            params: of the query.
            weight: of the request, as the exchange counts it.

        Raises:
            RateLimited: the exchange wants no requests for a while.
            RestError: no answer, or another status; the message names the URL and what came.
        """
        ...
