"""The journal on a disk that fails: what was acknowledged is there once, and what was not can be repeated."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_tools import FailingDisk, open_journal, read_back, write, write_group

from multilogger.errors import JournalUnavailable
from multilogger.storage import disk
from multilogger.storage.journal import Journal
from multilogger.storage.segments import MIN_SEGMENT_BYTES, SegmentPool, list_segments


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here has to survive a power cut."""
    for name in ("sync", "sync_data", "sync_directory"):
        monkeypatch.setattr(disk, name, lambda _: None)


def flat(groups: Sequence[Sequence[bytes]]) -> list[bytes]:
    """Return the payloads of all groups."""
    return list(chain.from_iterable(groups))


GROUPS = [[b"one"], [b"two", b"three"], [b"four" * 900], [b"five"]]
WRITING = ("write_parts", "sync_data")


def _append_all(journal: Journal, groups: Sequence[Sequence[bytes]]) -> list[bytes]:
    """Append groups, again where the journal was unavailable; return what was acknowledged."""
    done: list[bytes] = []
    for group in groups:
        for _ in range(9):
            try:
                write_group(journal, group)
            except JournalUnavailable:
                continue
            done += group
            break
    return done


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", WRITING)
@pytest.mark.parametrize("calls", range(5))
def test_failed_write_goes_to_a_new_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, calls: int, half: bool
) -> None:
    """A write or sync that fails once is repeated elsewhere, whether or not its frames reached the disk."""
    journal, pool = open_journal(tmp_path)
    with monkeypatch.context() as patch:
        failing = FailingDisk(calls, half=half)
        failing.install(patch, name)
        assert _append_all(journal, GROUPS) == flat(GROUPS)
    assert journal.statistics().failures == failing.failed == (calls < 4)
    found = read_back(tmp_path)
    assert (found.rows, found.damaged, found.end) == (flat(GROUPS), [], journal.position)
    # The segment that failed is not used again, and goes when what it holds is covered.
    journal.close()
    pool.retire(journal.position.sequence)
    assert list_segments(tmp_path) == []
    assert len(list(tmp_path.glob("*.free"))) == 1


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("calls", range(5))
@pytest.mark.parametrize("name", [*WRITING, "rename", "open_file", "sync_directory", "write", "sync"])
def test_failing_directory_is_left_for_the_alternate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, calls: int, half: bool
) -> None:
    """When nothing can be written to the journal's directory any more, it goes on in the alternate one."""
    main, other = tmp_path / "main", tmp_path / "other"
    main.mkdir()
    other.mkdir()
    journal, _ = open_journal(main, alternate=other)
    with monkeypatch.context() as patch:
        FailingDisk(calls, fails=10**9, below=main, half=half).install(patch, name)
        payloads = [[bytes([65 + number]) * 9000] for number in range(8)]
        assert _append_all(journal, payloads) == flat(payloads)
        if name in ("sync_data", "write_parts"):
            assert journal.on_alternate
    found = read_back(main, other)
    assert (found.rows, found.damaged, found.end) == (flat(payloads), [], journal.position)
    # Once the directory takes writes again, the next segment is in it.
    write(journal, *([b"x" * 9000] for _ in range(3)))
    assert not journal.on_alternate
    assert len(read_back(main, other).rows) == 11


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("calls", range(7))
@pytest.mark.parametrize("fails", [2, 3, 5])
@pytest.mark.parametrize("name", WRITING)
def test_unavailable_journal_stays_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fails: int, calls: int, half: bool
) -> None:
    """With every place failing nothing is acknowledged; a later append goes through, all is there once."""
    journal, pool = open_journal(tmp_path)
    with monkeypatch.context() as patch:
        FailingDisk(calls, fails=fails, half=half).install(patch, name)
        assert _append_all(journal, GROUPS) == flat(GROUPS)
    found = read_back(tmp_path)
    assert (found.rows, found.damaged, found.end) == (flat(GROUPS), [], journal.position)
    journal.close()
    pool.retire(journal.position.sequence)
    assert list_segments(tmp_path) == []


