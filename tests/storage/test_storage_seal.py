"""Sealing: files are checked, late rows folded in, and the manifest says what is there."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import xxhash
from seal_tools import (
    THEN,
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
    DAY,
    MD,
    NANOS,
    NOON,
    SMALL,
    TRADES,
    Feed,
    crash,
    expected_columns,
    read_late,
)

from multilogger import __version__
from multilogger.config.policy import ExchangePolicy
from multilogger.notes import gap_note
from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.catalog import open_catalog
from multilogger.storage.layout import day_suffix
from multilogger.storage.manifest import CoverageSummary


def test_plain_day_gets_a_manifest_alone(tmp_path: Path) -> None:
    """A day in order is sealed as it is: its files stay, and the manifest says what they are."""
    store = open_seal_store(tmp_path, SMALL)
    feed = Feed()
    grow(store, feed.trades("BTC-USD", seconds(1, 2, 2, 5)))
    directory = live_directory(tmp_path, "BTC-USD", TRADES)
    before = {file.name: (file.stat().st_ino, file.read_bytes()) for file in directory.iterdir()}
    seal(store)
    manifest = read_manifest_of(tmp_path, "BTC-USD", TRADES)
    assert manifest is not None
    after = {file.name: (file.stat().st_ino, file.read_bytes()) for file in directory.glob("*.bin")}
    assert after == before
    assert (manifest.generation, manifest.rows, manifest.late_rows, manifest.duplicates) == (1, 4, 0, 0)
    assert (manifest.exchange, manifest.symbol, manifest.table) == ("coinbase", "BTC-USD", "TRADES")
    assert manifest.day == str(np.datetime64(YESTERDAY, "D"))
    assert (manifest.first_time_ns, manifest.last_time_ns) == (THEN + NANOS, THEN + 5 * NANOS)
    assert (manifest.first_trade_id, manifest.last_trade_id) == (1, 4)
    assert (manifest.journal.live, manifest.journal.late, manifest.lost_rows) == (4, 0, 0)
    assert manifest.program == f"multilogger {__version__}"
    for name, said in manifest.columns.items():
        data = before[f"{name}{day_suffix(YESTERDAY)}"][1]
        assert said.bytes == len(data)
        assert int(said.crc32, 16) == zlib.crc32(data)
        assert said.xxh3_128 == xxhash.xxh3_128_hexdigest(data)
    assert manifest.columns["trade_id"].dtype == "<u8"
    assert manifest.columns["maker_order_id"].dtype == "V16"
    store.close()


def test_late_rows_are_folded_in(tmp_path: Path) -> None:
    """Late rows take their places, their files go, and readers of plain columns see one day in order."""
    store = open_seal_store(tmp_path)
    batches = day_with_late_rows(store, Feed())
    assert len(read_late(tmp_path, "BTC-USD", TRADES, "trade_id", YESTERDAY)) == 5
    seal(store)
    view = read_view(tmp_path, "BTC-USD", TRADES)
    expected = expected_columns(batches, "BTC-USD", TRADES, YESTERDAY)
    for name, values in view.live.items():
        assert values.tolist() == expected[name].tolist(), name
    assert view.generation == 1
    manifest = read_manifest_of(tmp_path, "BTC-USD", TRADES)
    assert manifest is not None
    assert (manifest.rows, manifest.late_rows) == (15, 5)
    assert (manifest.journal.live, manifest.journal.late) == (10, 5)
    assert not list((tmp_path / ".multilogger/late").rglob("*.bin"))
    assert not temporaries(tmp_path)
    store.close()


def test_rows_after_the_seal_make_another_generation(tmp_path: Path) -> None:
    """What comes after a seal waits beside it; the next seal folds it in."""
    store = open_seal_store(tmp_path)
    feed = Feed()
    batches = day_with_late_rows(store, feed)
    seal(store)
    more = [feed.trades("BTC-USD", seconds(3, 50)), feed.quotes("ETH-USD", seconds(2, 90))]
    grow(store, *more)
    assert len(read_view(tmp_path, "BTC-USD", TRADES).late["trade_id"]) == 2
    assert len(read_view(tmp_path, "BTC-USD", TRADES).live["trade_id"]) == 15
    seal(store)
    for symbol, table in (("BTC-USD", TRADES), ("ETH-USD", MD)):
        view = read_view(tmp_path, symbol, table)
        expected = expected_columns([*batches, *more], symbol, table, YESTERDAY)
        assert view.live[table.time_column].tolist() == expected[table.time_column].tolist()
        assert view.generation == 2
    manifest = read_manifest_of(tmp_path, "BTC-USD", TRADES)
    assert manifest is not None
    assert (manifest.late_rows, manifest.journal.late, manifest.journal.live) == (7, 7, 10)
    store.close()
    stats = WriterStats()
    store = open_seal_store(tmp_path, stats=stats)
    grow(store, feed.trades("BTC-USD", seconds(4)))
    assert len(read_view(tmp_path, "BTC-USD", TRADES).late["trade_id"]) == 1
    assert stats.lost_rows == 0
    store.close()


def test_day_of_late_rows_alone(tmp_path: Path) -> None:
    """A closed day without any rows can still be made of late ones, with the permissions configured."""
    policies = {"coinbase": ExchangePolicy(file_mode=0o640, directory_mode=0o750)}
    store = open_seal_store(tmp_path, policies=policies)
    store.close_day(YESTERDAY)
    feed = Feed()
    batch = feed.trades("BTC-USD", seconds(3, 4))
    grow(store, batch)
    assert not live_directory(tmp_path, "BTC-USD", TRADES).exists()
    seal(store)
    view = read_view(tmp_path, "BTC-USD", TRADES)
    assert view.live["trade_id"].tolist() == [1, 2]
    directory = live_directory(tmp_path, "BTC-USD", TRADES)
    assert {file.stat().st_mode & 0o777 for file in directory.iterdir()} == {0o640}
    assert directory.stat().st_mode & 0o777 == 0o750
    store.close()


def test_repeated_trades_are_left_out(tmp_path: Path) -> None:
    """A trade is kept once, late or not; market data that a live row equals goes, too."""
    store = open_seal_store(tmp_path)
    feed = Feed()
    grow(store, feed.trades("BTC-USD", seconds(1, 2, 3)), feed.quotes("ETH-USD", seconds(1, 2, 3)))
    again = Feed(feed.symbols)
    grow(store, again.trades("BTC-USD", seconds(1, 2)))  # the same ids
    again.serial = 4
    grow(store, again.quotes("ETH-USD", seconds(2)))  # the same values
    seal(store)
    assert read_view(tmp_path, "BTC-USD", TRADES).live["trade_id"].tolist() == [1, 2, 3]
    assert len(read_view(tmp_path, "ETH-USD", MD).live["time"]) == 3
    for symbol, table, duplicates in (("BTC-USD", TRADES, 2), ("ETH-USD", MD, 1)):
        manifest = read_manifest_of(tmp_path, symbol, table)
        assert manifest is not None
        assert (manifest.rows, manifest.duplicates) == (3, duplicates)
    # The numbers of the journal go on.
    grow(store, again.trades("BTC-USD", seconds(9)))
    store.checkpoint()
    crash(store)
    stats = WriterStats()
    store = open_seal_store(tmp_path, stats=stats)
    assert stats.lost_rows == 0
    seal(store)
    assert len(read_view(tmp_path, "BTC-USD", TRADES).live["trade_id"]) == 4
    store.close()


def test_repeated_trades_among_live_ones_rewrite_the_day(tmp_path: Path) -> None:
    """Duplicates alone are reason enough to write a day anew."""
    store = open_seal_store(tmp_path)
    feed = Feed()
    grow(store, feed.trades("BTC-USD", seconds(1, 2)))
    feed.serial = 1
    grow(store, feed.trades("BTC-USD", seconds(2, 3)))
    seal(store)
    assert read_view(tmp_path, "BTC-USD", TRADES).live["trade_id"].tolist() == [1, 2, 3]
    store.close()


def test_slices_share_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How often the disk is synced does not depend on how many symbols are sealed at once."""
    counts = []
    for symbols in (2, 12):
        store = open_seal_store(tmp_path / str(symbols))
        feed = Feed()
        for number in range(symbols):
            grow(store, feed.trades(f"S{number}", seconds(5)), feed.trades(f"S{number}", seconds(1)))
        store.checkpoint()
        synced: list[int] = []
        with monkeypatch.context() as patch:
            patch.setattr(disk, "sync_filesystem", synced.append)
            for name in ("sync", "sync_data", "sync_directory"):
                patch.setattr(disk, name, synced.append)
            seal(store)
        counts.append(len(synced))
        store.close()
    assert counts[0] == counts[1]


