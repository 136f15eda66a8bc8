"""What the tests of seal and retention share: days with late rows, a reader, a look at each disk call."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from storage_tools import DAY, NANOS, NOON, Feed, read_late

from multilogger.batch import Batch
from multilogger.config import StorageConfig
from multilogger.config.policy import ExchangePolicy
from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.layout import day_suffix, manifest_name, symbol_directory
from multilogger.storage.manifest import Manifest, decode_manifest
from multilogger.storage.store import Store
from multilogger.tables import TRADES, Array, Table

YESTERDAY = DAY - 1
THEN = NOON - 86_400 * NANOS
"""Yesterday's noon."""
PLAIN = StorageConfig(journal_segment_bytes=64 * 1024, exact_columns=False)
CHANGES = (
    "write",
    "truncate",
    "rename",
    "unlink",
    "symlink",
    "sync",
    "sync_data",
    "sync_directory",
    "sync_filesystem",
    "copy_permissions",
    "set_permissions",
)
"""The calls of ``disk`` after which a disk is another."""


def seconds(*numbers: int) -> list[int]:
    """Return times of yesterday."""
    return [THEN + number * NANOS for number in numbers]


class Killed(BaseException):
    """The process ends here."""


@attrs.frozen
class DayView:
    """A day as a reader finds it."""

    generation: int
    live: dict[str, Array]
    late: dict[str, Array]

    def times(self) -> list[int]:
        """Return the times of all rows, in order."""
        found = []
        for columns in (self.live, self.late):
            name = "trade_time" if "trade_time" in columns else "time"
            nanos = columns[name.replace("time", "nanos")]
            found += (columns[name].astype(np.int64) * NANOS + nanos).tolist()
        return sorted(found)


def open_seal_store(
    path: Path,
    settings: StorageConfig = PLAIN,
    stats: WriterStats | None = None,
    policies: dict[str, ExchangePolicy] | None = None,
    days_later: int = 0,
) -> Store:
    """Open a store whose clock stands at noon, some days later."""
    now = NOON + days_later * 86_400 * NANOS
    return Store.open(path, settings, stats or WriterStats(), lambda: now, policies=policies)


def grow(store: Store, *batches: Batch) -> None:
    """Commit batches and bring them into the column files."""
    store.commit(batches)
    store.apply()


def seal(store: Store, day: int = YESTERDAY) -> None:
    """Seal all days up to one."""
    store.close_day(day)
    while store.seal_step(60.0):
        pass


def live_directory(path: Path, symbol: str, table: Table) -> Path:
    """Return where a table's columns are."""
    return path / "coinbase" / symbol_directory(symbol) / table.name


def read_manifest_of(path: Path, symbol: str, table: Table, day: int = YESTERDAY) -> Manifest | None:
    """Return a day's manifest, None if there is none."""
    file = live_directory(path, symbol, table) / manifest_name(day)
    return decode_manifest(file.read_bytes(), file) if file.exists() else None


def read_view(path: Path, symbol: str, table: Table, day: int = YESTERDAY, *, exact: bool = False) -> DayView:
    """Read a day as docs/storage.md tells readers to."""
    directory = live_directory(path, symbol, table)
    manifest = read_manifest_of(path, symbol, table, day)
    generation = manifest.generation if manifest else 0
    live, late = {}, {}
    for column in table.disk_columns(exact=exact):
        file = directory / f"{column.name}{day_suffix(day)}"
        new = file.with_name(f"{file.name}.{generation}.tmp")
        found = new if generation and new.exists() else file
        live[column.name] = np.fromfile(found, column.dtype) if found.exists() else np.empty(0, column.dtype)
        late[column.name] = np.array(
            read_late(path, symbol, table, column.name, day, generation), column.dtype
        )
    for columns in (live, late):
        assert len({len(values) for values in columns.values()}) == 1, (generation, symbol, columns)
    return DayView(generation, live, late)


@contextmanager
def each_call(look: Callable[[int, str], None], names: tuple[str, ...] = CHANGES) -> Iterator[None]:
    """Within the block, call ``look`` before each of these calls of ``disk``, with its number from 0."""
    numbers = itertools.count()

    def wrapped(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            look(next(numbers), name)
            return function(*args, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(disk, name, wrapped(name, getattr(disk, name)))
        yield


def kill_at(wanted: int) -> Callable[[int, str], None]:
    """Return what ends the process at a call."""

    def look(number: int, _: str) -> None:
        if number >= wanted:
            raise Killed

    return look


def count_calls(work: Callable[[], object], names: tuple[str, ...] = CHANGES) -> list[str]:
    """Do some work, and return the calls it makes."""
    found: list[str] = []
    with each_call(lambda _, name: found.append(name), names):
        work()
    return found


def temporaries(path: Path) -> list[str]:
    """Return the names of temporary files."""
    return sorted(file.name for file in path.rglob("*.tmp"))


def day_with_late_rows(store: Store, feed: Feed) -> list[Batch]:
    """Record a day of a symbol's trades, some of them late, and of another's quotes; return the batches."""
    batches = [
        feed.trades("BTC-USD", [THEN + second * NANOS for second in range(10)]),
        feed.quotes("ETH-USD", [THEN + second * NANOS for second in range(6)]),
        feed.trades("BTC-USD", [THEN + second * NANOS + 7 for second in range(5)]),
    ]
    for batch in batches:
        grow(store, batch)
    return batches


__all__ = ["TRADES"]
