"""Seals of days that something happened to: damage, a full disk, leftovers, other settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from seal_tools import (
    PLAIN,
    YESTERDAY,
    day_with_late_rows,
    grow,
    live_directory,
    open_seal_store,
    read_manifest_of,
    read_view,
    seal,
    seconds,
    temporaries,
)
from storage_tools import (
    MD,
    SMALL,
    TRADES,
    Feed,
    crash,
    expected_columns,
)

from multilogger.errors import ColumnsUnavailable
from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.layout import day_suffix, manifest_name


@pytest.mark.parametrize("late", [False, True])
def test_bit_rot_is_told_of_and_not_sealed(tmp_path: Path, late: bool) -> None:
    """A file that is not what was written leaves its day unsealed, and is told of once a night."""
    stats = WriterStats()
    store = open_seal_store(tmp_path, stats=stats)
    day_with_late_rows(store, Feed())
    directory = live_directory(tmp_path, "BTC-USD", TRADES)
    if late:
        directory = tmp_path / ".multilogger/late/coinbase/BTC-USD/TRADES"
    file = next(iter(sorted(directory.glob("maker_order_id.*"))))
    content = bytearray(file.read_bytes())
    content[20] ^= 4
    file.write_bytes(content)
    seal(store)
    assert (stats.sealed_days, stats.seal_failures) == (1, 1)
    assert read_manifest_of(tmp_path, "BTC-USD", TRADES) is None
    assert read_manifest_of(tmp_path, "ETH-USD", MD) is not None
    seal(store)
    assert stats.seal_failures == 1
    assert not temporaries(tmp_path)
    content[20] ^= 4
    file.write_bytes(content)
    seal(store, YESTERDAY + 1)
    manifest = read_manifest_of(tmp_path, "BTC-USD", TRADES)
    assert manifest is not None
    assert manifest.rows == 15
    store.close()


def test_missing_file_is_a_failure(tmp_path: Path) -> None:
    """A column that someone removed or cut leaves its day unsealed."""
    stats = WriterStats()
    store = open_seal_store(tmp_path, stats=stats)
    day_with_late_rows(store, Feed())
    next(live_directory(tmp_path, "BTC-USD", TRADES).glob("trade_price.*")).unlink()
    with next(live_directory(tmp_path, "ETH-USD", MD).glob("volume.*")).open("r+b") as file:
        file.truncate(8)
    seal(store)
    assert (stats.sealed_days, stats.seal_failures) == (0, 2)
    crash(store)


def test_lost_manifest_is_made_again(tmp_path: Path) -> None:
    """A sealed day whose manifest is gone at a start is sealed once more, as another generation."""
    store = open_seal_store(tmp_path)
    day_with_late_rows(store, Feed())
    seal(store)
    store.close()
    next(live_directory(tmp_path, "BTC-USD", TRADES).glob("manifest.*")).unlink()
    store = open_seal_store(tmp_path)
    seal(store)
    manifest = read_manifest_of(tmp_path, "BTC-USD", TRADES)
    assert manifest is not None
    assert (manifest.generation, manifest.rows) == (2, 15)
    store.close()


def test_full_disk_leaves_the_day_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the new files don't fit, nothing has changed; with room again the seal goes on."""
    store = open_seal_store(tmp_path)
    batches = day_with_late_rows(store, Feed())
    store.close_day(YESTERDAY)

    def full(fd: int, data: bytes, offset: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "write", full)
        with pytest.raises(ColumnsUnavailable):
            store.seal_step(60.0)
    assert not temporaries(tmp_path)
    assert read_view(tmp_path, "BTC-USD", TRADES).generation == 0
    seal(store)
    expected = expected_columns(batches, "BTC-USD", TRADES, YESTERDAY)
    assert read_view(tmp_path, "BTC-USD", TRADES).live["trade_id"].tolist() == expected["trade_id"].tolist()
    store.close()


