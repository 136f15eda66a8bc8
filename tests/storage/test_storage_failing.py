"""The store on a disk that fails for a while: nothing is skewed, doubled or lost."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from storage_tools import (
    DAY,
    NOON,
    Feed,
    assert_checkpoint_is_true,
    fork,
    open_store,
    read_column,
    read_rows,
)

from multilogger.archive.verify import verify_archive
from multilogger.errors import ColumnsUnavailable, JournalUnavailable
from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.layout import day_suffix
from multilogger.tables import TRADES

SYMBOL = "BTC-USD"


def failing_write(at: int, code: int) -> Callable[[int, memoryview | bytes, int], None]:
    """Return a stand-in for ``disk.write`` whose call number ``at`` writes half, and fails."""
    calls = itertools.count(1)
    write = disk.write

    def fail(fd: int, data: memoryview | bytes, offset: int) -> None:
        if next(calls) == at:
            write(fd, memoryview(data)[: len(data) // 2], offset)
            raise OSError(code, os.strerror(code))
        write(fd, data, offset)

    return fail


@pytest.mark.parametrize("code", [5, 28], ids=["EIO", "ENOSPC"])
def test_columns_that_cannot_be_written_wait_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """An apply that fails half way is repeated until it goes through; no row is skewed or doubled."""
    feed = Feed()
    stats = WriterStats()
    store = open_store(tmp_path, stats=stats)
    store.commit([feed.trades(SYMBOL, [NOON]), feed.trades("ETH-USD", [NOON])])
    store.apply()
    for failing in range(1, 24):
        store.commit([feed.trades(SYMBOL, [NOON + failing]), feed.trades("ETH-USD", [NOON + failing])])
        with monkeypatch.context() as patched:
            patched.setattr(disk, "write", failing_write(failing, code))
            with pytest.raises(ColumnsUnavailable, match=os.strerror(code)):
                store.apply()
        assert stats.apply_problem
        store.apply()
        assert not stats.apply_problem
    store.close()
    for _ in range(2):
        assert read_rows(tmp_path, SYMBOL, TRADES)["trade_id"].tolist() == list(range(1, 49, 2))
        assert read_rows(tmp_path, "ETH-USD", TRADES)["trade_id"].tolist() == list(range(2, 49, 2))
        open_store(tmp_path).close()
    assert_checkpoint_is_true(tmp_path)


def test_failed_sync_of_columns_replaces_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed sync no checkpoint is taken before every file written to lately is a new one."""
    feed = Feed()
    store = open_store(tmp_path)
    store.commit([feed.trades(SYMBOL, [NOON])])
    store.apply()
    file = tmp_path / f"coinbase/{SYMBOL}/TRADES/trade_price{day_suffix(DAY)}"
    before = file.stat().st_ino
    path = tmp_path / ".multilogger/checkpoint"
    checkpoint = path.read_bytes()

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(disk, "sync_filesystem", fail)
        with pytest.raises(ColumnsUnavailable):
            store.checkpoint()
    assert (tmp_path / ".multilogger/sync-failed").exists()
    assert path.read_bytes() == checkpoint
    again = fork(tmp_path, tmp_path.parent / "stopped")
    store.checkpoint()
    assert path.read_bytes() != checkpoint
    assert file.stat().st_ino != before
    assert not (tmp_path / ".multilogger/sync-failed").exists()
    store.close()
    # A start finds the mark, and does the same.
    moved = again / file.relative_to(tmp_path)
    before = moved.stat().st_ino
    open_store(again).close()
    assert moved.stat().st_ino != before
    assert moved.read_bytes() == file.read_bytes()


def test_day_is_not_sealed_while_its_rows_wait_for_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were numbered before their day was closed are in its files before these are sealed."""
    feed = Feed()
    store = open_store(tmp_path)
    store.commit([feed.trades(SYMBOL, [NOON])])

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(disk, "sync_data", fail)
        with pytest.raises(JournalUnavailable):
            store.commit([feed.trades(SYMBOL, [NOON + 1])])
        store.close_day(DAY)
        assert store.seal_step(60) > 0
    assert not list(tmp_path.glob("coinbase/*/*/manifest*"))
    store.commit([feed.trades(SYMBOL, [NOON + 2])])
    assert store.seal_step(60) == 0
    store.close()
    assert verify_archive(tmp_path).problems == ()
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id").tolist() == [1, 2, 3]


def test_lasting_failure_of_syncs_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no file of the disk can be synced, checkpoints fail and can be tried again."""
    store = open_store(tmp_path)
    store.commit([Feed().trades(SYMBOL, [NOON])])
    store.apply()

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(disk, "sync_filesystem", fail)
        patched.setattr(disk, "sync", fail)
        for _ in range(3):
            with pytest.raises(ColumnsUnavailable):
                store.checkpoint()
    store.checkpoint()
    store.close()
    assert verify_archive(tmp_path).problems == ()
