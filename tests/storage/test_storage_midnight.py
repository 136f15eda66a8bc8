"""Shortly before midnight the next day is expected, so that no commit sees to all partitions at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import attrs
import pytest
from storage_tools import DAY, NANOS, NOON, SMALL, Feed, open_store, read_rows

from multilogger.stats import WriterStats
from multilogger.storage.partition import Partition
from multilogger.storage.shelf import Shelf
from multilogger.storage.store import Store
from multilogger.tables import MD, TRADES

MIDNIGHT = (DAY + 1) * 86_400 * NANOS


@attrs.define
class Asked:
    """Which partitions' files were asked for."""

    found: list[tuple[int, int]] = attrs.field(factory=list)

    def take(self) -> list[tuple[int, int]]:
        """Return them, and begin anew."""
        found, self.found = self.found, []
        return found


@pytest.fixture
def feed() -> Feed:
    """Make batches."""
    return Feed()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Watch the shelf."""
    asked = Asked()
    real = Shelf.adopted

    def adopted(shelf: Shelf, number: int, day: int) -> Partition | None:
        asked.found.append((number, day))
        return real(shelf, number, day)

    monkeypatch.setattr(Shelf, "adopted", adopted)
    return asked


@attrs.define
class Clock:
    """Stands until it is set."""

    now_ns: int = NOON

    def __call__(self) -> int:
        """Return it."""
        return self.now_ns


def open_at(path: Path, clock: Clock, stats: WriterStats | None = None) -> Store:
    """Open a store with a clock that can be set."""
    return Store.open(path, SMALL, stats or WriterStats(), clock)


def test_no_commit_asks_for_the_files_of_an_expected_day(tmp_path: Path, feed: Feed, asked: Asked) -> None:
    """Ten minutes before midnight they are looked at, once, and by midnight's rows no more."""
    clock, stats = Clock(), WriterStats()
    store = open_at(tmp_path, clock, stats)
    batches = [feed.trades("X", [NOON]), feed.quotes("X", [NOON]), feed.trades("Y", [NOON, NOON - 5 * NANOS])]
    store.commit(batches)
    # A row too late for the files: its partition has nothing to do with tomorrow.
    store.commit([feed.trades("Y", [NOON - 9 * NANOS])])
    assert stats.late_rows == 1
    asked.take()
    clock.now_ns = MIDNIGHT - 601 * NANOS
    store.prepare()
    assert asked.take() == []
    clock.now_ns = MIDNIGHT - 599 * NANOS
    store.prepare()
    expected = asked.take()
    assert [day for _, day in expected] == [DAY + 1] * 3
    store.prepare()
    assert asked.take() == []
    clock.now_ns = MIDNIGHT + NANOS
    tomorrow = [feed.trades("X", [MIDNIGHT]), feed.quotes("X", [MIDNIGHT]), feed.trades("Y", [MIDNIGHT])]
    store.commit(tomorrow)
    assert asked.take() == []
    store.close()
    assert read_rows(tmp_path, "X", TRADES, day=DAY + 1)["trade_id"].tolist() == [6]
    assert len(read_rows(tmp_path, "X", MD, day=DAY + 1)["price"]) == 1
    assert read_rows(tmp_path, "Y", TRADES, day=DAY + 1)["trade_id"].tolist() == [8]


def test_many_are_expected_in_steps(tmp_path: Path, feed: Feed, asked: Asked) -> None:
    """So that none of them keeps a commit from the lock for long."""
    clock = Clock()
    store = open_at(tmp_path, clock)
    store.commit([feed.trades(f"S{number}", [NOON]) for number in range(1_200)])
    asked.take()
    clock.now_ns = MIDNIGHT - NANOS
    steps = []
    for _ in range(4):
        store.prepare()
        steps.append(len(asked.take()))
    store.close()
    assert steps == [500, 500, 200, 0]


def test_what_an_expected_day_has_already_stays(tmp_path: Path, feed: Feed, asked: Asked) -> None:
    """Files that only the directory tells of go on where they end, expected or not."""
    first = open_store(tmp_path)
    first.commit([feed.trades("X", [MIDNIGHT + 5, MIDNIGHT + 6])])
    first.close()
    shutil.rmtree(tmp_path / ".multilogger")
    clock = Clock(MIDNIGHT - 60 * NANOS)
    store = open_at(tmp_path, clock)
    store.commit([feed.trades("X", [MIDNIGHT - 60 * NANOS])])
    asked.take()
    store.prepare()
    assert [day for _, day in asked.take()] == [DAY + 1]
    clock.now_ns = MIDNIGHT + NANOS
    store.commit([feed.trades("X", [MIDNIGHT + 7])])
    store.close()
    assert read_rows(tmp_path, "X", TRADES, day=DAY + 1)["trade_id"].tolist() == [1, 2, 4]
