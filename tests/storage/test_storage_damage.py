"""A damaged journal, byte by byte: at most the touched frame is missing, and its rows are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from damage_tools import DAY, Written, expect_lost, replayed, write_commits
from journal_tools import flip, open_journal, read_back, table_rows, wipe, write

from multilogger.storage import disk
from multilogger.storage.frame import ALIGNMENT, HEADER_BYTES, FrameType
from multilogger.storage.payload import HEAD_BYTES, encode, first_head
from multilogger.storage.salvage import LostSection
from multilogger.storage.segments import list_segments
from multilogger.tables import TRADES


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """Four commits, of which nothing need survive a power cut."""
    monkeypatch.setattr(disk, "sync", lambda _: None)
    return write_commits(tmp_path / "journal")


def test_every_flipped_byte_of_a_payload(written: Written) -> None:
    """Every byte of every payload: just that frame is missing, and its rows are named exactly."""
    for frame in written.frames:
        for offset in range(frame.offset + HEADER_BYTES, frame.end):
            flip(written.path, offset)
            expect_lost(written, frame, written.frames[-1].sequence)
            flip(written.path, offset)
    assert written.path.read_bytes() == written.data


def test_every_flipped_byte_of_a_header(written: Written) -> None:
    """A header's hash tells which byte was flipped: nothing is missing."""
    for frame in written.frames:
        for offset in range(frame.offset, frame.offset + HEADER_BYTES):
            flip(written.path, offset)
            found, damaged = replayed(written)
            assert len(found) == len(written.frames)
            assert damaged == []
            flip(written.path, offset)


def test_flipped_padding_changes_nothing(written: Written) -> None:
    """What lies between frames, and behind the last, belongs to nobody."""
    for frame in written.frames:
        for offset in {frame.end, frame.end + 1, *range(frame.end, frame.offset + ALIGNMENT, 97)}:
            flip(written.path, offset)
    for offset in range(written.used, len(written.data), 1001):
        flip(written.path, offset)
    found, damaged = replayed(written)
    assert len(found) == len(written.frames)
    assert damaged == []


def test_truncated_at_every_byte(written: Written) -> None:
    """A file cut at any byte has its whole frames, and the rows of the one cut are named from its index."""
    for frame in written.frames:
        head = first_head(frame.payload[:HEAD_BYTES])
        index = frame.offset + HEADER_BYTES + (head.index_bytes if head else 0)
        for end in range(frame.end, frame.offset - 1, -1):
            with written.path.open("r+b") as file:
                file.truncate(end)
            found, damaged = replayed(written)
            kept = [other.sequence for other in written.frames if other.end <= end]
            assert list(found) == kept
            named = frame.type is FrameType.ROWS and index <= end < frame.end
            assert [item.sections for item in damaged] == [written.sections.get(frame.sequence)] * named
            assert not any(item.acknowledged for item in damaged)
        written.restore()


@pytest.mark.parametrize("groups", [(1, 3), (2, 2), (4,), (1, 1, 2)])
def test_damage_within_a_sync_group(tmp_path: Path, groups: tuple[int, ...]) -> None:
    """Later frames of a torn group are kept; only a later group proves that a frame had been durable."""
    written = write_commits(tmp_path / "journal", groups)
    rows = [frame for frame in written.frames if frame.type is FrameType.ROWS]
    # The opening dictionaries are synced together with the first rows.
    last_group = rows[-groups[-1]].sequence if len(groups) > 1 else 1
    for frame in written.frames:
        flip(written.path, frame.offset + HEADER_BYTES + 3)
        expect_lost(written, frame, last_group) if frame in rows else replayed(written)
        flip(written.path, frame.offset + HEADER_BYTES + 3)


def test_header_that_is_gone_leaves_the_first_index(written: Written) -> None:
    """With several wrong bytes in the header the rows are still named, if it can be told whose it is."""
    rows = [frame for frame in written.frames if frame.type is FrameType.ROWS]
    for frame in rows[:-1]:
        for places in ((17, 40), (33, 60), (6, 55), (9, 30, 50), (0, 5, 41, 42)):
            for place in places:
                flip(written.path, frame.offset + place)
            expect_lost(written, frame, rows[-1].sequence)
            written.restore()


def test_block_that_is_gone_leaves_the_second_index(tmp_path: Path) -> None:
    """A frame's zeroed first block doesn't keep its rows from being named, if it was durable as a whole."""
    journal, _ = open_journal(tmp_path)
    payload = encode([table_rows(TRADES, (5, DAY, 7, 90))])
    journal.append([(FrameType.ROWS, payload.data)])
    (segment,) = list_segments(tmp_path)
    wipe(segment.path, 2 * ALIGNMENT)
    assert read_back(tmp_path).damaged == []
    write(journal, [b"later"])
    for size in (100, ALIGNMENT, len(payload) - 30):
        wipe(segment.path, 2 * ALIGNMENT, size)
        (item,) = read_back(tmp_path).damaged
        assert (item.first, item.last, item.acknowledged) == (3, 3, True)
        assert item.sections == (LostSection(TRADES.number, 5, DAY, 7, 90),)


def test_both_indexes_gone(written: Written) -> None:
    """Rows that nothing names are counted as unknown, never guessed."""
    frame = written.frames[3]
    for offset in (frame.offset + HEADER_BYTES + 30, frame.end - 30):
        flip(written.path, offset)
    found, (item,) = replayed(written)
    assert len(found) == len(written.frames) - 1
    assert (item.first, item.last, item.type) == (frame.sequence, frame.sequence, FrameType.ROWS)
    assert item.sections is None


def test_several_damaged_places(written: Written) -> None:
    """Each of several damaged places is told by itself, and the frames between them are kept."""
    for frame in (written.frames[1], written.frames[2], written.frames[4]):
        flip(written.path, frame.offset + HEADER_BYTES + 5)
    found, damaged = replayed(written)
    assert list(found) == [1, 4, 6]
    assert [(item.first, item.last) for item in damaged] == [(2, 2), (3, 3), (5, 5)]
    assert [item.sections for item in damaged] == [(), written.sections[3], written.sections[5]]
    wipe(written.path, written.frames[2].offset, 2 * ALIGNMENT)
    found, damaged = replayed(written)
    assert list(found) == [1, 6]
    assert [(item.first, item.last) for item in damaged] == [(2, 2), (3, 4), (5, 5)]
    assert [item.sections for item in damaged] == [(), None, written.sections[5]]


def test_frames_told_apart_by_their_indexes(written: Written) -> None:
    """Neighbours without headers are named one by one: the first index tells where a frame ends."""
    for frame in written.frames[2:4]:
        flip(written.path, frame.offset + 20)
        flip(written.path, frame.offset + 60)
    found, damaged = replayed(written)
    assert list(found) == [1, 2, 5, 6]
    assert [(item.first, item.sections) for item in damaged] == [
        (number, written.sections[number]) for number in (3, 4)
    ]
