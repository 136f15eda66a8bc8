"""What the tests of retention share: days that were sealed, and which are left."""

from __future__ import annotations

from pathlib import Path

from seal_tools import PLAIN, grow, open_seal_store, seal
from storage_tools import DAY, NANOS, NOON, Feed

from multilogger.config import StorageConfig
from multilogger.config.policy import ExchangePolicy
from multilogger.storage.layout import day_suffix
from multilogger.storage.store import Store

DAYS = [DAY - 4, DAY - 3, DAY - 2, DAY - 1]
ALIASED = StorageConfig(journal_segment_bytes=64 * 1024, exact_columns=False, trade_aliases=True)


def at(day: int, second: int = 0) -> int:
    """Return a time of a day."""
    return NOON + ((day - DAY) * 86_400 + second) * NANOS


def record(path: Path, settings: StorageConfig = PLAIN, *, sealed: int = DAY - 1) -> None:
    """Record five days of trades and quotes, and seal those up to one."""
    store = open_seal_store(path, settings)
    feed = Feed()
    for day in [*DAYS, DAY]:
        grow(store, feed.trades("BTC-USD", [at(day, 1), at(day, 2)]), feed.quotes("ETH-USD", [at(day, 3)]))
    seal(store, sealed)
    store.close()


def keeping(days: int = 0, size: int = 0) -> dict[str, ExchangePolicy]:
    """Return the policy of the one exchange there is."""
    return {"coinbase": ExchangePolicy(retention_days=days, retention_bytes=size)}


def retain(store: Store, needed_bytes: int = 0) -> None:
    """Remove all that is to be removed."""
    while not store.retain_step(60.0, needed_bytes):
        pass


def days_of(path: Path, symbol: str = "BTC-USD", table_directory: str = "TRADES") -> list[int]:
    """Return the days that have any file."""
    directory = path / "coinbase" / symbol / table_directory
    return [
        day
        for day in [*DAYS, DAY]
        if any(
            file.name.partition(".")[2].startswith(day_suffix(day)[1:9])
            for file in directory.iterdir()
            if not file.name.endswith(".removed.tmp")
        )
    ]
