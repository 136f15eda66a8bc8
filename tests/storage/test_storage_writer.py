"""The writer task: cadence, back-pressure, the end, and failures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import attrs
import pytest
import trio
from storage_tools import NOON, SMALL, Feed, crash, open_store, read_column
from trio.testing import MockClock

from multilogger.batch import Batch
from multilogger.config import Config, LoggerConfig, StorageConfig
from multilogger.errors import StorageDamaged, StorageError
from multilogger.stats import WriterStats
from multilogger.storage import disk, writer
from multilogger.storage.store import Store
from multilogger.storage.writer import run_writer
from multilogger.tables import TRADES


def config_of(path: Path, storage: StorageConfig = SMALL, *, flush: float = 5.0) -> Config:
    """Return a configuration of what the writer reads."""
    return Config(logger=LoggerConfig(data_path=path, flush_interval_secs=flush), storage=storage)


@attrs.define(eq=False)
class FakeStore:
    """Notes when it is called; says what it is told to say."""

    pending_bytes: int = 0
    journal_bytes: int = 0
    held_bytes: int = 0
    due_day: int | None = None
    unsealed: int = 0
    marks: list[float] = attrs.field(factory=list)
    seals: list[float] = attrs.field(factory=list)
    commits: list[tuple[float, int]] = attrs.field(factory=list)
    applies: list[float] = attrs.field(factory=list)
    checkpoints: list[float] = attrs.field(factory=list)
    apply_secs: float = 0.0
    """How long an apply takes, in virtual seconds."""

    def commit(self, batches: Sequence[Batch]) -> None:
        """Note the time and the number of rows."""
        self.commits.append((trio.current_time(), sum(len(batch) for batch in batches)))
        self.pending_bytes += sum(batch.nbytes for batch in batches)

    def apply(self) -> None:
        """Note the time."""
        self.applies.append(trio.current_time())
        self.pending_bytes = 0

    def checkpoint(self) -> None:
        """Note the time."""
        self.checkpoints.append(trio.current_time())

    def finish(self) -> None:
        """Apply and checkpoint."""
        self.apply()
        self.checkpoint()

    def mark(self) -> None:
        """Note the time."""
        self.marks.append(trio.current_time())

    def prepare_spares(self) -> None:
        """There are always enough."""

    def is_about_noon(self) -> bool:
        """It never is."""
        return False

    def day_to_close(self) -> int | None:
        """Return the day that is over."""
        return self.due_day

    def close_day(self, day: int) -> None:
        """There is much to seal now."""
        assert day == self.due_day
        self.due_day, self.unsealed = None, 3

    def seal_step(self, seconds: float) -> int:
        """Seal a third of it."""
        if self.unsealed:
            self.seals.append(trio.current_time())
            self.unsealed -= 1
        return self.unsealed

    async def write(
        self, receive: trio.MemoryReceiveChannel[Batch], config: Config, stats: WriterStats
    ) -> None:
        """Run the writer over this store."""
        await run_writer(cast("Store", self), receive, config, stats, gate=NoGate())


@attrs.define
class NoGate:
    """Notes what the writer asks of the feeds."""

    reasons: list[str] = attrs.field(factory=list)

    def pause(self, reason: str, *, cause: str = "") -> None:
        """Note the reason."""
        self.reasons.append(reason)

    def resume(self) -> None:
        """Note that there is none."""
        self.reasons.append("")


@pytest.fixture
def inline_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call the store without a thread: the virtual clock would jump while one works."""

    async def run_sync(call: Callable[..., object], *args: object) -> object:
        owner = getattr(call, "__self__", None)
        if isinstance(owner, FakeStore) and call.__name__ == "apply":
            await trio.sleep(owner.apply_secs)
        else:
            await trio.lowlevel.checkpoint()
        return call(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)


