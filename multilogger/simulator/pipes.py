"""Byte streams in memory that end as TCP's do: bounded, and with a reset that differs from an orderly end."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import attrs
import trio

BUFFER_BYTES: Final = 256 * 1024
"""What may be under way in one direction, about as much as the buffers of two sockets hold."""


@attrs.define(eq=False)
class _Pipe:
    """One direction."""

    limit: int
    data: bytearray = attrs.field(factory=bytearray)
    ended: bool = False
    """The writer closed: after the data comes the end."""
    broken: bool = False
    """Reset, or the reader is gone: nothing gets through any more."""
    filled: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    drained: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def wake(self) -> None:
        """Let both ends look again."""
        self.filled.unpark_all()
        self.drained.unpark_all()


class MemoryStream(trio.abc.Stream):
    """One end of a connection made by :func:`stream_pair`."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._closed = False
        self._reset = False
        self._busy: set[str] = set()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of ``data``, as the peer makes room for it.

        Raises:
            trio.BrokenResourceError: the peer closed or reset the connection.
            trio.ClosedResourceError: this end is closed.
        """
        with self._alone("send"), memoryview(data) as rest:
            await trio.lowlevel.checkpoint()
            self._refuse_to_send()
            sent = 0
            while sent < len(rest):
                room = await self._room()
                self._outgoing.data += rest[sent : sent + room]
                sent += room
                self._outgoing.filled.unpark_all()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room.

        Raises:
            trio.BrokenResourceError: the peer closed or reset the connection.
            trio.ClosedResourceError: this end is closed.
        """
        with self._alone("send"):
            await trio.lowlevel.checkpoint()
            await self._room()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what has come, at least a byte; nothing at the orderly end.

        Raises:
            trio.BrokenResourceError: the peer reset the connection.
            trio.ClosedResourceError: this end is closed.
        """
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        pipe = self._incoming
        with self._alone("receive"):
            await trio.lowlevel.checkpoint()
            while not (self._closed or pipe.data or pipe.broken or pipe.ended):
                await pipe.filled.park()
            if self._closed:
                raise trio.ClosedResourceError("this end is closed")
            if pipe.broken:
                raise trio.BrokenResourceError("connection reset by the peer")
            chunk = bytes(pipe.data[:max_bytes])
            del pipe.data[:max_bytes]
            pipe.drained.unpark_all()
            return chunk

    def arm_reset(self) -> None:
        """Make the next close a reset instead of an orderly end."""
        self._reset = True

    def close(self) -> None:
        """Close both directions; the peer may still read what was sent, unless this is a reset."""
        if self._closed:
            return
        self._closed = True
        self._incoming.broken = True
        self._incoming.data.clear()
        self._outgoing.ended = True
        if self._reset:
            self._outgoing.broken = True
            self._outgoing.data.clear()
        self._incoming.wake()
        self._outgoing.wake()

    async def aclose(self) -> None:
        """Close, see :meth:`close`."""
        self.close()
        await trio.lowlevel.checkpoint()

    async def _room(self) -> int:
        pipe = self._outgoing
        while len(pipe.data) >= pipe.limit and not self._closed and not pipe.broken:
            await pipe.drained.park()
        self._refuse_to_send()
        return pipe.limit - len(pipe.data)

    def _refuse_to_send(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this end is closed")
        if self._outgoing.broken:
            raise trio.BrokenResourceError("the peer is gone")

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        """Refuse what sockets refuse, too: two tasks in the same call."""
        if what in self._busy:
            raise trio.BusyResourceError(f"another task is in {what}")
        self._busy.add(what)
        try:
            yield
        finally:
            self._busy.remove(what)


def stream_pair(buffer_bytes: int = BUFFER_BYTES) -> tuple[MemoryStream, MemoryStream]:
    """Return both ends of a connection.

    Args:
        buffer_bytes: that may be under way in each direction.
    """
    there, back = _Pipe(buffer_bytes), _Pipe(buffer_bytes)
    return MemoryStream(back, there), MemoryStream(there, back)