def test_a_step_seals_at_least_one_day(tmp_path: Path) -> None:
    """Without time a step seals one day of one table, and says how many are left."""
    stats = WriterStats()
    store = open_seal_store(tmp_path, stats=stats)
    day_with_late_rows(store, Feed())
    store.close_day(YESTERDAY)
    assert store.seal_step(0.0) == 1
    assert stats.sealed_days == 1
    assert store.seal_step(0.0) == 0
    assert store.seal_step(0.0) == 0
    assert stats.sealed_days == 2
    store.close()


def test_open_days_are_left_alone(tmp_path: Path) -> None:
    """Only days up to the closed one are sealed."""
    store = open_seal_store(tmp_path)
    feed = Feed()
    grow(store, feed.trades("BTC-USD", seconds(1)), feed.trades("BTC-USD", [NOON]))
    seal(store)
    assert read_manifest_of(tmp_path, "BTC-USD", TRADES) is not None
    assert read_manifest_of(tmp_path, "BTC-USD", TRADES, DAY) is None
    store.close()


def test_seal_is_noted(tmp_path: Path) -> None:
    """Each seal is found in the catalog, once."""
    store = open_seal_store(tmp_path)
    feed = Feed()
    day_with_late_rows(store, feed)
    seal(store)
    grow(store, feed.trades("BTC-USD", seconds(4)))
    seal(store)
    store.close()
    with open_catalog(tmp_path / ".multilogger/catalog.db") as catalog:
        found = catalog.seals("coinbase", "BTC-USD", "TRADES")
    assert [(it.day, it.generation, it.rows, it.late_rows) for it in found] == [
        (YESTERDAY, 1, 15, 5),
        (YESTERDAY, 2, 16, 6),
    ]


