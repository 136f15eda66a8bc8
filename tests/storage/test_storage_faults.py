"""The store where something is wrong: disks, other writers, damaged checkpoints, changed files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from storage_tools import (
    DAY,
    NANOS,
    NOON,
    SMALL,
    Feed,
    column_files,
    crash,
    open_store,
    read_column,
    read_late,
    read_rows,
)

from multilogger.errors import JournalUnavailable, StartupError, StorageDamaged
from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.checkpoint import load
from multilogger.storage.layout import day_suffix
from multilogger.storage.store import Store
from multilogger.tables import TRADES

SYMBOL = "BTC-USD"


def test_previous_checkpoint_is_good_enough(tmp_path: Path) -> None:
    """With an unreadable checkpoint, the one before it and the journal give the same files, again."""
    feed = Feed()
    store = open_store(tmp_path)
    for number in range(6):
        store.commit([feed.trades(SYMBOL, [NOON + number] * 1000)])
        store.apply()
        store.checkpoint()
    store.commit([feed.trades(SYMBOL, [NOON + 99])])
    crash(store)
    for _ in range(3):
        (tmp_path / ".multilogger/checkpoint").write_bytes(b"MLCKPT01 and rubbish")
        store = open_store(tmp_path)
        assert store.last_trade_ids("coinbase") == {SYMBOL: 6001}
        store.close()
        assert read_column(tmp_path, SYMBOL, TRADES, "trade_id").tolist() == list(range(1, 6002))


def test_no_readable_checkpoint_is_refused(tmp_path: Path) -> None:
    """Nothing is guessed where both checkpoints are unreadable."""
    open_store(tmp_path).close()
    store = open_store(tmp_path)
    store.commit([Feed().trades(SYMBOL, [NOON])])
    store.close()
    for name in ("checkpoint", "checkpoint.previous"):
        (tmp_path / ".multilogger" / name).write_bytes(b"")
    with pytest.raises(StorageDamaged, match="can't be read"):
        open_store(tmp_path)


def test_second_writer_is_refused(tmp_path: Path) -> None:
    """Two writers never share a path, and the message names the first."""
    store = open_store(tmp_path)
    with pytest.raises(StartupError, match=f"process {os.getpid()} "):
        open_store(tmp_path)
    store.close()
    open_store(tmp_path).close()


def test_lock_goes_with_the_process(tmp_path: Path) -> None:
    """A process that ended without a word leaves no lock behind."""
    code = (
        "import sys; sys.path[:0] = [sys.argv[1]]; import os, storage_tools as t, pathlib;"
        "s = t.open_store(pathlib.Path(sys.argv[2])); s.commit([t.Feed().trades('BTC-USD', [t.NOON])]);"
        "os._exit(9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)], check=False
    )
    assert done.returncode == 9
    open_store(tmp_path).close()
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id").tolist() == [1]


def test_unwritable_path_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that can't be written to is a matter of the start, not of the storage."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StartupError, match="can't be written to"):
        open_store(tmp_path / "file" / "data")
    monkeypatch.setattr(disk, "writable", lambda _: False)
    with pytest.raises(StartupError) as caught:
        open_store(tmp_path)
    assert "\n" not in str(caught.value)


def test_failed_sync_makes_rows_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed sync rows wait in memory, unseen; they are durable once a new segment takes them."""
    feed = Feed()
    stats = WriterStats()
    store = open_store(tmp_path, stats=stats)
    store.commit([feed.trades(SYMBOL, [NOON])])

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(disk, "sync_data", fail)
        for _ in range(2):
            with pytest.raises(JournalUnavailable, match="Input/output error"):
                store.commit([feed.trades(SYMBOL, [NOON + 1])])
    assert "Input/output error" in stats.journal_problem
    assert stats.held_bytes == store.held_bytes > 0
    store.apply()
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id").tolist() == [1]
    store.commit([])
    assert (stats.journal_problem, store.held_bytes) == ("", 0)
    store.apply()
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id").tolist() == [1, 2, 3]
    crash(store)
    open_store(tmp_path).close()
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id").tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (Path.unlink, []),
        (lambda file: os.truncate(file, 5), [1]),
        (lambda file: os.truncate(file, 9), [1, 2]),
    ],
    ids=["removed", "shortened", "lengthened"],
)
def test_foreign_change_while_running_is_mended(
    tmp_path: Path, change: Callable[[Path], None], left: list[int]
) -> None:
    """A file that someone else changed costs the rows it no longer has, told by number, and skews none."""
    feed = Feed()
    stats = WriterStats()
    store = open_store(tmp_path, stats=stats)
    store.commit([feed.trades(SYMBOL, [NOON] * 2), feed.trades("ETH-USD", [NOON])])
    store.apply()
    change(tmp_path / f"coinbase/{SYMBOL}/TRADES/trade_price{day_suffix(DAY)}")
    store.commit([feed.trades(SYMBOL, [NOON + 1]), feed.trades("ETH-USD", [NOON + 1])])
    store.apply()
    assert stats.lost_rows == 2 - len(left)
    store.close()
    for _ in range(2):
        assert read_rows(tmp_path, SYMBOL, TRADES)["trade_id"].tolist() == [*left, 4]
        assert read_rows(tmp_path, "ETH-USD", TRADES)["trade_id"].tolist() == [3, 5]
        open_store(tmp_path).close()


