"""Retention: the days that are not to be kept go, oldest first, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from retention_tools import ALIASED, DAYS, at, days_of, keeping, record, retain
from seal_tools import (
    grow,
    live_directory,
    open_seal_store,
    read_manifest_of,
    read_view,
    seal,
    temporaries,
)
from storage_tools import DAY, MD, TRADES, Feed, crash

from multilogger.stats import WriterStats
from multilogger.storage.catalog import open_catalog
from multilogger.storage.layout import day_suffix, manifest_name


def test_old_days_go(tmp_path: Path) -> None:
    """Sealed days older than the policy keeps are removed with all that belongs to them, and noted."""
    record(tmp_path, ALIASED)
    stats = WriterStats()
    store = open_seal_store(tmp_path, ALIASED, stats, keeping(days=2))
    assert list(live_directory(tmp_path, "BTC-USD", TRADES).glob(f"price{day_suffix(DAY - 4)}"))
    retain(store)
    assert days_of(tmp_path) == days_of(tmp_path, "ETH-USD", "MD") == [DAY - 2, DAY - 1, DAY]
    assert (stats.removed_days, stats.lost_rows) == (4, 0)
    retain(store)
    assert stats.removed_days == 4
    assert read_manifest_of(tmp_path, "BTC-USD", TRADES, DAY - 2) is not None
    assert len(temporaries(tmp_path)) == 4
    for second in range(2):
        grow(store, Feed(serial=50).quotes("ETH-USD", [at(DAY, 10 + second)]))
        store.checkpoint()
    assert not temporaries(tmp_path)
    store.close()
    with open_catalog(tmp_path / ".multilogger/catalog.db") as catalog:
        removed = catalog.removals("coinbase")
    assert [(it.symbol, it.day) for it in removed] == [
        ("BTC-USD", DAY - 4),
        ("BTC-USD", DAY - 3),
        ("ETH-USD", DAY - 4),
        ("ETH-USD", DAY - 3),
    ]
    assert sum(it.bytes for it in removed) == stats.removed_bytes


def test_everything_is_kept_by_default(tmp_path: Path) -> None:
    """Without a limit, nothing goes."""
    record(tmp_path)
    store = open_seal_store(tmp_path, policies=keeping())
    retain(store)
    assert days_of(tmp_path) == [*DAYS, DAY]
    store.close()


def test_size_limit_takes_the_oldest(tmp_path: Path) -> None:
    """While an exchange's files take more than its limit, its oldest days go, as many as needed."""
    record(tmp_path, ALIASED)
    files = [file for file in (tmp_path / "coinbase").rglob("*") if file.is_file() and not file.is_symlink()]
    size = sum(file.stat().st_size for file in files)
    store = open_seal_store(tmp_path, ALIASED, policies=keeping(size=size))
    retain(store)
    assert days_of(tmp_path) == [*DAYS, DAY]
    store.close()
    store = open_seal_store(tmp_path, ALIASED, policies=keeping(size=size - 1))
    retain(store)
    assert days_of(tmp_path) == [*DAYS[1:], DAY]
    assert days_of(tmp_path, "ETH-USD", "MD") == [*DAYS, DAY]
    store.close()


def test_unsealed_days_stay(tmp_path: Path) -> None:
    """No limit touches a day that is not sealed, or has late rows to fold in."""
    record(tmp_path, sealed=DAY - 3)
    store = open_seal_store(tmp_path, policies=keeping(days=1, size=1))
    grow(store, Feed(serial=100).trades("BTC-USD", [at(DAY - 3, 9)]))
    retain(store)
    assert days_of(tmp_path) == [DAY - 3, DAY - 2, DAY - 1, DAY]
    assert days_of(tmp_path, "ETH-USD", "MD") == [DAY - 2, DAY - 1, DAY]
    seal(store, DAY - 3)
    retain(store)
    assert days_of(tmp_path) == [DAY - 2, DAY - 1, DAY]
    store.close()


