"""Frames and checkpoints: what is counted, and what is told of damage."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from archive_problems import problems
from archive_tools import DAY, MD, TRADES, Shelf, rows_at

from multilogger.archive.checkpoints import check_checkpoints
from multilogger.archive.journal import check_journal
from multilogger.archive.verify import verify_archive
from multilogger.storage.checkpoint import Checkpoint, PartitionState, StreamState, previous_of, save
from multilogger.storage.frame import ALIGNMENT, FrameType, Header, hash_payload, span
from multilogger.storage.layout import Paths
from multilogger.storage.streams import ABSURD, LATE, LIVE, StreamEntry
from multilogger.tables import Array, Table

PAYLOAD = bytes(range(256)) * 20
SPAN = span(len(PAYLOAD))


def segment(journal: Path, number: int, opening: int, frames: int) -> Path:
    """Write a segment of frames that follow each other, and zeros behind them."""
    journal.mkdir(parents=True, exist_ok=True)
    path = journal / f"{number:012d}.wal"
    content = b""
    for ordinal in range(frames):
        header = Header(
            type=FrameType.ROWS,
            segment=number,
            sequence=opening + ordinal,
            wall_ns=0,
            length=len(PAYLOAD),
            place=0,
            ordinal=ordinal,
            previous=0,
            payload_hash=hash_payload(PAYLOAD, opening + ordinal),
        )
        content += (header.encode() + PAYLOAD).ljust(SPAN, b"\0")
    path.write_bytes(content + bytes(4 * ALIGNMENT))
    return path


def damage(path: Path, offset: int, size: int = 1) -> None:
    """Turn bits of a file."""
    content = bytearray(path.read_bytes())
    for at in range(offset, offset + size):
        content[at] ^= 0xFF
    path.write_bytes(content)


def told(*directories: Path, running: bool = False) -> tuple[int, list[tuple[str, str]]]:
    """Return how many frames there are, and the problems by file name."""
    frames, found = check_journal(directories, running=running)
    return frames, [(problem.path.name, problem.words) for problem in found]


def test_frames_are_counted(tmp_path: Path) -> None:
    """Segments that follow each other, over two directories, one that was never written to, a missing one."""
    segment(tmp_path / "a", 1, 1, 3)
    segment(tmp_path / "b", 2, 4, 2)
    segment(tmp_path / "a", 3, 6, 0)
    segment(tmp_path / "a", 4, 6, 1)
    (tmp_path / "a/spare1.free").write_bytes(bytes(ALIGNMENT))
    assert told(tmp_path / "a", tmp_path / "b", tmp_path / "nowhere") == (6, [])


@pytest.mark.parametrize("offset", [5, 100], ids=["header", "payload"])
def test_a_damaged_frame(tmp_path: Path, offset: int) -> None:
    """A damaged frame is told with its place; at the end of all it may be a torn write, and is not."""
    first, last = segment(tmp_path, 1, 11, 3), segment(tmp_path, 2, 14, 3)
    damage(last, 2 * SPAN + offset)
    assert told(tmp_path) == (5, [])
    damage(last, offset)
    words = f"{SPAN:,} bytes at 0: frame 14 is damaged or missing"
    assert told(tmp_path) == (4, [(last.name, words)])
    damage(first, SPAN + offset, SPAN)
    damage(first, 2 * SPAN + offset)
    damage(last, offset)
    words = f"behind {SPAN}: frames 12 to 13 are damaged or missing, before {last.name}"
    assert told(tmp_path) == (3, [(first.name, words)])


def test_a_missing_segment(tmp_path: Path) -> None:
    """Frames that no segment has are told; the numbers of segments need not follow each other."""
    path = segment(tmp_path, 1, 1, 2)
    segment(tmp_path, 3, 5, 2)
    words = f"behind {2 * SPAN}: frames 3 to 4 are damaged or missing, before 000000000003.wal"
    assert told(tmp_path) == (4, [(path.name, words)])


def test_frames_that_were_given_up(tmp_path: Path) -> None:
    """What a later segment begins again counts no more, damaged or not."""
    given_up = segment(tmp_path, 1, 1, 5)
    segment(tmp_path, 2, 3, 4)
    damage(given_up, 3 * SPAN + 100)
    assert told(tmp_path) == (8, [])
    damage(given_up, SPAN + 100)
    words = f"{SPAN:,} bytes at {SPAN}: frame 2 is damaged or missing"
    assert told(tmp_path) == (7, [(given_up.name, words)])


def test_segments_that_cannot_be_read(tmp_path: Path) -> None:
    """What the disk can't read is told with its place."""
    (tmp_path / "000000000001.wal").mkdir()
    frames, found = told(tmp_path)
    assert frames == 0
    assert ("000000000001.wal", "can't be read at 0: Is a directory") in found


