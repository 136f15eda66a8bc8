"""WebSocket server side: whole data frames straight to the stream, everything else by trio-websocket.

trio-websocket does the handshake, pings, pongs and close. Data frames are encoded here, once for all clients,
and go out many at a time; unmasked whole frames may stand between any two others (RFC 6455 §5.1, §5.4), so
one lock on the stream is all that the two have to share.
"""

from __future__ import annotations

import socket
import struct
from typing import Final, NoReturn

import trio

from multilogger.simulator.pipes import MemoryStream

_TEXT: Final = 0x81
"""A final text frame, RFC 6455 §5.2."""
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127


def text_frame(payload: bytes) -> bytes:
    """Return an unmasked text frame, as a server sends it (RFC 6455 §5.2)."""
    size = len(payload)
    if size < _LENGTH_16:
        return bytes((_TEXT, size)) + payload
    if size < 1 << 16:
        return struct.pack(">BBH", _TEXT, _LENGTH_16, size) + payload
    return struct.pack(">BBQ", _TEXT, _LENGTH_64, size) + payload


class SharedStream(trio.abc.Stream):
    """A stream whose ``send_all`` several tasks may call: each call's bytes stay together."""

    def __init__(self, transport: trio.abc.Stream) -> None:
        self._transport = transport
        self._lock = trio.StrictFIFOLock()
        self._torn = False
        self._frozen = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data`` whole, after what others are sending.

        Raises:
            trio.BrokenResourceError: the peer went away, or an earlier call was cancelled amid a frame.
        """
        try:
            # The transport has a checkpoint of its own; a second one for each message would be felt.
            self._lock.acquire_nowait()
        except trio.WouldBlock:
            await self._lock.acquire()
        try:
            await self._send(data)
        finally:
            self._lock.release()

    async def _send(self, data: bytes | bytearray | memoryview) -> None:
        if self._frozen:
            await trio.lowlevel.checkpoint()
            return
        if self._torn:
            raise trio.BrokenResourceError("a frame was cut short")
        self._torn = True
        await self._transport.send_all(data)
        self._torn = False

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the transport takes data."""
        async with self._lock:
            await self._transport.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive from the transport; once frozen, only that the peer has gone."""
        while True:
            data = await self._transport.receive_some(max_bytes)
            if not (self._frozen and data):
                return data

    def freeze(self) -> None:
        """Let nothing through any more, in either direction, though the transport stays open."""
        self._frozen = True

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


def arm_reset(stream: trio.abc.Stream) -> None:
    """Make the next close of a stream a reset (RST) instead of an orderly end (FIN)."""
    if isinstance(stream, MemoryStream):
        stream.arm_reset()
    elif isinstance(stream, trio.SocketStream):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Outbox:
    """Frames on their way to one client: filled without waiting, emptied by one task.

    Args:
        stream: where the frames go.
        limit: bytes that may wait; an exchange does not keep more for a slow client either.
    """

    def __init__(self, stream: SharedStream, limit: int) -> None:
        self.closed = False
        """Whether nothing is taken any more."""
        self.waiting = 0
        """Bytes not yet handed to the transport."""
        self._stream = stream
        self._limit = limit
        self._frames: list[bytes] = []
        self._filled = trio.Event()
        self._progress = trio.Event()

    def put(self, frame: bytes, *, whatever_size: bool = False) -> bool:
        """Take an encoded frame; False if it does not fit, or the outbox is closed."""
        fits = whatever_size or self.waiting + len(frame) <= self._limit
        if self.closed or not fits:
            return False
        self.waiting += len(frame)
        self._frames.append(frame)
        self._filled.set()
        return True

    def close(self) -> None:
        """Take nothing any more, and wake whoever waits for room."""
        self.closed = True
        self._progress.set()

    def freeze(self) -> None:
        """Take nothing any more, and let nothing through the stream in either direction."""
        self.close()
        self._stream.freeze()

    async def wait_below(self, size: int) -> None:
        """Wait until at most ``size`` bytes are waiting, or the outbox is closed."""
        while self.waiting > size and not self.closed:
            await self._progress.wait()

    async def run(self) -> NoReturn:
        """Send what comes, everything that has gathered at a time.

        Raises:
            trio.BrokenResourceError: the client went away.
        """
        while True:
            await self._filled.wait()
            self._filled = trio.Event()
            data = b"".join(self._frames)
            self._frames.clear()
            await self._stream.send_all(data)
            self.waiting -= len(data)
            self._progress.set()
            self._progress = trio.Event()