def test_today_stays_however_sealed(tmp_path: Path) -> None:
    """Today is never removed."""
    record(tmp_path, sealed=DAY)
    store = open_seal_store(tmp_path, policies=keeping(size=1))
    retain(store, needed_bytes=1 << 40)
    assert days_of(tmp_path) == [DAY]
    store.close()


def test_needed_bytes_take_the_oldest_of_all(tmp_path: Path) -> None:
    """On a full disk the oldest days go until there is room, whatever the policies say."""
    record(tmp_path)
    stats = WriterStats()
    store = open_seal_store(tmp_path, stats=stats)
    assert store.retain_step(60.0, 1)
    assert stats.removed_days == 1
    retain(store, needed_bytes=1)
    assert stats.removed_days == 2
    assert days_of(tmp_path) == days_of(tmp_path, "ETH-USD", "MD") == [*DAYS[1:], DAY]
    store.close()


def test_damaged_day_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A day whose files are not what its manifest says is kept, and told of once."""
    record(tmp_path)
    file = live_directory(tmp_path, "BTC-USD", TRADES) / f"trade_price{day_suffix(DAY - 4)}"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    shutil.move(
        live_directory(tmp_path, "ETH-USD", MD) / f"volume{day_suffix(DAY - 3)}", tmp_path / "elsewhere"
    )
    store = open_seal_store(tmp_path, policies=keeping(days=1))
    retain(store)
    retain(store)
    assert days_of(tmp_path) == [DAY - 4, DAY - 1, DAY]
    assert days_of(tmp_path, "ETH-USD", "MD") == [DAY - 3, DAY - 1, DAY]
    assert capsys.readouterr().out.count("is damaged, and kept") == 2
    crash(store)


def test_works_in_slices(tmp_path: Path) -> None:
    """A step without time does little, and the next one goes on."""
    record(tmp_path)
    store = open_seal_store(tmp_path, policies=keeping(days=1))
    left = [days_of(tmp_path)]
    for _ in range(100):
        finished = store.retain_step(0.0)
        left.append(days_of(tmp_path))
        if finished:
            break
    assert [DAY - 2, DAY - 1, DAY] in left
    assert left[-1] == [DAY - 1, DAY]
    store.close()


@pytest.mark.parametrize("remembered", [True, False])
def test_late_rows_make_a_new_day(tmp_path: Path, remembered: bool) -> None:
    """Rows that come for a day that was removed are a day of their own; nothing counts as lost."""
    record(tmp_path)
    stats = WriterStats()
    store = open_seal_store(tmp_path, stats=stats, policies=keeping(days=1))
    feed = Feed(serial=100)
    grow(store, feed.trades("BTC-USD", [at(DAY - 2, 1)]))
    seal(store)
    retain(store)
    if not remembered:
        store.close()
        store = open_seal_store(tmp_path, stats=stats, policies=keeping(days=5))
    grow(store, feed.trades("BTC-USD", [at(DAY - 2, 7)]))
    seal(store)
    view = read_view(tmp_path, "BTC-USD", TRADES, DAY - 2)
    assert (view.live["trade_id"].tolist(), view.generation) == ([102], 1)
    store.close()
    store = open_seal_store(tmp_path, stats=stats, policies=keeping(days=5))
    retain(store)
    assert len(read_view(tmp_path, "BTC-USD", TRADES, DAY - 2).live["trade_id"]) == 1
    assert stats.lost_rows == 0
    store.close()


def test_files_of_others_stay(tmp_path: Path) -> None:
    """A file that the manifest doesn't name is not the retention's to remove."""
    record(tmp_path)
    directory = live_directory(tmp_path, "BTC-USD", TRADES)
    foreign = [directory / f"price{day_suffix(DAY - 4)}", directory / f"notes{day_suffix(DAY - 4)}"]
    for file in foreign:
        file.write_bytes(b"mine")
    store = open_seal_store(tmp_path, policies=keeping(days=2))
    retain(store)
    assert not (directory / manifest_name(DAY - 4)).exists()
    assert all(file.read_bytes() == b"mine" for file in foreign)
    store.close()
