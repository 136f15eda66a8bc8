"""WebSocket frames of a server, split off the byte stream without a task or an object a message.

trio-websocket spends 13-17 µs on a message, most of it on events and queues that a recorder has no use for.
So the data frames never reach it: :class:`FrameSplitter` cuts them out of large chunks, and what is left
(ping, pong, close, and whatever the protocol forbids) goes on to trio-websocket byte for byte.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

_TEXT: Final = 0x81
"""The first byte of an unfragmented text frame."""
_BINARY: Final = 0x82
"""The first byte of an unfragmented binary frame."""
_FIN: Final = 0x80
_RESERVED_BITS: Final = 0x70
_OPCODE: Final = 0x0F
_CONTINUATION: Final = 0x0
_DATA_OPCODES: Final = (0x1, 0x2)
_CLOSE: Final = 0x8
_CONTROL_OPCODES: Final = (0x8, 0x9, 0xA)
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_SHORT_HEADER: Final = 2
_MEDIUM_HEADER: Final = 4
_LONG_HEADER: Final = 10
_CLOSE_CODE_BYTES: Final = 2
_FOUR_BYTES: Final = struct.Struct(">BBH")
"""A header with a 16-bit length; its beginning, and whatever follows, of another."""

TOO_BIG: Final = 1009
"""RFC 6455 §7.4.1: the close code for a message that is too big."""
PROTOCOL_ERROR: Final = 1002
"""RFC 6455 §7.4.1: the close code for anything else that the protocol forbids."""


class Violation(NamedTuple):
    """What the peer did that it must not."""

    code: int
    """The close code that answers it."""
    reason: str


class Closed(NamedTuple):
    """The content of the peer's close frame (RFC 6455 §5.5.1)."""

    code: int | None
    """None where the frame was empty."""
    reason: str


