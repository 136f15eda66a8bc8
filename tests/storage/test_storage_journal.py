"""The journal: a durable prefix comes back, or a refusal; never anything else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from multilogger.errors import StorageDamaged
from multilogger.storage.frame import ALIGNMENT, HEADER_BYTES, FrameType
from multilogger.storage.journal import Journal, Position
from multilogger.storage.replay import Replay
from multilogger.storage.segments import MIN_SEGMENT_BYTES, Closed, SegmentPool, list_segments

START = Position(0, 0)


def open_journal(
    path: Path, *, first: int = 1, position: Position = START, closed: Sequence[Closed] = ()
) -> tuple[Journal, SegmentPool]:
    """Return a journal of the smallest segments, which open with the dictionary ``d``."""
    pool = SegmentPool(path, MIN_SEGMENT_BYTES, list(closed))
    return Journal(pool, first, position, lambda: [b"d"], lambda: 0), pool


def write(journal: Journal, *groups: Sequence[bytes]) -> Position:
    """Append groups of rows frames."""
    for group in groups:
        journal.append([(FrameType.ROWS, payload) for payload in group])
    return journal.position


def replay(path: Path, after: Position = START) -> tuple[list[bytes], Replay]:
    """Return the payloads of the rows frames after a position."""
    found = Replay(list_segments(path), after)
    return [frame.payload for frame in found.frames() if frame.type is FrameType.ROWS], found


def test_frames_come_back(tmp_path: Path) -> None:
    """Frames over several segments come back in order, and once."""
    journal, _ = open_journal(tmp_path)
    payloads = [bytes([number]) * 3000 * (number % 4) for number in range(1, 30)]
    end = write(journal, *([payload] for payload in payloads))
    journal.close()
    found, done = replay(tmp_path)
    assert found == payloads
    assert done.end == end
    assert len(list_segments(tmp_path)) > 2


def test_segments_are_never_rewritten_in_place(tmp_path: Path) -> None:
    """Every frame starts on a block of its own."""
    journal, _ = open_journal(tmp_path)
    write(journal, [b"a", b"b"], [b"c"])
    data = list_segments(tmp_path)[0].path.read_bytes()
    assert [data[ALIGNMENT * number + HEADER_BYTES :][:1] for number in range(4)] == [b"d", b"a", b"b", b"c"]
    assert len(data) == MIN_SEGMENT_BYTES


def test_large_frame_gets_a_larger_segment(tmp_path: Path) -> None:
    """A frame that fits no ordinary segment is not cut."""
    journal, _ = open_journal(tmp_path)
    big = bytes(range(256)) * 300
    write(journal, [b"a"], [big], [b"z"])
    assert replay(tmp_path)[0] == [b"a", big, b"z"]


def test_replay_begins_after_the_checkpoint(tmp_path: Path) -> None:
    """What the checkpoint covers is passed over."""
    journal, _ = open_journal(tmp_path)
    covered = write(journal, [b"a"], [b"b"])
    end = write(journal, [b"c"])
    found, done = replay(tmp_path, covered)
    assert found == [b"c"]
    assert done.end == end
    assert replay(tmp_path, end)[0] == []


def test_recycled_segments_never_replay_stale_frames(tmp_path: Path) -> None:
    """A segment that is used again gives its new frames only, though the old ones still lie behind them."""
    journal, pool = open_journal(tmp_path)
    full = write(journal, *([b"old"] for _ in range(MIN_SEGMENT_BYTES // ALIGNMENT - 1)))
    journal.close()
    inode = list_segments(tmp_path)[0].path.stat().st_ino
    pool.retire(full.sequence)
    write(journal, [b"new"])
    (segment,) = list_segments(tmp_path)
    assert (segment.number, segment.path.stat().st_ino) == (2, inode)
    assert segment.path.read_bytes().count(b"old") > 0
    assert replay(tmp_path, full)[0] == [b"new"]


def test_segments_are_kept_until_they_are_covered(tmp_path: Path) -> None:
    """No segment is used again while one frame in it may be needed."""
    journal, pool = open_journal(tmp_path)
    end = write(journal, [b"a"], [b"b"])
    journal.close()
    pool.retire(end.sequence - 1)
    assert replay(tmp_path)[0] == [b"a", b"b"]
    pool.retire(end.sequence)
    assert list_segments(tmp_path) == []


def test_new_segment_after_a_torn_tail(tmp_path: Path) -> None:
    """The journal goes on in a new segment with the sequence of the torn frame, and reads as one."""
    journal, _ = open_journal(tmp_path)
    write(journal, [b"a"])
    write(journal, [b"torn", b"same group"])
    journal.close()
    (segment,) = list_segments(tmp_path)
    damage(segment.path, 2 * ALIGNMENT + HEADER_BYTES)
    found, done = replay(tmp_path)
    assert found == [b"a"]
    again, _ = open_journal(tmp_path, first=2, position=done.end, closed=done.closed)
    end = write(again, [b"b"], [b"c"])
    for after in (START, done.end):
        assert replay(tmp_path, after)[1].end == end
    assert replay(tmp_path)[0] == [b"a", b"b", b"c"]
    first_new = Position(done.end.sequence, done.end.chain)
    assert replay(tmp_path, first_new)[0] == [b"b", b"c"]


def damage(path: Path, offset: int) -> None:
    """Flip a bit."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 4
    path.write_bytes(data)


