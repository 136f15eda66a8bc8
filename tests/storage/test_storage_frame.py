"""Frames and payloads: what is written is read, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal_tools import NOON, make_rows, table_rows

from multilogger.errors import StorageDamaged
from multilogger.storage.frame import ALIGNMENT, HEADER_BYTES, FrameType, Header, decode_header, span
from multilogger.storage.grouping import group, merge
from multilogger.storage.payload import (
    HEAD_BYTES,
    SECTION,
    TABLE_HEADER_BYTES,
    TableRows,
    decode,
    encode,
    first_head,
    last_head,
    stored_row_bytes,
)
from multilogger.tables import MD, TRADES

HEADER = Header(
    type=FrameType.ROWS,
    segment=7,
    sequence=9,
    wall_ns=NOON,
    length=100,
    place=1,
    ordinal=4,
    previous=3,
    payload_hash=4,
)


def test_header_round_trip() -> None:
    """A header comes back as it was, with its sync group and its segment's first frame."""
    encoded = HEADER.encode()
    assert len(encoded) == HEADER_BYTES
    assert decode_header(encoded, 7) == HEADER
    assert (HEADER.group, HEADER.opening) == (8, 5)


def test_header_of_another_segment_is_none() -> None:
    """What a recycled segment held before is not valid in it."""
    assert decode_header(HEADER.encode(), 8) is None


@given(st.integers(0, HEADER_BYTES * 8 - 1))
def test_flipped_bit_makes_no_header(bit: int) -> None:
    """Every single bit is covered by the hash."""
    data = bytearray(HEADER.encode())
    data[bit // 8] ^= 1 << bit % 8
    assert decode_header(bytes(data), 7) is None


@given(st.binary(max_size=80))
def test_garbage_makes_no_header(data: bytes) -> None:
    """Arbitrary bytes are refused quietly."""
    assert decode_header(data, 0) is None


def test_span_is_aligned() -> None:
    """A frame takes whole blocks."""
    assert span(0) == span(ALIGNMENT - HEADER_BYTES) == ALIGNMENT
    assert span(ALIGNMENT - HEADER_BYTES + 1) == 2 * ALIGNMENT


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4 * 86_400)), min_size=1, max_size=60))
def test_group_sorts_stably_by_stream_and_time(keys: list[tuple[int, int]]) -> None:
    """Grouping is Python's stable sort, cut where stream or day change."""
    rows = make_rows(TRADES, [NOON + seconds * 10**9 for _, seconds in keys])
    grouped = group(TRADES, [(rows, np.array([stream for stream, _ in keys]))])
    order = sorted(range(len(keys)), key=lambda index: keys[index])
    assert grouped.rows["trade_id"].tolist() == [index + 1 for index in order]
    days = (grouped.rows["time_ns"] // (86_400 * 10**9)).tolist()
    sections = list(zip(grouped.streams.tolist(), grouped.days.tolist(), strict=True))
    assert sections == sorted(set(sections))
    per_row = [sections[i] for i, n in enumerate(np.diff(grouped.bounds).tolist()) for _ in range(n)]
    assert per_row == [(keys[index][0], day) for index, day in zip(order, days, strict=True)]


@given(st.data())
def test_part_of_a_group(data: st.DataObject) -> None:
    """The parts of a group, one after the other, have its rows and streams."""
    streams = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=40))
    rows = make_rows(TRADES, [NOON] * len(streams))
    grouped = group(TRADES, [(rows, np.array(streams))])
    middle = data.draw(st.integers(0, len(streams)))
    ids: list[int] = []
    found: list[int] = []
    for first, last in ((0, middle), (middle, len(streams))):
        if first < last:
            part = grouped.part(first, last)
            ids += part.rows["trade_id"].tolist()
            found += np.repeat(part.streams, np.diff(part.bounds)).tolist()
            assert part.bounds[0] == 0
            assert (np.diff(part.bounds) > 0).all()
    assert ids == grouped.rows["trade_id"].tolist()
    assert found == sorted(streams)


