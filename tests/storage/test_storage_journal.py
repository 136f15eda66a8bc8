"""The journal: what was acknowledged comes back once, whatever the disk does, and never anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_tools import DICTIONARY, START, flip, open_journal, read_back, write, write_group

from multilogger.errors import StorageDamaged
from multilogger.storage.extent import Extent, ExtentReader, Position
from multilogger.storage.frame import ALIGNMENT, HEADER_BYTES, FrameType, span
from multilogger.storage.journal import Journal
from multilogger.storage.segments import (
    MIN_SEGMENT_BYTES,
    SegmentPool,
    first_number,
    list_segments,
    segment_finder,
    segment_path,
)

ROWS = FrameType.ROWS


def test_frames_come_back(tmp_path: Path) -> None:
    """Frames over several segments come back in order, and once."""
    journal, _ = open_journal(tmp_path)
    payloads = [bytes([number]) * 3000 * (number % 4) for number in range(1, 30)]
    end = write(journal, *([payload] for payload in payloads))
    journal.close()
    found = read_back(tmp_path)
    assert (found.rows, found.damaged, found.end) == (payloads, [], end)
    assert len(list_segments(tmp_path)) > 2


def test_segments_are_never_rewritten_in_place(tmp_path: Path) -> None:
    """Every frame starts on a block of its own, behind the dictionary and its copy."""
    journal, _ = open_journal(tmp_path)
    write(journal, [b"a", b"b"], [b"c"])
    data = list_segments(tmp_path)[0].path.read_bytes()
    starts = [data[ALIGNMENT * number + HEADER_BYTES :][:1] for number in range(5)]
    assert starts == [DICTIONARY[:1], DICTIONARY[:1], b"a", b"b", b"c"]
    assert len(data) == MIN_SEGMENT_BYTES


def test_dictionaries_are_written_twice(tmp_path: Path) -> None:
    """Every dictionary frame is followed by its copy; other frames of any kind are written once."""
    journal, _ = open_journal(tmp_path)
    given_frames = [
        (FrameType.DICTIONARY, b"more"),
        (ROWS, b"rows"),
        (FrameType.MARK, b""),
        (FrameType.NOTE, b"note"),
    ]
    (extent,) = journal.append(given_frames)
    reader = ExtentReader(tmp_path)
    frames = [(frame.type, frame.payload) for frame in reader.read([extent])]
    opening = (FrameType.DICTIONARY, DICTIONARY)
    assert frames == [opening, opening, given_frames[0], *given_frames]
    assert {frame.wall_ns for frame in reader.read([extent])} == {7}
    reader.close()


def test_large_frame_gets_a_larger_segment(tmp_path: Path) -> None:
    """A frame that fits no ordinary segment is not cut."""
    journal, _ = open_journal(tmp_path)
    big = bytes(range(256)) * 300
    write(journal, [b"a"], [big], [b"z"])
    assert read_back(tmp_path).rows == [b"a", big, b"z"]


def test_many_frames_at_once(tmp_path: Path) -> None:
    """More frames than one call takes are several sync groups, and one extent in each segment."""
    pool = SegmentPool(tmp_path, 4 * 1024 * 1024)
    journal = Journal(pool, 1, START, list, lambda: 0)
    payloads = [number.to_bytes(2, "little") for number in range(1500)]
    extents = journal.append([(ROWS, payload) for payload in payloads])
    assert [extent.segment for extent in extents] == [1, 2]
    assert journal.statistics().syncs == 6
    assert read_back(tmp_path).rows == payloads


def test_nothing_appended(tmp_path: Path) -> None:
    """No frames are no write, and no segment."""
    journal, _ = open_journal(tmp_path)
    assert journal.append([]) == []
    assert list_segments(tmp_path) == []


def test_replay_begins_after_the_checkpoint(tmp_path: Path) -> None:
    """What the checkpoint covers is passed over."""
    journal, _ = open_journal(tmp_path)
    covered = write(journal, [b"a"], [b"b"])
    end = write(journal, [b"c"])
    found = read_back(tmp_path, after=covered)
    assert (found.rows, found.end) == ([b"c"], end)
    assert read_back(tmp_path, after=end).rows == []


def test_recycled_segments_never_replay_stale_frames(tmp_path: Path) -> None:
    """A segment that is used again gives its new frames only, though the old ones still lie behind them."""
    journal, pool = open_journal(tmp_path)
    full = write(journal, *([b"old"] for _ in range(MIN_SEGMENT_BYTES // ALIGNMENT - 2)))
    journal.close()
    inode = list_segments(tmp_path)[0].path.stat().st_ino
    pool.retire(full.sequence)
    write(journal, [b"new"])
    (segment,) = list_segments(tmp_path)
    assert (segment.number, segment.path.stat().st_ino) == (2, inode)
    assert segment.path.read_bytes().count(b"old") > 0
    found = read_back(tmp_path, after=full)
    assert (found.rows, found.damaged) == ([b"new"], [])


def test_segments_are_kept_until_they_are_covered(tmp_path: Path) -> None:
    """No segment is used again while one frame in it may be needed."""
    journal, pool = open_journal(tmp_path)
    end = write(journal, [b"a"], [b"b"])
    journal.close()
    pool.retire(end.sequence - 1)
    assert read_back(tmp_path).rows == [b"a", b"b"]
    pool.retire(end.sequence)
    assert list_segments(tmp_path) == []


def test_new_segment_after_a_torn_tail(tmp_path: Path) -> None:
    """The journal goes on in a new segment with the sequence of the torn frame, and reads as one."""
    journal, _ = open_journal(tmp_path)
    write(journal, [b"a"])
    write_group(journal, [b"torn"])
    journal.close()
    (segment,) = list_segments(tmp_path)
    flip(segment.path, 3 * ALIGNMENT + HEADER_BYTES)
    found = read_back(tmp_path)
    assert (found.rows, found.damaged) == ([b"a"], [])
    again, _ = open_journal(tmp_path, first=2, position=found.end, closed=found.replay.closed)
    end = write(again, [b"b"], [b"c"])
    for after in (START, found.end):
        assert read_back(tmp_path, after=after).end == end
    assert read_back(tmp_path).rows == [b"a", b"b", b"c"]
    assert read_back(tmp_path, after=found.end).rows == [b"b", b"c"]


def test_segment_without_frames_is_passed_over(tmp_path: Path) -> None:
    """A stop between putting a segment into place and writing to it leaves no harm."""
    journal, pool = open_journal(tmp_path)
    end = write(journal, [b"a"])
    journal.close()
    pool.take(2, 0)
    again, _ = open_journal(tmp_path, first=3, position=end)
    write(again, [b"b"])
    found = read_back(tmp_path)
    assert (found.rows, found.damaged) == ([b"a", b"b"], [])


def test_other_history_is_left_out(tmp_path: Path) -> None:
    """Frames that don't continue the checkpoint's chain are another journal's, all of them."""
    journal, _ = open_journal(tmp_path)
    end = write(journal, [b"a"])
    write(journal, *([b"b" * 9000] for _ in range(6)))
    assert len(list_segments(tmp_path)) > 1
    for after in (Position(end.sequence, end.chain ^ 1), Position(end.sequence - 1, 5)):
        found = read_back(tmp_path, after=after)
        assert (found.rows, found.damaged, found.end) == ([], [], after)


