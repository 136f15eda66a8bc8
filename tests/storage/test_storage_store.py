"""The store: what was committed is in the columns, once, whatever happened in between."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from storage_tools import (
    NANOS,
    NOON,
    Feed,
    column_files,
    crash,
    expected_columns,
    fork,
    open_store,
    read_column,
    read_late,
    read_rows,
)

from multilogger.batch import Batch
from multilogger.notes import CoverageNote, CoverageState, closed, gap_note
from multilogger.stats import WriterStats
from multilogger.storage import applier, disk
from multilogger.tables import MD, TRADES, Table

SYMBOL = "BTC-USD"


def assert_holds(path: Path, batches: list[Batch], symbol: str, table: Table) -> None:
    """Compare every column with plain Python over the batches."""
    expected = expected_columns(batches, symbol, table)
    for name, values in read_rows(path, symbol, table).items():
        assert values.dtype == expected[name].dtype
        assert values.tobytes() == expected[name].tobytes(), name


def test_a_late_row_among_many_symbols(tmp_path: Path) -> None:
    """In one commit the late rows of one symbol go to its late files, and all else to its live ones."""
    feed, symbols = Feed(), [f"S{number}" for number in range(5)]
    store = open_store(tmp_path)
    store.commit([feed.trades(symbol, [NOON + 10]) for symbol in symbols])
    late = feed.trades("S2", [NOON + 5, NOON + 6, NOON + 11])
    store.commit([late, *(feed.trades(symbol, [NOON + 12]) for symbol in symbols)])
    store.apply()
    for symbol in symbols:
        nanos = read_column(tmp_path, symbol, TRADES, "trade_nanos").tolist()
        assert [time - NOON % NANOS for time in nanos] == ([10, 11, 12] if symbol == "S2" else [10, 12])
    assert len(read_late(tmp_path, "S2", TRADES, "trade_id")) == 2
    store.close()


def test_rows_arrive_in_all_columns(tmp_path: Path) -> None:
    """Both tables of several symbols become columns with the documented values, sorted by time."""
    feed = Feed()
    batches = [
        feed.trades(SYMBOL, [NOON + 3, NOON + 1]),
        feed.quotes(SYMBOL, [NOON + NANOS]),
        feed.trades("ETH/USD", [NOON]),
        feed.trades(SYMBOL, [NOON + 2, NOON + 3]),
    ]
    store = open_store(tmp_path)
    store.commit(batches)
    assert store.pending_bytes > 0
    assert column_files(tmp_path) == {}
    store.apply()
    assert store.pending_bytes == 0
    assert_holds(tmp_path, batches, SYMBOL, TRADES)
    assert_holds(tmp_path, batches, SYMBOL, MD)
    assert_holds(tmp_path, batches, "ETH/USD", TRADES)
    assert read_column(tmp_path, SYMBOL, TRADES, "trade_id").tolist() == [2, 5, 1, 6]
    assert len(column_files(tmp_path)) == 36
    store.close()


def test_crash_before_apply(tmp_path: Path) -> None:
    """Committed rows that never reached the columns are there after a restart, counted."""
    feed = Feed()
    batches = [feed.trades(SYMBOL, [NOON]), feed.trades(SYMBOL, [NOON + 1])]
    store = open_store(tmp_path)
    for batch in batches:
        store.commit([batch])
    crash(store)
    stats = WriterStats()
    open_store(tmp_path, stats=stats).close()
    assert stats.recovered_rows == 2
    assert_holds(tmp_path, batches, SYMBOL, TRADES)


def test_recovery_repeated_or_interrupted_gives_the_same_bytes(tmp_path: Path) -> None:
    """Columns that hold some of the replayed rows, torn at odd places, end as the others."""
    feed = Feed()
    store = open_store(tmp_path / "a")
    store.commit([feed.trades(SYMBOL, [NOON])])
    store.apply()
    store.checkpoint()
    store.commit([feed.trades(SYMBOL, [NOON + 1, NOON + 2])])
    before = fork(tmp_path / "a", tmp_path / "b")
    store.apply()
    after = fork(tmp_path / "a", tmp_path / "c")
    crash(store)
    torn = fork(after, tmp_path / "d")
    for number, file in enumerate(sorted(torn.glob("*/*/*/*.bin"))):
        applied = (before / file.relative_to(torn)).stat().st_size
        os.truncate(file, applied + number % (file.stat().st_size - applied + 1))
    for copy in (before, after, torn):
        open_store(copy).close()
        crash(open_store(copy))
        open_store(copy).close()
    assert column_files(before) == column_files(after) == column_files(torn)
    assert read_column(torn, SYMBOL, TRADES, "trade_id").tolist() == [1, 2, 3]
    assert not (torn / ".multilogger/quarantine").exists()


def test_last_ids_and_rows_survive(tmp_path: Path) -> None:
    """The highest id and the newest row of a symbol come back from the journal and from the checkpoint."""
    feed = Feed()
    store = open_store(tmp_path)
    batch = feed.trades(SYMBOL, [NOON + 1, NOON])
    store.commit([batch, feed.quotes("ETH/USD", [NOON])])
    store.apply()
    store.commit([feed.quotes("ETH/USD", [NOON - 1])])
    crash(store)
    for _ in range(3):
        store = open_store(tmp_path)
        assert store.last_trade_ids("coinbase") == {SYMBOL: 2}
        assert store.last_trade_ids("binance") == {}
        assert store.last_rows("coinbase", TRADES)[SYMBOL]["trade_id"].tolist() == [1]
        assert list(store.last_rows("coinbase", MD)) == ["ETH/USD"]
        assert store.last_rows("coinbase", MD)["ETH/USD"]["best_bid"][0] == 2.75
        store.close()


def test_counters(tmp_path: Path) -> None:
    """What is done is counted."""
    stats = WriterStats()
    feed = Feed()
    store = open_store(tmp_path, stats=stats)
    store.commit([feed.trades(SYMBOL, [NOON] * 3), feed.quotes(SYMBOL, [NOON])])
    store.commit([])
    store.apply()
    store.apply()
    store.checkpoint()
    store.checkpoint()
    store.close()
    counted = (stats.rows, stats.batches, stats.commits, stats.flushes, stats.rows_in_columns)
    assert counted == (4, 2, 1, 2, 4)
    # Closing writes a mark, which makes for one more of everything.
    assert (stats.checkpoints, stats.journal_syncs) == (2, 2)
    assert stats.journal_bytes == store.journal_bytes > 0
    assert sum(stats.commit_times.counts) == 1
    assert stats.commit_times.total >= stats.commit_times.longest > 0
    assert stats.sync_times.total > 0
    assert stats.flush_seconds >= stats.flush_seconds_last > 0
    assert (stats.unapplied_bytes, stats.oldest_unapplied_ns, stats.checkpoint_ns) == (0, 0, NOON)


def test_large_commit_is_split_over_segments(tmp_path: Path) -> None:
    """A commit much larger than a segment arrives whole and in order."""
    feed = Feed()
    batches = [feed.trades(f"S{number % 7}", [NOON + number] * 40) for number in range(60)]
    store = open_store(tmp_path)
    store.commit(batches)
    crash(store)
    assert len(list((tmp_path / ".multilogger/journal").glob("*.wal"))) > 3
    open_store(tmp_path).close()
    for number in range(7):
        assert_holds(tmp_path, batches, f"S{number}", TRADES)


def test_journal_does_not_grow(tmp_path: Path) -> None:
    """Checkpoints free the segments before them, which are used again."""
    feed = Feed()
    store = open_store(tmp_path)
    for number in range(60):
        store.commit([feed.trades(SYMBOL, [NOON + number] * 200)])
        store.apply()
        store.checkpoint()
        assert len(list((tmp_path / ".multilogger/journal").iterdir())) < 7
    crash(store)
    open_store(tmp_path).close()
    assert len(read_column(tmp_path, SYMBOL, TRADES, "trade_id")) == 60 * 200


def test_time_column_grows_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every write, no column is shorter than the time says."""
    feed = Feed()
    write = disk.write
    seen = []

    def checking(fd: int, data: memoryview | bytes, offset: int) -> None:
        write(fd, data, offset)
        lengths = [len(read_column(tmp_path, SYMBOL, TRADES, column.name)) for column in TRADES.columns]
        seen.append(len(read_column(tmp_path, SYMBOL, TRADES, "trade_time")))
        assert min(lengths) == seen[-1]

    store = open_store(tmp_path)
    for number in range(3):
        store.commit([feed.trades(SYMBOL, [NOON + number] * 2)])
        with monkeypatch.context() as patched:
            patched.setattr(disk, "write", checking)
            store.apply()
    store.close()
    assert seen[-1] == 6


def test_commits_beside_applies(tmp_path: Path) -> None:
    """One thread commits while another applies and checkpoints: every row arrives, in order."""
    feed = Feed()
    store = open_store(tmp_path)
    batches = [feed.trades(f"S{number % 5}", [NOON + number] * 30) for number in range(150)]

    def commit_all() -> None:
        for batch in batches:
            store.commit([batch])

    commits = threading.Thread(target=commit_all)
    commits.start()
    while commits.is_alive():
        store.apply()
        store.checkpoint()
    commits.join()
    store.close()
    for number in range(5):
        assert_holds(tmp_path, batches, f"S{number}", TRADES)


def test_open_coverage_and_the_end_are_known_after_a_crash(tmp_path: Path) -> None:
    """A start is told of the intervals that the last run had open, and until when it ran."""
    store = open_store(tmp_path)
    gaps = [
        gap_note("coinbase", "disk full", NOON - 5, None),
        gap_note("binance", "disk full", NOON - 5, NOON),
    ]
    store.add_notes(gaps)
    store.commit([Feed().trades(SYMBOL, [NOON])])
    crash(store)
    store = open_store(tmp_path)
    assert store.open_coverage == gaps[:1]
    assert store.stopped_ns == NOON
    store.add_notes([closed(gaps[0], NOON)])
    store.close()
    store = open_store(tmp_path)
    assert store.open_coverage == []
    store.close()


