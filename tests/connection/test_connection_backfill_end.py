"""However a repair is ended, what the checks took for filled is recorded, once; or nothing was taken."""

from __future__ import annotations

import pytest
import trio
from connection_history import Repair, make_repair, recorded
from structlog.testing import capture_logs
from trio.testing import MockClock

from multilogger.batch import Batch
from multilogger.connection.agenda import GRACE_SECS
from multilogger.connection.feed import LAST_HAND_OVER_SECS


async def take_slowly(repair: Repair, every_secs: float, taken: list[Batch]) -> None:
    """Take a batch now and then, as a writer does that is behind."""
    async for batch in repair.batches:
        taken.append(batch)
        await trio.sleep(every_secs)


def opened(channel_size: int = 2) -> Repair:
    """Return a feed with a hole of ten pages, and a channel that is then empty."""
    repair = make_repair(channel_size=channel_size)
    repair.exchange.request_secs = 0.25
    repair.receive("A", 1, 1002)
    return repair


@pytest.mark.parametrize("stop_secs", [step / 8 for step in range(24, 60)])
async def test_backfill_is_stopped_at_any_time(stop_secs: float, autojump_clock: MockClock) -> None:
    """A stop while it asks, waits, or is held up by the writer loses no trade, and the next run goes on."""
    repair, taken = opened(), list[Batch]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_slowly, repair, 0.4, taken)
        await repair.run_for(stop_secs)
        await trio.sleep(3)
        missing = sum(last - first + 1 for _, first, last in repair.holes())
        assert len(recorded(taken)) == 1002 - missing
        repair.exchange.request_secs = 0
        await repair.run_for(30)
        nursery.cancel_scope.cancel()
    assert sorted(recorded(taken)) == list(range(1, 1003))
    assert repair.holes() == []


async def test_backfill_stopped_while_the_writer_takes_nothing(autojump_clock: MockClock) -> None:
    """The last batch is sent as soon as the writer takes it, for some seconds after the stop."""
    repair = opened(channel_size=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(repair.run_for, GRACE_SECS + 2)
        await trio.sleep(GRACE_SECS + 2 + LAST_HAND_OVER_SECS - 1)
        assert len(recorded([await repair.batches.receive()])) == 2
    assert len(recorded(repair.received_now())) == 100


async def test_backfill_does_not_hang_on_a_writer_that_does(autojump_clock: MockClock) -> None:
    """A writer that never takes the last batch holds a stop up for seconds, and the loss is logged."""
    repair = opened(channel_size=1)
    with capture_logs() as logs:
        await repair.run_for(GRACE_SECS + 2)
    assert trio.current_time() == pytest.approx(GRACE_SECS + 2 + LAST_HAND_OVER_SECS)
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert line["rows"] == 100


async def test_backfill_ends_with_the_writer(autojump_clock: MockClock) -> None:
    """A writer that is gone ends the repair, and the loss is logged."""
    repair = opened()
    await repair.batches.aclose()
    with capture_logs() as logs, pytest.raises(trio.BrokenResourceError):
        await repair.run()
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert line["rows"] == 100
    assert trio.current_time() < 4