def test_forgotten_day_is_sealed_again_from_its_manifest(tmp_path: Path) -> None:
    """Late rows of a day that the applier has forgotten are folded into what its manifest describes."""
    store = open_seal_store(tmp_path)
    feed = Feed()
    batches = day_with_late_rows(store, feed)
    seal(store)
    store.close()
    stats = WriterStats()
    store = open_seal_store(tmp_path, stats=stats, days_later=5)
    store.checkpoint()
    store.checkpoint()
    more = feed.trades("BTC-USD", seconds(4))
    grow(store, more)
    seal(store)
    view = read_view(tmp_path, "BTC-USD", TRADES)
    expected = expected_columns([*batches, more], "BTC-USD", TRADES, YESTERDAY)
    assert view.live["trade_id"].tolist() == expected["trade_id"].tolist()
    assert (view.generation, stats.lost_rows) == (2, 0)
    store.close()


def test_settings_may_change_between_seals(tmp_path: Path) -> None:
    """A sealed day keeps the columns it has, whatever is configured later."""
    store = open_seal_store(tmp_path, SMALL)
    feed = Feed()
    day_with_late_rows(store, feed)
    seal(store)
    store.close()
    store = open_seal_store(tmp_path, PLAIN)
    grow(store, feed.trades("BTC-USD", seconds(4)))
    seal(store)
    view = read_view(tmp_path, "BTC-USD", TRADES, exact=True)
    assert len(view.live["price_f64"]) == 16
    store.close()


@pytest.mark.parametrize("restart", [False, True])
def test_leftovers_never_become_columns(tmp_path: Path, restart: bool) -> None:
    """What an abandoned seal left is removed by the start, or by the next seal before its manifest counts."""
    store = open_seal_store(tmp_path)
    day_with_late_rows(store, Feed())
    store.checkpoint()
    directory = live_directory(tmp_path, "ETH-USD", MD)
    (directory / f"price{day_suffix(YESTERDAY)}.1.tmp").write_bytes(b"half")
    if restart:
        crash(store)
        store = open_seal_store(tmp_path)
        assert not temporaries(tmp_path)
    seal(store)
    assert not temporaries(tmp_path)
    assert len(read_view(tmp_path, "ETH-USD", MD).live["price"]) == 6
    store.close()


@pytest.mark.parametrize("resealed", [False, True])
def test_untrusted_syncfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resealed: bool) -> None:
    """Where ``syncfs`` may do nothing, every new file and every name is synced before it is relied upon."""
    monkeypatch.setattr(disk, "SYNCFS_KNOWN", frozenset())
    store = open_seal_store(tmp_path)
    feed = Feed()
    day_with_late_rows(store, feed)
    if resealed:
        seal(store)
        grow(store, feed.trades("BTC-USD", seconds(3)))
    store.close_day(YESTERDAY)
    generation = 2 if resealed else 1
    directory = live_directory(tmp_path, "BTC-USD", TRADES)
    events: list[str] = []
    real = {name: getattr(disk, name) for name in ("sync", "sync_directory", "rename")}

    def sync(fd: int) -> None:
        events.append(f"sync {Path(f'/proc/self/fd/{fd}').readlink().name}")
        real["sync"](fd)

    def sync_directory(path: Path) -> None:
        events.append(f"names {path}")
        real["sync_directory"](path)

    def rename(old: Path, new: Path) -> None:
        events.append(f"rename {old.name}")
        real["rename"](old, new)

    for function in (sync, sync_directory, rename):
        monkeypatch.setattr(disk, function.__name__, function)
    store.seal_step(60.0)
    switch = events.index(f"rename {manifest_name(YESTERDAY)}.tmp")
    before = events[:switch]
    for column in TRADES.disk_columns(exact=False):
        assert f"sync {column.name}{day_suffix(YESTERDAY)}.{generation}.tmp" in before
    assert f"sync {manifest_name(YESTERDAY)}.tmp" in before
    assert {f"names {path}" for path in (directory, directory.parent, tmp_path)} <= set(before)
    first = events.index(f"rename trade_id{day_suffix(YESTERDAY)}.{generation}.tmp")
    last = events.index(f"rename trade_time{day_suffix(YESTERDAY)}.{generation}.tmp")
    assert f"names {directory}" in events[switch:first]
    assert f"names {directory}" in events[last:]
    store.close()
