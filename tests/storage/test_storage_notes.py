"""Notes: what was encoded is decoded, and what is no note is refused."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from notes_tools import NOTES, SOME

from multilogger.errors import StorageDamaged
from multilogger.notes import (
    ANY,
    DISK_FULL,
    CoverageNote,
    CoverageState,
    Note,
    closed,
    decode_notes,
    encode_notes,
    gap_note,
    offline_note,
)


@given(NOTES)
def test_frame_round_trip(notes: list[Note]) -> None:
    """The payload of a note frame gives back its notes."""
    assert decode_notes(encode_notes(notes)) == notes


@given(st.binary(max_size=40), st.data())
def test_no_bytes_crash_the_decoder(garbage: bytes, data: st.DataObject) -> None:
    """Whatever is no list of notes is refused as damage."""
    payload = bytearray(encode_notes(SOME))
    at = data.draw(st.integers(0, len(payload)))
    payload[at : at + len(garbage)] = garbage
    with suppress(StorageDamaged):
        decode_notes(bytes(payload))


def test_text_that_is_none_is_damage() -> None:
    """Text that is not UTF-8, and a number that fits in no column, are refused too."""
    payload = encode_notes([gap_note("a", "b", 0, None)])
    for damaged in (payload.replace(b"\xa1a", b"\xa1\xff"), payload.replace(b"\x00", b"\xcf" + b"\xff" * 8)):
        with pytest.raises(StorageDamaged, match="can't be read"):
            decode_notes(damaged)


def test_later_fields_are_passed_over() -> None:
    """A note that a newer version wrote with one more field is read."""
    (tag, *fields), *_ = msgspec.msgpack.decode(encode_notes([SOME[2]]))
    assert decode_notes(msgspec.msgpack.encode([[tag, *fields, "new"]])) == [SOME[2]]


def test_helpers_make_intervals() -> None:
    """The time off line is a gap of everything; none ends before it starts."""
    assert offline_note("coinbase", 10, 20) == CoverageNote(
        "coinbase", ANY, ANY, CoverageState.GAP, "offline", 10, 20
    )
    assert offline_note("coinbase", 10, 5).end_ns == 10
    full = gap_note("coinbase", DISK_FULL, 30, None, symbol="BTC-USD")
    assert closed(full, 40) == gap_note("coinbase", DISK_FULL, 30, 40, symbol="BTC-USD")
    assert closed(full, 3).end_ns == 30
