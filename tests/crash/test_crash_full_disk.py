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
from crash_program import MIB, SmallDisk, logger, missing_times, receive_times, simulation, small_disk

from multilogger.archive.verify import verify_archive
from multilogger.notes import DISK_FULL, OFFLINE, CoverageState
from multilogger.simulator.compare import compare
from multilogger.storage.catalog import open_catalog
from multilogger.storage.layout import Paths

EXCHANGES = ("binance", "coinbase")
NANOS = 1_000_000_000
RESERVE = 24 * MIB
PAUSE_SECS = 1.0
EDGE_NS = NANOS // 2
"""What was under way when the recording paused may be recorded, or missing."""


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
    rows: int = report["writer"]["rows"]
    return report["status"] == "healthy" and rows > 0


def check_archive(data: Path, ledger: Path) -> None:
    """Check that the archive is sound, and that all in it was sent."""
    report = verify_archive(data)
    assert report.ok, "\n".join(map(str, report.problems))
    for exchange in EXCHANGES:
        result = compare(ledger, data, exchange, missing_ok=True)
        assert result.ok, result.tables


def gap(data: Path, exchange: str) -> tuple[int, int]:
    """Return the one gap of an exchange, but for its end."""
    with open_catalog(Paths(data).catalog) as catalog:
        (found,) = [
            it
            for it in catalog.coverage()
            if it.exchange == exchange and it.symbol == "*" and it.cause != OFFLINE
        ]
    assert (found.table, found.state, found.cause) == ("*", CoverageState.GAP, DISK_FULL)
    assert found.end_ns is not None
    return found.start_ns, found.end_ns


def check_gap(data: Path, ledger: Path, exchange: str) -> None:
    """Check that nothing was recorded in the gap, and that nothing is missing but there and just before.

    The exchanges write nothing down while nobody is connected. Coinbase tells of the last trades again when
    it is subscribed to, and histories are asked, so rows may be of the gap, but none was received in it.
    """
    start_ns, end_ns = gap(data, exchange)
    received, missing = receive_times(data, exchange), missing_times(ledger, data, exchange)
    within = np.count_nonzero((received > start_ns + EDGE_NS) & (received < end_ns))
    print(
        f"{exchange}: gap of {(end_ns - start_ns) / NANOS:.1f} s, with {within} rows; {len(missing)} rows "
        f"under way are missing, {np.round((missing - start_ns) / NANOS, 3).tolist()} s from its start"
    )
    assert not within
    assert end_ns - start_ns > PAUSE_SECS * NANOS
    assert ((missing > start_ns - EDGE_NS) & (missing < end_ns)).all()


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
        time.sleep(PAUSE_SECS - 0.3)
        assert running.health()["writer"]["rows"] == rows, "it does not pause"
        disk.relieve()
        running.health_when(lambda now: records(now) and now["writer"]["rows"] > rows + 500)
        assert [it["event"] for it in running.events()].count("recording goes on") == 1
        running.stop()
        accepted = running.events()[-1]["rows"]
    assert sum(len(receive_times(data, exchange)) for exchange in EXCHANGES) == accepted
    check_archive(data, ledger)
    for exchange in EXCHANGES:
        check_gap(data, ledger, exchange)


def test_no_room_at_all(tmp_path: Path, disk: SmallDisk) -> None:
    """Where writes fail, rows wait in the journal, and then in memory; with room all of them are there."""
    data, ledger = disk.path / "data", tmp_path / "ledger"
    storage = {"disk_reserve_bytes": 0, "journal_segment_bytes": 64 * 1024, "checkpoint_secs": 1.0}
    with simulation(ledger, 1000) as endpoints, logger(tmp_path, data, endpoints, storage) as running:
        running.health_when(records)
        disk.fill(0)
        report = running.health_when(lambda now: bool(now["writer"]["apply_problem"]))
        assert report["status"] != "healthy"
        assert any("No space left" in it for it in report["reasons"] if it.startswith("column files: "))

        def is_held(now: dict[str, Any]) -> bool:
            disk.fill(0)
            return now["writer"]["held_bytes"] > 0 and bool(now["writer"]["journal_problem"])

        report = running.health_when(is_held)
        assert report["status"] == "unhealthy"
        assert any(it.startswith("journal: ") for it in report["reasons"])
        assert not report["writer"]["paused"]
        events = {it["event"] for it in running.events()}
        assert {"rows wait in memory", "column files can't be written now"} <= events
        disk.relieve()
        running.health_when(lambda now: records(now) and not now["writer"]["held_bytes"])
        running.stop()
        accepted = running.events()[-1]["rows"]
    assert sum(len(receive_times(data, exchange)) for exchange in EXCHANGES) == accepted
    check_archive(data, ledger)
    for exchange in EXCHANGES:
        missing = missing_times(ledger, data, exchange)
        assert not len(missing), f"{exchange}: {len(missing)} rows are lost, the first of {missing[0]}"
    print(
        f"{accepted} rows, {report['writer']['held_bytes']} bytes of them waited in memory: 0 lost, 0 doubled"
    )
