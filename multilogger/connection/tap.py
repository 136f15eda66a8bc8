"""The stream between the transport and trio-websocket, from which the session pulls its data frames.

Who reads the transport changes twice in a connection's life::

    handshake   trio-websocket, through receive_some(), up to the end of the HTTP response head
    streaming   the session, by read_frames(); receive_some() waits for the control frames that it passes on
    closing     trio-websocket again, for the peer's close frame alone
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import trio

from multilogger.connection.frames import FrameSplitter, is_close
from multilogger.errors import ConnectionLost, ProtocolViolation
from multilogger.exchanges.base import Frames

CHUNK_BYTES: Final = 256 * 1024
"""Most bytes taken by one receive: under load a chunk of hundreds of messages shares one wake-up."""

_CONTROL_CHUNKS: Final = 4
"""Chunks of control frames that may wait for trio-websocket. If it can't answer (a peer that pings but does
not read), the session stops reading."""

# The same end of a head that h11, which reads it for trio-websocket, accepts.
_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")
_SWITCHING_PROTOCOLS: Final = re.compile(rb"HTTP/1\.[01] 101[ \r\n]")


class FrameTap(trio.abc.Stream):
    """A stream for trio-websocket that never shows it a data frame.

    Args:
        transport: the TCP or TLS stream; closed with this one.
        clock: nanoseconds since the epoch.
        max_message_bytes: limit of one message.
    """

    def __init__(self, transport: trio.abc.Stream, clock: Callable[[], int], max_message_bytes: int) -> None:
        self.splitter = FrameSplitter(max_message_bytes)
        self.idle = trio.Event()
        """Set once trio-websocket has dealt with everything it was given and nothing more is to come."""
        self.abandoned = False
        """Whether trio-websocket's task has ended."""
        self._transport = transport
        self._clock = clock
        self._head: bytearray | None = bytearray()
        """What has come of the response head; None once it is over."""
        self._upgraded = False
        self._early: Frames | None = None
        """Data frames that came in the chunk that ended the head."""
        self._pulling = False
        self._ended = False
        self._control_send, self._control_receive = trio.open_memory_channel[bytes](_CONTROL_CHUNKS)

    async def read_frames(self) -> Frames:
        """Return the data frames of the next chunk that has any.

        Raises:
            ConnectionLost: the peer ended the connection, by a close frame or without.
            ProtocolViolation: malformed input, or an oversized message.
            trio.BrokenResourceError, trio.ClosedResourceError: of the transport.
        """
        early, self._early = self._early, None
        if early is not None:
            await trio.lowlevel.checkpoint()
            return early
        while True:
            self._refuse_to_go_on()
            frames = await self._pull()
            await self._pass_control()
            if frames.payloads:
                return frames

    def _refuse_to_go_on(self) -> None:
        """Raise what ended the connection, once all messages before it have been returned."""
        violation, closed = self.splitter.violation, self.splitter.closed
        if violation is not None:
            raise ProtocolViolation(violation.reason)
        if closed is not None:
            code = "without a code" if closed.code is None else f"with code {closed.code}"
            raise ConnectionLost(f"closed by the peer {code} {closed.reason}".rstrip())

    async def _pull(self) -> Frames:
        self._pulling = True
        try:
            chunk = await self._transport.receive_some(CHUNK_BYTES)
            recv_ns = self._clock()
        finally:
            self._pulling = False
        if not chunk:
            self.end_control()
            raise ConnectionLost("ended by the peer without a close frame")
        return Frames(recv_ns, self.splitter.feed(bytes(chunk)))

    async def _pass_control(self) -> None:
        control = self.splitter.take_control()
        if control:
            try:
                await self._control_send.send(b"".join(control))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise ConnectionLost("closed on this side") from None

    def end_control(self) -> None:
        """Tell trio-websocket that nothing more comes."""
        self._ended = True
        self._control_send.close()

    def begin_closing(self) -> None:
        """Let trio-websocket look for the peer's close frame; the session doesn't read any more."""
        self._control_send.close()

    def abandon(self) -> None:
        """Take note that trio-websocket does not read any more."""
        self._control_receive.close()
        self.abandoned = True
        self.idle.set()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what trio-websocket has to see: the response head, then control frames; b"" at the end."""
        if not self._upgraded:
            return await self._receive_head(max_bytes)
        try:
            return await self._control_receive.receive()
        except trio.EndOfChannel:
            return await self._receive_close()

    async def _receive_head(self, max_bytes: int | None) -> bytes:
        chunk = bytes(await self._transport.receive_some(max_bytes))
        recv_ns = self._clock()
        if self._head is None or not chunk:
            return chunk
        before = len(self._head)
        self._head += chunk
        end = _END_OF_HEAD.search(self._head)
        if end is None:
            return chunk
        self._upgraded = _SWITCHING_PROTOCOLS.match(self._head) is not None
        # Any other answer is a refusal, which trio-websocket reads to its end.
        self._head = None
        if not self._upgraded:
            return chunk
        rest = end.end() - before
        self._keep_early(recv_ns, chunk[rest:])
        return chunk[:rest]

    def _keep_early(self, recv_ns: int, chunk: bytes) -> None:
        payloads = self.splitter.feed(chunk)
        if payloads:
            self._early = Frames(recv_ns, payloads)
        control = self.splitter.take_control()
        if control:
            self._control_send.send_nowait(b"".join(control))

    async def _receive_close(self) -> bytes:
        """Return the peer's close frame. Data that comes after our own is dropped: it was never accepted."""
        self.idle.set()
        while not (self._ended or self._pulling or self.splitter.violation):
            chunk = await self._transport.receive_some(CHUNK_BYTES)
            if not chunk:
                break
            self.splitter.feed(bytes(chunk))
            # Pings are dropped too: after its own close frame wsproto sends no pong, it raises.
            for frame in self.splitter.take_control():
                if is_close(frame):
                    return frame
        self._ended = True
        await trio.lowlevel.checkpoint()
        return b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes of trio-websocket."""
        await self._transport.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the transport can take more."""
        await self._transport.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the transport."""
        self.end_control()
        await self._transport.aclose()
