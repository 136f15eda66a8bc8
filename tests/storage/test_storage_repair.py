"""Files that are not as they were left: evened out, nothing skewed, nothing thrown away."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import attrs
import pytest
from storage_tools import (
    DAY,
    NOON,
    SMALL,
    Feed,
    assert_checkpoint_is_true,
    column_files,
    crash,
    fork,
    open_store,
    read_column,
    read_rows,
)
from structlog.testing import capture_logs

from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.layout import day_suffix
from multilogger.tables import TRADES

SYMBOL = "BTC-USD"
COMPATIBLE = attrs.evolve(SMALL, exact_columns=False)


def column_file(path: Path, column: str) -> Path:
    """Return today's file of a trade column."""
    return path / "coinbase" / SYMBOL / "TRADES" / f"{column}{day_suffix(DAY)}"


def quarantined(path: Path) -> dict[str, int]:
    """Return the sizes of what was set aside, by column."""
    return {
        file.name.split("+")[3].split(".")[0]: file.stat().st_size
        for file in (path / ".multilogger/quarantine").glob("*")
    }


def written(path: Path, rows: int = 5) -> Feed:
    """Write some trades and close."""
    feed = Feed()
    store = open_store(path)
    store.commit([feed.trades(SYMBOL, [NOON + number for number in range(rows)])])
    store.close()
    return feed


def ids(path: Path) -> list[int]:
    """Return the trade ids on disk, insisting on even columns."""
    assert_checkpoint_is_true(path)
    found: list[int] = read_rows(path, SYMBOL, TRADES)["trade_id"].tolist()
    return found


class StoppingWrite:
    """Stands for ``disk.write`` up to a call that stops the program."""

    def __init__(self, stop: int) -> None:
        self.left = stop
        self.write = disk.write

    def __call__(self, fd: int, data: memoryview | bytes, offset: int) -> None:
        """Write, or stop."""
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        self.write(fd, data, offset)


def test_shortened_column(tmp_path: Path) -> None:
    """The rows that are complete stay, the rest of the others is set aside, and recording goes on."""
    feed = written(tmp_path)
    os.truncate(column_file(tmp_path, "trade_price"), 3 * 4 + 2)
    with capture_logs() as lines:
        store = open_store(tmp_path)
    store.commit([feed.trades(SYMBOL, [NOON + 9])])
    store.close()
    assert ids(tmp_path) == [1, 2, 3, 6]
    assert quarantined(tmp_path)["trade_id"] == 2 * 8
    assert quarantined(tmp_path)["trade_price"] == 2
    lost = [line for line in lines if line["event"] == "column file has lost rows"]
    assert len(lost) == 1
    assert "trade_price" in lost[0]["path"]
    assert lost[0]["missing_rows"] == 2


def test_shortened_column_with_rows_to_replay(tmp_path: Path) -> None:
    """Replayed rows follow the complete ones, at every attempt alike."""
    feed = written(tmp_path / "a")
    store = open_store(tmp_path / "a")
    for number in range(4):
        store.commit([feed.trades(SYMBOL, [NOON + 10 + number])])
    crash(store)
    os.truncate(column_file(tmp_path / "a", "trade_price"), 3 * 4)
    crash(open_store(tmp_path / "a"))
    copy = fork(tmp_path / "a", tmp_path / "b")
    for path in (tmp_path / "a", copy):
        store = open_store(path)
        store.commit([Feed(serial=50).trades(SYMBOL, [NOON + 20])])
        crash(store)
        open_store(path).close()
        assert ids(path) == [1, 2, 3, 6, 7, 8, 9, 51]


@pytest.mark.parametrize("known", [True, False])
def test_interrupted_repair_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    """A stop at any write of the repair and the replay after it ends in the same files."""
    feed = written(tmp_path / "a")
    if not known:
        (tmp_path / "a" / ".multilogger").rename(tmp_path / "elsewhere")
    store = open_store(tmp_path / "a")
    store.commit([feed.trades(SYMBOL, [NOON + 10, NOON + 11, NOON + 12])])
    crash(store)
    os.truncate(column_file(tmp_path / "a", "trade_size"), 3 * 4)
    expected = fork(tmp_path / "a", tmp_path / "expected")
    open_store(expected).close()
    for stop in range(1, 60, 3):
        copy = fork(tmp_path / "a", tmp_path / str(stop))
        with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
            patched.setattr(disk, "write", StoppingWrite(stop))
            crash(open_store(copy))
        open_store(copy).close()
        assert column_files(copy) == column_files(expected)
    assert ids(expected) == [1, 2, 3, 6, 7, 8]


