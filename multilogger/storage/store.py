"""The store: rows go in by :meth:`Store.commit`, and are in the column files after :meth:`Store.apply`.

Threads: ``commit`` is called by one thread at a time, ``apply`` and ``checkpoint`` by one (other) thread at
a time, concurrently; the properties and ``last_*`` by any. ``_lock`` protects what both sides touch: the list
of committed rows that wait, their size, and the book of row numbers. The journal belongs to the committing
side, the columns to the applying side, the segment pool has a lock of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import attrs
import numpy as np

from multilogger.batch import Batch
from multilogger.config import StorageConfig
from multilogger.errors import StorageError
from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.book import Book, Entry
from multilogger.storage.columns import Columns
from multilogger.storage.frame import FrameType
from multilogger.storage.grouping import merge
from multilogger.storage.journal import MAX_PAYLOAD_BYTES, Buffer, Journal, Position
from multilogger.storage.layout import NANOS_PER_DAY, Paths
from multilogger.storage.lock import WriterLock, prepare_directories
from multilogger.storage.numbering import encode_frames, group_batches
from multilogger.storage.partition import adopt, open_partition
from multilogger.storage.payload import decode
from multilogger.storage.recovery import recover
from multilogger.storage.saver import Saver
from multilogger.storage.segments import MIN_SEGMENT_BYTES, SegmentPool
from multilogger.storage.streams import Streams, encode_dictionary
from multilogger.tables import Array, Table

_APPLY_BYTES: Final = 64 * 1024 * 1024
"""Applied at once: bounds the memory."""
_KEPT_DAYS: Final = 2
"""Partitions older than this that nothing is written to are forgotten; their files speak for them."""


@attrs.frozen(eq=False)
class _Committed:
    """The durable rows of one commit."""

    payloads: list[Array]
    position: Position
    nbytes: int


class Store:
    """The column files below one data path, and the journal that makes their rows durable.

    Made by :meth:`open`, which says what the arguments are; ``held`` is what :meth:`close` lets go of.
    """

    def __init__(
        self,
        paths: Paths,
        settings: StorageConfig,
        stats: WriterStats,
        clock: Callable[[], int],
        *,
        monotonic: Callable[[], float],
        held: ExitStack,
    ) -> None:
        self._paths = paths
        self._settings = settings
        self._stats = stats
        self._clock = clock
        self._monotonic = monotonic
        self._held = held
        self._lock = threading.Lock()
        self._pending: list[_Committed] = []
        self._pending_bytes = 0
        self._failed = ""
        self._streams = Streams()
        self._columns = Columns(
            paths, self._streams, exact=settings.exact_columns, aliases=settings.trade_aliases
        )
        self._saver = Saver(paths, self._columns)
        held.callback(self._saver.close)
        found = recover(paths, self._streams, self._columns, self._saver.save)
        self._pool = SegmentPool(paths.journal, settings.journal_segment_bytes, found.closed)
        self._pool.retire(found.checkpoint.sequence)
        self._pool.prepare()
        self._journal = Journal(self._pool, found.next_segment, found.position, self._dictionary, clock)
        held.callback(self._journal.close)
        self._applied = found.position
        self._announced = len(self._streams.all)
        self._book = Book(self._adopt)
        for key, partition in self._columns.partitions.items():
            self._book.entries[key] = Entry(partition.rows + partition.lost, partition.last_time_ns)
        stats.recovered_rows = found.rows

    @classmethod
    def open(
        cls,
        data_path: Path,
        settings: StorageConfig,
        stats: WriterStats,
        clock: Callable[[], int],
        *,
        monotonic: Callable[[], float] = time.perf_counter,
    ) -> Store:
        """Lock a data path, and recover what an earlier stop left.

        Args:
            data_path: made if missing.
            settings: ``[storage]``.
            stats: counted into.
            clock: nanoseconds since the epoch.
            monotonic: seconds, for durations.

        Raises:
            StartupError: the path can't be written to, or another process writes there.
            StorageDamaged: committed rows are damaged or missing.
            StorageError: the disk failed.
        """
        paths = Paths(data_path)
        prepare_directories(paths)
        with ExitStack() as held:
            lock = WriterLock(paths.lock)
            held.callback(lock.release)
            with disk.storage_errors("recovery"):
                store = cls(paths, settings, stats, clock, monotonic=monotonic, held=held)
            store._held = held.pop_all()
            return store

    def commit(self, batches: Sequence[Batch]) -> None:
        """Make the rows of ``batches`` durable.

        Raises:
            StorageError: they may not be; the store takes no more rows.
        """
        self._refuse_if_failed()
        grouped = group_batches(batches, self._streams)
        if not grouped:
            return
        started = self._monotonic()
        limit = min(MAX_PAYLOAD_BYTES, max(self._settings.journal_segment_bytes, MIN_SEGMENT_BYTES) // 2)
        with self._failing("commit"):
            with self._lock:
                payloads, late = encode_frames(grouped, self._book, limit)
            position = self._append(payloads)
        nbytes = sum(payload.nbytes for payload in payloads)
        with self._lock:
            self._pending.append(_Committed(payloads, position, nbytes))
            self._pending_bytes += nbytes
        self._count_commit(batches, late, self._monotonic() - started)

    def _append(self, payloads: Sequence[Array]) -> Position:
        frames: list[tuple[FrameType, Buffer]] = [
            (FrameType.DICTIONARY, part) for part in self._dictionary(self._announced)
        ]
        frames += [(FrameType.ROWS, payload.data) for payload in payloads]
        position = self._journal.append(frames)
        self._announced = len(self._streams.all)
        return position

    def _adopt(self, number: int, day: int) -> Entry:
        """Look at the files of a partition that is not in the book."""
        stream = self._streams.all[number]
        partition = open_partition(self._paths, stream, day, exact=self._settings.exact_columns)
        adopt(partition, self._paths.quarantine)
        return Entry(partition.rows, partition.last_time_ns)

    def _dictionary(self, first: int = 0) -> list[bytes]:
        streams = self._streams.all[first:]
        return [encode_dictionary(streams)] if streams else []

    def _count_commit(self, batches: Sequence[Batch], late: int, seconds: float) -> None:
        stats, journal = self._stats, self._journal.statistics()
        stats.rows += sum(len(batch) for batch in batches)
        stats.batches += len(batches)
        stats.commits += 1
        stats.late_rows += late
        stats.journal_bytes, stats.journal_syncs = journal.bytes, journal.syncs
        stats.commit_seconds += seconds
        stats.commit_seconds_max = max(stats.commit_seconds_max, seconds)

    def apply(self) -> None:
        """Append all committed rows to their column files.

        Raises:
            StorageError: the disk failed, or someone else changed a file; a new start repairs what it can.
        """
        self._refuse_if_failed()
        while taken := self._take():
            started = self._monotonic()
            with self._failing("apply"):
                tables = [rows for it in taken for payload in it.payloads for rows in decode(payload)]
                rows = self._columns.apply(merge(tables))
                self._applied = taken[-1].position
            with self._lock:
                self._pending_bytes -= sum(it.nbytes for it in taken)
            self._count_apply(rows, self._monotonic() - started)
            with self._failing("a spare segment"):
                self._pool.prepare()

    def _take(self) -> list[_Committed]:
        size = count = 0
        with self._lock:
            while count < len(self._pending) and size < _APPLY_BYTES:
                size += self._pending[count].nbytes
                count += 1
            taken, self._pending = self._pending[:count], self._pending[count:]
        return taken

    def _count_apply(self, rows: int, seconds: float) -> None:
        self._stats.flushes += 1
        self._stats.flush_seconds += seconds
        self._stats.flush_seconds_last = seconds
        self._stats.rows_in_columns += rows

    def checkpoint(self) -> None:
        """Make the column files durable, and free the part of the journal that is no longer needed.

        Raises:
            StorageError: the disk failed; nothing was freed.
        """
        self._refuse_if_failed()
        before = self._saver.saved
        if self._applied == before:
            return
        with self._failing("checkpoint"):
            self._forget_old()
            self._saver.save(self._applied, self._journal.last_segment)
            # Only up to the checkpoint before: should the new one become unreadable, that one can be used.
            self._pool.retire(before.sequence)
        self._stats.checkpoints += 1

    def _forget_old(self) -> None:
        oldest = self._clock() // NANOS_PER_DAY - _KEPT_DAYS
        partitions, entries = self._columns.partitions, self._book.entries
        with self._lock:
            for key, partition in list(partitions.items()):
                idle = key[1] < oldest and key not in self._columns.touched
                if idle and entries[key].rows == partition.rows + partition.lost:
                    del partitions[key], entries[key]

    def close(self) -> None:
        """Apply, checkpoint and let another writer in; after a failure only the last."""
        with self._held:
            if not self._failed:
                self.apply()
                self.checkpoint()

    @property
    def pending_bytes(self) -> int:
        """Size of the rows that are durable, but not in the column files yet."""
        return self._pending_bytes

    @property
    def journal_bytes(self) -> int:
        """Written to the journal since the store was opened."""
        return self._journal.statistics().bytes

    def last_trade_ids(self, exchange: str) -> dict[str, int]:
        """Return the highest trade id of each venue symbol of an exchange that is in the column files."""
        return {
            stream.entry.symbol: stream.last_trade_id
            for stream in list(self._streams.all)
            if stream.entry.exchange == exchange and stream.last_trade_id is not None
        }

    def last_rows(self, exchange: str, table: Table) -> dict[str, Array]:
        """Return the newest row of each venue symbol of an exchange that is in the column files.

        Returns:
            Arrays of one row of ``table.row``; the fields ``symbol`` and ``pad`` mean nothing.
        """
        return {
            stream.entry.symbol: np.frombuffer(stream.last_row, table.row)
            for stream in list(self._streams.all)
            if stream.entry.exchange == exchange and stream.table is table and stream.last_row
        }

    def _refuse_if_failed(self) -> None:
        if self._failed:
            raise StorageError(f"the store failed before: {self._failed}")

    @contextmanager
    def _failing(self, doing: str) -> Iterator[None]:
        try:
            with disk.storage_errors(doing):
                yield
        except BaseException as error:
            # Whatever it was, memory and disk may differ now, and only a recovery evens them out.
            self._failed = str(error) or type(error).__name__
            raise
