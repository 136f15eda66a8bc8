"""A journal with whole blocks and segments damaged or gone, or unreadable: what is left comes back."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from damage_tools import DAY, Written, replayed, write_commits
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_tools import open_journal, read_back, table_rows, wipe, write

from multilogger.storage import disk
from multilogger.storage.extent import Position, Replayed
from multilogger.storage.frame import ALIGNMENT, HEADER_BYTES, FrameType, Header
from multilogger.storage.journal import Journal
from multilogger.storage.payload import HEAD_BYTES, encode
from multilogger.storage.replay import Replay
from multilogger.storage.salvage import mend_header, salvage
from multilogger.storage.segments import SegmentPool, SegmentReader, list_segments, segment_path
from multilogger.tables import TRADES


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """Four commits, of which nothing need survive a power cut."""
    monkeypatch.setattr(disk, "sync", lambda _: None)
    return write_commits(tmp_path / "journal")


@pytest.fixture(scope="module")
def three_commits(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Three commits, the second of two frames."""
    return write_commits(tmp_path_factory.mktemp("damage") / "journal", (1, 2, 1))


def test_damage_that_the_checkpoint_covers(written: Written) -> None:
    """Frames at or before the checkpoint may rot: the ones after it are found, and nothing is told."""
    for covered in range(1, len(written.frames)):
        after = written.frames[covered - 1]
        chain = SegmentReader(list_segments(written.directory)[0])
        header = chain.header_at(after.offset)
        chain.close()
        assert isinstance(header, Header)
        for number, frame in enumerate(written.frames[:covered]):
            wipe(written.path, frame.offset, ALIGNMENT if number % 2 else HEADER_BYTES)
        items = list(
            Replay(list_segments(written.directory), Position(after.sequence, header.payload_hash)).items()
        )
        assert [item.position.sequence for item in items if isinstance(item, Replayed)] == list(
            range(after.sequence + 1, written.frames[-1].sequence + 1)
        )
        assert len(items) == len(written.frames) - covered
        written.restore()


def write_segments(directory: Path, count: int = 4) -> list[Path]:
    """Write a journal of several segments, five rows frames each."""
    journal, _ = open_journal(directory)
    write(journal, *([bytes([number]) * 9] for number in range(6 * count)))
    journal.close()
    return [segment.path for segment in list_segments(directory)]


def test_missing_segments(tmp_path: Path) -> None:
    """Any segments may be gone: what the others hold comes back, and the missing sequences are told."""
    paths = write_segments(tmp_path)
    whole = [path.read_bytes() for path in paths]
    for gone in ([0], [1], [1, 2], [0, 2], [3], [0, 1, 2]):
        for index in gone:
            paths[index].unlink()
        found = read_back(tmp_path)
        kept = [index for index in range(4) if index not in gone]
        assert found.rows == [
            bytes([number]) * 9 for index in kept for number in range(6 * index, 6 * index + 6)
        ]
        lost = [sequence for item in found.damaged for sequence in range(item.first, item.last + 1)]
        assert lost == [
            number for index in gone if index < max(kept) for number in range(8 * index + 1, 8 * index + 9)
        ]
        assert all(item.acknowledged and item.sections is None for item in found.damaged)
        assert all(item.size == 0 for item in found.damaged)
        for index in gone:
            paths[index].write_bytes(whole[index])


@pytest.mark.parametrize("index", range(4))
def test_segments_of_no_use(tmp_path: Path, index: int) -> None:
    """Empty, short, zeroed and foreign files in a segment's place are passed over and told."""
    paths = write_segments(tmp_path)
    whole = [path.read_bytes() for path in paths]
    contents = [b"", b"MLJF", whole[index][:64], bytes(len(whole[0])), whole[index - 1], b"\xff" * 9999]
    for content in contents:
        paths[index].write_bytes(content)
        found = read_back(tmp_path)
        assert len(found.rows) == 18
        lost = [sequence for item in found.damaged for sequence in range(item.first, item.last + 1)]
        assert lost == (list(range(8 * index + 1, 8 * index + 9)) if index < 3 else [])


def test_first_frames_of_a_segment(tmp_path: Path) -> None:
    """With the beginning of a segment gone the later frames still tell where it begins."""
    paths = write_segments(tmp_path)
    wipe(paths[1], 0, 3 * ALIGNMENT)
    found = read_back(tmp_path)
    assert len(found.rows) == 23
    assert [(item.path, item.first, item.last) for item in found.damaged] == [(paths[1], 9, 11)]


def test_superseded_frames_stay_superseded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that were given up don't come back, even if the segment after them lost its beginning."""
    journal, _ = open_journal(tmp_path)
    write(journal, [b"a"])
    sync_data = disk.sync_data

    def fail_once(fd: int) -> None:
        monkeypatch.setattr(disk, "sync_data", sync_data)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk, "sync_data", fail_once)
    write(journal, [b"b"], [b"c"])
    first, second = (segment.path for segment in list_segments(tmp_path))
    assert first.read_bytes()[3 * ALIGNMENT + HEADER_BYTES :].startswith(b"b")
    assert read_back(tmp_path).rows == [b"a", b"b", b"c"]
    wipe(second, 0, 2 * ALIGNMENT)
    found = read_back(tmp_path)
    assert found.rows == [b"a", b"b", b"c"]
    assert [(item.path, item.first, item.last) for item in found.damaged] == [(second, 4, 5)]