def test_sealed_days_are_forgotten_and_found_again(tmp_path: Path) -> None:
    """Sealed days leave the checkpoint; a straggler continues in the late partition of their seal."""
    feed = Feed()
    stats = WriterStats()
    clock = NOON + 5 * 86_400 * NANOS
    store = Store.open(tmp_path, SMALL, stats, lambda: clock)
    for batch in [
        feed.trades(SYMBOL, [NOON + 1]),
        feed.quotes(SYMBOL, [clock]),
        feed.quotes(SYMBOL, [clock]),
    ]:
        store.commit([batch])
        store.apply()
        store.checkpoint()
        store.close_day(DAY + 3)
        assert store.seal_step(60) == 0
    store.mark()
    store.apply()
    store.checkpoint()
    assert {state.day for state in load(tmp_path / ".multilogger/checkpoint").partitions} == {DAY + 5}
    store.commit([feed.trades(SYMBOL, [NOON, NOON + 2])])
    crash(store)
    Store.open(tmp_path, SMALL, stats, lambda: clock).close()
    assert read_rows(tmp_path, SYMBOL, TRADES)["trade_id"].tolist() == [1]
    assert read_late(tmp_path, SYMBOL, TRADES, "trade_id", generation=1) == [4, 5]
    assert stats.late_rows == 2


def test_files_are_synced_one_by_one_where_the_filesystem_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a filesystem whose ``syncfs`` is not trusted, each file written to is synced."""
    synced: list[str] = []
    sync = disk.sync

    def noting(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        sync(fd)

    monkeypatch.setattr(disk, "filesystem_type", lambda _: "nfs4")
    monkeypatch.setattr(disk, "sync", noting)
    store = open_store(tmp_path)
    store.commit([Feed().trades(SYMBOL, [NOON])])
    store.apply()
    store.checkpoint()
    store.close()
    assert {path for path in synced if path.endswith(".bin")} == {
        str(tmp_path / name) for name in column_files(tmp_path)
    }


def test_files_that_change_again_while_mended_end_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row is counted that was not written: a start finds what is there."""
    feed = Feed()
    store = open_store(tmp_path)
    store.commit([feed.trades(SYMBOL, [NOON])])
    store.apply()
    store.commit([feed.trades(SYMBOL, [NOON + 1])])
    with monkeypatch.context() as patched:
        patched.setattr(disk, "length", lambda _: 5)
        with pytest.raises(StorageDamaged, match="change while they are mended"):
            store.apply()
    store.close()
    open_store(tmp_path).close()
    assert read_rows(tmp_path, SYMBOL, TRADES)["trade_id"].tolist() == [1, 2]
