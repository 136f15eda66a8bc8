"""The writer task: takes batches from the memory channel, and has a thread commit, another apply."""

from __future__ import annotations

from typing import Final

import attrs
import trio

from multilogger.batch import Batch
from multilogger.config import Config
from multilogger.stats import WriterStats
from multilogger.storage.store import Store

_COMMIT_BYTES: Final = 4 * 1024 * 1024
"""A commit is due at this size, however young."""
_MAX_PENDING_BYTES: Final = 256 * 1024 * 1024
"""With more than this committed and not in the column files, no more is taken from the channel."""
_CHECKPOINT_BYTES: Final = 256 * 1024 * 1024
"""A checkpoint is due after this much journal, however young: it bounds recovery and disk."""
_APPLY_SECS: Final = 1.0
"""Column files grow this often as long as that costs little."""


async def run_writer(
    store: Store,
    batches: trio.MemoryReceiveChannel[Batch],
    config: Config,
    stats: WriterStats,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Write batches until the channel ends; then everything is committed, applied and checkpointed.

    Only committed rows are promised: when cancelled, threads at work finish, and what they had not begun with
    is dropped. The store stays open.

    Args:
        store: where the rows go.
        batches: closed on return.
        config: for ``storage.*`` and ``logger.flush_interval_secs``.
        stats: its ``oldest_pending_ns`` is kept here; the rest is the store's.
        task_status: started at once.

    Raises:
        ExceptionGroup: of the :class:`multilogger.errors.StorageError` that ended it.
    """
    writer = _Writer(store, config, stats)
    with batches:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.maintain)
            task_status.started()
            await writer.commit_all(batches)
            nursery.cancel_scope.cancel()
    await trio.to_thread.run_sync(store.apply)
    await trio.to_thread.run_sync(store.checkpoint)


@attrs.define(eq=False)
class _Writer:
    """What the two loops share."""

    store: Store
    config: Config
    stats: WriterStats
    congested: trio.Event = attrs.field(factory=trio.Event)
    """Set when the commits wait for an apply."""
    applied: trio.Event = attrs.field(factory=trio.Event)
    """Set and replaced after each apply."""

    async def commit_all(self, batches: trio.MemoryReceiveChannel[Batch]) -> None:
        """Commit batches until the channel ends."""
        more = True
        while more:
            await self._wait_until_uncongested()
            held, more = await self._collect(batches)
            if held:
                await trio.to_thread.run_sync(self.store.commit, held)
            self.stats.oldest_pending_ns = 0

    async def _collect(self, batches: trio.MemoryReceiveChannel[Batch]) -> tuple[list[Batch], bool]:
        """Return the batches of the next commit, and whether there may be more after it."""
        held: list[Batch] = []
        try:
            held.append(await batches.receive())
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

    def _note_oldest(self, batch: Batch) -> None:
        oldest = min((int(rows["recv_ns"].min()) for rows in batch.rows.values() if len(rows)), default=0)
        known = self.stats.oldest_pending_ns
        self.stats.oldest_pending_ns = min(oldest, known) if known and oldest else known or oldest

    async def _wait_until_uncongested(self) -> None:
        while self.store.pending_bytes > _MAX_PENDING_BYTES:
            self.congested.set()
            await self.applied.wait()

    async def maintain(self) -> None:
        """Apply and checkpoint, for ever."""
        pause = self._apply_secs
        checkpointed_at, checkpointed_bytes = trio.current_time(), self.store.journal_bytes
        while True:
            with trio.move_on_after(pause):
                await self.congested.wait()
            self.congested = trio.Event()
            pause = self._pause_after(await self._apply())
            due = trio.current_time() - checkpointed_at >= self.config.storage.checkpoint_secs
            if due or self.store.journal_bytes - checkpointed_bytes >= _CHECKPOINT_BYTES:
                checkpointed_bytes = self.store.journal_bytes
                await trio.to_thread.run_sync(self.store.checkpoint)
                checkpointed_at = trio.current_time()

    async def _apply(self) -> float:
        """Apply what waits; return the seconds it took."""
        if not self.store.pending_bytes:
            return 0.0
        started = trio.current_time()
        await trio.to_thread.run_sync(self.store.apply)
        self.applied.set()
        self.applied = trio.Event()
        return trio.current_time() - started

    @property
    def _apply_secs(self) -> float:
        return min(_APPLY_SECS, self.config.logger.flush_interval_secs)

    def _pause_after(self, took: float) -> float:
        """Rest as long as an apply takes: it has half a core at most, unless the interval promises more."""
        longest = max(self.config.logger.flush_interval_secs - took, 0.0)
        return min(max(self._apply_secs - took, took), longest)
