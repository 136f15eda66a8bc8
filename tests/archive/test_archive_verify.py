"""Every rule for files and their names has something that only it finds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from archive_problems import only, problems
from archive_tools import (
    DATE,
    DAY,
    MD,
    NANOS,
    TRADES,
    Shelf,
    joined,
    rows_at,
    taken,
    without_exact,
)

from multilogger.archive.reader import open_archive
from multilogger.archive.verify import verify_archive
from multilogger.errors import ArchiveError

ROWS = rows_at(TRADES, [1, 5, 5, 9])


def test_nothing_is_wrong(tmp_path: Path) -> None:
    """Live, late and sealed days in order are counted, and have no problems; progress ends at the end."""
    shelf = Shelf(tmp_path)
    shelf.sealed(ROWS)
    shelf.late(rows_at(TRADES, [7], 50), generation=1)
    shelf.live(rows_at(TRADES, [86_400 * NANOS], 60), DAY + 1)
    Shelf(tmp_path, MD).live(without_exact(MD, rows_at(MD, [3, 4])))
    Shelf(tmp_path, MD, exchange="kraken", name="X_Y").late(rows_at(MD, [9, 2]))
    seen: list[tuple[int, int, str]] = []
    report = verify_archive(tmp_path, progress=lambda *step: seen.append(step))
    assert report.ok
    assert not report.logger_running
    counts = report.counts
    assert (counts.partitions, counts.sealed_days, counts.days_without_manifest) == (4, 1, 3)
    assert (counts.rows, counts.late_rows, counts.files) == (7, 3, 12 + 12 + 12 + 7 + 12)
    stored = sum(file.stat().st_size for file in tmp_path.rglob("*.bin"))
    assert counts.bytes == stored
    assert seen[-1][0] == stored
    assert [total for _, total, _ in seen] == [stored + shelf.place.manifest(DAY).stat().st_size] * 4


def test_late_rows(tmp_path: Path) -> None:
    """Late rows may be in any order; they must be of their day, and repeat no trade."""
    shelf = Shelf(tmp_path)
    shelf.live(ROWS)
    late = rows_at(TRADES, [8, 3, 2], 50)
    shelf.late(late)
    assert problems(tmp_path) == []
    shelf.late(taken(late, [1]))
    assert only(tmp_path) == ("trade_id.31.07.25.0.bin", 3, "this trade id is there already: 51")
    other = Shelf(tmp_path / "other")
    other.live(ROWS)
    other.late(joined(late, rows_at(TRADES, [3], 2)))
    words = "this trade id is in the day's own file already: 2"
    assert only(other.data) == ("trade_id.31.07.25.0.bin", 3, words)


def test_uneven_files(tmp_path: Path) -> None:
    """Files that are longer than others are told with the rows that they have in common; so are torn ones."""
    shelf = Shelf(tmp_path)
    shelf.live(ROWS)
    shelf.live({"trade_size": np.ones(2, np.float32)})
    shelf.live({"flags": np.zeros(3, np.uint8)})
    shelf.late(rows_at(TRADES, [2], 50))
    shelf.late({"recv_ns": np.ones(1, np.int64)})
    place = "coinbase/BTC-USD/TRADES"
    assert sorted(problems(tmp_path)) == [
        (f".multilogger/late/{place}/recv_ns.31.07.25.0.bin", 1, "2 rows, flags has 1"),
        (f"{place}/flags.31.07.25.bin", 4, "3 bytes of a value of 4"),
        (f"{place}/trade_size.31.07.25.bin", 4, "6 rows, flags has 4"),
    ]


def test_missing_and_empty_files(tmp_path: Path) -> None:
    """A compatible column must be there, of late rows every one; no file is empty."""
    shelf = Shelf(tmp_path)
    shelf.live(ROWS)
    shelf.file("trade_time").unlink()
    assert only(tmp_path) == (
        "trade_time.31.07.25.bin",
        None,
        "missing, though other columns of its day are there",
    )
    late = Shelf(tmp_path / "late")
    late.late({name: values for name, values in ROWS.items() if name != "flags"})
    assert only(late.data) == (
        "flags.31.07.25.0.bin",
        None,
        "missing, though other columns of its day are there",
    )
    empty = Shelf(tmp_path / "empty", MD)
    empty.live(rows_at(MD, []))
    assert {(row, words) for _, row, words in problems(empty.data)} == {(None, "empty")}


def test_late_rows_of_another_generation(tmp_path: Path) -> None:
    """Late rows that no reader looks at are told, and whether a seal has them."""
    shelf = Shelf(tmp_path)
    shelf.sealed(ROWS, generation=2)
    shelf.late(rows_at(TRADES, [2], 50), generation=1)
    shelf.late(rows_at(TRADES, [2], 60), generation=3)
    assert {words for *_, words in problems(tmp_path)} == {
        "late rows after generation 1, but the day's is 2: folded in by a seal already",
        "late rows after generation 3, but the day's is 2: no reader finds these rows",
    }
    assert len(problems(tmp_path)) == 2 * len(ROWS)


def test_names(tmp_path: Path) -> None:
    """Names that mean nothing are told, at each level; an alias is in order if it is a link to its file."""
    shelf = Shelf(tmp_path)
    shelf.live(ROWS)
    folder = shelf.place.live
    for alias in ("id", "time", "nanos", "price", "size", "side"):
        (folder / f"{alias}.31.07.25.bin").symlink_to(f"trade_{alias}.31.07.25.bin")
    assert problems(tmp_path) == []
    (folder / "price.31.07.25.bin").unlink()
    (folder / "price.31.07.25.bin").touch()
    (folder / "best_bid.31.07.25.bin").touch()
    (folder / "trade_id.31.07.25.1.bin").touch()
    (folder / "notes.txt").touch()
    (folder.parent / "BOOKS").mkdir()
    (folder.parents[1] / "list.csv").touch()
    top, symbol, place = "coinbase", "coinbase/BTC-USD", "coinbase/BTC-USD/TRADES"
    assert sorted(problems(tmp_path)) == [
        (f"{symbol}/BOOKS", None, "no table: there is MD, TRADES"),
        (f"{place}/best_bid.31.07.25.bin", None, "best_bid is no column of TRADES"),
        (f"{place}/notes.txt", None, "no name of a file that belongs here"),
        (
            f"{place}/price.31.07.25.bin",
            None,
            "not a symbolic link to trade_price.31.07.25.bin, which this name is for",
        ),
        (f"{place}/trade_id.31.07.25.1.bin", None, "no name of a file that belongs here"),
        (f"{top}/list.csv", None, "no directory of a symbol"),
    ]
    (folder / "time.31.07.25.bin").unlink()
    (folder / "time.31.07.25.bin").symlink_to("trade_nanos.31.07.25.bin")
    assert (
        f"{place}/time.31.07.25.bin",
        None,
        "not a symbolic link to trade_time.31.07.25.bin, which this name is for",
    ) in problems(tmp_path)


def test_leftovers(tmp_path: Path) -> None:
    """Without a logger, a seal, removal or write that is not through is told."""
    shelf = Shelf(tmp_path)
    shelf.live(taken(ROWS, [0, 1]))
    shelf.manifest(ROWS, generation=2)
    shelf.switching(ROWS, 2)
    seal = "left over from an interrupted seal; the next start of the logger sees to it"
    assert {words for *_, words in problems(tmp_path)} == {seal}
    assert len(problems(tmp_path)) == len(ROWS)
    assert verify_archive(tmp_path).counts.rows == 4
    other = Shelf(tmp_path / "other")
    other.live(ROWS)
    other.place.live.joinpath("manifest.31.07.25.removed.tmp").touch()
    other.place.live.joinpath("manifest.01.08.25.json.tmp").touch()
    # Of a day that is gone, the marker stays for a while.
    other.place.live.joinpath("manifest.02.08.25.removed.tmp").touch()
    (other.data / ".multilogger/journal").mkdir(parents=True)
    (other.data / ".multilogger/checkpoint.tmp").touch()
    (other.data / ".multilogger/journal/spare1.tmp").touch()
    assert sorted(
        (path.rpartition("/")[2], words.split()[5].rstrip(";")) for path, _, words in problems(other.data)
    ) == [
        ("checkpoint.tmp", "write"),
        ("manifest.01.08.25.json.tmp", "seal"),
        ("manifest.31.07.25.removed.tmp", "removal"),
        ("spare1.tmp", "write"),
    ]


def test_a_part(tmp_path: Path) -> None:
    """Exchange, symbol and day narrow what is looked at."""
    spoiled = {**ROWS, "trade_side": ROWS["trade_side"] + 2}
    Shelf(tmp_path).live(spoiled)
    Shelf(tmp_path).live(rows_at(TRADES, [86_400 * NANOS]), DAY + 1)
    Shelf(tmp_path, symbol="ETH/USD", name="ETH_USD").live(ROWS)
    Shelf(tmp_path, exchange="kraken").live(ROWS)
    assert len(problems(tmp_path)) == 1
    assert verify_archive(tmp_path, exchange="kraken").counts.rows == 4
    assert verify_archive(tmp_path, exchange="coinbase", symbol="ETH/USD").counts.rows == 4
    assert verify_archive(tmp_path, day=DATE + timedelta(days=1)).ok
    assert verify_archive(tmp_path, day=DATE).counts.rows == 12


def test_nothing_to_verify(tmp_path: Path) -> None:
    """What is not there can't be verified, and says so."""
    with pytest.raises(ArchiveError, match=rf"^nothing to verify in {tmp_path}$"):
        verify_archive(tmp_path)
    Shelf(tmp_path).live(ROWS)
    with pytest.raises(ArchiveError, match=r"nothing to verify in .* of coinbase BTC-USD 2025-08-01"):
        verify_archive(tmp_path, exchange="coinbase", symbol="BTC-USD", day=DATE + timedelta(days=1))
    with pytest.raises(ArchiveError, match="no exchange 'kraken'"):
        verify_archive(tmp_path, exchange="kraken")
    with pytest.raises(ArchiveError, match="no symbol 'ETH-USD'"):
        verify_archive(tmp_path, exchange="coinbase", symbol="ETH-USD")
    with pytest.raises(ArchiveError, match="symbol BTC-USD of which exchange"):
        verify_archive(tmp_path, symbol="BTC-USD")
    assert open_archive(tmp_path).exchanges() == ["coinbase"]
