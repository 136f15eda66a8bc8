"""The reader that watches live files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulator_files import entered, move_late, seal, store, width

from multilogger.simulator.watch import FileWatch


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data path with files of two symbols and days."""
    store(entered(), tmp_path)
    return tmp_path


@pytest.fixture
def watch(data: Path) -> FileWatch:
    """A watch that has looked once, and found nothing wrong."""
    found = FileWatch(data)
    found.look()
    assert (found.looks, found.reads, found.found) == (1, 8, 0)
    return found


def files(data: Path, table: str = "TRADES") -> list[Path]:
    """Return the first day's files of one symbol."""
    return sorted((data / "coinbase" / "BTC-USD" / table).glob("*.22.11.26.bin"))


def rewrite(path: Path, rows: list[int]) -> None:
    """Write the file anew with some of its rows, beside itself, and rename it into place."""
    new = path.with_name(f"{path.name}.new.tmp")
    np.fromfile(path, f"V{width(path)}")[rows].tofile(new)
    new.rename(path)


def test_growing_files_are_fine(data: Path, watch: FileWatch) -> None:
    """Added rows are read, files that did not change are not; torn values and late files are fine."""
    for path in files(data):
        values = path.read_bytes()
        path.write_bytes(values + values[-width(path) :])
    move_late(data, "ETH-USD", "TRADES", slice(0, 0))
    (files(data)[0].parent / "trade_time.22.11.26.bin.1.tmp").write_bytes(b"x")
    with (files(data, "MD")[0].parent / "time.22.11.26.bin").open("ab") as torn:
        torn.write(b"x")
    watch.look()
    assert (watch.looks, watch.found) == (2, 0), watch.faults
    assert watch.reads >= 10
    reads = watch.reads
    watch.look()
    assert (watch.reads, watch.found) == (reads, 0)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([0, 1, 2], "had 15 rows, and has 3"),
        ([*range(1, 15), 14], "has other times in its first 15 rows"),
        ([0, 2, 1, *range(3, 15)], "time decreases after row 1"),
    ],
)
def test_wrong_changes_are_found(data: Path, watch: FileWatch, rows: list[int], words: str) -> None:
    """Rows that go away, change, or stand in another order are faults."""
    for path in files(data):
        rewrite(path, rows)
    watch.look()
    assert watch.found >= 1
    assert words in watch.faults[0]
    assert str(data / "coinbase" / "BTC-USD" / "TRADES" / "trade_time.22.11.26.bin") in watch.faults[0]


def test_files_must_not_go_away(data: Path, watch: FileWatch) -> None:
    """A file that was there and is not is a fault, once."""
    for path in files(data):
        path.unlink()
    for _ in range(2):
        watch.look()
    assert watch.found == 1
    assert watch.faults[0].endswith("trade_time.22.11.26.bin is gone")


def test_a_seal_may_change_everything_but_the_order(data: Path, watch: FileWatch) -> None:
    """With a new generation rows may be others and fewer; time must not decrease even then."""
    for generation, rows, found in ((1, [0, 2, 4, 6], 0), (2, [0, 3], 0), (3, [1, 0], 1)):
        for path in files(data):
            rewrite(path, rows)
        seal(data, "BTC-USD", "TRADES", generation=generation)
        watch.look()
        assert watch.found == found, watch.faults


def test_the_moment_of_a_seal(data: Path, watch: FileWatch) -> None:
    """Between manifest and renaming, the temporary files of the new generation are read."""
    for path in files(data):
        np.fromfile(path, f"V{width(path)}")[[0, 1, 2]].tofile(path.with_name(f"{path.name}.1.tmp"))
    seal(data, "BTC-USD", "TRADES")
    watch.look()
    (seen,) = [seen for path, seen in watch._seen.items() if path in files(data)]
    assert (seen.generation, seen.rows) == (1, 3)
    for path in files(data)[:3]:
        path.with_name(f"{path.name}.1.tmp").rename(path)
    watch.look()
    for path in files(data)[3:]:
        path.with_name(f"{path.name}.1.tmp").rename(path)
    watch.look()
    assert watch.found == 0, watch.faults


def test_a_file_that_can_not_be_read_in_one_piece(data: Path, watch: FileWatch) -> None:
    """A file whose other time column is missing does not stay unnoticed."""
    (files(data)[0].parent / "trade_nanos.22.11.26.bin").unlink()
    (files(data)[0].parent / "trade_time.22.11.26.bin").touch()
    watch.look()
    assert "could not be read in 100 tries" in watch.faults[0]


def test_faults_are_counted_and_some_kept(data: Path) -> None:
    """However many faults there are, memory stays small."""
    watch = FileWatch(data)
    for _ in range(30):
        for path in files(data):
            rewrite(path, [*range(14, -1, -1)])
        watch.look()
        for path in files(data):
            rewrite(path, [*range(14, -1, -1)])
        watch.look()
    assert watch.found > 20
    assert len(watch.faults) == 20
