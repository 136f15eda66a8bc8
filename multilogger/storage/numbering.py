"""From batches to the payloads of rows frames: grouped, cut to size, numbered, encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from multilogger.batch import Batch
from multilogger.storage.book import Book
from multilogger.storage.grouping import Grouped, group
from multilogger.storage.payload import TABLE_HEADER_BYTES, encode, stored_row_bytes
from multilogger.storage.streams import Streams
from multilogger.tables import TABLES, Array


def group_batches(batches: Sequence[Batch], streams: Streams) -> list[Grouped]:
    """Return the rows of all batches, for each table that has any."""
    found = []
    for table in TABLES:
        parts = [
            (rows, streams.numbers(batch.symbols, table, rows["symbol"]))
            for batch in batches
            if (rows := batch.rows.get(table.number)) is not None and len(rows)
        ]
        if parts:
            found.append(group(table, parts))
    return found


@attrs.frozen
class Encoded:
    """Payloads of rows frames."""

    payloads: list[Array]
    late: int
    """Rows in them that go to late partitions."""
    absurd: int
    """Rows in them whose time can't be true."""


def encode_frames(grouped: Sequence[Grouped], book: Book, limit: int, today: int) -> Encoded:
    """Number the rows.

    Args:
        grouped: rows of different tables.
        book: gives the numbers.
        limit: bytes in a payload.
        today: days since the epoch.
    """
    payloads = []
    late = absurd = 0
    for frame in _split(grouped, limit):
        numbered = [book.number(part, today) for part in frame]
        payloads.append(encode([it.rows for it in numbered]))
        late += sum(it.late for it in numbered)
        absurd += sum(it.absurd for it in numbered)
    return Encoded(payloads, late, absurd)


def _split(grouped: Sequence[Grouped], limit: int) -> Iterator[list[Grouped]]:
    """Cut rows into the contents of frames of at most ``limit`` bytes."""
    frame: list[Grouped] = []
    room = limit
    for rows in grouped:
        width = stored_row_bytes(rows.table)
        done = 0
        while done < len(rows.rows):
            count = min(len(rows.rows) - done, (room - TABLE_HEADER_BYTES) // width)
            if count <= 0:
                yield frame
                frame, room = [], limit
                continue
            frame.append(rows.part(done, done + count))
            done += count
            room -= TABLE_HEADER_BYTES + count * width
    if frame:
        yield frame
