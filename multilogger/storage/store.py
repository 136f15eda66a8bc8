"""The store: rows go in by :meth:`Store.commit`, and are in the column files after :meth:`Store.apply`.

Threads: ``commit`` and ``mark`` are called by one thread at a time; ``apply``, ``checkpoint``, ``close_day``,
``seal_step`` and ``retain_step`` by one (other) thread at a time, concurrently; ``add_notes`` and the
properties by any. ``_lock`` protects what both sides touch: the list of committed extents that wait, and the
book of row numbers. The journal belongs to the committing side, the applier to the applying side, the segment
pools have locks of their own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from multilogger.batch import Batch
from multilogger.config import StorageConfig
from multilogger.config.policy import ExchangePolicy
from multilogger.errors import ColumnsUnavailable, JournalUnavailable, StorageError
from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.committer import Committer
from multilogger.storage.extent import Position
from multilogger.storage.layout import Paths, day_of
from multilogger.storage.lock import WriterLock, prepare_directories
from multilogger.storage.notes import LossNote, Note
from multilogger.storage.opening import Opened, open_applier
from multilogger.storage.streams import LIVE
from multilogger.tables import Array, Table

log = structlog.get_logger()

_KEPT_DAYS: Final = 2
"""Sealed partitions older than this that nothing is written to are forgotten; their files speak for them."""


_HOUR_NS: Final = 3600 * 1_000_000_000
_NOON_HOURS: Final = (12, 14)


class Store:
    """The column files below one data path, and the journal that makes their rows durable.

    Made by :meth:`open`, which says what the arguments are; ``held`` is what :meth:`close` lets go of.
    """

    def __init__(
        self,
        opened: Opened,
        settings: StorageConfig,
        stats: WriterStats,
        clock: Callable[[], int],
        *,
        calendar: Callable[[], int],
        monotonic: Callable[[], float],
        held: ExitStack,
    ) -> None:
        self._settings = settings
        self._stats = stats
        self._clock = clock
        self._calendar = calendar
        self._held = held
        self._lock = threading.Lock()
        self._failed = ""
        self._known = opened.streams
        self._applier = opened.applier
        self._committer = Committer(
            opened, settings, stats, clock, calendar=calendar, monotonic=monotonic, lock=self._lock
        )
        held.callback(self._committer.journal.close)
        self._backlog, self._book = self._committer.backlog, self._committer.book
        found = opened.recovered
        self._retire(found.checkpoint)
        self._applied = self._saved = found.position
        self.stopped_ns = found.stopped_ns
        """When the last run wrote its last frame, nanoseconds since the epoch; 0 if there was none."""
        stats.recovered_rows = found.rows
        self._count_losses(found.losses)

    @classmethod
    def open(
        cls,
        data_path: Path,
        settings: StorageConfig,
        stats: WriterStats,
        clock: Callable[[], int],
        *,
        calendar: Callable[[], int] | None = None,
        policies: Mapping[str, ExchangePolicy] | None = None,
        monotonic: Callable[[], float] = time.perf_counter,
        in_process: bool = True,
    ) -> Store:
        """Lock a data path, and recover what an earlier stop left.

        Args:
            data_path: made if missing.
            settings: ``[storage]``.
            stats: counted into.
            clock: nanoseconds since the epoch.
            calendar: the same on the scale of event times: tells what day it is; by default, ``clock``.
            policies: permissions and retention by exchange.
            monotonic: seconds, for durations.
            in_process: column files are written by this process, by whoever calls :meth:`apply`; else by
                another one, so that what this one computes does not hold them up.

        Raises:
            StartupError: the path can't be written to, or another process writes there.
            ColumnsUnavailable: the disk is full, or failed; a later attempt may succeed.
            StorageError: what is there can't be understood.
        """
        paths = Paths(data_path)
        prepare_directories(paths, settings.journal_alternate)
        with ExitStack() as held:
            lock = WriterLock(paths.lock)
            held.callback(lock.release)
            with disk.storage_errors("recovery"):
                opened = open_applier(paths, settings, policies or {}, lock, in_process=in_process)
                held.callback(opened.applier.close)
                store = cls(
                    opened,
                    settings,
                    stats,
                    clock,
                    calendar=calendar or clock,
                    monotonic=monotonic,
                    held=held,
                )
            store._held = held.pop_all()
            return store

    def commit(self, batches: Sequence[Batch]) -> None:
        """Make the rows of ``batches`` durable, with those of commits that failed before, and the notes.

        Raises:
            JournalUnavailable: they are not durable, and wait in memory; the next commit tries again.
            StorageError: they may not be; the store takes no more rows.
        """
        self._refuse_if_failed()
        with self._failing("commit"):
            self._committer.commit(batches)

    def mark(self) -> None:
        """Note in the journal that the logger runs, so that a later start knows until when.

        Raises:
            JournalUnavailable: it can't be written now.
        """
        self._refuse_if_failed()
        with self._failing("commit"):
            self._committer.mark()

    def add_notes(self, notes: Sequence[Note]) -> None:
        """Have notes made durable with the next commit."""
        self._committer.add_notes(notes)

    def apply(self) -> None:
        """Bring all committed rows into their column files.

        Raises:
            ColumnsUnavailable: not all can be written now; the journal has them, apply again later.
            StorageError: what was committed can't be read back.
        """
        self._refuse_if_failed()
        while True:
            with self._lock:
                taken = self._backlog.first()
            if not taken:
                return
            with self._failing("apply"):
                done = self._applier.apply([extent for it in taken for extent in it.extents])
            self._applied = taken[-1].extents[-1].position
            with self._lock:
                self._backlog.drop(taken)
            self._count_losses(done.losses)
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
        self._refuse_if_failed()
        before = self._saved
        if self._applied == before:
            return
        oldest = day_of(self._calendar()) - _KEPT_DAYS
        with self._failing("checkpoint"):
            saved = self._applier.checkpoint(self._committer.journal.last_segment, oldest)
            self._saved = saved.position
            # Only up to the checkpoint before: should the new one become unreadable, that one can be used.
            self._retire(before)
        with self._lock:
            if not self._backlog.nbytes:
                self._book.forget_before(min([oldest, *saved.days]))
        self._stats.checkpoints += 1
        self._stats.checkpoint_ns = self._clock()

    def _retire(self, position: Position) -> None:
        for pool in self._committer.pools:
            pool.retire(position.sequence)

    def prepare_spares(self) -> None:
        """Make free segments, if some are missing: the journal lives on them while the disk is full."""
        with disk.storage_errors("a spare segment"):
            for pool in self._committer.pools:
                while pool.prepare():
                    pass

    def day_to_close(self) -> int | None:
        """Return the newest day that is over for long enough, None if it is closed already."""
        over = day_of(self._calendar() - int(self._settings.seal_after_secs * 1e9)) - 1
        return over if over > self._book.closed_day else None

    def close_day(self, day: int) -> None:
        """Take no more rows into the live partitions up to ``day``; :meth:`seal_step` can follow."""
        with self._lock:
            self._book.closed_day = max(self._book.closed_day, day)

    def is_about_noon(self) -> bool:
        """Return whether it is an hour at which removing many files is in nobody's way."""
        return _NOON_HOURS[0] <= self._calendar() // _HOUR_NS % 24 < _NOON_HOURS[1]

    def seal_step(self, seconds: float) -> int:
        """Apply what is committed, then seal some of the closed days, for about so long.

        Returns:
            How many days of a symbol's table are left to seal.

        Raises:
            ColumnsUnavailable: the disk failed or is full; go on later.
        """
        # Rows that were committed for a day before it was closed belong to its live partition.
        self.apply()
        with self._failing("seal"):
            done = self._applier.seal(self._book.closed_day, seconds)
        self._stats.sealed_days += done.sealed
        self._stats.seal_failures += done.failures
        self._count_losses(done.losses)
        return done.remaining

    def retain_step(self, seconds: float, needed_bytes: int = 0) -> bool:
        """Remove some of the days that are not to be kept, for about so long.

        Args:
            seconds: how long.
            needed_bytes: also remove the oldest sealed days of all until so much is free again.

        Returns:
            Whether there is nothing more to remove.
        """
        self._refuse_if_failed()
        with self._failing("retention"):
            done = self._applier.retain(day_of(self._calendar()), seconds, needed_bytes)
        self._stats.removed_days += done.days
        self._stats.removed_bytes += done.bytes
        return done.finished

    def _count_losses(self, losses: Sequence[LossNote]) -> None:
        self._stats.lost_rows += sum(loss.rows for loss in losses)
        self._stats.repaired_partitions += len(losses)

    def close(self) -> None:
        """Apply, checkpoint and let another writer in; after a failure only the last.

        Raises:
            JournalUnavailable: rows that wait in memory can't be made durable, and are lost.
        """
        with self._held:
            if not self._failed:
                self.mark()
                self.finish()

    def finish(self) -> None:
        """Apply and checkpoint; where the disk takes neither, the next start does it from the journal."""
        try:
            self.apply()
            self.checkpoint()
        except ColumnsUnavailable as error:
            log.warning("the next start completes the column files", error=str(error))

    @property
    def pending_bytes(self) -> int:
        """Size of the journal's part that is not in the column files yet."""
        return self._backlog.nbytes

    @property
    def journal_bytes(self) -> int:
        """Written to the journal since the store was opened."""
        return self._committer.journal.statistics().bytes

    @property
    def held_bytes(self) -> int:
        """Size of the rows that wait in memory because the journal took none."""
        return self._committer.held_bytes

    def last_trade_ids(self, exchange: str) -> dict[str, int]:
        """Return the highest trade id of each venue symbol of an exchange that was on disk at the start."""
        return {
            state.entry.symbol: state.last_trade_id
            for state in self._known
            if state.entry.exchange == exchange
            and state.entry.kind == LIVE
            and state.last_trade_id is not None
        }

    def last_rows(self, exchange: str, table: Table) -> dict[str, Array]:
        """Return the newest row of each venue symbol of an exchange that was on disk at the start.

        Returns:
            Arrays of one row of ``table.row``; the fields ``symbol`` and ``pad`` mean nothing.
        """
        return {
            state.entry.symbol: np.frombuffer(state.last_row, table.row)
            for state in self._known
            if state.entry.exchange == exchange and state.entry.table == table.number and state.last_row
        }

    def _refuse_if_failed(self) -> None:
        if self._failed:
            raise StorageError(f"the store failed before: {self._failed}")

    @contextmanager
    def _failing(self, doing: str) -> Iterator[None]:
        """Let failures through that can be tried again; after any other the store takes nothing more."""
        try:
            with disk.storage_errors(doing):
                yield
        except ColumnsUnavailable as error:
            self._stats.apply_problem = str(error)
            raise
        except JournalUnavailable:
            raise
        except BaseException as error:
            # Whatever it was, memory and disk may differ now, and only a recovery evens them out.
            self._failed = str(error) or type(error).__name__
            raise
