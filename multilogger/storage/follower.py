"""The applying side of the store: has the applier follow the journal. Used by one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from multilogger.notes import LossNote
from multilogger.stats import WriterStats
from multilogger.storage.applier import Applier
from multilogger.storage.committer import Committer
from multilogger.storage.extent import Position
from multilogger.storage.layout import day_of
from multilogger.storage.recovery import Recovered
from multilogger.storage.remote import RemoteApplier

log = structlog.get_logger()

_KEPT_DAYS: Final = 2
"""Sealed partitions older than this that nothing is written to are forgotten; their files speak for them."""


class Follower:
    """Applies what is committed, takes checkpoints, seals and removes days.

    Args:
        applier: does it.
        committer: whose backlog and book are looked at, and whose segments are freed.
        recovered: where the start stands.
        stats: counted into.
        clock: nanoseconds since the epoch.
        calendar: the same on the scale of event times.
        lock: protects backlog and book.
    """

    def __init__(
        self,
        applier: Applier | RemoteApplier,
        committer: Committer,
        recovered: Recovered,
        stats: WriterStats,
        *,
        clock: Callable[[], int],
        calendar: Callable[[], int],
        lock: threading.Lock,
    ) -> None:
        self._applier = applier
        self._committer = committer
        self._backlog, self._book = committer.backlog, committer.book
        self._stats = stats
        self._clock = clock
        self._calendar = calendar
        self._lock = lock
        self._applied = self._saved = recovered.position
        self._sealable_day: int | None = None
        """The closed day, once no row is left to be brought into its live files."""
        self._retire(recovered.checkpoint)

    def apply(self) -> None:
        """Bring the rows that are committed by now into their column files.

        Raises:
            ColumnsUnavailable: not all can be written now.
        """
        # Not those that are committed meanwhile: where the files are many, there would be no end of it.
        left = len(self._backlog)
        while left:
            with self._lock:
                taken = self._backlog.first(left)
            left -= len(taken)
            done = self._applier.apply([extent for it in taken for extent in it.extents])
            self._applied = taken[-1].extents[-1].position
            with self._lock:
                self._backlog.drop(taken)
            self._note_losses(done.losses)
            stats = self._stats
            stats.apply_problem = ""
            stats.flushes += 1
            stats.flush_seconds += done.seconds
            stats.flush_seconds_last = done.seconds
            stats.rows_in_columns += done.rows
            stats.unapplied_bytes, stats.oldest_unapplied_ns = self._backlog.nbytes, self._backlog.oldest_ns

    def checkpoint(self) -> None:
        """Make the column files durable, and free the part of the journal that is no longer needed.

        Raises:
            ColumnsUnavailable: they can't be made durable now; nothing was freed.
        """
        before = self._saved
        if self._applied == before:
            return
        oldest = day_of(self._calendar()) - _KEPT_DAYS
        saved = self._applier.checkpoint(self._committer.journal.last_segment, oldest)
        self._saved = saved.position
        # Only up to the checkpoint before: should the new one become unreadable, that one can be used.
        self._retire(before)
        with self._lock:
            if not self._backlog.nbytes:
                self._book.forget_before(min([oldest, *saved.days]))
        self._stats.apply_problem = ""
        self._stats.checkpoints += 1
        self._stats.checkpoint_ns = self._clock()

    def _retire(self, position: Position) -> None:
        for pool in self._committer.pools:
            try:
                pool.retire(position.sequence)
            except OSError as error:
                log.warning("journal segments can't be freed now", path=str(pool.directory), error=str(error))

    def seal_step(self, seconds: float, round_: int | None) -> int:
        """Seal some of the closed days, once all their rows are applied; return how many are left.

        Raises:
            ColumnsUnavailable: the disk failed or is full.
        """
        with self._lock:
            closed_day = self._book.closed_day
            clear = self._committer.is_clear_of(closed_day)
        if not clear:
            return 1
        if closed_day != self._sealable_day:
            # Rows that were numbered for a day before it was closed belong to its live partition; those that
            # came later don't. With very many files each apply takes longer than the step that follows.
            self.apply()
            self._sealable_day = closed_day
        done = self._applier.seal(closed_day, seconds, round_)
        self._stats.sealed_days += done.sealed
        self._stats.seal_failures += done.failures
        self._note_losses(done.losses)
        return done.remaining

    def retain_step(self, seconds: float, needed_bytes: int) -> bool:
        """Remove some of the days that are not to be kept; return whether there are no more.

        Raises:
            ColumnsUnavailable: the disk failed.
        """
        done = self._applier.retain(day_of(self._calendar()), seconds, needed_bytes)
        self._stats.removed_days += done.days
        self._stats.removed_bytes += done.bytes
        return done.finished

    def _note_losses(self, losses: Sequence[LossNote]) -> None:
        self._stats.lost_rows += sum(loss.rows for loss in losses)
        self._stats.repaired_partitions += len(losses)
        if losses:
            self._committer.add_notes(losses)
