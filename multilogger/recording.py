r"""Recordings: frames as they were received, one JSON object a line, plain or zstd.

::

    {"recv": 1723161253.937085768, "conn": "wss://ws-feed.exchange.coinbase.com", "text": "{\"type\":..."}

``recv`` is the receive time in seconds since the epoch, or null where nobody noted it; ``conn`` the address,
or null; ``text`` the message.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO, Final

import attrs
import msgspec
import zstandard

from multilogger.errors import RecordingError

_LINE_BYTES: Final = 64 * 1024 * 1024
"""No exchange sends larger frames; a longer line is not a recording."""

_NANOS: Final = 10**9
_MAX_SECONDS: Final = 2**63 // _NANOS
"""Later times don't fit into 64 bits of nanoseconds."""


@attrs.frozen
class Recorded:
    """One recorded frame."""

    recv_ns: int | None
    """Receive time, nanoseconds since the epoch, to the last digit recorded; None where unknown."""
    conn: str | None
    payload: bytes
    """The message, as it came over the wire."""


class _Line(msgspec.Struct):
    text: str
    # A binary float does not hold nanoseconds since the epoch.
    recv: Decimal | None = None
    conn: str | None = None


_decode: Final = msgspec.json.Decoder(_Line).decode
_encode: Final = msgspec.json.encode


def read_recording(path: Path) -> Iterator[Recorded]:
    """Read the frames of a recording in order; names ending in ``.zst`` are decompressed.

    Blank lines are skipped.

    Raises:
        RecordingError: a line is not a recorded frame, or the compression is damaged; names file and line.
        OSError: the file can't be opened or read.
    """
    number = 0
    with path.open("rb") as file:
        try:
            for line in _lines(file, compressed=path.suffix == ".zst"):
                number += 1
                if not line.isspace():
                    yield _recorded(line)
        except (msgspec.DecodeError, UnicodeError, OverflowError, ValueError) as error:
            raise RecordingError(f"{path}, line {number}: not a recorded frame: {error}") from error
        except zstandard.ZstdError as error:
            raise RecordingError(f"{path}, after line {number}: damaged zstd data: {error}") from error


def encode_recorded(frame: Recorded) -> bytes:
    """Return a frame as its line of a recording, newline included; the opposite of reading.

    Raises:
        RecordingError: the payload is no UTF-8 text, for which the format has no place.
    """
    try:
        text = frame.payload.decode()
    except UnicodeDecodeError as error:
        raise RecordingError(f"not recorded: a frame that is no text: {error}") from error
    seconds = b"null" if frame.recv_ns is None else b"%d.%09d" % divmod(frame.recv_ns, _NANOS)
    return b'{"recv":%b,"conn":%b,"text":%b}\n' % (seconds, _encode(frame.conn), _encode(text))


def _lines(file: IO[bytes], *, compressed: bool) -> Iterator[bytes]:
    if not compressed:
        reader: IO[bytes] = file
    else:
        plain = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False)
        reader = io.BufferedReader(plain)
    while line := reader.readline(_LINE_BYTES):
        yield line


def _recorded(line: bytes) -> Recorded:
    decoded = _decode(line)
    recv_ns = None if decoded.recv is None else _nanoseconds(decoded.recv)
    return Recorded(recv_ns, decoded.conn, decoded.text.encode())


def _nanoseconds(seconds: Decimal) -> int:
    if not 0 <= seconds < _MAX_SECONDS:
        raise ValueError(f"recv {seconds} is no time")
    return int(seconds.scaleb(9))