def test_segments_of_a_running_logger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment that is used again while it is looked at says nothing."""
    path = segment(tmp_path, 1, 1, 3)
    damage(path, SPAN + 100)
    assert len(told(tmp_path, running=True)[1]) == 1

    def recycled(payload: bytes, sequence: int) -> int:
        path.rename(tmp_path / "spare1.free") if path.exists() else None
        return hash_payload(payload, sequence)

    monkeypatch.setattr("multilogger.archive.journal.hash_payload", recycled)
    assert told(tmp_path, running=True) == (0, [])


def checkpoint_of(parts: Sequence[tuple[int, Table, int, Mapping[str, Array]]]) -> Checkpoint:
    """Return a checkpoint of partitions, each of a kind, table, generation and with its rows."""
    streams = [
        StreamState(StreamEntry(number, "coinbase", "BTC-USD", table.number, kind, "BTC-USD"), None, b"")
        for number, (kind, table, _, _) in enumerate(parts)
    ]
    partitions = [
        PartitionState(
            stream=number,
            day=DAY,
            generation=generation,
            rows=len(next(iter(rows.values()))),
            offset=0,
            last_time_ns=0,
            crcs={name: zlib.crc32(values.tobytes()) for name, values in rows.items()},
        )
        for number, (_, _, generation, rows) in enumerate(parts)
    ]
    return Checkpoint(7, 0, 1, "", 0, 0, streams, partitions)


def told_of_checkpoints(data: Path) -> tuple[int, list[tuple[str, int | None, str]]]:
    """Return how many checkpoints there are, and the problems by file name."""
    count, found = check_checkpoints(data)
    return count, [(problem.path.name, problem.row, problem.words) for problem in found]


def test_checkpoint(tmp_path: Path) -> None:
    """Files may be longer than the newest checkpoint says, and nothing else."""
    live, late, quotes = Shelf(tmp_path), rows_at(TRADES, [9, 4], 50), rows_at(MD, [1])
    rows = rows_at(TRADES, [1, 2, 3])
    absurd = {"time_ns": rows["recv_ns"]}
    live.live(rows)
    live.live(rows_at(TRADES, [4], 9))
    live.late(late)
    Shelf(tmp_path, MD).sealed(quotes)
    folder = tmp_path / ".multilogger/quarantine/rows/coinbase/BTC-USD/TRADES"
    folder.mkdir(parents=True)
    (folder / "time_ns.31.07.25.bin").write_bytes(absurd["time_ns"].tobytes())
    path = Paths(tmp_path).checkpoint
    save(path, checkpoint_of([]))
    parts = [
        (LIVE, TRADES, 0, rows),
        (LATE, TRADES, 0, late),
        (ABSURD, TRADES, 0, absurd),
        (LIVE, MD, 1, quotes),
    ]
    save(path, checkpoint_of(parts))
    assert told_of_checkpoints(tmp_path) == (2, [])
    report = verify_archive(tmp_path)
    assert (report.ok, report.counts.checkpoints) == (True, 2)

    (folder / "time_ns.31.07.25.bin").write_bytes(bytes(9))
    live.file("flags").unlink()
    live.place.late_column("recv_ns", DAY, 0).write_bytes(late["recv_ns"][:1].tobytes())
    damage(live.file("trade_id"), 16)
    damage(live.file("price_f64"), 24)
    crc = zlib.crc32(live.file("trade_id").read_bytes()[:24])
    said = zlib.crc32(rows["trade_id"].tobytes())
    assert told_of_checkpoints(tmp_path) == (
        2,
        [
            (
                "trade_id.31.07.25.bin",
                None,
                f"CRC-32 {crc:08x} of the first 3 rows, the checkpoint says {said:08x}",
            ),
            ("flags.31.07.25.bin", None, "missing, though the checkpoint knows 3 rows of it"),
            ("recv_ns.31.07.25.0.bin", 1, "ends here, the checkpoint knows 2 rows"),
            ("time_ns.31.07.25.bin", 1, "ends here, the checkpoint knows 3 rows"),
        ],
    )


def test_days_that_became_others(tmp_path: Path) -> None:
    """A day that was sealed or removed since is none of the checkpoint's business; one being switched is."""
    shelf = Shelf(tmp_path)
    rows, merged = rows_at(TRADES, [1, 2, 3]), rows_at(TRADES, [1, 2])
    shelf.live(rows)
    Paths(tmp_path).own.mkdir()
    save(Paths(tmp_path).checkpoint, checkpoint_of([(LIVE, TRADES, 2, rows), (LATE, TRADES, 1, rows)]))
    assert told_of_checkpoints(tmp_path) == (1, [])
    save(Paths(tmp_path).checkpoint, checkpoint_of([(LIVE, TRADES, 1, merged), (LATE, TRADES, 1, merged)]))
    shelf.switching(merged, 1)
    shelf.late(merged, generation=1)
    shelf.manifest(merged)
    shelf.file("flags").write_bytes(b"")
    assert told_of_checkpoints(tmp_path) == (2, [])


