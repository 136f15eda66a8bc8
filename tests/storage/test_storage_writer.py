"""The writer task: cadence, back-pressure, and the end."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast

import attrs
import pytest
import trio
from storage_tools import NOON, SMALL, Feed, crash, open_store, read_column
from trio.testing import MockClock
from writer_tools import (  # noqa: F401 - pytest finds fixtures by name
    FakeStore,
    NoGate,
    config_of,
    feed_fixture,
    inline_threads_fixture,
)

from multilogger.batch import Batch
from multilogger.stats import WriterStats
from multilogger.storage import disk, writer
from multilogger.storage.store import Store
from multilogger.storage.writer import run_writer
from multilogger.tables import TRADES


async def test_everything_is_in_the_columns_at_the_end(tmp_path: Path, feed: Feed) -> None:
    """When the channel ends, all rows are committed, applied and checkpointed, and the task returns."""
    stats = WriterStats()
    store = open_store(tmp_path, stats=stats)
    send, receive = trio.open_memory_channel[Batch](2)
    async with trio.open_nursery() as nursery:
        run = partial(run_writer, store, receive, config_of(tmp_path), stats, gate=NoGate())
        await nursery.start(run)
        with send:
            for number in range(20):
                await send.send(feed.trades("BTC-USD", [NOON + number]))
    assert read_column(tmp_path, "BTC-USD", TRADES, "trade_id").tolist() == list(range(1, 21))
    assert (stats.rows, stats.checkpoints, stats.oldest_pending_ns, store.pending_bytes) == (20, 1, 0, 0)
    assert stats.disk_free_bytes > 0
    crash(store)
    open_store(tmp_path, stats=stats).close()
    assert stats.recovered_rows == 0


@pytest.mark.usefixtures("inline_threads")
async def test_cadence(tmp_path: Path, feed: Feed, autojump_clock: MockClock) -> None:
    """A row is committed a sync interval after it came, applied within a second, checkpointed when due."""
    stats = WriterStats()
    store = FakeStore()
    send, receive = trio.open_memory_channel[Batch](10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.write, receive, config_of(tmp_path), stats)
        begun = autojump_clock.current_time()
        for second in range(40):
            await send.send(feed.trades("X", [NOON + second]))
            await trio.sleep(0.1)
            await send.send(feed.trades("X", [NOON - second]))
            await trio.sleep(0.1)
            assert stats.oldest_pending_ns == NOON - second + 5
            await trio.sleep(0.8)
            assert stats.oldest_pending_ns == 0
        send.close()
    times = [round(at - begun, 2) for at, _ in store.commits]
    assert times == [second + 0.25 for second in range(40)]
    assert {rows for _, rows in store.commits} == {2}
    gaps = [later - sooner for sooner, later in zip(store.applies, store.applies[1:], strict=False)]
    assert len(gaps) >= 39
    assert max(gaps) < 1.1
    assert [round(at - begun) for at in store.checkpoints] == [30, 40]


@pytest.mark.usefixtures("inline_threads")
async def test_large_commit_does_not_wait(
    tmp_path: Path, feed: Feed, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """A commit is due at its size, however young."""
    monkeypatch.setattr(writer, "_COMMIT_BYTES", 2 * TRADES.row.itemsize)
    store = FakeStore()
    send, receive = trio.open_memory_channel[Batch](10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.write, receive, config_of(tmp_path), WriterStats())
        begun = autojump_clock.current_time()
        for _ in range(5):
            await send.send(feed.trades("X", [NOON]))
        send.close()
    assert [rows for _, rows in store.commits] == [2, 2, 1]
    assert [round(at - begun, 2) for at, _ in store.commits] == [0, 0, 0]


@pytest.mark.usefixtures("inline_threads")
async def test_full_store_stops_the_channel(
    tmp_path: Path, feed: Feed, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """With too much that is not applied nothing more is received, and an apply is asked for at once."""
    monkeypatch.setattr(writer, "_MAX_BACKLOG_BYTES", 3 * TRADES.row.itemsize)
    store = FakeStore(apply_secs=8)
    send, receive = trio.open_memory_channel[Batch](0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.write, receive, config_of(tmp_path), WriterStats())
        begun = autojump_clock.current_time()
        await send.send(feed.trades("X", [NOON] * 4))
        await trio.sleep(5)
        with pytest.raises(trio.WouldBlock):
            send.send_nowait(feed.trades("X", [NOON]))
        await send.send(feed.trades("X", [NOON]))
        assert round(autojump_clock.current_time() - begun, 2) == 8.25
        send.close()
    assert [round(at - begun, 2) for at, _ in store.commits] == [0.25, 8.25]


def test_slow_apply_is_done_less_often(tmp_path: Path) -> None:
    """Applying gets a fifth of the time; more where the interval demands it, but never over a quarter.

    And it never rests for more than half a minute.
    """
    task = writer._Writer(open_store(tmp_path), config_of(tmp_path), WriterStats(), NoGate())
    assert task._pause_after(0.0) == 1.0
    assert task._pause_after(0.1) == 0.9
    assert task._pause_after(0.5) == 2.0
    assert task._pause_after(1.25) == 3.75
    assert task._pause_after(4.0) == 12.0
    assert task._pause_after(20.0) == 30.0
    task.store.close()


@pytest.mark.usefixtures("inline_threads")
async def test_days_are_sealed_in_steps(tmp_path: Path, feed: Feed, autojump_clock: MockClock) -> None:
    """A day that is over is closed and sealed, and column files grow between the steps."""
    store = FakeStore(due_day=20_300)
    send, receive = trio.open_memory_channel[Batch](10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.write, receive, config_of(tmp_path), WriterStats())
        await trio.sleep(5)
        send.close()
    assert len(store.seals) == 3
    assert store.seals[-1] - store.seals[0] < 2


@pytest.mark.usefixtures("inline_threads")
async def test_quiet_logger_leaves_marks(tmp_path: Path, autojump_clock: MockClock) -> None:
    """While nothing comes, the journal still tells that the logger ran."""
    store = FakeStore()
    send, receive = trio.open_memory_channel[Batch](10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.write, receive, config_of(tmp_path), WriterStats())
        await trio.sleep(100)
        send.close()
    assert len(store.marks) >= 3


@pytest.mark.usefixtures("inline_threads")
async def test_full_disk_pauses_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """The gate is closed before anything is received, and opened when there is room again."""
    free = 10 * 1024**2
    monkeypatch.setattr(disk, "free_space", lambda _: (free, 64 * 1024**2))
    storage = attrs.evolve(SMALL, disk_reserve_bytes=16 * 1024**2)
    gate, stats = NoGate(), WriterStats()
    send, receive = trio.open_memory_channel[Batch](1)
    async with trio.open_nursery() as nursery:
        config = config_of(tmp_path, storage)
        await nursery.start(
            partial(run_writer, cast("Store", FakeStore()), receive, config, stats, gate=gate)
        )
        assert "10.0 MiB free" in gate.reasons[0]
        free = 40 * 1024**2
        await trio.sleep(3)
        assert gate.reasons[-1] == ""
        assert stats.disk_free_bytes == free
        send.close()
