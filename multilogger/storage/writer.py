"""The writer: takes batches from the memory channel, and has a thread commit them, another apply and seal.

::

    run_writer
    ├─ commit_all        until the channel ends; a mark in the journal now and then while nothing comes
    ├─ prepare           free journal segments, and before midnight the next day's place, are made ahead
    ├─ grow_columns      every second, longer where that costs much
    ├─ take_checkpoints  every ``checkpoint_secs``, sooner after much journal
    ├─ seal_days         half an hour after midnight, in small steps
    ├─ remove_days       at noon, in small steps
    └─ watch_space       pauses recording while the disk is nearly full

Those from ``grow_columns`` to ``remove_days`` use the applier, one at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NoReturn, TypeVar

import attrs
import structlog
import trio

from multilogger.batch import Batch
from multilogger.config import Config
from multilogger.errors import ColumnsUnavailable, JournalUnavailable
from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.blocking import RunBlocking
from multilogger.storage.space import DiskGuard, RecordingGate, Space, Verdict
from multilogger.storage.store import Store

log = structlog.get_logger()

_COMMIT_BYTES: Final = 4 * 1024 * 1024
"""A commit is due at this size, however young."""
_MAX_HELD_BYTES: Final = 256 * 1024 * 1024
"""With more than this waiting for a journal that fails, no more is taken from the channel."""
_MAX_BACKLOG_BYTES: Final = 2 * 1024**3
"""The same with more of the journal not in the column files yet; it lies on the disk, not in memory."""
_CHECKPOINT_BYTES: Final = 256 * 1024 * 1024
"""A checkpoint is due after this much journal, however young: it bounds recovery and disk."""
_APPLY_SECS: Final = 1.0
"""Column files grow this often as long as that costs little."""
_REST: Final = 4.0
"""And then rest so many times as long as it took, if the flush interval allows: a fifth of a core."""
_SHORTEST_REST: Final = 3.0
"""And at least so many times, whatever the flush interval says,"""
_LONGEST_REST_SECS: Final = 30.0
"""but no longer: by then so much waits that an apply costs little more than the rows themselves."""
_LOOK_SECS: Final = 1.0
"""How often clock and disk are looked at."""
_RETRY_SECS: Final = 2.0
"""After a failure of the disk."""
_STEP_SECS: Final = 0.5
"""Sealing and removing hold up the column files for about so long at a time."""
_RETENTION_SECS: Final = 3600.0
_SEARCH_SECS: Final = 60.0
"""After a full disk had no more days to remove."""
T = TypeVar("T")


async def run_writer(
    store: Store,
    batches: trio.MemoryReceiveChannel[Batch],
    config: Config,
    stats: WriterStats,
    *,
    gate: RecordingGate,
    run_blocking: RunBlocking | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Write batches until the channel ends; then everything is committed, applied and checkpointed.

    Only committed rows are promised: when cancelled, threads at work finish, and what they had not begun with
    is dropped. The store stays open.

    Args:
        store: where the rows go.
        batches: closed on return.
        config: for ``storage.*`` and ``logger.*``.
        stats: its ``oldest_pending_ns`` and disk gauges are kept here; the rest is the store's.
        gate: closed while the disk has no room.
        run_blocking: runs what blocks; in a thread by default.
        task_status: started when the disk has been looked at.

    Raises:
        ExceptionGroup: of the :class:`multilogger.errors.StorageError` that ended it.
    """
    writer = _Writer(store, config, stats, gate)
    writer.run_blocking = run_blocking or writer.run_blocking
    with batches:
        async with trio.open_nursery() as nursery:
            await nursery.start(writer.watch_space)
            nursery.start_soon(writer.prepare)
            for task in (writer.grow_columns, writer.take_checkpoints, writer.seal_days, writer.remove_days):
                nursery.start_soon(task)
            task_status.started()
            await writer.commit_all(batches)
            nursery.cancel_scope.cancel()
    await writer.run_blocking(store.finish)


