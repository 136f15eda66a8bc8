"""Where the store puts a row: its day's files, the late partition, the absurd; and the short names."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
from storage_tools import (
    DAY,
    NANOS,
    NOON,
    SMALL,
    Feed,
    crash,
    open_store,
    read_column,
    read_late,
)

from multilogger.stats import WriterStats
from multilogger.storage.layout import day_suffix
from multilogger.tables import TRADES

SYMBOL = "BTC-USD"


def test_day_of_a_row_is_its_own(tmp_path: Path) -> None:
    """Rows of yesterday go to yesterday's files, whenever they come."""
    midnight = (DAY + 1) * 86_400 * NANOS
    store = open_store(tmp_path)
    store.commit([Feed().trades(SYMBOL, [midnight, midnight - 1])])
    store.close()
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id", DAY).tolist() == [2]
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id", DAY + 1).tolist() == [1]


def test_late_rows_wait_apart_and_are_counted(tmp_path: Path) -> None:
    """A row older than its file's newest goes to a late partition: the file's time never decreases."""
    stats = WriterStats()
    feed = Feed()
    store = open_store(tmp_path, stats=stats)
    store.commit([feed.trades(SYMBOL, [NOON + 5])])
    store.commit([feed.trades(SYMBOL, [NOON + 4, NOON + 5, NOON + 3])])
    store.commit([feed.trades(SYMBOL, [NOON + 2])])
    store.commit([feed.trades(SYMBOL, [NOON + 3])])
    store.close()
    assert stats.late_rows == 4
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id").tolist() == [1, 3]
    assert read_late(tmp_path, SYMBOL, TRADES, "trade_id") == [4, 2, 5, 6]


def test_absurd_times_are_set_aside(tmp_path: Path) -> None:
    """Rows from long ago, from after tomorrow and from before the epoch are kept whole, in files apart."""
    stats = WriterStats()
    store = open_store(tmp_path, stats=stats)
    day = 86_400 * NANOS
    times = [NOON - 8 * day, NOON - 7 * day, NOON + day, NOON + 2 * day, -5]
    store.commit([Feed().trades(SYMBOL, times)])
    crash(store)
    open_store(tmp_path).close()
    assert stats.absurd_rows == 3
    directory = tmp_path / ".multilogger/quarantine/rows/coinbase/BTC-USD/TRADES"
    found = {
        name: np.fromfile(directory / f"{name}{day_suffix(DAY)}", dtype).tolist()
        for name, dtype in (("time_ns", "<i8"), ("trade_id", "<u8"), ("price", "<f8"))
    }
    assert found["time_ns"] == [-5, NOON - 8 * day, NOON + 2 * day]
    assert found["trade_id"] == [5, 1, 4]
    assert found["price"] == [100_005.01, 100_001.01, 100_004.01]
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id", DAY - 7).tolist() == [2]
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id", DAY + 1).tolist() == [3]


def test_rows_of_a_closed_day_are_late(tmp_path: Path) -> None:
    """Once a day is closed, its files grow no more, also for a symbol that had no row yet."""
    feed = Feed()
    store = open_store(tmp_path)
    store.commit([feed.trades(SYMBOL, [NOON])])
    store.close_day(DAY)
    store.commit([feed.trades(SYMBOL, [NOON + 1]), feed.trades("NEW-USD", [NOON + 1])])
    store.close()
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id").tolist() == [1]
    assert read_late(tmp_path, SYMBOL, TRADES, "trade_id") == [2]
    assert read_column(tmp_path, "NEW-USD", TRADES, "trade_id").tolist() == []
    assert read_late(tmp_path, "NEW-USD", TRADES, "trade_id") == [3]


def test_late_rows_are_known_after_a_restart(tmp_path: Path) -> None:
    """The newest time of a file is remembered by the checkpoint, by the journal and by the file itself."""
    feed = Feed()
    store = open_store(tmp_path)
    store.commit([feed.trades(SYMBOL, [NOON + 5])])
    crash(store)
    for _ in range(2):
        stats = WriterStats()
        store = open_store(tmp_path, stats=stats)
        store.commit([feed.trades(SYMBOL, [NOON + 1])])
        store.close()
        assert stats.late_rows == 1
    for file in (tmp_path / ".multilogger").glob("**/*.*"):
        file.unlink()
    (tmp_path / ".multilogger/checkpoint").unlink()
    stats = WriterStats()
    store = open_store(tmp_path, stats=stats)
    store.commit([feed.trades(SYMBOL, [NOON, NOON + 1])])
    store.close()
    assert stats.late_rows == 2
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id").tolist() == [1]
    assert read_late(tmp_path, SYMBOL, TRADES, "trade_id") == [4, 5]


def test_aliases(tmp_path: Path) -> None:
    """The short names are relative links to the trade columns, made where rows are."""
    store = open_store(tmp_path, attrs.evolve(SMALL, trade_aliases=True))
    store.commit([Feed().trades(SYMBOL, [NOON]), Feed().quotes(SYMBOL, [NOON])])
    store.close()
    directory = tmp_path / "coinbase" / SYMBOL / "TRADES"
    links = {file.name.split(".")[0]: file for file in directory.iterdir() if file.is_symlink()}
    assert sorted(links) == ["id", "nanos", "price", "side", "size", "time"]
    assert np.fromfile(links["id"], "<u8").tolist() == [1]
    assert str(links["time"].readlink()) == f"trade_time{day_suffix(DAY)}"
    assert not [file for file in (directory.parent / "MD").iterdir() if file.is_symlink()]
