"""The gate between storage and feeds."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from multilogger.stats import Stats
from multilogger.storage.space import RecordingGate
from multilogger.supervision.gate import Gate


@pytest.fixture
def stats() -> Stats:
    """Return new counters."""
    return Stats(started_ns=1)


@pytest.fixture
def gate(stats: Stats) -> Gate:
    """Return a gate whose clock is virtual."""
    return Gate(stats, lambda: int(trio.current_time() * 1e9))


async def test_open_at_first(gate: Gate, autojump_clock: trio.testing.MockClock) -> None:
    """Nobody waits at a gate that was never closed."""
    with trio.fail_after(1):
        await gate.wait_open()
    with trio.move_on_after(1) as scope:
        await gate.wait_closed()
    assert scope.cancelled_caught
    assert gate.reason == ""


async def test_the_writer_side_knows_it_by_its_protocol(gate: Gate, stats: Stats) -> None:
    """The storage closes and opens it without knowing what it is; the counters show it."""
    writers: RecordingGate = gate
    writers.pause("disk /data: full")
    assert (gate.reason, gate.cause) == ("disk /data: full", "disk full")
    assert (stats.writer.paused, stats.writer.pauses, stats.resumed_ns) == ("disk /data: full", 1, 0)
    await trio.lowlevel.checkpoint()
    writers.resume()
    assert (gate.reason, stats.writer.paused, stats.writer.pauses) == ("", "", 1)
    assert stats.resumed_ns > 0


async def test_waiters_are_let_go(gate: Gate, autojump_clock: trio.testing.MockClock) -> None:
    """Whoever waits for the one or the other goes on when it comes."""
    seen: list[str] = []

    async def watch() -> None:
        await gate.wait_closed()
        seen.append(gate.reason)
        await gate.wait_open()
        seen.append(gate.reason)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        gate.pause("full")
        await trio.testing.wait_all_tasks_blocked()
        gate.resume()
    assert seen == ["full", ""]


async def test_a_new_reason_is_the_same_pause(gate: Gate, stats: Stats) -> None:
    """A pause whose reason changes is told anew, once, and counts once; its cause stays what it was."""
    gate.pause("disk: 5 MiB free", cause="disk full")
    changes: list[str] = []

    async def watch() -> None:
        await gate.wait_changed()
        changes.append(gate.reason)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        gate.pause("disk: 5 MiB free")
        await trio.testing.wait_all_tasks_blocked()
        assert changes == []
        gate.pause("disk: 4 MiB free", cause="something else")
    assert changes == ["disk: 4 MiB free"]
    assert (gate.reason, gate.cause, stats.writer.pauses) == ("disk: 4 MiB free", "disk full", 1)
    assert stats.writer.paused == "disk: 4 MiB free"


def test_opening_an_open_gate_changes_nothing(gate: Gate, stats: Stats) -> None:
    """The writer may say that all is well as often as it likes."""
    gate.resume()
    assert stats.resumed_ns == 0
    with pytest.raises(ValueError, match="a pause needs a reason"):
        gate.pause("")
    assert stats.writer.pauses == 0
