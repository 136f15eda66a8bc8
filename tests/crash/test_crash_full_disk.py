"""The real program on a disk that is full: it pauses, or waits, and goes on alone once there is room."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crash_program import MIB, SmallDisk, logger, missing_times, simulation, small_disk, stored_rows

from multilogger.archive.verify import verify_archive
from multilogger.simulator.compare import compare
from multilogger.storage.catalog import open_catalog
from multilogger.storage.layout import Paths
from multilogger.storage.notes import DISK_FULL, CoverageState
from multilogger.tables import Array

EXCHANGES = ("binance", "coinbase")
NANOS = 1_000_000_000
RESERVE = 24 * MIB
BEFORE_SECS = 0.5
"""What was under way when the recording paused is missing, too."""
AFTER_SECS = 3.0
"""And what came until the exchanges had confirmed the subscriptions again."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Return a disk of 64 MB; skips where none can be mounted."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = small_disk(tmp_path / "disk", 64 * MIB)
    try:
        found = mounted.__enter__()
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small disk can be mounted: {error}")
    try:
        yield found
    finally:
        mounted.__exit__(None, None, None)


def is_paused(report: dict[str, Any]) -> bool:
    """Return whether recording pauses, and /health says so in all places."""
    reasons = [reason for reason in report["reasons"] if reason.startswith("recording pauses: disk ")]
    states = {exchange["state"] for exchange in report["exchanges"].values()}
    return report["status"] == "degraded" and bool(reasons) and states == {"paused"}


def records(report: dict[str, Any]) -> bool:
    """Return whether all exchanges are being recorded, and nothing is wrong."""
    return report["status"] == "healthy" and report["writer"]["rows"] > 0


def check_archive(data: Path, ledger: Path) -> None:
    """Check that the archive is sound, and that all in it was sent."""
    report = verify_archive(data)
    assert report.ok, "\n".join(map(str, report.problems))
    for exchange in EXCHANGES:
        result = compare(ledger, data, exchange, missing_ok=True)
        assert result.ok, result.tables


def gap(data: Path, exchange: str) -> tuple[int, int]:
    """Return the one gap of an exchange."""
    with open_catalog(Paths(data).catalog) as catalog:
        (found,) = [it for it in catalog.coverage() if it.exchange == exchange]
    assert (found.symbol, found.table, found.state, found.cause) == ("*", "*", CoverageState.GAP, DISK_FULL)
    assert found.end_ns is not None
    return found.start_ns, found.end_ns


def check_missing_is_gap(missing: Array, start_ns: int, end_ns: int, exchange: str) -> None:
    """Check that what is missing is of the gap, and its edges."""
    assert len(missing), "nothing was missed?"
    before, after = (start_ns - missing[0]) / NANOS, (missing[-1] - end_ns) / NANOS
    print(
        f"{exchange}: gap of {(end_ns - start_ns) / NANOS:.1f} s, {len(missing)} rows missing, "
        f"from {before:.3f} s before it to {after:.3f} s after"
    )
    assert before < BEFORE_SECS
    assert after < AFTER_SECS


def test_pause(tmp_path: Path, disk: SmallDisk) -> None:
    """Below the reserve recording pauses, and says so; with room it goes on, and what was missed is a gap."""
    data, ledger = disk.path / "data", tmp_path / "ledger"
    storage = {"disk_reserve_bytes": RESERVE, "journal_segment_bytes": MIB, "checkpoint_secs": 1.0}
    with simulation(ledger, 500) as endpoints, logger(tmp_path, data, endpoints, storage) as running:
        running.health_when(records)
        disk.fill(RESERVE // 2)
        words = running.health_when(is_paused)["reasons"][0]
        assert "free some space" in words
        assert [it["level"] for it in running.events() if it["event"] == "recording pauses"] == ["error"]
        time.sleep(0.3)
        rows = running.health()["writer"]["rows"]
        time.sleep(0.7)
        assert running.health()["writer"]["rows"] == rows, "it does not pause"
        disk.relieve()
        running.health_when(lambda now: records(now) and now["writer"]["rows"] > rows + 500)
        assert [it["event"] for it in running.events()].count("recording goes on") == 1
        running.stop()
        accepted = running.events()[-1]["rows"]
    assert stored_rows(data) == accepted
    check_archive(data, ledger)
    for exchange in EXCHANGES:
        check_missing_is_gap(missing_times(ledger, data, exchange), *gap(data, exchange), exchange)


def test_no_room_at_all(tmp_path: Path, disk: SmallDisk) -> None:
    """Where writes fail, rows wait in the journal, and then in memory; with room all of them are there."""
    data, ledger = disk.path / "data", tmp_path / "ledger"
    storage = {"disk_reserve_bytes": 0, "journal_segment_bytes": 256 * 1024, "checkpoint_secs": 1.0}
    with simulation(ledger, 1000) as endpoints, logger(tmp_path, data, endpoints, storage) as running:
        running.health_when(records)
        disk.fill(0)
        report = running.health_when(lambda now: bool(now["writer"]["apply_problem"]))
        assert report["status"] == "degraded"
        assert "No space left" in report["writer"]["apply_problem"]

        def is_held(now: dict[str, Any]) -> bool:
            disk.fill(0)
            return now["writer"]["held_bytes"] > 0 and bool(now["writer"]["journal_problem"])

        report = running.health_when(is_held)
        assert report["status"] == "unhealthy"
        assert not report["writer"]["paused"]
        events = {it["event"] for it in running.events()}
        assert {"rows wait in memory", "column files can't be written now"} <= events
        disk.relieve()
        running.health_when(lambda now: records(now) and not now["writer"]["held_bytes"])
        running.stop()
        accepted = running.events()[-1]["rows"]
    assert stored_rows(data) == accepted
    check_archive(data, ledger)
    for exchange in EXCHANGES:
        missing = missing_times(ledger, data, exchange)
        assert not len(missing), f"{exchange}: {len(missing)} rows are lost, the first of {missing[0]}"
    print(
        f"{accepted} rows, {report['writer']['held_bytes']} bytes of them waited in memory: 0 lost, 0 doubled"
    )
    assert isinstance(missing, np.ndarray)
