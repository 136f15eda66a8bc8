"""The notes log: what was written is read, whatever happens to the bytes around it."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from notes_tools import NOTES, SOME
from structlog.testing import capture_logs

from multilogger.errors import StorageError
from multilogger.notes import (
    Note,
    NoteRecord,
    gap_note,
    records_of,
)
from multilogger.storage import disk, notes_log
from multilogger.storage.notes_log import NotesLog


@contextmanager
def opened(path: Path, length: int) -> Iterator[NotesLog]:
    """Open a log for the while."""
    log = NotesLog(path)
    log.open(length)
    try:
        yield log
    finally:
        log.close()


def fill(path: Path, notes: Sequence[Note] = SOME) -> tuple[list[tuple[int, NoteRecord]], int]:
    """Write a log with these notes; return its records, each with its offset, and its length."""
    with opened(path, 0) as log:
        log.append(records_of(7, notes))
        log.sync()
        return list(log.read()), log.length


def extents(found: list[tuple[int, NoteRecord]], length: int) -> list[tuple[int, int, NoteRecord]]:
    """Return where each record begins and ends."""
    ends = [offset for offset, _ in found[1:]] + [length]
    return [(offset, end, record) for (offset, record), end in zip(found, ends, strict=True)]


@given(st.lists(NOTES, max_size=4))
def test_log_round_trip(commits: list[list[Note]]) -> None:
    """Every note comes back with its place in the journal, from the start or from any record on."""
    expected = [record for sequence, notes in enumerate(commits) for record in records_of(sequence, notes)]
    with TemporaryDirectory() as directory:
        path = Path(directory, "notes.log")
        with opened(path, 0) as log:
            for sequence, notes in enumerate(commits):
                log.append(records_of(sequence, notes))
            length = log.length
        with opened(path, length) as log:
            found = list(log.read())
            assert [record for _, record in found] == expected
            for index, (offset, _) in enumerate(found):
                assert list(log.read(offset)) == found[index:]
                assert log.hash_at(offset) is not None
            assert log.hash_at(length) is None
            assert path.stat().st_size == length


def test_what_is_behind_the_checkpoint_is_cut(tmp_path: Path) -> None:
    """A start from an older length gives the same bytes again, once the notes came again."""
    path = tmp_path / "notes.log"
    found, length = fill(path)
    before = path.read_bytes()
    for start in range(len(found)):
        with opened(path, length) as log:
            log.open(found[start][0])
            assert list(log.read()) == found[:start]
            log.append(record for _, record in found[start:])
        assert path.read_bytes() == before


@pytest.mark.parametrize("piece", [9, 64, 2**20])
def test_each_byte_flipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    """A damaged byte costs the record it is in, and is reported with its place."""
    monkeypatch.setattr(notes_log, "_PIECE", piece)
    path = tmp_path / "notes.log"
    found, length = fill(path)
    intact = path.read_bytes()
    for at in range(length):
        path.write_bytes(intact[:at] + bytes([intact[at] ^ 0x55]) + intact[at + 1 :])
        expected = [(start, record) for start, end, record in extents(found, length) if not start <= at < end]
        with opened(path, length) as log, capture_logs() as logs:
            assert list(log.read()) == expected
        (line,) = logs
        assert line["log_level"] == "error"
        assert line["offset"] <= at < line["offset"] + line["bytes"]


def test_cut_at_each_byte(tmp_path: Path) -> None:
    """A file that lost its end keeps its whole records, and goes on where it would have."""
    path = tmp_path / "notes.log"
    found, length = fill(path)
    intact = path.read_bytes()
    further = NoteRecord(9, 0, SOME[0])
    for size in range(length):
        path.write_bytes(intact[:size])
        expected = [(start, record) for start, end, record in extents(found, length) if end <= size]
        with capture_logs() as logs, opened(path, length) as log:
            log.append([further])
            assert list(log.read()) == [*expected, (length, further)]
        assert [line["log_level"] for line in logs] == ["error", "error"]


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """It is reported and made anew."""
    with capture_logs() as logs, opened(tmp_path / "notes.log", 1000) as log:
        assert list(log.read()) == []
    assert [line["event"] for line in logs] == [
        "the notes log is shorter than it was left",
        "the notes log is damaged",
    ]


def test_start_on_a_short_file_is_repeatable(tmp_path: Path) -> None:
    """Killed after it took notes over again, and started from the same checkpoint: nothing is there twice."""
    path = tmp_path / "notes.log"
    found, length = fill(path)
    path.write_bytes(path.read_bytes()[:5])
    images = []
    for _ in range(2):
        with opened(path, length) as log:
            log.append(record for _, record in found)
            assert [record for _, record in log.read()] == [record for _, record in found]
        images.append(path.read_bytes())
    assert images[0] == images[1]


@given(st.data())
def test_no_damage_crashes(data: st.DataObject) -> None:
    """Anything written over a part of the file costs at most the records that it touches."""
    with TemporaryDirectory() as directory:
        path = Path(directory, "notes.log")
        found, length = fill(path)
        first = data.draw(st.integers(0, length))
        rubbish = data.draw(st.binary(max_size=length - first) | st.just(bytes(length - first)))
        content = bytearray(path.read_bytes())
        content[first : first + len(rubbish)] = rubbish
        path.write_bytes(content)
        last = first + len(rubbish)
        with opened(path, length) as log:
            read = list(log.read())
        for start, end, record in extents(found, length):
            if end <= first or start >= last:
                assert (start, record) in read
        assert set(read) <= set(found)


def test_record_of_a_newer_version_is_passed_over(tmp_path: Path) -> None:
    """An intact record with a note of an unknown kind is reported, and reading goes on."""

    class Newer(msgspec.Struct, array_like=True, frozen=True, tag=999):
        """A note from the future."""

    class NewerRecord(NoteRecord, frozen=True, array_like=True):
        """Its record."""

        note: Newer  # type: ignore[assignment]

    with opened(tmp_path / "notes.log", 0) as log:
        log.append([NewerRecord(1, 0, Newer()), NoteRecord(1, 1, SOME[0])])
        with capture_logs() as logs:
            assert [record.index for _, record in log.read()] == [1]
    assert [line["event"] for line in logs] == ["a note can't be understood"]


def test_failed_append_is_repeatable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After half a write the log is where it was, and the next try leaves what the first should have."""
    path = tmp_path / "notes.log"
    found, length = fill(path)
    write = disk.write

    def half(fd: int, data: memoryview | bytes, offset: int) -> None:
        write(fd, bytes(data[: len(data) // 2]), offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(path, length) as log:
        monkeypatch.setattr(disk, "write", half)
        with pytest.raises(OSError, match="No space"):
            log.append(records_of(8, SOME))
        assert (log.length, list(log.read())) == (length, found)
        monkeypatch.setattr(disk, "write", write)
        log.append(records_of(8, SOME))
        assert [record for _, record in log.read(length)] == records_of(8, SOME)


def test_absurdly_long_note_is_refused(tmp_path: Path) -> None:
    """What could not be read again is not written."""
    with opened(tmp_path / "notes.log", 0) as log:
        with pytest.raises(StorageError, match="too long"):
            log.append(records_of(1, [gap_note("coinbase", "x" * 2**24, 0, None)]))
        assert log.length == 0


def test_renewed_file_has_the_durable_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy takes the place of the file with what the checkpoint knew, and the log goes on in it."""
    monkeypatch.setattr(notes_log, "_PIECE", 50)
    path = tmp_path / "notes.log"
    found, length = fill(path)
    with opened(path, length) as log, path.open("rb") as old:
        log.append(records_of(8, SOME))
        log.renew(length)
        assert list(log.read()) == found
        log.append(records_of(9, SOME))
        log.sync()
        assert old.read() != path.read_bytes()
    with opened(path, log.length) as log:
        assert [record.sequence for _, record in log.read()] == [7] * 5 + [9] * 5


def test_failed_renewal_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file stays in use, and the leftover is removed at the next start."""
    path = tmp_path / "notes.log"
    found, length = fill(path)

    def fails(old: Path, new: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with opened(path, length) as log:
        with monkeypatch.context() as patch:
            patch.setattr(disk, "rename", fails)
            with pytest.raises(OSError, match="Input/output"):
                log.renew(length)
        assert list(log.read()) == found
        log.renew(length)
        assert list(log.read()) == found
    Path(f"{path}.tmp").write_bytes(b"left")
    with opened(path, length):
        assert [file.name for file in tmp_path.iterdir()] == ["notes.log"]
