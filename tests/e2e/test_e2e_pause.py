"""A full disk pauses recording: what was accepted stays, what is missed is noted, and it goes on alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
from e2e_tree import EXCHANGES, assert_stored, recording, simulated, wait_until

from multilogger.notes import DISK_FULL, OFFLINE, CoverageState
from multilogger.stats import ExchangeStats
from multilogger.storage import disk
from multilogger.storage.catalog import CoverageInterval, open_catalog
from multilogger.storage.layout import Paths

GIB = 1024**3


class FullDisk:
    """The data path's disk, as full as a test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 10 * GIB
        monkeypatch.setattr(disk, "free_space", lambda _path: (self.free, 100 * GIB))


def gaps(data: Path) -> dict[str, list[CoverageInterval]]:
    """Return the gaps of whole exchanges that a program finds after the run, but for its end."""
    with open_catalog(Paths(data).catalog) as catalog:
        whole = [gap for gap in catalog.coverage() if gap.symbol == "*"]
    assert all((gap.table, gap.state) == ("*", CoverageState.GAP) for gap in whole)
    return {name: [it for it in whole if it.exchange == name and it.cause != OFFLINE] for name in EXCHANGES}


def has_backfilled(stats: ExchangeStats) -> bool:
    """Whether trades that were missed have been asked for, and all of them came."""
    return stats.backfilled > 0 and not stats.missing


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    """Return a disk that is not full yet."""
    return FullDisk(monkeypatch)


async def test_pause_and_resume(tmp_path: Path, full: FullDisk) -> None:
    """The exchanges are left, and /health says why; room brings them back, and what was missed is filled."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    async with simulated(ledger) as venues, recording(venues, data) as run:
        await run.flowing(*EXCHANGES)
        full.free = GIB // 2
        words = f"disk {data}: 0.5 GiB free, reserve 1.0 GiB: free some space"
        # The exchanges end in their time, and on a busy machine the last rows take theirs to become durable.
        report = await run.health_when(
            lambda now: (
                now["reasons"] == [f"recording pauses: {words}"]
                and all(exchange["state"] == "paused" for exchange in now["exchanges"].values())
            )
        )
        assert report["status"] == "degraded"
        assert report["writer"]["paused"] == words
        assert all(exchange["detail"] == f"paused: {words}" for exchange in report["exchanges"].values())
        assert "multilogger_paused 1.0" in (await run.get("/metrics")).text
        await wait_until(lambda: run.stats.writer.rows == sum(map(run.rows, EXCHANGES)))
        await trio.sleep(0.5)  # the markets go on meanwhile
        full.free = 10 * GIB
        report = await run.health_when(lambda now: now["status"] == "healthy")
        assert report["writer"]["paused"] == ""
        for exchange in EXCHANGES:
            await run.more_rows(exchange)
            await wait_until(partial(has_backfilled, run.stats.exchange(exchange)))
            assert run.stats.exchange(exchange).restarts == 0
    for exchange in EXCHANGES:
        assert_stored(ledger, data, exchange, missing_ok=True)
        (gap,) = gaps(data)[exchange]
        assert gap.cause == DISK_FULL
        assert gap.end_ns is not None
        assert gap.end_ns - gap.start_ns >= 500_000_000


async def test_full_at_the_start(tmp_path: Path, full: FullDisk) -> None:
    """A logger that starts on a full disk asks no exchange for anything, and a stop ends it at once."""
    full.free = 0
    data = tmp_path / "data"
    async with simulated(tmp_path / "ledger") as venues, recording(venues, data) as run:
        report = await run.health_when(lambda now: now["exchanges"]["coinbase"]["state"] == "paused")
        assert report["status"] == "degraded"
        assert run.messages() == 0
        began = trio.current_time()
    assert trio.current_time() - began < 5
    assert all(gap.end_ns is not None for found in gaps(data).values() for gap in found)
    assert [len(found) for found in gaps(data).values()] == [1, 1]
