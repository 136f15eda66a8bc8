"""Removals that end anywhere, or fail: they are completed, and nothing counts as lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from retention_tools import ALIASED, days_of, keeping, record, retain
from seal_tools import Killed, count_calls, each_call, kill_at, open_seal_store
from storage_tools import DAY, crash

from multilogger.errors import ColumnsUnavailable
from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.catalog import open_catalog


def test_killed_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal that was killed at any call is completed, and no row of it counts as lost."""
    for name in ("sync", "sync_data", "sync_directory", "sync_filesystem"):
        monkeypatch.setattr(disk, name, lambda _: None)
    template = tmp_path / "template"
    record(template, ALIASED)
    policies = keeping(days=1)
    store = open_seal_store(template, ALIASED, policies=policies)
    shutil.copytree(template, tmp_path / "reference", symlinks=True)
    crash(store)
    store = open_seal_store(tmp_path / "reference", ALIASED, policies=policies)
    calls = count_calls(lambda: retain(store))
    crash(store)
    for number in range(0, len(calls), 2):
        path = tmp_path / str(number)
        shutil.copytree(template, path, symlinks=True)
        store = open_seal_store(path, ALIASED, policies=policies)
        with each_call(kill_at(number)), pytest.raises(Killed):
            retain(store)
        crash(store)
        stats = WriterStats()
        store = open_seal_store(path, ALIASED, stats, policies)
        retain(store)
        assert days_of(path) == days_of(path, "ETH-USD", "MD") == [DAY - 1, DAY], number
        assert (stats.lost_rows, stats.repaired_partitions) == (0, 0)
        store.close()
        store = open_seal_store(path, ALIASED, stats, policies)
        retain(store)
        assert stats.lost_rows == 0
        store.close()
        with open_catalog(path / ".multilogger/catalog.db") as catalog:
            assert len(catalog.removals("coinbase")) == 6, number
        shutil.rmtree(path)


def test_failing_calls(tmp_path: Path) -> None:
    """A call that fails is tried again by a later step, and each removal is noted once."""
    record(tmp_path / "template")
    policies = keeping(days=2)
    wanted = 0
    while True:
        path = tmp_path / str(wanted)
        shutil.copytree(tmp_path / "template", path)
        store = open_seal_store(path, policies=policies)
        failed: list[int] = []

        def fail(number: int, name: str, wanted: int = wanted, failed: list[int] = failed) -> None:
            if number == wanted:
                failed.append(number)
                raise OSError(5, name)

        with each_call(fail):
            try:
                retain(store)
            except ColumnsUnavailable:
                retain(store)
        assert days_of(path) == days_of(path, "ETH-USD", "MD") == [DAY - 2, DAY - 1, DAY]
        store.close()
        with open_catalog(path / ".multilogger/catalog.db") as catalog:
            assert len(catalog.removals("coinbase")) == 4, wanted
        shutil.rmtree(path)
        if not failed:
            break
        wanted += 3
