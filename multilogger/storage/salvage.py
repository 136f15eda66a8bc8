"""What can still be told of a frame that is damaged: which rows were in it.

A rows frame names its rows twice, see :mod:`multilogger.storage.payload`. Nothing here is taken on trust: an
index counts if its hash is right and it can't be one that the segment held before it was used again.
"""

from __future__ import annotations

import struct
from typing import Final

import attrs
import numpy as np
import xxhash

from multilogger.errors import StorageDamaged
from multilogger.storage.frame import (
    ALIGNMENT,
    HEADER_BYTES,
    MAGIC,
    VERSION,
    FrameType,
    Header,
    decode_header,
)
from multilogger.storage.payload import HEAD_BYTES, Head, decode_sections, first_head, last_head
from multilogger.storage.segments import SegmentReader

_KNOWN: Final = struct.pack("<IH", MAGIC, VERSION)
_SEGMENT: Final = slice(8, 16)
_SEQUENCE: Final = slice(16, 24)
_HASHED: Final = HEADER_BYTES - 8
"""What the header's hash is of, and where it stands."""
_BYTE_VALUES: Final = 256


@attrs.frozen
class LostSection:
    """Rows of one stream and day that a damaged frame held."""

    table: int
    stream: int
    day: int
    start_row: int
    rows: int


@attrs.frozen
class Salvaged:
    """What is known of a frame that is not valid."""

    header: Header | None
    """None if it is damaged too."""
    length: int | None
    """Of the payload, in bytes; None if neither header nor index tell."""
    sections: tuple[LostSection, ...] | None
    """The rows that were in it: none in a frame that is no rows frame; None if nothing tells."""


NOTHING: Final = Salvaged(None, None, None)


def salvage(
    reader: SegmentReader, offset: int, sequence: int | None = None, end: int | None = None
) -> Salvaged:
    """Find out about a frame that is not valid.

    Args:
        reader: of its segment.
        offset: where the frame begins.
        sequence: the one it should have, if known.
        end: where the next frame begins, if there is one and this one is known to have been durable.

    Raises:
        OSError: the disk failed.
    """
    start = reader.read(HEADER_BYTES + HEAD_BYTES, offset)
    header = decode_header(start, reader.segment.number)
    if header is not None and header.type is not FrameType.ROWS:
        return Salvaged(header, header.length, ())
    if header is None and not _may_be_of(start, reader.segment.number, sequence):
        first = None
    else:
        first = first_head(start[HEADER_BYTES:])
    found = _read_first(reader, offset, first)
    if found is None and header is not None:
        found = _read_last(reader, offset, header.length, start[HEADER_BYTES:])
    if found is None and header is None and end is not None:
        found = _search_last(reader, offset, end)
    if found is None:
        return Salvaged(header, header.length if header else None, None)
    return Salvaged(header, found[0].payload_bytes, found[1])


_Index = tuple[Head, tuple[LostSection, ...]]


def _may_be_of(start: bytes, segment: int, sequence: int | None) -> bool:
    """Return whether a damaged header is the expected frame's, not one that the segment held before."""
    if start[_SEGMENT] == segment.to_bytes(8, "little"):
        return True
    return sequence is not None and start[_SEQUENCE] == sequence.to_bytes(8, "little")


def _read_first(reader: SegmentReader, offset: int, head: Head | None) -> _Index | None:
    if head is None or offset + HEADER_BYTES + head.index_bytes > reader.size:
        return None
    return _check(head, reader.read(head.index_bytes - HEAD_BYTES, offset + HEADER_BYTES + HEAD_BYTES))


def _read_last(reader: SegmentReader, offset: int, length: int, start: bytes) -> _Index | None:
    """Read the index at the end of a payload, which must agree with what is left of the first one."""
    found = _read_before(reader, offset, offset + HEADER_BYTES + length)
    if found is None:
        return None
    first = first_head(start)
    if first is not None and first.digest == found[0].digest:
        return found
    sections = reader.read(found[0].index_bytes - HEAD_BYTES, offset + HEADER_BYTES + HEAD_BYTES)
    return found if found[0].matches(sections) else None


def _search_last(reader: SegmentReader, offset: int, end: int) -> _Index | None:
    """Find the index at the end of a frame whose beginning is lost."""
    for at in range(end, max(end - ALIGNMENT, offset + HEADER_BYTES), -8):
        found = _read_before(reader, offset, at)
        if found is not None and at - found[0].payload_bytes == offset + HEADER_BYTES:
            return found
    return None


def _read_before(reader: SegmentReader, offset: int, end: int) -> _Index | None:
    head = last_head(reader.read(HEAD_BYTES, end - HEAD_BYTES)) if end <= reader.size else None
    if head is None or end - head.index_bytes < offset + HEADER_BYTES:
        return None
    return _check(head, reader.read(head.index_bytes - HEAD_BYTES, end - head.index_bytes))


def _check(head: Head, sections: bytes) -> _Index | None:
    if head.index_bytes < HEAD_BYTES or not head.matches(sections):
        return None
    try:
        tables = decode_sections(np.frombuffer(sections, np.uint8), head.tables)
    except StorageDamaged:
        # Written by a later version: what it means is not known, as good as lost.
        return None
    lost = [
        LostSection(table.number, *(int(section[name]) for name in ("stream", "day", "start_row", "rows")))
        for table, found in tables
        for section in found
    ]
    return head, tuple(lost)


def mend_header(data: bytes, segment: int) -> Header | None:
    """Return what a header was before one of its bytes was changed, None if that was not all.

    The hash tells when the right byte is found; what a recycled segment held before never becomes valid.
    """
    if len(data) < HEADER_BYTES or not (data.startswith(_KNOWN) or _may_be_of(data, segment, None)):
        return None
    header = _KNOWN + data[6:8] + segment.to_bytes(8, "little") + data[16:HEADER_BYTES]
    fields = bytearray(header[:_HASHED])
    stored = int.from_bytes(header[_HASHED:], "little")
    digest = xxhash.xxh3_64_intdigest(fields)
    wrong_bytes = 8 - (digest ^ stored).to_bytes(8, "little").count(0)
    if wrong_bytes <= 1:
        return decode_header(bytes(fields) + digest.to_bytes(8, "little"), segment)
    for at in range(len(_KNOWN), _HASHED):
        before = fields[at]
        for value in range(_BYTE_VALUES):
            fields[at] = value
            if xxhash.xxh3_64_intdigest(fields) == stored:
                return decode_header(bytes(fields) + stored.to_bytes(8, "little"), segment)
        fields[at] = before
    return None