def test_manifest_sums_up_coverage(tmp_path: Path) -> None:
    """Gaps of that day, whether the catalog has them or they only wait for it, are counted."""
    store = open_seal_store(tmp_path)
    day_with_late_rows(store, Feed())
    store.add_notes([gap_note("coinbase", "offline", THEN, THEN + 30 * NANOS)])
    store.commit([])
    store.apply()
    store.checkpoint()
    store.add_notes([gap_note("coinbase", "silent", THEN + 20 * NANOS, THEN + 50 * NANOS, symbol="BTC-USD")])
    store.commit([])
    seal(store)
    found = {}
    for symbol, table in (("BTC-USD", TRADES), ("ETH-USD", MD)):
        manifest = read_manifest_of(tmp_path, symbol, table)
        assert manifest is not None
        found[symbol] = manifest.coverage
    assert found == {
        "BTC-USD": CoverageSummary(gaps=1, gap_seconds=50.0),
        "ETH-USD": CoverageSummary(gaps=1, gap_seconds=30.0),
    }
    store.close()


def test_a_closed_day_is_applied_once(tmp_path: Path) -> None:
    """What is committed before the first step is applied by it; what comes later waits for its own turn."""
    feed = Feed()
    store = open_seal_store(tmp_path)
    day_with_late_rows(store, feed)
    store.commit([feed.trades("BTC-USD", [THEN + 20 * NANOS])])
    store.close_day(YESTERDAY)
    assert store.seal_step(0.0) == 1
    assert store.pending_bytes == 0
    store.commit([feed.trades("BTC-USD", [NOON])])
    assert store.seal_step(0.0) == 0
    assert store.pending_bytes > 0
    manifest = read_manifest_of(tmp_path, "BTC-USD", TRADES)
    assert manifest is not None
    assert manifest.last_time_ns == THEN + 20 * NANOS
    store.close()
