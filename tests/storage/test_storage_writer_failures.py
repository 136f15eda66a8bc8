"""The writer task when the journal fails, when the store does, and when it is cancelled."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
from storage_tools import NOON, SMALL, Feed, open_store, read_column
from writer_tools import (  # noqa: F401 - pytest finds fixtures by name
    NoGate,
    config_of,
    feed_fixture,
)

from multilogger.batch import Batch
from multilogger.errors import StorageDamaged, StorageError
from multilogger.stats import WriterStats
from multilogger.storage import disk, writer
from multilogger.storage.writer import run_writer
from multilogger.tables import TRADES


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
