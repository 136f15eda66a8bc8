"""The payload of a rows frame.

Little-endian::

    index
    for each table, each of its stored fields: its values, contiguous, padded to a multiple of 8 bytes
    the index once more, mirrored: its head at the very end

    index:          head, sections
    mirrored index: sections, mirrored head
    head:           u32 magic, u32 bytes of the index, u32 bytes of the payload, u32 tables, u64 XXH3-64
    mirrored head:  the same, the other way round, with a magic of its own
    sections:       for each table u32 table, u32 sections, u32 rows, u32 0, and
                    sections times {u32 stream, i32 day, u64 start_row, u32 rows, u32 0}

The hash is of the three numbers before it and the sections. The first index directly follows the frame's
header, and the second is found from the payload's end, so that the rows of a damaged frame can still be
named; see :mod:`multilogger.storage.salvage`.

A section is a run of rows of one stream and UTC day. ``start_row`` is the number of the first of them in
its partition, so replaying a frame writes the same bytes to the same place, however often.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np
import xxhash

from multilogger.errors import StorageDamaged
from multilogger.tables import TABLES, Array, Fields, Table

_HEAD: Final = struct.Struct("<IIIIQ")
_MIRRORED: Final = struct.Struct("<QIIII")
_LENGTHS: Final = struct.Struct("<III")
_FIRST_MAGIC: Final = int.from_bytes(b"MLIX", "little")
_LAST_MAGIC: Final = int.from_bytes(b"XILM", "little")
_TABLE: Final = struct.Struct("<IIII")
HEAD_BYTES: Final = _HEAD.size
TABLE_HEADER_BYTES: Final = 2 * (_HEAD.size + _TABLE.size)
"""What a table takes in a payload at most, beside its rows."""
SECTION: Final = np.dtype(
    [("stream", "<u4"), ("day", "<i4"), ("start_row", "<u8"), ("rows", "<u4"), ("zero", "<u4")]
)


@attrs.frozen(eq=False)
class TableRows:
    """Rows of one table, a section after the other."""

    table: Table
    sections: Array
    """Of :data:`SECTION`, sorted by stream and day."""
    fields: Fields
    """``table.stored_fields`` of all rows; a structured array does as well where only encoding follows."""

    def __len__(self) -> int:
        return int(self.sections["rows"].sum())


@attrs.frozen
class Head:
    """What an index says of itself."""

    index_bytes: int
    payload_bytes: int
    tables: int
    digest: int

    def matches(self, sections: bytes) -> bool:
        """Return whether these are the sections that it was written with."""
        return self.digest == _digest(self.index_bytes, self.payload_bytes, self.tables, sections)


def first_head(data: bytes) -> Head | None:
    """Return the head of the first index from the first :data:`HEAD_BYTES` of a payload."""
    magic, *fields = _HEAD.unpack(data) if len(data) == _HEAD.size else (0,)
    return Head(*fields) if magic == _FIRST_MAGIC else None


def last_head(data: bytes) -> Head | None:
    """Return the head of the second index from the last :data:`HEAD_BYTES` of a payload."""
    *fields, magic = _MIRRORED.unpack(data) if len(data) == _MIRRORED.size else (0,)
    return Head(*reversed(fields)) if magic == _LAST_MAGIC else None


def encode(tables: Sequence[TableRows]) -> Array:
    """Return the payload, an array of u1."""
    sections = b"".join(_encode_sections(rows) for rows in tables)
    index_bytes = _HEAD.size + len(sections)
    fields_bytes = sum(_fields_bytes(rows.table, len(rows)) for rows in tables)
    lengths = (index_bytes, 2 * index_bytes + fields_bytes, len(tables))
    digest = _digest(*lengths, sections)
    buffer = np.zeros(lengths[1], np.uint8)
    _HEAD.pack_into(buffer.data, 0, _FIRST_MAGIC, *lengths, digest)
    buffer[_HEAD.size : index_bytes] = np.frombuffer(sections, np.uint8)
    offset = index_bytes
    for rows in tables:
        offset = _encode_fields(rows, buffer, offset)
    buffer[offset : -_HEAD.size] = np.frombuffer(sections, np.uint8)
    _MIRRORED.pack_into(buffer.data, len(buffer) - _HEAD.size, digest, *reversed(lengths), _LAST_MAGIC)
    return buffer


def _encode_sections(rows: TableRows) -> bytes:
    sections = rows.sections.astype(SECTION, copy=False)
    return _TABLE.pack(rows.table.number, len(sections), len(rows), 0) + sections.tobytes()


def _encode_fields(rows: TableRows, buffer: Array, offset: int) -> int:
    count = len(rows)
    for name in rows.table.stored_fields:
        width = rows.table.row[name].itemsize
        buffer[offset : offset + count * width].view(rows.table.row[name])[:] = rows.fields[name]
        offset += _padded(count * width)
    return offset


def decode(payload: Array) -> list[TableRows]:
    """Return the tables of a payload whose hash was right; the fields are views into it.

    Raises:
        StorageDamaged: a table or a length that this program never writes.
    """
    head = first_head(payload[: _HEAD.size].tobytes())
    if head is None or head.payload_bytes != len(payload) or 2 * head.index_bytes > len(payload):
        raise StorageDamaged(f"rows payload of {len(payload)} bytes: it has no index known to this version")
    tables = []
    offset = head.index_bytes
    for table, sections in decode_sections(payload[_HEAD.size : offset], head.tables):
        fields = {}
        count = int(sections["rows"].sum())
        if offset + _fields_bytes(table, count) > len(payload) - head.index_bytes:
            raise StorageDamaged(f"rows payload: {count} rows of {table.name} don't fit into it")
        for name in table.stored_fields:
            size = count * table.row[name].itemsize
            fields[name] = payload[offset : offset + size].view(table.row[name])
            offset += _padded(size)
        tables.append(TableRows(table, sections, fields))
    return tables


def decode_sections(data: Array, tables: int) -> list[tuple[Table, Array]]:
    """Return the sections of each table, arrays of :data:`SECTION`, from the middle of an index.

    Raises:
        StorageDamaged: a table or a length that this program never writes.
    """
    found = []
    offset = 0
    for _ in range(tables):
        if offset + _TABLE.size > len(data):
            raise StorageDamaged(f"rows payload: {tables} tables don't fit into {len(data)} bytes of index")
        number, count, rows, _ = _TABLE.unpack(data[offset : offset + _TABLE.size].tobytes())
        if number >= len(TABLES):
            raise StorageDamaged(f"rows payload: table {number} is unknown to this version")
        offset += _TABLE.size
        end = offset + count * SECTION.itemsize
        if end > len(data):
            raise StorageDamaged(f"rows payload: {count} sections don't fit into {len(data)} bytes of index")
        sections = data[offset:end].view(SECTION)
        if sections["rows"].sum() != rows:
            raise StorageDamaged(f"rows payload: {count} sections don't have {rows} rows together")
        found.append((TABLES[number], sections))
        offset = end
    return found


def stored_row_bytes(table: Table) -> int:
    """Return the bytes that a row takes in a payload at most, with a section of its own."""
    return sum(_padded(table.row[name].itemsize) for name in table.stored_fields) + 2 * SECTION.itemsize


def _digest(index_bytes: int, payload_bytes: int, tables: int, sections: bytes) -> int:
    return xxhash.xxh3_64_intdigest(_LENGTHS.pack(index_bytes, payload_bytes, tables) + sections)


def _fields_bytes(table: Table, rows: int) -> int:
    return sum(_padded(rows * table.row[name].itemsize) for name in table.stored_fields)


def _padded(size: int) -> int:
    return -(-size // 8) * 8
