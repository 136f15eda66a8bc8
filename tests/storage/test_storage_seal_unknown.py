"""Seals that were killed before any checkpoint knew the day: its manifest tells all that a start needs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from seal_tools import (
    YESTERDAY,
    Killed,
    count_calls,
    day_with_late_rows,
    each_call,
    kill_at,
    open_seal_store,
    read_view,
    seal,
)
from storage_tools import MD, TRADES, Feed, crash, expected_columns

from multilogger.batch import Batch
from multilogger.stats import WriterStats
from multilogger.storage.store import Store


def recorded(path: Path) -> tuple[Store, list[Batch]]:
    """Return a store with a closed day of which no checkpoint knows, and its rows."""
    store = open_seal_store(path)
    batches = day_with_late_rows(store, Feed())
    store.close_day(YESTERDAY)
    return store, batches


def test_killed_before_any_checkpoint(tmp_path: Path) -> None:
    """However far the switch got, the day is whole after a start and another seal."""
    store, batches = recorded(tmp_path / "reference")
    calls = count_calls(partial(store.seal_step, 60.0))
    crash(store)
    numbers = [at for at, name in enumerate(calls) if name in ("rename", "sync_filesystem", "unlink")]
    for number in numbers[len(numbers) // 3 :: 2]:
        path = tmp_path / str(number)
        store, _ = recorded(path)
        with each_call(kill_at(number)), pytest.raises(Killed):
            store.seal_step(60.0)
        crash(store)
        stats = WriterStats()
        store = open_seal_store(path, stats=stats)
        assert stats.lost_rows == 0
        seal(store)
        for symbol, table in (("BTC-USD", TRADES), ("ETH-USD", MD)):
            view = read_view(path, symbol, table)
            expected = expected_columns(batches, symbol, table, YESTERDAY)
            for name, values in view.live.items():
                assert values.tolist() == expected[name].tolist(), (number, symbol, name)
        crash(store)
