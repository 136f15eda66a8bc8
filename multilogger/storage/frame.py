"""The journal's frame: a 64-byte header and its payload, both hashed.

Little-endian. A frame starts on a multiple of 4,096 bytes and is padded with zeros to the next, so that
writing a frame never rewrites a sector of a durable one.

======  =====================================================================================
offset  field
======  =====================================================================================
0       u32 magic ``MLJF``
4       u16 version, u8 type, u8 place: how many frames before this one were synced together with it
8       u64 segment number, the file's name: makes what a recycled segment held before invalid
16      u64 sequence, one more than the frame before
24      u64 wall clock, nanoseconds since the epoch (information only)
32      u32 payload length, u32 ordinal: how many frames lie before this one in its segment
40      u64 hash of the previous frame's payload
48      u64 XXH3-64 of the payload, seeded with the sequence
56      u64 XXH3-64 of bytes 0 to 55
======  =====================================================================================
"""

from __future__ import annotations

import enum
import struct
from typing import Final

import attrs
import xxhash

MAGIC: Final = int.from_bytes(b"MLJF", "little")
VERSION: Final = 2
ALIGNMENT: Final = 4096
HEADER_BYTES: Final = 64
MAX_GROUP: Final = 256
"""Frames that are synced together, at most: their place has one byte."""
_FIELDS: Final = struct.Struct("<IHBBQQQIIQQ")
_HASH: Final = struct.Struct("<Q")


class FrameType(enum.IntEnum):
    """What a payload holds. Numbers are never reused."""

    ROWS = 1
    DICTIONARY = 2
    """The numbers of streams. Always written twice in a row: without it the rows behind it mean nothing."""
    MARK = 3
    """Nothing: says that the program was running at the header's time."""
    NOTE = 4
    """What is known beside rows: coverage, seals, retention."""


@attrs.frozen(kw_only=True)
class Header:
    """The header of a frame."""

    type: FrameType
    segment: int
    sequence: int
    wall_ns: int
    length: int
    """Of the payload, in bytes."""
    place: int
    ordinal: int
    previous: int
    payload_hash: int

    @property
    def group(self) -> int:
        """Sequence of the first frame that was synced together with this one."""
        return self.sequence - self.place

    @property
    def opening(self) -> int:
        """Sequence of the first frame of this one's segment: within a segment they follow each other."""
        return self.sequence - self.ordinal

    def encode(self) -> bytes:
        """Return the 64 bytes."""
        packed = _FIELDS.pack(
            MAGIC,
            VERSION,
            self.type,
            self.place,
            self.segment,
            self.sequence,
            self.wall_ns,
            self.length,
            self.ordinal,
            self.previous,
            self.payload_hash,
        )
        return packed + _HASH.pack(xxhash.xxh3_64_intdigest(packed))


def decode_header(data: bytes, segment: int) -> Header | None:
    """Return the header in ``data``, None where there is no valid one of that segment."""
    if len(data) < HEADER_BYTES or data[:4] != _MAGIC_BYTES:
        return None
    packed = data[: _FIELDS.size]
    if _HASH.unpack_from(data, _FIELDS.size)[0] != xxhash.xxh3_64_intdigest(packed):
        return None
    _, version, kind, place, number, sequence, wall, length, ordinal, previous, digest = _FIELDS.unpack(
        packed
    )
    if version != VERSION or number != segment or kind not in _TYPES:
        return None
    return Header(
        type=FrameType(kind),
        segment=number,
        sequence=sequence,
        wall_ns=wall,
        length=length,
        place=place,
        ordinal=ordinal,
        previous=previous,
        payload_hash=digest,
    )


def hash_payload(payload: memoryview | bytes, sequence: int) -> int:
    """Return the hash of a payload, seeded with its frame's sequence."""
    return xxhash.xxh3_64_intdigest(payload, seed=sequence)


def span(length: int) -> int:
    """Return the bytes that a frame with such a payload takes in its segment."""
    return -(-(HEADER_BYTES + length) // ALIGNMENT) * ALIGNMENT


_MAGIC_BYTES: Final = MAGIC.to_bytes(4, "little")
_TYPES: Final = frozenset(FrameType)
