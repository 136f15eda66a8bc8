"""From batches to the payloads of rows frames: grouped, cut to size, numbered, encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


def encode_frames(grouped: Sequence[Grouped], book: Book, limit: int) -> tuple[list[Array], int]:
    """Number the rows.

    Args:
        grouped: rows of different tables.
        book: gives the numbers.
        limit: bytes in a payload.

    Returns:
        The payloads, in order, and the number of late rows.
    """
    payloads = []
    late = 0
    for frame in _split(grouped, limit):
        numbered = [book.number(part) for part in frame]
        payloads.append(encode([rows for rows, _ in numbered]))
        late += sum(count for _, count in numbered)
    return payloads, late


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
    yield frame