def test_removed_day(tmp_path: Path) -> None:
    """Files that a user removed begin anew."""
    feed = written(tmp_path)
    for file in tmp_path.glob("*/*/*/*.bin"):
        file.unlink()
    store = open_store(tmp_path)
    store.commit([feed.trades(SYMBOL, [NOON + 9])])
    store.close()
    assert ids(tmp_path) == [6]


def test_longer_column_is_cut(tmp_path: Path) -> None:
    """Bytes that no row stands behind are set aside."""
    written(tmp_path)
    with column_file(tmp_path, "trade_side").open("ab") as file:
        file.write(b"extra")
    open_store(tmp_path).close()
    assert ids(tmp_path) == [1, 2, 3, 4, 5]
    assert quarantined(tmp_path) == {"trade_side": 5}


@pytest.mark.parametrize(("same_boot", "kept"), [(True, 6), (False, 5)])
def test_rows_unknown_to_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, same_boot: bool, kept: int
) -> None:
    """Whole rows more than the journal knows are trusted within one boot only."""
    feed = written(tmp_path)
    for file in tmp_path.glob("*/*/*/*.bin"):
        width = file.stat().st_size // 5
        file.write_bytes(file.read_bytes() + file.read_bytes()[-width:])
    if not same_boot:
        monkeypatch.setattr(disk, "boot_id", lambda: "another")
    store = open_store(tmp_path)
    store.commit([feed.trades(SYMBOL, [NOON + 9])])
    store.close()
    assert ids(tmp_path) == [*[1, 2, 3, 4, 5, 5][:kept], 6]
    assert ("trade_id" in quarantined(tmp_path)) is not same_boot


def test_archive_without_our_own_files_is_taken_over(tmp_path: Path) -> None:
    """An archive whose journal and checkpoint are gone is continued, uneven tails set aside."""
    feed = written(tmp_path)
    (tmp_path / ".multilogger").rename(tmp_path / "elsewhere.d")
    os.truncate(column_file(tmp_path, "recv_ns"), 4 * 8 + 3)
    stats = WriterStats()
    store = open_store(tmp_path, stats=stats)
    store.commit([feed.trades(SYMBOL, [NOON + 9])])
    crash(store)
    open_store(tmp_path).close()
    assert ids(tmp_path) == [1, 2, 3, 4, 6]
    assert quarantined(tmp_path)["trade_time"] == 4
    assert stats.late_rows == 0


def test_exact_columns_switched_on(tmp_path: Path) -> None:
    """A day that began without the exact columns ends without them; the next has them."""
    feed = Feed()
    store = open_store(tmp_path, COMPATIBLE)
    store.commit([feed.trades(SYMBOL, [NOON])])
    store.close()
    store = open_store(tmp_path)
    store.commit([feed.trades(SYMBOL, [NOON + 1, NOON + 86_400 * 10**9])])
    store.close()
    assert read_rows(tmp_path, SYMBOL, TRADES, exact=False)["trade_id"].tolist() == [1, 2]
    assert not column_file(tmp_path, "price_f64").exists()
    assert len(read_rows(tmp_path, SYMBOL, TRADES, day=DAY + 1)["price_f64"]) == 1


@pytest.mark.parametrize("known", [True, False])
def test_exact_columns_switched_off(tmp_path: Path, *, known: bool) -> None:
    """A day that began with the exact columns ends with them, so that they stay even."""
    feed = written(tmp_path)
    if not known:
        (tmp_path / ".multilogger").rename(tmp_path / "elsewhere.d")
    store = open_store(tmp_path, COMPATIBLE)
    store.commit([feed.trades(SYMBOL, [NOON + 9, NOON + 86_400 * 10**9])])
    crash(store)
    open_store(tmp_path, COMPATIBLE).close()
    assert ids(tmp_path) == [1, 2, 3, 4, 5, 6]
    assert len(read_column(tmp_path, SYMBOL, TRADES, "price_f64", DAY + 1)) == 0
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id", DAY + 1).tolist() == [7]


def test_removed_exact_column(tmp_path: Path) -> None:
    """A missing exact column is not begun in the middle: no hole of zeros, and no row is given up."""
    feed = written(tmp_path)
    column_file(tmp_path, "size_f64").unlink()
    store = open_store(tmp_path)
    store.commit([feed.trades(SYMBOL, [NOON + 9])])
    crash(store)
    open_store(tmp_path).close()
    assert not column_file(tmp_path, "size_f64").exists()
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_time").size == 6
    assert read_column(tmp_path, SYMBOL, TRADES, "price_f64").size == 6
    assert not (tmp_path / ".multilogger/quarantine").exists()
