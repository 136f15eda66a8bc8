"""The store is opened as soon as the disk lets it be."""

from __future__ import annotations

from typing import cast

import pytest
import trio

from multilogger.errors import ColumnsUnavailable, StartupError, StorageDamaged
from multilogger.stats import Stats
from multilogger.storage.store import Store
from multilogger.supervision import opening
from multilogger.supervision.gate import Gate
from multilogger.supervision.opening import open_store

STORE = cast("Store", object())


class Disk:
    """A data path that can't be opened a number of times."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.tried = 0

    def open(self) -> Store:
        """Open it, or fail."""
        self.tried += 1
        if self.failures:
            raise self.failures.pop(0)
        return STORE


@pytest.fixture
def gate() -> Gate:
    """Return a gate."""
    return Gate(Stats(started_ns=1), lambda: 2)


async def test_opened_at_once(gate: Gate) -> None:
    """Where the disk takes what it is given, nothing pauses."""
    disk = Disk()
    assert await open_store(disk.open, gate, trio.Event()) is STORE
    assert (disk.tried, gate.reason) == (1, "")


async def test_tried_again(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is waited for, and told of; the gate stays closed for whoever watches the disk."""
    monkeypatch.setattr(opening, "RETRY_SECS", 0.01)
    disk = Disk(ColumnsUnavailable("recovery: no space left"), ColumnsUnavailable("recovery: still none"))
    assert await open_store(disk.open, gate, trio.Event()) is STORE
    assert disk.tried == 3
    assert gate.reason == "the data path can't be made ready: recovery: still none"


async def test_a_stop_ends_the_waiting(gate: Gate) -> None:
    """A stop while it waits is at once, without a store; after a stop nothing is tried."""
    disk = Disk(*[ColumnsUnavailable("recovery: no space left")] * 100)
    stopping = trio.Event()

    async def stop() -> None:
        while not gate.reason:
            await gate.wait_changed()
        stopping.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        with trio.fail_after(opening.RETRY_SECS / 2):
            assert await open_store(disk.open, gate, stopping) is None
    assert await open_store(disk.open, gate, stopping) is None
    assert disk.tried == 1


@pytest.mark.parametrize("error", [StartupError("in use"), StorageDamaged("the checkpoint can't be read")])
async def test_what_no_time_mends_is_raised(gate: Gate, error: Exception) -> None:
    """Another writer, or files that can't be understood, end the start."""
    with pytest.raises(type(error), match=str(error)):
        await open_store(Disk(error).open, gate, trio.Event())