def test_spares_are_made_one_by_one_and_kept(tmp_path: Path) -> None:
    """Spares are made up to their number, taken without being written first, and found at a restart."""
    pool = SegmentPool(tmp_path, MIN_SEGMENT_BYTES, spares=3)
    assert [pool.prepare() for _ in range(5)] == [True, True, True, False, False]
    assert pool.spare_bytes == 3 * MIN_SEGMENT_BYTES
    (tmp_path / "spare9.tmp").write_bytes(b"half")
    (tmp_path / "spare8.free").write_bytes(b"of another size")
    journal, pool = open_journal(tmp_path)
    inodes = {path.stat().st_ino for path in tmp_path.glob("*.free")}
    assert len(inodes) == 3
    write(journal, [b"a"])
    assert list_segments(tmp_path)[0].path.stat().st_ino in inodes
    assert len(list(tmp_path.iterdir())) == 3
    assert not pool.prepare()


def test_extents_say_where_frames_are(tmp_path: Path) -> None:
    """What append returns is read back by another reader, frame by frame, over several segments."""
    journal, _ = open_journal(tmp_path)
    payloads = [bytes([number]) * 5000 for number in range(1, 12)]
    extents = journal.append([(ROWS, payload) for payload in payloads])
    extents += journal.append([(ROWS, b"last")])
    assert extents[-1].position == journal.position
    reader = ExtentReader(segment_finder(tmp_path))
    frames = list(reader.read(extents))
    reader.close()
    assert [frame.payload for frame in frames if frame.type is ROWS] == [*payloads, b"last"]
    assert [frame.position.sequence for frame in frames] == list(range(1, len(frames) + 1))
    assert frames[-1].position == journal.position
    assert sum(extent.length for extent in extents) == sum(span(len(frame.payload)) for frame in frames)
    assert sum(extent.frames for extent in extents) == len(frames)
    assert sum(extent.length for extent in extents) == journal.statistics().bytes


