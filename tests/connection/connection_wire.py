"""Bytes on the wire, as a server sends them."""

from __future__ import annotations

import base64
import hashlib
import struct

import trio

NOW_NS = 1_795_341_600_000_000_000
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
URL = "ws://venue.test:9000/feed?x=1"
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def clock() -> int:
    """A clock that stands."""
    return NOW_NS


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True, first: int | None = None) -> bytes:
    """Return a frame as a server sends it; ``first`` overrides the whole first byte."""
    head = bytes([(0x80 if fin else 0) | opcode if first is None else first])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    if len(payload) < 1 << 16:
        return head + b"\x7e" + struct.pack(">H", len(payload)) + payload
    return head + b"\x7f" + struct.pack(">Q", len(payload)) + payload


async def read_head(stream: trio.abc.Stream) -> bytes:
    """Return an HTTP head."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += bytes(await stream.receive_some(1))
    return head


def response_head(request: bytes) -> bytes:
    """Return the answer that accepts a WebSocket request."""
    key = request.lower().split(b"sec-websocket-key: ")[1].split(b"\r\n")[0]
    start = request.lower().index(key)
    digest = hashlib.sha1(request[start : start + len(key)] + _MAGIC, usedforsecurity=False).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )
