"""Seals that end anywhere: a start finds every row, once, and readers never see half a generation."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from seal_tools import (
    THEN,
    YESTERDAY,
    Killed,
    count_calls,
    day_with_late_rows,
    each_call,
    grow,
    kill_at,
    open_seal_store,
    read_manifest_of,
    read_view,
    seal,
    temporaries,
)
from storage_tools import MD, NANOS, TRADES, Feed, crash, expected_columns

from multilogger.batch import Batch
from multilogger.errors import ColumnsUnavailable
from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.store import Store

TABLES_OF = (("BTC-USD", TRADES), ("ETH-USD", MD))
SYNCS = ("sync", "sync_data", "sync_directory", "sync_filesystem")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sync nothing: the processes end here, not the machine."""
    for name in SYNCS:
        monkeypatch.setattr(disk, name, lambda _: None)


class Day:
    """A data path with a day that is to be sealed, its rows known; copied for each attempt."""

    def __init__(self, path: Path, *, resealed: bool, checkpointed: bool) -> None:
        self.template = path / "template"
        self.batches: list[Batch] = []
        self._path = path
        self._copies = 0
        store = open_seal_store(self.template)
        feed = Feed()
        self.batches = day_with_late_rows(store, feed)
        if resealed:
            seal(store)
            more = [feed.trades("BTC-USD", [THEN + 3, THEN + 99]), feed.quotes("ETH-USD", [THEN + 5])]
            grow(store, *more)
            self.batches += more
        if checkpointed:
            store.checkpoint()
        crash(store)
        self.before = {symbol: read_view(self.template, symbol, table) for symbol, table in TABLES_OF}

    def copy(self) -> Path:
        """Return a fresh copy."""
        self._copies += 1
        path = self._path / str(self._copies)
        shutil.copytree(self.template, path, symlinks=True)
        return path

    def check_read(self, path: Path) -> None:
        """A reader finds the old generation or the new one, whole."""
        for symbol, table in TABLES_OF:
            view = read_view(path, symbol, table)
            expected = expected_columns(self.batches, symbol, table, YESTERDAY)
            if view.generation == self.before[symbol].generation:
                assert [
                    {name: values.tolist() for name, values in columns.items()}
                    for columns in (view.live, view.late)
                ] == [
                    {name: values.tolist() for name, values in columns.items()}
                    for columns in (self.before[symbol].live, self.before[symbol].late)
                ]
            else:
                assert view.generation == self.before[symbol].generation + 1
                for name, values in view.live.items():
                    assert values.tolist() == expected[name].tolist(), (symbol, name)
                assert not len(view.late[table.time_column])

    def check_sealed(self, path: Path) -> None:
        """The day is sealed, and nothing is left of what was on the way."""
        for symbol, table in TABLES_OF:
            assert read_view(path, symbol, table).generation > self.before[symbol].generation
        self.check_read(path)
        assert not temporaries(path)
        assert not list((path / ".multilogger/late").rglob("*.bin"))
        assert not list((path / ".multilogger/quarantine").rglob("*.*"))


@pytest.fixture(params=[(False, False), (True, True)], ids=["sealed", "resealed"])
def day(tmp_path: Path, request: pytest.FixtureRequest) -> Day:
    """A day for its first seal or another one, known to the checkpoint or to the journal alone."""
    resealed, checkpointed = request.param
    return Day(tmp_path, resealed=resealed, checkpointed=checkpointed)


def reopen(path: Path) -> Store:
    """Start again; nothing may be missing."""
    stats = WriterStats()
    store = open_seal_store(path, stats=stats)
    assert (stats.lost_rows, stats.repaired_partitions) == (0, 0)
    return store


def chosen_calls(day: Day, stride: int) -> list[int]:
    """Return the numbers of those of a seal's calls that decide something, and of some of the others."""
    store = open_seal_store(day.copy())
    store.close_day(YESTERDAY)
    calls = count_calls(lambda: store.seal_step(60.0))
    crash(store)
    numbers = {
        at + step for at, name in enumerate(calls) if name in ("rename", "sync_filesystem") for step in (0, 1)
    }
    return sorted({number for number in numbers if number < len(calls)} | {*range(0, len(calls), stride)})


def attempts(day: Day, stride: int = 4) -> Iterator[tuple[int, Path, Store]]:
    """Yield for each of these calls a store whose seal was killed there."""
    for number in chosen_calls(day, stride):
        path = day.copy()
        store = open_seal_store(path)
        store.close_day(YESTERDAY)
        with each_call(kill_at(number)), pytest.raises(Killed):
            store.seal_step(60.0)
        yield number, path, store


def test_killed_anywhere(day: Day) -> None:
    """A seal that was killed at any call is undone or completed, and the next one gives the same day."""
    for _, path, killed in attempts(day):
        day.check_read(path)
        crash(killed)
        store = reopen(path)
        day.check_read(path)
        seal(store)
        day.check_sealed(path)
        crash(store)
        crash(reopen(path))
        day.check_sealed(path)
        shutil.rmtree(path)


def test_rows_that_come_after_a_kill(day: Day) -> None:
    """Late rows that come before the next seal wait with the generation that the start found."""
    for _, path, killed in attempts(day, 30):
        crash(killed)
        store = reopen(path)
        feed = Feed(serial=1_000)
        grow(store, feed.trades("BTC-USD", [THEN + 1]))
        view = read_view(path, "BTC-USD", TRADES)
        assert view.times() == sorted([*day_times(day, "BTC-USD"), THEN + 1])
        crash(store)
        store = reopen(path)
        seal(store)
        assert len(read_view(path, "BTC-USD", TRADES).live["trade_id"]) == len(view.times())
        crash(store)
        shutil.rmtree(path)


def day_times(day: Day, symbol: str) -> list[int]:
    """Return the times of all rows of a symbol's trades."""
    return [
        int(row["time_ns"])
        for batch in day.batches
        for rows in batch.rows.values()
        for row in rows
        if batch.symbols.names[row["symbol"]] == symbol
    ]


def start_and_end(path: Path) -> None:
    """Start, and end by a kill."""
    crash(open_seal_store(path))


@pytest.mark.parametrize("resealed", [False, True])
def test_start_killed_anywhere(tmp_path: Path, resealed: bool) -> None:
    """A start that completes a seal can be killed at any call, too."""
    day = Day(tmp_path, resealed=resealed, checkpointed=not resealed)
    found = []
    for _, path, killed in attempts(day, 30):
        crash(killed)
        found.append(path)
    switched = [
        path
        for path in found
        if read_manifest_of(path, "BTC-USD", TRADES) is not None
        and any(".bin." in name for name in temporaries(path))
    ]
    unswitched = [path for path in found if temporaries(path) and path not in switched]
    for path in (switched[len(switched) // 2], unswitched[-1]):
        copy = tmp_path / "copy"
        shutil.copytree(path, copy)
        calls = count_calls(partial(start_and_end, copy))
        shutil.rmtree(copy)
        for number in range(0, len(calls), 3):
            shutil.copytree(path, copy)
            with each_call(kill_at(number)), pytest.raises(Killed):
                open_seal_store(copy)
            day.check_read(copy)
            store = reopen(copy)
            day.check_read(copy)
            seal(store)
            day.check_sealed(copy)
            crash(store)
            shutil.rmtree(copy)


def test_readers_see_one_generation(day: Day) -> None:
    """Whenever a reader comes during a seal, it finds all rows of one generation."""
    path = day.copy()
    store = open_seal_store(path)
    store.close_day(YESTERDAY)
    with each_call(lambda _, __: day.check_read(path)):
        store.seal_step(60.0)
    day.check_sealed(path)
    crash(store)


def test_failing_calls(day: Day) -> None:
    """A call that fails costs time, no row: rows may come in between, and the next step goes on."""
    for wanted in chosen_calls(day, 10):
        code = (errno.EIO, errno.ENOSPC)[wanted % 2]
        path = day.copy()
        store = reopen(path)
        store.close_day(YESTERDAY)

        def fail(number: int, name: str, wanted: int = wanted, code: int = code) -> None:
            if number == wanted:
                raise OSError(code, name)

        with each_call(fail), suppress(ColumnsUnavailable):
            store.seal_step(60.0)
        day.check_read(path)
        grow(store, Feed(serial=1_000).trades("BTC-USD", [THEN + 1]))
        times = sorted([*day_times(day, "BTC-USD"), THEN + 1])
        assert read_view(path, "BTC-USD", TRADES).times() == times
        if wanted % 3:
            crash(store)
            store = reopen(path)
        seal(store)
        view = read_view(path, "BTC-USD", TRADES)
        assert (view.times(), len(view.late["trade_id"])) == (times, 0)
        assert not temporaries(path)
        crash(store)
        crash(reopen(path))
        shutil.rmtree(path)


def test_older_checkpoint_is_enough(tmp_path: Path) -> None:
    """Where the newest checkpoint can't be read, the one before it does, whatever was sealed since."""
    store = open_seal_store(tmp_path)
    feed = Feed()
    batches = day_with_late_rows(store, feed)
    store.checkpoint()
    seal(store)
    grow(store, more := feed.trades("BTC-USD", [THEN + 2 * NANOS + 1]))
    crash(store)
    (tmp_path / ".multilogger/checkpoint").write_bytes(b"")
    store = reopen(tmp_path)
    view = read_view(tmp_path, "BTC-USD", TRADES)
    assert (view.generation, len(view.live["trade_id"]), len(view.late["trade_id"])) == (1, 15, 1)
    seal(store)
    expected = expected_columns([*batches, more], "BTC-USD", TRADES, YESTERDAY)
    assert read_view(tmp_path, "BTC-USD", TRADES).live["trade_id"].tolist() == expected["trade_id"].tolist()
    store.close()