GROUPS = [[b"one"], [b"two", b"three"], [b"four" * 900], [b"five"]]
PREFIXES = [[b"one", b"two", b"three", b"four" * 900, b"five"][:count] for count in range(6)]


def test_cut_anywhere_leaves_a_prefix(tmp_path: Path) -> None:
    """A journal cut at any byte gives a prefix of its frames."""
    journal, _ = open_journal(tmp_path)
    write(journal, *GROUPS)
    (segment,) = list_segments(tmp_path)
    data = segment.path.read_bytes()
    lengths = set()
    for end in {*range(0, len(data), 97), *range(0, len(data), ALIGNMENT)}:
        segment.path.write_bytes(data[:end])
        found, _ = replay(tmp_path)
        assert found in PREFIXES
        lengths.add(len(found))
    assert lengths == set(range(6))


def test_flip_anywhere_gives_a_prefix_or_a_refusal(tmp_path: Path) -> None:
    """A flipped bit is refused by name where a later group is intact, and else ends the journal before it."""
    journal, _ = open_journal(tmp_path)
    write(journal, *GROUPS)
    (segment,) = list_segments(tmp_path)
    data = segment.path.read_bytes()
    outcomes = set()
    frames = [ALIGNMENT * block for block in (0, 1, 2, 3, 4, 5)]
    for frame in frames:
        for offset in range(frame, frame + HEADER_BYTES + 4):
            damage(segment.path, offset)
            try:
                found, _ = replay(tmp_path)
            except StorageDamaged as error:
                named = str(segment.path) in str(error)
                outcomes.add((frame // ALIGNMENT, -1 if named else -2))
            else:
                assert found in PREFIXES
                outcomes.add((frame // ALIGNMENT, len(found)))
            segment.path.write_bytes(data)
    assert -2 not in {outcome for _, outcome in outcomes}
    by_frame = {frame: {outcome for at, outcome in outcomes if at == frame} for frame in range(6)}
    assert all(-1 in by_frame[frame] for frame in range(5))
    # The dictionary's payload is one byte long: the flips behind it are in the padding and change nothing.
    assert by_frame[0] == {-1, 5}
    assert by_frame[5] == {4}


def test_damage_before_the_checkpoint_costs_nothing(tmp_path: Path) -> None:
    """Frames that the checkpoint covers may rot: the ones after it are still found."""
    journal, _ = open_journal(tmp_path)
    write(journal, [b"a"], [b"b"])
    covered = write(journal, [b"c"])
    write(journal, [b"e"])
    (segment,) = list_segments(tmp_path)
    for block in range(4):
        damage(segment.path, block * ALIGNMENT + HEADER_BYTES)
    assert replay(tmp_path, covered)[0] == [b"e"]


def test_missing_segment_is_refused(tmp_path: Path) -> None:
    """A segment that someone removed is not passed over."""
    journal, _ = open_journal(tmp_path)
    write(journal, *([bytes([65 + number]) * 9000] for number in range(8)))
    segments = list_segments(tmp_path)
    for missing in segments[:-1]:
        kept = missing.path.read_bytes()
        missing.path.unlink()
        with pytest.raises(StorageDamaged):
            replay(tmp_path)
        missing.path.write_bytes(kept)
    assert len(replay(tmp_path)[0]) == 8


def test_segment_without_frames_is_passed_over(tmp_path: Path) -> None:
    """A stop between putting a segment into place and writing to it leaves no harm."""
    journal, pool = open_journal(tmp_path)
    end = write(journal, [b"a"])
    journal.close()
    pool.take(2, 0)
    again, _ = open_journal(tmp_path, first=3, position=end)
    write(again, [b"b"])
    assert replay(tmp_path)[0] == [b"a", b"b"]


def test_other_history_is_refused(tmp_path: Path) -> None:
    """Frames that don't continue the checkpoint's chain are another journal's."""
    journal, _ = open_journal(tmp_path)
    end = write(journal, [b"a"])
    write(journal, [b"b"])
    with pytest.raises(StorageDamaged):
        replay(tmp_path, Position(end.sequence, end.chain ^ 1))


def test_spares_are_made_ahead_and_kept(tmp_path: Path) -> None:
    """A prepared segment is taken without being written first, also after a restart; half-made ones go."""
    _, pool = open_journal(tmp_path)
    pool.prepare()
    (tmp_path / "spare9.tmp").write_bytes(b"half")
    journal, _ = open_journal(tmp_path)
    (spare,) = tmp_path.glob("*.free")
    inode = spare.stat().st_ino
    write(journal, [b"a"])
    assert list_segments(tmp_path)[0].path.stat().st_ino == inode
    assert len(list(tmp_path.iterdir())) == 1