def test_append_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of which some were durable when the disk failed can be appended again without being doubled."""
    journal, pool = open_journal(tmp_path)
    before = write(journal, [b"first"])
    payloads = [bytes([65 + number]) * 9000 for number in range(6)]
    with monkeypatch.context() as patch:
        FailingDisk(1, fails=10**9).install(patch, "sync_data")
        with pytest.raises(JournalUnavailable, match="made to fail") as caught:
            write_group(journal, payloads)
        assert isinstance(caught.value.__cause__, OSError)
    assert journal.position == before
    # What was durable may come back after a stop: it was not acknowledged, and not refused either.
    assert read_back(tmp_path).rows == [b"first", *payloads[:1]]
    write_group(journal, payloads[::-1])
    found = read_back(tmp_path)
    assert (found.rows, found.damaged) == ([b"first", *payloads[::-1]], [])
    journal.close()
    pool.retire(journal.position.sequence)
    assert list_segments(tmp_path) == []


def test_replaced_segment_is_kept_until_covered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment that failed is still needed for what it held before."""
    journal, pool = open_journal(tmp_path)
    kept = write(journal, [b"a"])
    with monkeypatch.context() as patch:
        FailingDisk(0).install(patch, "sync_data")
        write(journal, [b"b"])
    pool.retire(kept.sequence - 1)
    assert read_back(tmp_path).rows == [b"a", b"b"]
    pool.retire(kept.sequence)
    assert [segment.number for segment in list_segments(tmp_path)] == [2]
    found = read_back(tmp_path, after=kept)
    assert (found.rows, found.damaged) == ([b"b"], [])


def test_full_disk_leaves_the_spares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no room for a new segment the journal goes on in its spares, then says so, and leaves no rest."""
    journal, pool = open_journal(tmp_path)
    while pool.prepare():
        pass
    patched = FailingDisk(0, fails=10**9, code=errno.ENOSPC)
    with monkeypatch.context() as patch:
        patched.install(patch, "write")
        with pytest.raises(OSError, match="made to fail"):
            SegmentPool(tmp_path, MIN_SEGMENT_BYTES, spares=3).prepare()
        write(journal, *([b"x" * 9000] for _ in range(4)))
        with pytest.raises(JournalUnavailable, match="made to fail"):
            write(journal, [b"x" * 9000])
    assert {path.suffix for path in tmp_path.iterdir()} == {".wal"}
    write(journal, [b"y"])
    assert read_back(tmp_path).rows == [*[b"x" * 9000] * 4, b"y"]


def test_failed_retire_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment that could not be freed is not forgotten."""
    journal, pool = open_journal(tmp_path)
    end = write(journal, [b"a"])
    journal.close()
    with monkeypatch.context() as patch:
        FailingDisk(0).install(patch, "rename")
        with pytest.raises(OSError, match="made to fail"):
            pool.retire(end.sequence)
    assert len(list_segments(tmp_path)) == 1
    pool.retire(end.sequence)
    assert list_segments(tmp_path) == []


def test_close_that_fails_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error at closing a segment whose frames are durable stops nothing."""
    journal, _ = open_journal(tmp_path)
    write(journal, [b"a"])

    def fail(fd: int) -> None:
        close(fd)
        raise OSError(errno.EIO, "Input/output error")

    close = disk.close
    with monkeypatch.context() as patch:
        patch.setattr(disk, "close", fail)
        journal.close()
    write(journal, [b"b"])
    assert read_back(tmp_path).rows == [b"a", b"b"]


NAMES = (*WRITING, "rename", "open_file", "sync_directory", "write", "sync")


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from([3, 5000, 9000]), min_size=1, max_size=4),
            st.sampled_from(NAMES),
            st.integers(0, 5),
            st.integers(0, 6),
            st.booleans(),
        ),
        max_size=8,
    ),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_failures(
    tmp_path_factory: pytest.TempPathFactory,
    plan: list[tuple[list[int], str, int, int, bool]],
    alternate: bool,
) -> None:
    """Whatever fails when: acknowledged frames come back in order and once, one refused attempt's behind."""
    paths = [tmp_path_factory.mktemp("main"), tmp_path_factory.mktemp("other")]
    journal, _ = open_journal(paths[0], alternate=paths[1] if alternate else None)
    done: list[bytes] = []
    refused: list[list[bytes]] = []
    for number, (sizes, name, calls, fails, half) in enumerate(plan):
        group = [bytes([number, place]) * size for place, size in enumerate(sizes)]
        with pytest.MonkeyPatch.context() as patch:
            FailingDisk(calls, fails=fails, half=half).install(patch, name)
            try:
                write_group(journal, group)
            except JournalUnavailable:
                refused.append(group)
            else:
                done, refused = [*done, *group], []
    found = read_back(*paths)
    assert found.damaged == []
    assert found.rows[: len(done)] == done
    behind = found.rows[len(done) :]
    assert not behind or behind in [group[: len(behind)] for group in refused]
