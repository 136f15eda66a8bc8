"""Verifying and reading beside a logger: what grows is no damage, what doesn't is."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from archive_problems import told
from archive_tools import DAY, MIDNIGHT, NANOS, TRADES, Shelf, rows_at

from multilogger.archive.reader import open_archive
from multilogger.archive.verify import logger_runs, verify_archive
from multilogger.batch import Batch, RowBuffer, SymbolTable
from multilogger.config import StorageConfig
from multilogger.records import ExchangeId
from multilogger.stats import WriterStats
from multilogger.storage.layout import Paths
from multilogger.storage.store import Store

SMALL = StorageConfig(journal_segment_bytes=64 * 1024)


@contextmanager
def logger(data: Path) -> Iterator[None]:
    """Hold a data path as a logger does."""
    lock = Paths(data).lock
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def problems(data: Path, meanwhile: Callable[[], object] = lambda: None) -> list[tuple[str, int | None, str]]:
    """Verify while a logger runs, which does something while the verification waits."""
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        meanwhile()

    with logger(data):
        report = verify_archive(data, wait=wait)
    assert report.logger_running
    assert len(waited) <= 1
    return told(report, data)


def test_logger_runs(tmp_path: Path) -> None:
    """Whether a logger runs is told by its lock, which another may take right afterwards."""
    assert not logger_runs(tmp_path)
    with logger(tmp_path):
        assert logger_runs(tmp_path)
    assert not logger_runs(tmp_path)
    with logger(tmp_path):
        assert logger_runs(tmp_path)


def test_files_that_grow(tmp_path: Path) -> None:
    """Columns that are uneven because they grow are no problem; those that stay uneven are."""
    shelf, rows = Shelf(tmp_path), rows_at(TRADES, [1, 5])
    shelf.live(rows)
    more = rows_at(TRADES, [9], 9)
    shelf.live({"trade_id": more.pop("trade_id")})
    place = "coinbase/BTC-USD/TRADES"
    uneven = (f"{place}/trade_id.31.07.25.bin", 2, "3 rows, flags has 2")
    assert problems(tmp_path) == [uneven]
    assert problems(tmp_path, lambda: shelf.live(more)) == []
    # Uneven again, but further on: the next rows are being written.
    shelf.live({"trade_id": np.array([10], np.uint64)})
    assert problems(tmp_path, lambda: shelf.live({"trade_id": np.array([11], np.uint64)})) == []


def test_a_day_that_begins(tmp_path: Path) -> None:
    """A day whose last columns come while it is looked at is checked then."""
    shelf, rows = Shelf(tmp_path), rows_at(TRADES, [1, 5])
    rows["trade_side"][1] = 5
    last = {name: rows.pop(name) for name in ("trade_price", "trade_time")}
    shelf.live(rows)
    place = "coinbase/BTC-USD/TRADES"
    assert {path for path, _, _ in problems(tmp_path)} == {
        f"{place}/trade_price.31.07.25.bin",
        f"{place}/trade_time.31.07.25.bin",
    }
    assert problems(tmp_path, lambda: shelf.live(last)) == [
        (f"{place}/trade_side.31.07.25.bin", 1, "side is neither 0 nor 1: 5")
    ]


def test_a_day_that_is_removed(tmp_path: Path) -> None:
    """A day that is gone when it is looked at again was removed."""
    shelf = Shelf(tmp_path)
    shelf.sealed(rows_at(TRADES, [1, 5]))
    shelf.file("trade_time").unlink()

    def remove() -> None:
        for file in shelf.place.live.iterdir():
            file.unlink()

    assert problems(tmp_path, remove) == []


def test_late_rows_that_wait_for_their_removal(tmp_path: Path) -> None:
    """Between a seal and its checkpoint the late rows that it folded in are still there, and temporaries."""
    shelf, rows = Shelf(tmp_path), rows_at(TRADES, [1, 5])
    shelf.switching(rows, 2)
    shelf.manifest(rows, 2)
    shelf.late(rows, generation=1)
    assert problems(tmp_path) == []
    shelf.late(rows, generation=0)
    assert {words for *_, words in problems(tmp_path)} == {
        "late rows after generation 0, but the day's is 2: folded in by a seal already"
    }


def batch(symbols: SymbolTable, first: int, count: int) -> Batch:
    """Return trades and quotes of one symbol, an id and a nanosecond apart."""
    rows = RowBuffer()
    for serial in range(first, first + count):
        same = {
            "symbol": symbols.number("BTC/USD"),
            "time_ns": MIDNIGHT + serial,
            "recv_ns": MIDNIGHT + serial,
        }
        rows.add_trade(
            **same,
            trade_id=serial,
            price=1.5 + serial,
            size=0.25,
            side=1,
            maker_order_id=bytes(16),
            taker_order_id=bytes(16),
            flags=0,
        )
        rows.add_md(**same, price=1.5, volume=0.5, side=0, best_bid=1.25, best_ask=float(serial))
    return Batch(symbols, rows.take())


def test_a_store(tmp_path: Path) -> None:
    """What the storage writes is read and found in order, while it is open and afterwards."""
    symbols = SymbolTable(ExchangeId("coinbase"))
    store = Store.open(tmp_path, SMALL, WriterStats(), lambda: MIDNIGHT + 43_200 * NANOS)
    try:
        store.commit([batch(symbols, 1, 3)])
        store.apply()
        report = verify_archive(tmp_path)
        assert (report.logger_running, told(report, tmp_path)) == (True, [])
        store.commit([batch(symbols, 4, 2)])
    finally:
        store.close()
    report = verify_archive(tmp_path)
    assert told(report, tmp_path) == []
    assert (report.counts.rows, report.counts.checkpoints > 0, report.counts.journal_frames > 0) == (
        10,
        True,
        True,
    )
    found = open_archive(tmp_path).read("coinbase", "BTC/USD", "TRADES")
    assert found.columns["price_f64"].tolist() == [2.5, 3.5, 4.5, 5.5, 6.5]
    assert open_archive(tmp_path).directory("coinbase", "BTC/USD") == "BTC_USD"
    assert Shelf(tmp_path, name="BTC_USD").file("trade_id", DAY).stat().st_size == 5 * 8