def test_stale_frames_are_never_named(tmp_path: Path) -> None:
    """What a recycled segment held before is not taken for the rows of a torn frame."""
    journal, pool = open_journal(tmp_path)
    payload = encode([table_rows(TRADES, (5, DAY, 7, 3))])
    while not pool._closed:
        journal.append([(FrameType.ROWS, payload.data)])
    before = read_back(tmp_path).end
    (old, _) = list_segments(tmp_path)
    stale = old.path.read_bytes()
    journal.close()
    fresh = segment_path(tmp_path, 9)
    fresh.write_bytes(stale)
    again, _ = open_journal(tmp_path, first=10, position=before)
    again.append([(FrameType.ROWS, payload.data)])
    reader = SegmentReader(next(segment for segment in list_segments(tmp_path) if segment.number == 9))
    for offset in range(0, len(stale), ALIGNMENT):
        assert salvage(reader, offset, before.sequence + 1).length is None
        assert mend_header(stale[offset : offset + HEADER_BYTES], 9) is None
    reader.close()
    found = read_back(tmp_path)
    assert found.damaged == []


def test_torn_header_over_a_stale_frame_names_nothing(tmp_path: Path) -> None:
    """A second index that a recycled segment held before doesn't speak for the frame now torn there."""
    journal, _ = open_journal(tmp_path)

    def payload(start_row: int) -> bytes:
        sections = [(stream, DAY, start_row, 1) for stream in range(30)]
        return encode([table_rows(TRADES, *sections)]).tobytes()

    journal.append([(FrameType.ROWS, payload(100))])
    journal.close()
    (segment,) = list_segments(tmp_path)
    new = segment.path.read_bytes()
    offset = 2 * ALIGNMENT
    sector = 512
    # Only the first sector of the new frame reached the disk; behind it is one of the same size.
    old = payload(50)
    torn = new[: offset + sector] + old[sector - HEADER_BYTES :]
    segment.path.write_bytes(torn.ljust(len(new), b"\0"))
    assert read_back(tmp_path).damaged == []


@given(
    st.lists(
        st.tuples(st.integers(0, 6 * ALIGNMENT - 1), st.integers(1, 3 * ALIGNMENT), st.booleans()),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 7 * ALIGNMENT),
)
@settings(max_examples=150, deadline=None)
def test_any_damage(three_commits: Written, places: list[tuple[int, int, bool]], cut: int) -> None:
    """Whatever is wiped, garbled or cut off: every frame that is left, and true names of the others."""
    written = three_commits
    data = bytearray(written.data)
    chance = np.random.default_rng(cut)
    for offset, size, garbled in places:
        part = data[offset : offset + size]
        data[offset : offset + size] = chance.bytes(len(part)) if garbled else bytes(len(part))
    left = bytes(data[: len(data) - cut] if cut % 2 else data)
    written.path.write_bytes(left)
    found, damaged = replayed(written)
    untouched = {frame.sequence for frame in written.frames if frame.whole == left[frame.offset : frame.end]}
    assert untouched <= set(found)
    for item in damaged:
        assert item.sections in (None, (), written.sections.get(item.first))


def test_unreadable_block_costs_its_frame(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that the disk can't read is damage like any other; other errors are told."""
    frame = written.frames[3]
    read = disk.read

    def failing(code: int) -> Callable[[int, int, int], bytes]:
        def call(fd: int, size: int, offset: int) -> bytes:
            if offset < frame.end and frame.end - HEAD_BYTES - 200 < offset + size:
                raise OSError(code, "made to fail")
            return read(fd, size, offset)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(disk, "read", failing(errno.EIO))
        found, (item,) = replayed(written)
        assert len(found) == len(written.frames) - 1
        assert (item.first, item.last) == (frame.sequence, frame.sequence)
        assert item.acknowledged
        patch.setattr(disk, "read", failing(errno.ENOMEM))
        with pytest.raises(OSError, match="made to fail"):
            replayed(written)


def test_journal_goes_on_after_damage(tmp_path: Path) -> None:
    """Behind damage of every kind a journal is continued, and both parts are read as one."""
    paths = write_segments(tmp_path, 2)
    for victim in ((0, 3 * ALIGNMENT), (1, 7 * ALIGNMENT)):
        wipe(paths[victim[0]], victim[1])
    found = read_back(tmp_path)
    assert (len(found.rows), [(item.first, item.last) for item in found.damaged]) == (10, [(4, 4)])
    pool = SegmentPool(tmp_path, 1, found.replay.closed)
    again = Journal(pool, 3, found.end, lambda: [b"d"], lambda: 0)
    write(again, [b"new"])
    after = read_back(tmp_path)
    assert after.rows == [*found.rows, b"new"]
    assert after.damaged == found.damaged
