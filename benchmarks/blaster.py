"""A peer that costs the measured process nothing but its socket: frames encoded beforehand, or paced.

Run as a process of its own::

    python -m benchmarks.blaster --exchange binance --messages 500000 [--rate 10000] [--tls CERT KEY]

It prints its port, accepts one connection at a time, confirms the subscriptions, and sends.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import socket
import ssl
import struct
import sys
import time
from typing import Final

from benchmarks.messages import message, symbols

EXCHANGES: Final = ("coinbase", "binance")
"""Whose subscriptions it can confirm."""
_CLOSE: Final = 0x8
_CHUNK_MESSAGES: Final = 400
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(payload: bytes) -> bytes:
    """Return a server's unmasked text frame (RFC 6455 section 5.2)."""
    if len(payload) < 126:
        return struct.pack("!BB", 0x81, len(payload)) + payload
    return struct.pack("!BBH", 0x81, 126, len(payload)) + payload


def encode_all(exchange: str, count: int) -> list[bytes]:
    """Return all frames, many a chunk, with times 10 microseconds apart from now on."""
    start = time.time_ns() // 1000
    frames = [frame(message(exchange, at, start + 10 * at)) for at in range(count)]
    return [b"".join(frames[at : at + _CHUNK_MESSAGES]) for at in range(0, count, _CHUNK_MESSAGES)]


class Client:
    """One connection, from its handshake on."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._read = connection.makefile("rb")

    def handshake(self) -> None:
        """Accept the WebSocket (RFC 6455 section 4.2.2)."""
        key = b""
        while (line := self._read.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"sec-websocket-key":
                key = value.strip()
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self._connection.sendall(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")

    def text(self) -> bytes:
        """Return the payload of the client's next frame."""
        _, size = self._read.read(2)
        size &= 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._read.read(2))
        mask = self._read.read(4)
        masked = self._read.read(size)
        return bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))

    def confirm(self, exchange: str) -> None:
        """Read the subscriptions of all symbols and acknowledge them."""
        missing = set(symbols(exchange))
        while missing:
            request = json.loads(self.text())
            if exchange == "binance":
                missing -= {stream.split("@")[0].upper() for stream in request["params"]}
                answer = {"result": None, "id": request["id"]}
            else:
                missing -= set(request["product_ids"])
                names = ("ticker", "matches", "heartbeat")
                channels = [{"name": name, "product_ids": symbols(exchange)} for name in names]
                answer = {"type": "subscriptions", "channels": channels}
            self._connection.sendall(frame(json.dumps(answer).encode()))

    def close(self) -> None:
        """Hang up; a socket is closed only with the last file made of it."""
        self._read.close()
        self._connection.close()

    def wait_for_end(self) -> None:
        """Wait until the client hangs up, or sends a close frame; it sends nothing else by then."""
        while (first := self._read.read(1)) and first[0] & 0x0F != _CLOSE:
            pass


def pace(connection: socket.socket, exchange: str, count: int, rate: int) -> None:
    """Send single messages, stamped when they are sent, at an even rate."""
    start = time.perf_counter()
    for at in range(count):
        due = start + at / rate
        while (ahead := due - time.perf_counter()) > 0:
            time.sleep(ahead if ahead > 0.0002 else 0)
        connection.sendall(frame(message(exchange, at, time.time_ns() // 1000)))


def serve(arguments: argparse.Namespace) -> None:
    """Accept connections, one after the other, until killed."""
    listener = socket.create_server(("127.0.0.1", 0))
    context = None
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.tls)
    chunks = [] if arguments.rate else encode_all(arguments.exchange, arguments.messages)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True)
        client = Client(connection)
        try:
            client.handshake()
            client.confirm(arguments.exchange)
            time.sleep(0.2)
            if arguments.rate:
                pace(connection, arguments.exchange, arguments.messages, arguments.rate)
            for chunk in chunks:
                connection.sendall(chunk)
            client.wait_for_end()
        except OSError as gone:
            print(f"client gone: {gone}", file=sys.stderr)
        finally:
            client.close()


def main() -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchange", choices=EXCHANGES, required=True)
    parser.add_argument("--messages", type=int, default=500_000)
    parser.add_argument("--rate", type=int, default=0, help="messages a second, one by one; 0: all at once")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    serve(parser.parse_args())


if __name__ == "__main__":
    main()
