"""The committing side of the store: rows and notes into the journal. Used by one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from multilogger.batch import Batch
from multilogger.config import StorageConfig
from multilogger.errors import JournalUnavailable
from multilogger.notes import Note, encode_notes
from multilogger.stats import WriterStats
from multilogger.storage.backlog import Backlog
from multilogger.storage.book import Book
from multilogger.storage.frame import FrameType
from multilogger.storage.journal import MAX_PAYLOAD_BYTES, Frame, Journal
from multilogger.storage.layout import NANOS_PER_DAY, day_of
from multilogger.storage.numbering import encode_frames, group_batches
from multilogger.storage.opening import Opened
from multilogger.storage.segments import MIN_SEGMENT_BYTES, SegmentPool
from multilogger.storage.shelf import Shelf
from multilogger.storage.streams import Streams, encode_dictionary
from multilogger.tables import NANOS_PER_SECOND

_AHEAD_NS: Final = 600 * NANOS_PER_SECOND
"""So long before midnight the next day is expected."""
_EXPECTED_AT_ONCE: Final = 500
"""Partitions; 10,000 symbols are through in 40 s, a look a second."""


class Committer:
    """Numbers rows, and makes them durable.

    Args:
        opened: the data path, recovered.
        settings: ``[storage]``.
        stats: counted into.
        clock: nanoseconds since the epoch.
        calendar: the same on the scale of event times: tells what day it is.
        monotonic: seconds, for durations.
        lock: protects ``backlog`` and ``book``, which the applying side uses too.
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
        lock: threading.Lock,
    ) -> None:
        self._stats = stats
        self._clock = clock
        self._calendar = calendar
        self._monotonic = monotonic
        self._lock = lock
        self._limit = min(MAX_PAYLOAD_BYTES, max(settings.journal_segment_bytes, MIN_SEGMENT_BYTES) // 2)
        self._streams = Streams()
        self._streams.restore(state.entry for state in opened.streams)
        self._announced = len(self._streams.all)
        self._notes: list[Note] = []
        self._unwritten: list[Frame] = []
        self._closed_day: int | None = None
        found = opened.recovered
        self.pools = [
            SegmentPool(directory, settings.journal_segment_bytes, found.closed)
            for directory in opened.journal_directories
        ]
        self.journal = Journal(
            self.pools[0], found.next_segment, found.position, self._dictionary, calendar, *self.pools[1:]
        )
        self.backlog = Backlog()
        shelf = Shelf(opened.paths, self._streams, exact=settings.exact_columns)
        self.book = Book(self._streams, shelf.adopted, settings.accept_days_back)
        self.book.closed_day = found.closed_day
        for key, partition in opened.partitions.items():
            self.book.enter(key, partition)

    @property
    def held_bytes(self) -> int:
        """Size of the frames that wait in memory because the journal took none."""
        return sum(len(payload) for _, payload in self._unwritten)

    def is_clear_of(self, day: int) -> bool:
        """Return whether no rows wait for the journal that were numbered before ``day`` was closed.

        Such rows go to live partitions, which must not be sealed before they are there. Called with the lock.
        """
        return self._closed_day is None or self._closed_day >= day

    def add_notes(self, notes: Sequence[Note]) -> None:
        """Have notes made durable with the next commit; called by any thread."""
        with self._lock:
            self._notes += notes

    def commit(self, batches: Sequence[Batch]) -> None:
        """Make rows durable, with what waits.

        Raises:
            JournalUnavailable: they wait in memory now.
        """
        started = self._monotonic()
        self._encode(batches)
        if not self._unwritten:
            self._closed_day = None
        else:
            self._append()
            self._stats.commits += 1
            self._stats.commit_times.note(self._monotonic() - started)

    def expect_midnight(self) -> None:
        """Shortly before a day, take up some of its partitions: all at once they would hold up a commit.

        Raises:
            OSError: it can't be found out what the day has already.
        """
        with self._lock:
            now = self._calendar()
            day = day_of(now) + 1
            if day * NANOS_PER_DAY - now < _AHEAD_NS:
                self.book.expect(day, _EXPECTED_AT_ONCE)

    def mark(self) -> None:
        """Write a mark, with what waits.

        Raises:
            JournalUnavailable: it can't be written now.
        """
        self._encode([])
        self._unwritten.append((FrameType.MARK, b""))
        self._append()

    def _encode(self, batches: Sequence[Batch]) -> None:
        """Make frames of new rows and notes."""
        grouped = group_batches(batches, self._streams)
        with self._lock:
            if self._closed_day is None:
                self._closed_day = self.book.closed_day
            encoded = encode_frames(grouped, self.book, self._limit, day_of(self._calendar()))
            notes, self._notes = self._notes, []
        stats = self._stats
        stats.rows += sum(len(batch) for batch in batches)
        stats.batches += len(batches)
        stats.late_rows += encoded.late
        stats.absurd_rows += encoded.absurd
        # Of a commit that is cut short its beginning stays: so a gap is noted before the rows behind it, and
        # that it is filled after those that fill it.
        self._add_notes_frame(notes)
        self._unwritten += [(FrameType.ROWS, payload.data) for payload in encoded.payloads]
        self._add_notes_frame([note for batch in batches for note in batch.notes])

    def _add_notes_frame(self, notes: Sequence[Note]) -> None:
        if notes:
            self._unwritten.append((FrameType.NOTE, encode_notes(notes)))

    def _append(self) -> None:
        """Write all that waits to the journal."""
        new = [(FrameType.DICTIONARY, part) for part in self._dictionary(self._announced)]
        started = self._monotonic()
        try:
            extents = self.journal.append([*new, *self._unwritten])
        except JournalUnavailable as error:
            self._stats.journal_problem = str(error)
            self._count()
            raise
        self._stats.sync_times.note(self._monotonic() - started)
        self._stats.journal_problem = ""
        self._announced = len(self._streams.all)
        self._unwritten = []
        with self._lock:
            self.backlog.add(extents, self._clock())
            self._closed_day = None
        self._count()

    def _dictionary(self, first: int = 0) -> list[bytes]:
        streams = self._streams.all[first:]
        return [encode_dictionary(streams)] if streams else []

    def _count(self) -> None:
        stats, journal = self._stats, self.journal.statistics()
        stats.journal_bytes, stats.journal_syncs = journal.bytes, journal.syncs
        stats.journal_failures = journal.failures
        stats.held_bytes = self.held_bytes
        stats.unapplied_bytes, stats.oldest_unapplied_ns = self.backlog.nbytes, self.backlog.oldest_ns
