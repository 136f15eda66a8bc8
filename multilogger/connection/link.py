"""One WebSocket connection: what the public contract calls an exchange connection."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio
from trio_websocket import ConnectionRejected, WebSocketConnection

from multilogger.connection.budget import Budget
from multilogger.connection.errors import FOREIGN, translated
from multilogger.connection.handshake import Endpoint, shake_hands
from multilogger.connection.http import make_tls_context
from multilogger.connection.limits import Turns
from multilogger.connection.tap import FrameTap
from multilogger.errors import ConnectFailed, ConnectionLost
from multilogger.exchanges.base import (
    Adapter,
    Allowance,
    Frames,
    Limits,
    Nursery,
)
from multilogger.stats import ExchangeStats

OpenStream = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Opens a byte stream to a host and port, TLS not included."""

CLOSE_SECS: Final = 1.0
"""How long the peer may take to answer our close frame before the transport is closed anyway."""


class WebSocketLink:
    """An :class:`~multilogger.exchanges.base.ExchangeConnection` over trio-websocket and a :class:`FrameTap`.

    Args:
        url: ``ws://`` or ``wss://``.
        symbols: what :meth:`subscribe` asks for.
        make_adapter: makes the adapter whose frames :meth:`subscribe` sends, anew for every connection.
        limits: of the exchange.
        clock: nanoseconds since the epoch.
        tls: makes the TLS context, at the first ``wss://`` connection.
        open_stream: opens the transport; the seam for tests.
        budget: what all connections to the host share; without it this one is alone.

    Raises:
        ValueError: ``url`` is no WebSocket URL.
    """

    def __init__(
        self,
        url: str,
        symbols: Sequence[str],
        make_adapter: Callable[[], Adapter],
        *,
        limits: Limits,
        clock: Callable[[], int],
        tls: Callable[[], ssl.SSLContext] = make_tls_context,
        open_stream: OpenStream = trio.open_tcp_stream,
        budget: Budget | None = None,
    ) -> None:
        self.endpoint = Endpoint.of(url)
        self.symbols = tuple(symbols)
        self._make_adapter = make_adapter
        self._limits = limits
        self._clock = clock
        self._tls = tls
        self._open_stream = open_stream
        self._budget = budget or Budget(limits, ExchangeStats(""), self.endpoint.host)
        self._sending = trio.StrictFIFOLock()
        self._turns = self._fresh_turns()
        self._tap: FrameTap | None = None
        self._websocket: WebSocketConnection | None = None
        self._unread: deque[bytes] = deque()

    @property
    def is_connected(self) -> bool:
        """Whether the WebSocket is open."""
        return self._websocket is not None and self._websocket.closed is None

    def _fresh_turns(self) -> Turns:
        """Return the allowances of one connection: a new one has used up nothing."""
        spacing = Allowance(1, 1 / self._limits.messages_per_second)
        return Turns((spacing, *self._limits.messages_per_connection))

    async def wait_turn(self, connections: int = 1) -> None:
        """Wait until another connection to the host may be opened, or several at once."""
        await self._budget.connect(connections)

    async def connect(self, nursery: Nursery) -> None:
        """Open the connection, now; trio-websocket's task lives in ``nursery``.

        Raises:
            ConnectFailed: no connection, TLS or WebSocket handshake.
        """
        self._unread.clear()
        self._turns = self._fresh_turns()
        with translated(self.endpoint.authority, ConnectFailed):
            transport = await self._open_transport()
            tap = FrameTap(transport, self._clock, self._limits.max_message_bytes)
            try:
                self._websocket = await shake_hands(nursery, tap, self.endpoint, self._limits)
            except BaseException as failure:
                self._heed(failure)
                await trio.aclose_forcefully(transport)
                raise
        self._budget.connects.accepted()
        self._tap = tap

    def _heed(self, failure: BaseException) -> None:
        """Open no connections for a while, if the exchange refused this one because it has had too many."""
        if isinstance(failure, ConnectionRejected):
            headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in failure.headers
            }
            self._budget.connects.heed(failure.status_code, headers)

    async def _open_transport(self) -> trio.abc.Stream:
        stream = await self._open_stream(self.endpoint.host, self.endpoint.port)
        if not self.endpoint.secure:
            return stream
        secured = trio.SSLStream(
            stream, self._tls(), server_hostname=self.endpoint.host, https_compatible=True
        )
        try:
            await secured.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return secured

    async def subscribe(self) -> None:
        """Send the subscriptions of all symbols, paced as the exchange demands.

        Raises:
            ConnectionLost: the connection ended.
        """
        await self.send(self._make_adapter().subscribe(self.symbols))

    async def send(self, frames: Sequence[str]) -> None:
        """Send text frames, paced as the exchange demands.

        Raises:
            ConnectionLost: the connection ended.
        """
        for frame in frames:
            async with self._sending:
                await self._turns.wait_for_room()
                await self._budget.message()
                # Noted as late as it is sent: the host's allowance may have taken its time.
                self._turns.note()
                with translated(self.endpoint.authority, ConnectionLost):
                    await self._opened()[0].send_message(frame)

    async def read_frames(self) -> Frames:
        """Return the data frames of the next chunk that has any.

        Raises:
            ConnectionLost: the connection ended.
            ProtocolViolation: the peer broke the protocol or sent an oversized message.
        """
        with translated(self.endpoint.authority, ConnectionLost):
            return await self._opened()[1].read_frames()

    async def read_message(self) -> bytes:
        """Return the next data frame; the same errors as :meth:`read_frames`.

        To be used instead of :meth:`read_frames`, not beside it: what it has read ahead stays here.
        """
        if not self._unread:
            self._unread.extend((await self.read_frames()).payloads)
        else:
            await trio.lowlevel.checkpoint()
        return self._unread.popleft()

    async def reconnect(self, nursery: Nursery) -> None:
        """Close what is left, connect anew in turn, and subscribe."""
        await self.aclose()
        await self.wait_turn()
        await self.connect(nursery)
        await self.subscribe()

    async def aclose(self) -> None:
        """Close the connection, politely if the peer answers within a second.

        If cancelled, the transport is closed at once.
        """
        websocket, tap = self._websocket, self._tap
        self._websocket = self._tap = None
        if websocket is None or tap is None:
            await trio.lowlevel.checkpoint()
            return
        if tap.abandoned:
            # Nobody would hear the peer's answer: trio-websocket's task has ended, or was cancelled with us.
            await trio.aclose_forcefully(tap)
            return
        tap.begin_closing()
        violation = tap.splitter.violation
        try:
            with trio.move_on_after(CLOSE_SECS):
                await websocket.aclose(code=violation.code if violation else 1000)
                # After the peer's close frame trio-websocket returns at once, its answer still to be sent.
                await tap.idle.wait()
        except FOREIGN:
            # It is gone, which is what was wanted.
            pass
        finally:
            await trio.aclose_forcefully(tap)

    def _opened(self) -> tuple[WebSocketConnection, FrameTap]:
        if self._websocket is None or self._tap is None:
            raise ConnectionLost("not connected")
        return self._websocket, self._tap