def test_the_end_is_known_after_a_run_that_wrote_nothing(tmp_path: Path) -> None:
    """A run that is killed before its first frame takes nothing from what the one before it knew."""
    store = open_store(tmp_path)
    store.commit([Feed().trades(SYMBOL, [NOON])])
    crash(store)
    for _ in range(3):
        store = open_store(tmp_path)
        assert store.stopped_ns == NOON
        crash(store)


def test_open_coverage_has_what_was_said_over_it(tmp_path: Path) -> None:
    """With an interval that is open come the later words on its time, in order, and no others."""
    store = open_store(tmp_path)

    def note(state: CoverageState, start: int, end: int | None, symbol: str = SYMBOL) -> CoverageNote:
        return CoverageNote("coinbase", symbol, "MD", state, "", start, end)

    live = note(CoverageState.LIVE, 10, None)
    over = [note(CoverageState.GAP, 15, 20), note(CoverageState.BACKFILLED, 12, 18)]
    store.add_notes([note(CoverageState.GAP, 12, 14), live, *over, note(CoverageState.GAP, 5, 10)])
    store.add_notes([note(CoverageState.GAP, 30, 40, "OTHER"), note(CoverageState.GAP, 16, 16)])
    store.close()
    store = open_store(tmp_path)
    assert store.open_coverage == [live, *over]
    store.close()


def test_much_is_applied_by_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too much for once is brought into the files a part of the streams after the other."""
    monkeypatch.setattr(applier, "_PASS_BYTES", 8192)
    feed = Feed()
    store = open_store(tmp_path)
    batches = []
    for number in range(20):
        for symbol in ("A-USD", "B-USD", "C-USD"):
            batches.append(feed.trades(symbol, [NOON + number]))
            batches.append(feed.quotes(symbol, [NOON + number]))
        store.commit(batches[-6:])
    store.add_notes([gap_note("coinbase", "disk full", NOON, None)])
    store.commit([])
    store.apply()
    store.checkpoint()
    for symbol in ("A-USD", "B-USD", "C-USD"):
        for table in (TRADES, MD):
            assert_holds(tmp_path, batches, symbol, table)
    crash(store)
    store = open_store(tmp_path)
    assert len(store.open_coverage) == 1
    store.close()