def test_extent_that_changed_is_refused(tmp_path: Path) -> None:
    """Frames that are not what was written are named, not passed on."""
    journal, _ = open_journal(tmp_path)
    (extent,) = journal.append([(ROWS, b"a"), (ROWS, b"b")])
    (segment,) = list_segments(tmp_path)
    reader = ExtentReader(tmp_path)

    def refused(wrong: Extent) -> None:
        with pytest.raises(StorageDamaged, match=segment.path.name):
            list(reader.read([wrong]))

    def changed(**fields: int) -> Extent:
        names = Extent.__struct_fields__
        return Extent(*(fields.get(name, getattr(extent, name)) for name in names))

    refused(changed(chain=1))
    refused(changed(last_sequence=9))
    refused(changed(frames=3))
    refused(changed(offset=ALIGNMENT))
    refused(changed(length=ALIGNMENT))
    flip(segment.path, 3 * ALIGNMENT + HEADER_BYTES)
    refused(extent)
    flip(segment.path, 3 * ALIGNMENT + HEADER_BYTES)
    assert [frame.payload for frame in reader.read([extent])][2:] == [b"a", b"b"]
    reader.close()
    segment.path.unlink()
    refused(extent)


@given(st.lists(st.lists(st.integers(0, 9000), max_size=4), max_size=8), st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_any_frames_come_back(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[list[int]], covered: int
) -> None:
    """Appends of any sizes come back by extents and by replay alike, from any position on."""
    path = tmp_path_factory.mktemp("journal")
    journal, _ = open_journal(path)
    extents = []
    for group in sizes:
        extents += journal.append([(ROWS, bytes([size % 251]) * size) for size in group])
    reader = ExtentReader(path)
    frames = list(reader.read(extents))
    reader.close()
    expected = [bytes([size % 251]) * size for group in sizes for size in group]
    assert [frame.payload for frame in frames if frame.type is ROWS] == expected
    after = frames[min(covered, len(frames)) - 1].position if covered and frames else START
    found = read_back(path, after=after)
    behind = [frame for frame in frames if frame.position.sequence > after.sequence]
    assert found.rows == [frame.payload for frame in behind if frame.type is ROWS]
    assert (found.damaged, found.end) == ([], journal.position)


def test_segments_in_two_directories_are_one_journal(tmp_path: Path) -> None:
    """Segments are found wherever they are, and each pool frees its own."""
    paths = [tmp_path / "a", tmp_path / "b"]
    position = START
    for number in (1, 2, 3, 4):
        path = paths[number % 2]
        path.mkdir(exist_ok=True)
        journal, _ = open_journal(path, first=number, position=position)
        position = write(journal, [bytes([number])])
        journal.close()
    found = read_back(*paths, tmp_path / "missing")
    assert found.rows == [bytes([number]) for number in (1, 2, 3, 4)]
    assert [segment.number for segment in list_segments(*paths)] == [1, 2, 3, 4]
    assert first_number(4) > 4
    find = segment_finder(*paths)
    assert (find(1), find(2), find(9)) == tuple(
        segment_path(path, number) for path, number in ((paths[1], 1), (paths[0], 2), (paths[0], 9))
    )
    SegmentPool(paths[0], MIN_SEGMENT_BYTES, found.replay.closed).retire(position.sequence)
    assert [segment.number for segment in list_segments(*paths)] == [1, 3]
