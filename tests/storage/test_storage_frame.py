"""Frames and payloads: what is written is read, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_tools import NOON, Feed

from multilogger.errors import StorageDamaged
from multilogger.storage.frame import ALIGNMENT, HEADER_BYTES, FrameType, Header, decode_header, span
from multilogger.storage.grouping import group, merge
from multilogger.storage.payload import SECTION, TableRows, decode, encode
from multilogger.tables import MD, TRADES

HEADER = Header(
    type=FrameType.ROWS, segment=7, sequence=9, wall_ns=NOON, length=100, place=1, previous=3, payload_hash=4
)


def test_header_round_trip() -> None:
    """A header comes back as it was, with its sync group."""
    encoded = HEADER.encode()
    assert len(encoded) == HEADER_BYTES
    assert decode_header(encoded, 7) == HEADER
    assert HEADER.group == 8


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
    feed = Feed()
    rows = feed.trades("X", [NOON + seconds * 10**9 for _, seconds in keys]).rows[TRADES.number]
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
    rows = Feed().trades("X", [NOON] * len(streams)).rows[TRADES.number]
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
    rows = Feed(serial=start_row).trades("X", [NOON] * count).rows[TRADES.number]
    sections = np.array([(stream, 20_300, start_row, count, 0)], SECTION)
    return TableRows(TRADES, sections, {name: rows[name] for name in TRADES.stored_fields})


@given(st.integers(1, 9), st.integers(1, 9))
def test_payload_round_trip(trades: int, quotes: int) -> None:
    """Two tables of any row counts come back field by field."""
    md = Feed().quotes("X", [NOON] * quotes).rows[MD.number]
    md_rows = TableRows(
        MD, np.array([(1, 2, 3, quotes, 0)], SECTION), {name: md[name] for name in MD.stored_fields}
    )
    written = [md_rows, _table_rows(5, trades)]
    read = decode(encode(written))
    assert [rows.table for rows in read] == [MD, TRADES]
    for before, after in zip(written, read, strict=True):
        assert (before.sections == after.sections).all()
        for name in before.table.stored_fields:
            assert before.fields[name].tobytes() == after.fields[name].tobytes()


def test_payload_of_another_version_is_refused() -> None:
    """A table number that this version doesn't know is not guessed at."""
    payload = encode([_table_rows(0, 2)])
    payload[0] = 99
    with pytest.raises(StorageDamaged, match="table 99"):
        decode(payload)
    with pytest.raises(StorageDamaged, match="fit"):
        decode(encode([_table_rows(0, 2)])[:-8])


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