@pytest.fixture
def feed() -> Feed:
    """Return a maker of batches."""
    return Feed()


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
    """Applying gets a fifth of the time; more where the interval demands it, but never a third."""
    task = writer._Writer(open_store(tmp_path), config_of(tmp_path), WriterStats(), NoGate())
    assert task._pause_after(0.0) == 1.0
    assert task._pause_after(0.1) == 0.9
    assert task._pause_after(0.5) == 2.0
    assert task._pause_after(1.25) == 3.75
    assert task._pause_after(4.0) == 10.0
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
    assert store.seals[-1] - store.seals[0] < 1


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


async def test_failing_journal_holds_rows(
    tmp_path: Path, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows wait in memory while the journal fails, and nothing more is taken once there are too many."""
    failing = True
    sync_data = disk.sync_data

    def fail(fd: int) -> None:
        if failing:
            raise OSError(28, "No space left on device")
        sync_data(fd)

    monkeypatch.setattr(disk, "sync_data", fail)
    monkeypatch.setattr(writer, "_MAX_HELD_BYTES", 1)
    monkeypatch.setattr(writer, "_RETRY_SECS", 0.05)
    store = open_store(tmp_path)
    stats = WriterStats()
    send, receive = trio.open_memory_channel[Batch](0)
    async with trio.open_nursery() as nursery:
        storage = attrs.evolve(SMALL, journal_sync_secs=0.01)
        run = partial(run_writer, store, receive, config_of(tmp_path, storage), stats, gate=NoGate())
        nursery.start_soon(run)
        await send.send(feed.trades("X", [NOON]))
        with trio.fail_after(5):
            while not store.held_bytes:  # noqa: ASYNC110 - a plain number
                await trio.sleep(0.01)
        with trio.move_on_after(0.2) as waiting:
            await send.send(feed.trades("X", [NOON + 1]))
        assert waiting.cancelled_caught
        assert store.held_bytes > 0
        assert stats.oldest_pending_ns == NOON + 5
        failing = False
        await send.send(feed.trades("X", [NOON + 2]))
        send.close()
    assert read_column(tmp_path, "X", TRADES, "trade_id").tolist() == [1, 3]
    store.close()


async def test_failure_ends_the_writer(tmp_path: Path, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be tried again ends the task with a storage error, and senders see the channel broken."""
    store = open_store(tmp_path)

    def fail(*_: object) -> None:
        raise StorageDamaged("the journal is gone")

    monkeypatch.setattr(store._follower._applier, "apply", fail)
    send, receive = trio.open_memory_channel[Batch](1)
    with pytest.RaisesGroup(pytest.RaisesExc(StorageError, match="journal is gone"), flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            storage = attrs.evolve(SMALL, journal_sync_secs=0.01)
            config = config_of(tmp_path, storage, flush=0.05)
            nursery.start_soon(partial(run_writer, store, receive, config, WriterStats(), gate=NoGate()))
            await send.send(feed.trades("X", [NOON]))
            await trio.sleep_forever()
    with pytest.raises(trio.BrokenResourceError):
        await send.send(feed.trades("X", [NOON]))
    store.close()


async def test_cancelled_writer_lets_its_commit_finish(tmp_path: Path, feed: Feed) -> None:
    """A commit at work when the task is cancelled is finished; the store can be used on."""
    syncing, go_on = threading.Event(), threading.Event()
    sync_data = disk.sync_data

    def slow(fd: int) -> None:
        syncing.set()
        assert go_on.wait(5)
        sync_data(fd)

    store = open_store(tmp_path)
    send, receive = trio.open_memory_channel[Batch](1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(disk, "sync_data", slow)
        async with trio.open_nursery() as nursery:
            storage = attrs.evolve(SMALL, journal_sync_secs=0.01)
            config = config_of(tmp_path, storage)
            nursery.start_soon(partial(run_writer, store, receive, config, WriterStats(), gate=NoGate()))
            await send.send(feed.trades("X", [NOON]))
            assert await trio.to_thread.run_sync(syncing.wait, 5)
            nursery.cancel_scope.cancel()
            go_on.set()
    store.close()
    assert read_column(tmp_path, "X", TRADES, "trade_id").tolist() == [1]
