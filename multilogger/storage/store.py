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

import structlog

from multilogger.batch import Batch
from multilogger.config import StorageConfig
from multilogger.config.policy import ExchangePolicy
from multilogger.errors import ColumnsUnavailable, JournalUnavailable, StorageError
from multilogger.notes import Note
from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.committer import Committer
from multilogger.storage.follower import Follower
from multilogger.storage.layout import Paths, day_of
from multilogger.storage.lock import WriterLock, prepare_directories
from multilogger.storage.opening import Opened, last_rows, last_trade_ids, open_applier
from multilogger.storage.recent import recent_trades
from multilogger.tables import Array, Table

log = structlog.get_logger()

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
        self._calendar = calendar
        self._held = held
        self._lock = threading.Lock()
        self._failed = ""
        self._known = opened.streams
        self._paths = opened.paths
        self._committer = Committer(
            opened, settings, stats, clock, calendar=calendar, monotonic=monotonic, lock=self._lock
        )
        held.callback(self._committer.journal.close)
        self._book = self._committer.book
        found = opened.recovered
        self._follower = Follower(
            opened.applier, self._committer, found, stats, clock=clock, calendar=calendar, lock=self._lock
        )
        self.stopped_ns = found.stopped_ns
        """When the last run wrote its last frame, nanoseconds since the epoch; 0 if there was none."""
        self.open_coverage = opened.open_coverage
        """Coverage intervals that the last run began and did not live to end, and after each what was said of
        the same table and time since, in that order: who ends the one is to repeat the other."""
        stats.recovered_rows = found.rows
        stats.lost_rows += sum(loss.rows for loss in found.losses)
        stats.repaired_partitions += len(found.losses)

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
        with self._failing("commit"):
            self._committer.commit(batches)

    def mark(self) -> None:
        """Note in the journal that the logger runs, so that a later start knows until when.

        Raises:
            JournalUnavailable: it can't be written now.
        """
        with self._failing("commit"):
            self._committer.mark()

    def add_notes(self, notes: Sequence[Note]) -> None:
        """Have notes made durable with the next commit."""
        self._committer.add_notes(notes)

    def apply(self) -> None:
        """Bring the rows that are committed by now into their column files.

        Raises:
            ColumnsUnavailable: not all can be written now; the journal has them, apply again later.
            StorageError: what was committed can't be read back.
        """
        with self._failing("apply"):
            self._follower.apply()

    def checkpoint(self) -> None:
        """Make the column files durable, and free the part of the journal that is no longer needed.

        Raises:
            ColumnsUnavailable: they can't be made durable now; nothing was freed.
        """
        with self._failing("checkpoint"):
            self._follower.checkpoint()

    def prepare(self) -> None:
        """Make what commits will need: free segments, on which the journal lives while the disk is full.

        Raises:
            ColumnsUnavailable: the disk takes none now.
        """
        try:
            for pool in self._committer.pools:
                while pool.prepare():
                    pass
            self._committer.expect_midnight()
        except OSError as error:
            raise ColumnsUnavailable(f"free segments, or the next day: {error}") from error

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

    def seal_step(self, seconds: float, round_: int | None = None) -> int:
        """Seal some of the closed days, for about so long, once all their rows are applied.

        Args:
            seconds: how long.
            round_: no day is sealed twice in a round of steps; rows that come late meanwhile wait.

        Returns:
            How many days of a symbol's table are left to seal.

        Raises:
            ColumnsUnavailable: the disk failed or is full; go on later.
        """
        with self._failing("seal"):
            return self._follower.seal_step(seconds, round_)

    def retain_step(self, seconds: float, needed_bytes: int = 0) -> bool:
        """Remove some of the days that are not to be kept, for about so long.

        Args:
            seconds: how long.
            needed_bytes: also remove the oldest sealed days of all until so much is free again.

        Returns:
            Whether there is nothing more to remove.
        """
        with self._failing("retention"):
            return self._follower.retain_step(seconds, needed_bytes)

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
        return self._committer.backlog.nbytes

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
        return last_trade_ids(self._known, exchange)

    def last_rows(self, exchange: str, table: Table) -> dict[str, Array]:
        """Return the newest row of each venue symbol of an exchange that was on disk at the start.

        As arrays of one row of ``table.row``; the fields ``symbol`` and ``pad`` mean nothing.
        """
        return last_rows(self._known, exchange, table)

    def recent_trades(self, exchange: str) -> dict[str, Array]:
        """Return what :func:`multilogger.storage.recent.recent_trades` does, of the streams at the start."""
        return recent_trades(self._paths, self._known, exchange)

    @contextmanager
    def _failing(self, doing: str) -> Iterator[None]:
        """Let failures through that can be tried again; after any other the store takes nothing more."""
        if self._failed:
            raise StorageError(f"the store failed before: {self._failed}")
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