def _table_rows(start_row: int, count: int, stream: int = 0) -> TableRows:
    return table_rows(TRADES, (stream, 20_300, start_row, count), serial=start_row + 1)


@given(st.integers(1, 9), st.integers(1, 9))
def test_payload_round_trip(trades: int, quotes: int) -> None:
    """Two tables of any row counts come back field by field."""
    written = [table_rows(MD, (1, 2, 3, quotes)), _table_rows(5, trades)]
    read = decode(encode(written))
    assert [rows.table for rows in read] == [MD, TRADES]
    for before, after in zip(written, read, strict=True):
        assert (before.sections == after.sections).all()
        for name in before.table.stored_fields:
            assert before.fields[name].tobytes() == after.fields[name].tobytes()


def test_payload_of_another_version_is_refused() -> None:
    """A table number that this version doesn't know is not guessed at."""
    payload = encode([_table_rows(0, 2)])
    payload[HEAD_BYTES] = 99
    with pytest.raises(StorageDamaged, match="table 99"):
        decode(payload)
    for cut in (payload[:-8], payload[8:], payload[:0]):
        with pytest.raises(StorageDamaged, match="no index"):
            decode(cut)


@given(st.data())
def test_payload_of_other_numbers_is_refused(data: st.DataObject) -> None:
    """Numbers in an index that don't fit each other are an error of ours, never a crash or more rows."""
    payload = encode([_table_rows(0, 2), _table_rows(2, 1)])
    index = HEAD_BYTES + 2 * 16 + 2 * SECTION.itemsize
    payload[data.draw(st.integers(0, index - 1))] = data.draw(st.integers(0, 255))
    try:
        read = decode(payload)
    except StorageDamaged:
        return
    assert sum(len(rows) for rows in read) == 3


@given(st.integers(1, 9), st.integers(1, 9))
def test_payload_is_bounded(trades: int, sections: int) -> None:
    """A payload is never longer than the sum by which commits are cut to size."""
    rows = _table_rows(0, trades)
    for count in range(1, min(trades, sections) + 1):
        spread = np.array(
            [(stream, 1, 0, 1, 0) for stream in range(count - 1)] + [(99, 1, 0, trades - count + 1, 0)],
            SECTION,
        )
        payload = encode([TableRows(TRADES, spread, rows.fields)])
        assert len(payload) <= TABLE_HEADER_BYTES + trades * stored_row_bytes(TRADES)


def test_both_indexes_say_the_same() -> None:
    """The index at the end is the first one mirrored, and its hash is of what both hold."""
    payload = encode([_table_rows(5, 3)]).tobytes()
    first, last = first_head(payload[:HEAD_BYTES]), last_head(payload[-HEAD_BYTES:])
    assert first is not None
    assert first == last
    assert first.payload_bytes == len(payload)
    assert first.matches(payload[HEAD_BYTES : first.index_bytes])
    assert payload[HEAD_BYTES : first.index_bytes] == payload[-first.index_bytes : -HEAD_BYTES]
    assert first_head(payload[8:][:HEAD_BYTES]) is last_head(payload[:HEAD_BYTES]) is None
    assert not first.matches(payload[HEAD_BYTES - 1 : first.index_bytes - 1])


def test_payload_without_rows() -> None:
    """No tables at all come back as no tables."""
    assert decode(encode([])) == []


def test_merge_joins_commits() -> None:
    """Rows of one partition out of several commits become one run, in order."""
    parts = [_table_rows(0, 2), _table_rows(0, 3, stream=4), _table_rows(2, 2)]
    (merged,) = merge(parts)
    assert merged.streams.tolist() == [0, 4]
    assert merged.bounds.tolist() == [0, 4, 7]
    assert merged.fields["trade_id"].tolist() == [1, 2, 3, 4, 1, 2, 3]


def test_merge_refuses_a_hole() -> None:
    """Row numbers that don't follow each other would leave zeros in a file."""
    with pytest.raises(StorageDamaged, match="not contiguous at row 3"):
        merge([_table_rows(0, 2), _table_rows(3, 1)])