@attrs.define(eq=False)
class _Writer:
    """What the tasks share."""

    store: Store
    config: Config
    stats: WriterStats
    gate: RecordingGate
    run_blocking: RunBlocking = attrs.field(factory=lambda: trio.to_thread.run_sync)
    applier: trio.Lock = attrs.field(factory=trio.Lock)
    """Held by the task that uses the store's applying side."""
    round_: int = 0
    """Of sealing."""
    congested: trio.Event = attrs.field(factory=trio.Event)
    """Set when the commits wait for an apply."""
    applied: trio.Event = attrs.field(factory=trio.Event)
    """Set and replaced after each apply."""

    # Committing.

    async def commit_all(self, batches: trio.MemoryReceiveChannel[Batch]) -> None:
        """Commit batches until the channel ends."""
        more = True
        while more:
            await self._wait_until_uncongested()
            held, more = await self._collect(batches)
            if held or more:
                await self._commit(held)
        while self.store.held_bytes:
            # The channel has ended, and nothing else is left to do: a stop's deadline ends this if need be.
            await trio.sleep(_RETRY_SECS)
            await self._commit([])

    async def _commit(self, held: list[Batch]) -> None:
        work = partial(self.store.commit, held) if held else self.store.mark
        try:
            await self.run_blocking(work)
        except JournalUnavailable as error:
            log.warning("rows wait in memory", why=str(error), bytes=self.store.held_bytes)
            return
        self.stats.oldest_pending_ns = 0

    async def _collect(self, batches: trio.MemoryReceiveChannel[Batch]) -> tuple[list[Batch], bool]:
        """Return the batches of the next commit, none if it is time for a mark; and whether more may come."""
        held: list[Batch] = []
        try:
            with trio.move_on_after(self._quiet_secs) as quiet:
                held.append(await batches.receive())
            if quiet.cancelled_caught:
                return held, True
            self._note_oldest(held[0])
            size = held[0].nbytes
            with trio.move_on_after(self.config.storage.journal_sync_secs):
                while size < _COMMIT_BYTES:
                    batch = await batches.receive()
                    held.append(batch)
                    self._note_oldest(batch)
                    size += batch.nbytes
        except trio.EndOfChannel:
            return held, False
        return held, True

    @property
    def _quiet_secs(self) -> float:
        """Wait so long for a first batch: what failed is tried again soon, a mark is for a long quiet."""
        return _RETRY_SECS if self.store.held_bytes else self.config.storage.checkpoint_secs

    def _note_oldest(self, batch: Batch) -> None:
        oldest = min((int(rows["recv_ns"].min()) for rows in batch.rows.values() if len(rows)), default=0)
        known = self.stats.oldest_pending_ns
        self.stats.oldest_pending_ns = min(oldest, known) if known and oldest else known or oldest

    async def _wait_until_uncongested(self) -> None:
        while self.store.pending_bytes > _MAX_BACKLOG_BYTES:
            self.congested.set()
            await self.applied.wait()
        while self.store.held_bytes > _MAX_HELD_BYTES:
            await trio.sleep(_RETRY_SECS)
            await self._commit([])

    # Applying.

    async def _with_applier(self, work: Callable[[], T]) -> T | None:
        """Do work of the store's applying side in a thread; None if the disk doesn't let it be done now."""
        async with self.applier:
            try:
                return await self.run_blocking(work)
            except ColumnsUnavailable as error:
                log.warning("column files can't be written now", why=str(error))
                return None

    async def grow_columns(self) -> NoReturn:
        """Bring what is committed into the column files."""
        pause = self._apply_secs
        while True:
            with trio.move_on_after(pause):
                await self.congested.wait()
            self.congested = trio.Event()
            before = self.stats.flush_seconds
            if self.store.pending_bytes:
                await self._with_applier(self.store.apply)
                self.applied.set()
                self.applied = trio.Event()
            pause = self._pause_after(self.stats.flush_seconds - before)
            if self.stats.apply_problem:
                pause = max(pause, _RETRY_SECS)

    @property
    def _apply_secs(self) -> float:
        return min(_APPLY_SECS, self.config.logger.flush_interval_secs)

    def _pause_after(self, took: float) -> float:
        """Rest long enough for applying to take little of a core, even where the files are very many."""
        allowed = self.config.logger.flush_interval_secs - took
        at_least = min(took * _SHORTEST_REST, _LONGEST_REST_SECS)
        return max(self._apply_secs - took, min(took * _REST, allowed), at_least)

    async def take_checkpoints(self) -> NoReturn:
        """Take checkpoints when they are due."""
        at, size = trio.current_time(), self.store.journal_bytes
        while True:
            await trio.sleep(min(_LOOK_SECS, self.config.storage.checkpoint_secs))
            due = trio.current_time() - at >= self.config.storage.checkpoint_secs
            if due or self.store.journal_bytes - size >= _CHECKPOINT_BYTES:
                size = self.store.journal_bytes
                await self._with_applier(self.store.checkpoint)
                at = trio.current_time()

    async def prepare(self) -> NoReturn:
        """Keep free segments ready, and the next day expected, so that no commit has to see to it."""
        while True:
            try:
                await self.run_blocking(self.store.prepare)
            except ColumnsUnavailable as error:
                log.warning("nothing can be prepared for the next commits", why=str(error))
            await trio.sleep(_LOOK_SECS)

    async def seal_days(self) -> NoReturn:
        """Close and seal each day some time after its end; first what an earlier run left unsealed."""
        await self._seal_closed()
        while True:
            await trio.sleep(_LOOK_SECS)
            day = self.store.day_to_close()
            if day is not None:
                self.store.close_day(day)
                await self._seal_closed()

    async def _seal_closed(self) -> None:
        self.round_ += 1
        remaining: int | None = 1
        while remaining != 0:
            started = trio.current_time()
            remaining = await self._with_applier(partial(self.store.seal_step, _STEP_SECS, self.round_))
            took = trio.current_time() - started
            await trio.sleep(_RETRY_SECS if remaining is None else max(_STEP_SECS, took))

    async def remove_days(self) -> NoReturn:
        """Once in an hour look for days to remove, around noon: far from midnight's many new files."""
        while True:
            if self.store.is_about_noon():
                finished: bool | None = False
                while finished is False:
                    finished = await self._with_applier(partial(self.store.retain_step, _STEP_SECS))
                    await trio.sleep(_STEP_SECS)
            await trio.sleep(_RETENTION_SECS)

    async def watch_space(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
        """Pause recording while the disk has no room; started after the first look."""
        storage = self.config.storage
        guard = DiskGuard(self.config.logger.data_path, storage.disk_reserve_bytes)
        started, search_at = False, trio.current_time()
        while True:
            space = await self.run_blocking(partial(_look, guard))
            if space.verdict is Verdict.LOW and storage.early_retention and trio.current_time() >= search_at:
                work = partial(self.store.retain_step, _STEP_SECS, space.missing_bytes)
                if await self._with_applier(work):
                    # The whole archive was looked through: not again at once.
                    search_at = trio.current_time() + _SEARCH_SECS
                space = await self.run_blocking(partial(_look, guard))
            self.stats.disk_free_bytes, self.stats.disk_days_left = space.free_bytes, space.days_left
            if space.verdict is Verdict.LOW:
                self.gate.pause(space.reason)
            else:
                self.gate.resume()
            if not started:
                task_status.started()
                started = True
            await trio.sleep(_LOOK_SECS)


def _look(guard: DiskGuard) -> Space:
    with disk.storage_errors("free space"):
        return guard.look()