class FrameSplitter:
    """Splits the frames that a server sends (RFC 6455 §5.2) into data messages and control frames.

    Text is not checked to be UTF-8: whoever parses the message does that anyway.

    Args:
        max_message_bytes: a message with a longer payload is a violation.
    """

    def __init__(self, max_message_bytes: int) -> None:
        self.violation: Violation | None = None
        """Once it is set there are no more messages."""
        self.closed: Closed | None = None
        """Once it is set there are no more messages; what follows a close frame is dropped."""
        self._limit = max_message_bytes
        self._control: list[bytes] = []
        self._tail = bytearray()
        self._missing = 0
        self._fragments: bytearray | None = None

    def take_control(self) -> list[bytes]:
        """Return the control frames since the last call, one an entry; after malformed input raw bytes."""
        taken, self._control = self._control, []
        return taken

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the payloads of the messages that ``chunk`` completes, in order.

        Malformed input, and everything after it, is kept as it came for :meth:`take_control`. An oversized
        message is dropped with everything after it. Both set :attr:`violation`; nothing is raised, because
        the messages before it are good.

        Args:
            chunk: bytes as received, cut anywhere.
        """
        if self.violation is not None:
            if self.violation.code == PROTOCOL_ERROR:
                self._control.append(chunk)
            return []
        if self.closed is not None:
            return []
        if self._tail:
            self._tail += chunk
            # A message of megabytes comes in hundreds of chunks: it is looked at again when it is whole.
            if len(self._tail) < self._missing:
                return []
            chunk = bytes(self._tail)
        messages: list[bytes] = []
        self._tail = bytearray(chunk[self._split(chunk, messages) :])
        return messages

    def _split(self, buffer: bytes, messages: list[bytes]) -> int:
        """Split all whole frames of ``buffer`` and return where the rest begins."""
        position = -1
        after = 0
        while position != after:
            position = self._plain_frames(buffer, after, messages)
            after = self._any_frame(buffer, position, messages)
        return position

    def _plain_frames(self, buffer: bytes, position: int, messages: list[bytes]) -> int:
        """Split a run of unfragmented data frames; what is anything else is left to :meth:`_any_frame`.

        The hot loop of the program: 0.3 µs a frame, which is why it repeats a part of :meth:`_any_frame`.
        """
        if self._fragments is not None:
            return position
        append = messages.append
        unpack = _FOUR_BYTES.unpack_from
        limit = self._limit
        end = len(buffer)
        last_header = end - _MEDIUM_HEADER
        while position <= last_header:
            first, length, long_length = unpack(buffer, position)
            if first != _TEXT and first != _BINARY:  # noqa: PLR1714 - a membership test costs a tenth of the loop
                break
            if length < _LENGTH_16:
                start = position + _SHORT_HEADER
            elif length == _LENGTH_16 <= long_length:
                start = position + _MEDIUM_HEADER
                length = long_length
            else:
                break
            stop = start + length
            if stop > end or length > limit:
                break
            append(buffer[start:stop])
            position = stop
        return position

    def _any_frame(self, buffer: bytes, position: int, messages: list[bytes]) -> int:
        """Split one frame of any kind and return where it ends; ``position`` if it is not whole yet."""
        have = len(buffer) - position
        if have < _SHORT_HEADER:
            self._missing = _SHORT_HEADER
            return position
        header, length = self._lengths(buffer, position)
        if have < header:
            self._missing = header
            return position
        fault = self._fault(buffer[position], buffer[position + 1], header, length)
        if fault is not None:
            return self._violated(buffer, position, fault)
        if have < header + length:
            self._missing = header + length
            return position
        stop = position + header + length
        self._accept(buffer[position], buffer[position:stop], header, messages)
        return stop if self.closed is None else len(buffer)

    @staticmethod
    def _lengths(buffer: bytes, position: int) -> tuple[int, int]:
        """Return the sizes of header and payload; the latter means nothing while the header isn't whole."""
        length = buffer[position + 1] & _LENGTH
        header = _SHORT_HEADER
        if length >= _LENGTH_16:
            header = _MEDIUM_HEADER if length == _LENGTH_16 else _LONG_HEADER
            length = int.from_bytes(buffer[position + _SHORT_HEADER : position + header], "big")
        return header, length

    def _fault(self, first: int, second: int, header: int, length: int) -> Violation | None:
        """Return what is wrong with a frame of this header."""
        opcode = first & _OPCODE
        final = first & _FIN
        faults = (
            (second & _MASKED, "a masked frame"),
            (first & _RESERVED_BITS, "a frame with reserved bits"),
            (header == _MEDIUM_HEADER and length < _LENGTH_16, "a length in a longer form than needed"),
            (header == _LONG_HEADER and not 1 << 16 <= length < 1 << 63, "a length in a wrong form"),
            (opcode in _CONTROL_OPCODES and header > _SHORT_HEADER, "a control frame over 125 bytes"),
            (opcode in _CONTROL_OPCODES and not final, "a fragmented control frame"),
            (opcode == _CLOSE and length == 1, "a close frame with half a code"),
            (opcode == _CONTINUATION and self._fragments is None, "a continuation of nothing"),
            (opcode in _DATA_OPCODES and self._fragments is not None, "a message within another"),
            (opcode not in (_CONTINUATION, *_DATA_OPCODES, *_CONTROL_OPCODES), "a reserved opcode"),
        )
        for wrong, words in faults:
            if wrong:
                return Violation(PROTOCOL_ERROR, words)
        size = length + len(self._fragments or b"")
        if opcode not in _CONTROL_OPCODES and size > self._limit:
            return Violation(TOO_BIG, f"a message of {size} bytes or more, the limit is {self._limit}")
        return None

    def _violated(self, buffer: bytes, position: int, violation: Violation) -> int:
        self.violation = violation
        self._fragments = None
        if violation.code == PROTOCOL_ERROR:
            self._control.append(buffer[position:])
        return len(buffer)

    def _accept(self, first: int, frame: bytes, header: int, messages: list[bytes]) -> None:
        """Take a well-formed frame."""
        opcode = first & _OPCODE
        if opcode in _CONTROL_OPCODES:
            self._control.append(frame)
            if opcode == _CLOSE:
                self.closed = _closed(frame[header:])
            return
        if self._fragments is None:
            self._fragments = bytearray()
        self._fragments += frame[header:]
        if first & _FIN:
            messages.append(bytes(self._fragments))
            self._fragments = None


def is_close(frame: bytes) -> bool:
    """Return whether a control frame is a close frame."""
    return frame[0] & _OPCODE == _CLOSE


def _closed(payload: bytes) -> Closed:
    if not payload:
        return Closed(None, "")
    code = int.from_bytes(payload[:_CLOSE_CODE_BYTES], "big")
    return Closed(code, payload[_CLOSE_CODE_BYTES:].decode(errors="replace"))
