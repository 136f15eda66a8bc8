"""The payload of a rows frame.

Little-endian; for each table that has rows::

    u32 table, u32 sections, u32 rows, u32 0
    sections times {u32 stream, i32 day, u64 start_row, u32 rows, u32 0}
    for each of the table's stored fields: its values, contiguous, zero-padded to a multiple of 8 bytes

A section is a run of rows of one stream and UTC day. ``start_row`` is the number of the first of them in
its partition, so replaying a frame writes the same bytes to the same place, however often.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np

from multilogger.errors import StorageDamaged
from multilogger.tables import TABLES, Array, Fields, Table

_TABLE: Final = struct.Struct("<IIII")
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


def encode(tables: Sequence[TableRows]) -> Array:
    """Return the payload, an array of u1."""
    buffer = np.zeros(sum(_encoded_bytes(rows) for rows in tables), np.uint8)
    offset = 0
    for rows in tables:
        offset = _encode_table(rows, buffer, offset)
    return buffer


def _encode_table(rows: TableRows, buffer: Array, offset: int) -> int:
    count = len(rows)
    _TABLE.pack_into(buffer.data, offset, rows.table.number, len(rows.sections), count, 0)
    offset += _TABLE.size
    sections = buffer[offset : offset + rows.sections.nbytes].view(SECTION)
    sections[:] = rows.sections
    offset += rows.sections.nbytes
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
    tables = []
    offset = 0
    while offset < len(payload):
        rows, offset = _decode_table(payload, offset)
        tables.append(rows)
    return tables


def _decode_table(payload: Array, offset: int) -> tuple[TableRows, int]:
    if offset + _TABLE.size > len(payload):
        raise StorageDamaged(f"rows payload of {len(payload)} bytes: no table fits at {offset}")
    number, section_count, count, _ = _TABLE.unpack_from(payload.data, offset)
    if number >= len(TABLES):
        raise StorageDamaged(f"rows payload: table {number} is unknown to this version")
    table = TABLES[number]
    offset += _TABLE.size
    end = offset + section_count * SECTION.itemsize
    if end + _fields_bytes(table, count) > len(payload):
        raise StorageDamaged(f"rows payload: {count} rows of {table.name} don't fit in {len(payload)} bytes")
    sections = payload[offset:end].view(SECTION)
    fields = {}
    for name in table.stored_fields:
        size = count * table.row[name].itemsize
        fields[name] = payload[end : end + size].view(table.row[name])
        end += _padded(size)
    return TableRows(table, sections, fields), end


def stored_row_bytes(table: Table) -> int:
    """Return the bytes that a row takes in a payload at most, with a section of its own."""
    return sum(_padded(table.row[name].itemsize) for name in table.stored_fields) + SECTION.itemsize


def _encoded_bytes(rows: TableRows) -> int:
    return _TABLE.size + rows.sections.nbytes + _fields_bytes(rows.table, len(rows))


def _fields_bytes(table: Table, rows: int) -> int:
    return sum(_padded(rows * table.row[name].itemsize) for name in table.stored_fields)


def _padded(size: int) -> int:
    return -(-size // 8) * 8


TABLE_HEADER_BYTES: Final = _TABLE.size