def test_checkpoints_that_cannot_be_read(tmp_path: Path) -> None:
    """Each checkpoint must be readable; the newest readable one is compared with the files."""
    path = Paths(tmp_path).checkpoint
    path.parent.mkdir()
    save(path, checkpoint_of([(LIVE, TRADES, 0, rows_at(TRADES, [1]))]))
    save(path, checkpoint_of([]))
    assert told_of_checkpoints(tmp_path) == (2, [])
    damage(path, 20)
    count, found = told_of_checkpoints(tmp_path)
    assert count == 2
    assert found[0] == ("checkpoint", None, "no checkpoint, or damaged")
    assert {words for _, _, words in found[1:]} == {"missing, though the checkpoint knows 1 rows of it"}
    damage(previous_of(path), 3)
    assert [name for name, _, _ in told_of_checkpoints(tmp_path)[1]] == ["checkpoint", "checkpoint.previous"]
    assert {name for name, _, _ in problems(tmp_path)} == {
        ".multilogger/checkpoint",
        ".multilogger/checkpoint.previous",
    }


def test_a_checkpoint_of_unknown_streams(tmp_path: Path) -> None:
    """A partition whose stream the checkpoint doesn't name is told."""
    found = checkpoint_of([(LIVE, TRADES, 0, rows_at(TRADES, [1]))])
    found.streams.clear()
    path = Paths(tmp_path).checkpoint
    path.parent.mkdir()
    save(path, found)
    assert told_of_checkpoints(tmp_path)[1] == [
        ("checkpoint", None, "a partition of stream 0, which is unknown")
    ]


def test_journal_of_an_archive(tmp_path: Path) -> None:
    """Verifying all looks at the journal, in both its directories; a part leaves it out."""
    data = tmp_path / "data"
    Shelf(data).live(rows_at(TRADES, [1]))
    segment(Paths(data).journal, 1, 1, 3)
    segment(tmp_path / "elsewhere", 2, 4, 3)
    segment(Paths(data).journal, 3, 7, 3)
    assert len(verify_archive(data).problems) == 1
    report = verify_archive(data, journal_alternate=tmp_path / "elsewhere")
    assert (report.counts.journal_frames, report.ok) == (9, True)
    assert verify_archive(data, exchange="coinbase").counts.journal_frames == 0
