"""A connection of several sockets, for exchanges that have their tables on different paths.

To everybody else it is one :class:`~multilogger.exchanges.base.ExchangeConnection`: the frames of all legs
come to one adapter, and the loss of one leg is the loss of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import trio

from multilogger.connection.link import CLOSE_SECS, WebSocketLink
from multilogger.errors import ConnectionLost, FeedError
from multilogger.exchanges.base import Adapter, Frames, Nursery

_CHUNKS_AHEAD: Final = 0
"""A leg reads on when its last chunk was taken: what is slow to be taken holds up the socket."""


class JoinedLink:
    """One connection of several legs.

    Args:
        legs: at least two, in the order of the exchange's endpoints.
        route: tells on which of them a frame is to be sent; None says on all.
        make_adapter: makes the adapter whose frames :meth:`subscribe` sends.
        symbols: what it asks for.
    """

    def __init__(
        self,
        legs: Sequence[WebSocketLink],
        route: Callable[[str], int | None],
        make_adapter: Callable[[], Adapter],
        symbols: Sequence[str],
    ) -> None:
        self._legs = tuple(legs)
        self._route = route
        self._make_adapter = make_adapter
        self._symbols = tuple(symbols)
        self._unread: list[bytes] = []
        self._pumping: trio.CancelScope | None = None
        self._chunks: trio.MemoryReceiveChannel[Frames | FeedError] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether all WebSockets are open."""
        return all(leg.is_connected for leg in self._legs)

    async def wait_turn(self) -> None:
        """Wait until the exchange's limits allow all legs at once: they are to one host."""
        await self._legs[0].wait_turn(len(self._legs))

    async def connect(self, nursery: Nursery) -> None:
        """Open all legs, one after the other; their tasks live in ``nursery``.

        Raises:
            ConnectFailed: no connection, TLS or WebSocket handshake; what was open is closed.
        """
        self._unread.clear()
        try:
            for leg in self._legs:
                await leg.connect(nursery)
        except BaseException:
            with trio.move_on_after(CLOSE_SECS, shield=True):
                await self._close_legs()
            raise
        send, self._chunks = trio.open_memory_channel[Frames | FeedError](_CHUNKS_AHEAD)
        self._pumping = trio.CancelScope()
        nursery.start_soon(self._pump_all, send, self._pumping)

    async def _pump_all(
        self, send: trio.MemorySendChannel[Frames | FeedError], scope: trio.CancelScope
    ) -> None:
        """Hand on what comes by any leg, until all have ended or the scope is cancelled."""
        with scope:
            async with trio.open_nursery() as legs:
                for leg in self._legs:
                    legs.start_soon(_pump, leg, send)

    async def subscribe(self) -> None:
        """Send the subscriptions of all symbols, each on its leg, paced as the exchange demands.

        Raises:
            ConnectionLost: a leg ended.
        """
        await self.send(self._make_adapter().subscribe(self._symbols))

    async def send(self, frames: Sequence[str]) -> None:
        """Send text frames, each on its leg, paced as the exchange demands.

        Raises:
            ConnectionLost: a leg ended.
        """
        for frame in frames:
            leg = self._route(frame)
            for link in self._legs if leg is None else (self._legs[leg],):
                await link.send([frame])

    async def read_frames(self) -> Frames:
        """Return the data frames of the next chunk of any leg.

        Raises:
            ConnectionLost: a leg ended.
            ProtocolViolation: a peer broke the protocol or sent an oversized message.
        """
        if self._chunks is None:
            raise ConnectionLost("not connected")
        chunk = await self._chunks.receive()
        if isinstance(chunk, FeedError):
            raise chunk
        return chunk

    async def read_message(self) -> bytes:
        """Return the next data frame; the same errors as :meth:`read_frames`, to be used instead of it."""
        if not self._unread:
            self._unread.extend(reversed((await self.read_frames()).payloads))
        else:
            await trio.lowlevel.checkpoint()
        return self._unread.pop()

    async def reconnect(self, nursery: Nursery) -> None:
        """Close what is left, connect anew in turn, and subscribe."""
        await self.aclose()
        await self.wait_turn()
        await self.connect(nursery)
        await self.subscribe()

    async def aclose(self) -> None:
        """Close all legs, politely if the peers answer soon."""
        if self._pumping is not None:
            self._pumping.cancel()
        self._pumping = self._chunks = None
        await self._close_legs()

    async def _close_legs(self) -> None:
        """Close all legs at the same time: each may wait a second for its peer."""
        async with trio.open_nursery() as nursery:
            for leg in self._legs:
                nursery.start_soon(leg.aclose)


async def _pump(leg: WebSocketLink, send: trio.MemorySendChannel[Frames | FeedError]) -> None:
    """Hand on what comes by one leg, and at the end why it ended."""
    try:
        while True:
            await send.send(await leg.read_frames())
    except FeedError as failure:
        await send.send(failure)
