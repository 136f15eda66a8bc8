"""Foreign exceptions become ours here, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import h11
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError
from wsproto.utilities import ProtocolError

from multilogger.errors import FeedError

FOREIGN: Final = (
    OSError,  # ssl.SSLError and socket.gaierror among them
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    HandshakeError,
    ConnectionClosed,
    ProtocolError,
    # wsproto answers a broken HTTP response by one of its own, which h11 then forbids a client.
    h11.ProtocolError,
)
"""What sockets, TLS, trio-websocket, wsproto and h11 raise when a connection fails."""

_BODY_SHOWN: Final = 200


@contextmanager
def translated(peer: str, into: type[FeedError]) -> Iterator[None]:
    """Raise foreign errors as ``into``, and give our own the peer's name.

    Args:
        peer: host and port, for the message.
        into: the error for foreign ones; ours keep their type.
    """
    try:
        yield
    except FeedError as error:
        raise type(error)(f"{peer}: {error}") from error
    except FOREIGN as error:
        raise into(f"{peer}: {in_words(error)}") from error


def in_words(error: BaseException) -> str:
    """Return what an error says, or what its cause says if it says nothing itself."""
    if isinstance(error, ConnectionRejected):
        body = (error.body or b"")[:_BODY_SHOWN].decode(errors="replace")
        return f"the WebSocket handshake was refused with HTTP status {error.status_code} {body}".rstrip()
    if isinstance(error, ConnectionClosed):
        return _closed_in_words(error)
    if isinstance(error, (trio.BrokenResourceError, HandshakeError)) and error.__cause__ is not None:
        return in_words(error.__cause__)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _closed_in_words(error: ConnectionClosed) -> str:
    if error.reason is None:
        return "the connection is closed"
    return f"closed with code {error.reason.code} {error.reason.reason or ''}".rstrip()
