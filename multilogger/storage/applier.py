"""The applier: brings durable frames into the column files, takes checkpoints, seals and removes days.

Synchronous, and used by one thread at a time. It reads the frames from the journal, wherever it runs: in the
process of the journal's writer, or in one of its own behind :mod:`multilogger.storage.remote`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import structlog

from multilogger.config import StorageConfig
from multilogger.config.policy import ExchangePolicy
from multilogger.errors import ColumnsUnavailable, UnknownStream
from multilogger.notes import LossNote, Note, NoteRecord, decode_notes, records_of
from multilogger.storage import checkpoint as checkpoints
from multilogger.storage.catalog import Catalog, CatalogError
from multilogger.storage.checkpoint import PartitionState, StreamState
from multilogger.storage.columns import Columns
from multilogger.storage.extent import Extent, ExtentReader, Position, Replayed
from multilogger.storage.frame import FrameType
from multilogger.storage.grouping import every, merge
from multilogger.storage.layout import Paths
from multilogger.storage.notes_log import NotesLog
from multilogger.storage.payload import TableRows, decode
from multilogger.storage.repair import Loss
from multilogger.storage.retention import Retention
from multilogger.storage.saver import Saver
from multilogger.storage.seal import Sealer
from multilogger.storage.segments import segment_finder
from multilogger.storage.shelf import Shelf
from multilogger.storage.streams import Streams, decode_dictionary

log = structlog.get_logger()

_PASS_BYTES: Final = 64 * 1024 * 1024
"""Of the journal that are brought into the column files at once: bounds the memory."""


class Applied(msgspec.Struct, frozen=True):
    """What an apply did."""

    rows: int
    seconds: float
    losses: list[LossNote]
    """Rows found missing on the way: someone else changed files."""


class Saved(msgspec.Struct, frozen=True):
    """What a checkpoint did."""

    position: Position
    days: list[int]
    """Days whose partitions the applier still knows."""


class SealStep(msgspec.Struct, frozen=True):
    """What was sealed in one go."""

    sealed: int
    """Days of a symbol's table."""
    failures: int
    """Of which the files are not what was written."""
    remaining: int
    losses: list[LossNote]


class RetentionStep(msgspec.Struct, frozen=True):
    """What was removed in one go."""

    days: int
    """Days of a symbol's table."""
    bytes: int
    finished: bool
    """Nothing more is to be removed now."""


class Applier:
    """Owns everything but the journal below one data path.

    Args:
        paths: where things are.
        settings: ``[storage]``.
        policies: permissions and retention by exchange.
        monotonic: seconds, for durations.
    """

    def __init__(
        self,
        paths: Paths,
        settings: StorageConfig,
        policies: Mapping[str, ExchangePolicy],
        *,
        monotonic: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.paths = paths
        self._monotonic = monotonic
        self.streams = Streams()
        self.shelf = Shelf(paths, self.streams, exact=settings.exact_columns)
        self.columns = Columns(self.shelf, self.streams, aliases=settings.trade_aliases, policies=policies)
        directories = [paths.journal, *([settings.journal_alternate] if settings.journal_alternate else [])]
        self.journal_directories: Sequence[Path] = directories
        with ExitStack() as held:
            self.notes = NotesLog(paths.notes)
            held.callback(self.notes.close)
            self.saver = Saver(paths, self.columns, self.notes)
            held.callback(self.saver.close)
            self._reader = ExtentReader(segment_finder(*directories))
            held.callback(self._reader.close)
            self._catalog = Catalog(paths.catalog, self.notes)
            held.callback(self._catalog.close)
            self._held = held.pop_all()
        self._sealer = Sealer(self.columns, self.saver, self._catalog, aliases=settings.trade_aliases)
        self._retention = Retention(self.columns, self.saver, policies)
        self._applied = Position(0, 0)
        self._highest_segment = 0
        self._dictionary = b""
        """The last one taken in."""

    def resume(self) -> None:
        """Go on from the checkpoint, which a recovery has just taken.

        Raises:
            StorageDamaged: it can't be read.
        """
        known = checkpoints.load(self.paths.checkpoint)
        self.columns.restore(known.streams, known.partitions)
        self.notes.open(known.notes_bytes)
        self.saver.resume(known)
        self.stand_at(self.saver.saved, known.segment)
        self._sealer.roll_forward()

    def roll_forward(self) -> None:
        """Complete the seals that an earlier stop interrupted."""
        self._sealer.roll_forward()

    def stand_at(self, position: Position, segment: int) -> None:
        """Note that everything up to a position is in the column files.

        Args:
            position: in the journal.
            segment: the highest segment number there was.
        """
        self._applied, self._highest_segment = position, segment

    def states(self) -> tuple[list[StreamState], list[PartitionState]]:
        """Return what is known of streams and partitions."""
        return self.columns.states()

    def apply(self, extents: Sequence[Extent]) -> Applied:
        """Bring the frames of ``extents`` into the column files; after a failure, it can be repeated.

        Raises:
            ColumnsUnavailable: not all could be written.
            StorageDamaged: the frames are not what was written to the journal.
        """
        started = self._monotonic()
        notes: list[NoteRecord] = []
        passes = -(-sum(extent.length for extent in extents) // _PASS_BYTES)
        rows = 0
        try:
            # Each file is visited once, however much waits: what is read at once is bounded by the streams.
            for number in range(passes):
                notes = []
                rows += self.columns.apply(merge(self._read(extents, notes, number, passes)))
        finally:
            losses = self.take_losses()
        self.saver.waiting += notes
        self._applied = extents[-1].position
        return Applied(rows, self._monotonic() - started, losses)

    def _read(
        self, extents: Sequence[Extent], notes: list[NoteRecord], number: int, passes: int
    ) -> list[TableRows]:
        """Return the rows of every ``passes``-th stream, and add all notes to ``notes``."""
        found: list[TableRows] = []
        try:
            for frame in self._reader.read(extents):
                tables = self.take_in(frame, notes)
                if passes > 1:
                    tables = [part for rows in tables if len(part := every(rows, number, passes))]
                found += tables
        except OSError as error:
            raise ColumnsUnavailable(f"the journal can't be read: {error}") from error
        return found

    def take_in(self, frame: Replayed, notes: list[NoteRecord]) -> list[TableRows]:
        """Return a frame's rows; streams are taken note of, and notes added to ``notes``.

        Raises:
            UnknownStream: it names a stream that no dictionary did.
        """
        self.saver.written_ns = max(self.saver.written_ns, frame.wall_ns)
        if frame.type is FrameType.DICTIONARY:
            # Each segment begins with it twice, and is read as often as an apply has passes.
            if frame.payload != self._dictionary:
                self.streams.restore(decode_dictionary(frame.payload))
                self._dictionary = frame.payload
        elif frame.type is FrameType.NOTE:
            notes += records_of(frame.position.sequence, decode_notes(frame.payload))
        elif frame.type is FrameType.ROWS:
            tables = decode(np.frombuffer(frame.payload, np.uint8))
            for rows in tables:
                if rows.sections["stream"].max(initial=0) >= len(self.streams.all):
                    raise UnknownStream(f"journal: frame {frame.position.sequence} names an unknown stream")
            return tables
        return []

    def take_losses(self) -> list[LossNote]:
        """Return the rows found missing since the last call."""
        found, self.columns.losses = self.columns.losses, []
        return [loss_note(loss) for loss in found]

    def checkpoint(self, segment: int, oldest_day: int) -> Saved:
        """Make the column files durable, and forget partitions that nothing is written to any more.

        Args:
            segment: the highest segment number there was.
            oldest_day: sealed partitions of days before are forgotten.

        Raises:
            ColumnsUnavailable: they can't be made durable; nothing has changed.
        """
        self._highest_segment = segment
        self._forget_before(oldest_day)
        self.saver.save(self._applied, segment)
        self._sealer.settle()
        self._retention.settle()
        self.update_catalog()
        return Saved(self.saver.saved, sorted({day for _, day in self.columns.partitions}))

    def update_catalog(self) -> bool:
        """Bring the catalog up to the notes that a checkpoint covers; return whether that went well."""
        try:
            self._catalog.update()
        except CatalogError as error:
            log.warning("the catalog can't be brought up to date", error=str(error))
            return False
        return True

    def _forget_before(self, day: int) -> None:
        for key, partition in list(self.columns.partitions.items()):
            old = key[1] < day and key not in self.columns.touched
            if old and self._sealer.is_done(key, partition):
                del self.columns.partitions[key]

    def seal(self, closed_day: int, seconds: float, round_: int | None = None) -> SealStep:
        """Seal some of the days up to ``closed_day``; every row committed for them before must be applied.

        Args:
            closed_day: no row is added to live partitions up to this day any more.
            seconds: stop after about so long.
            round_: no day is sealed twice in a round of steps; None for any number of times.

        Raises:
            ColumnsUnavailable: the disk failed or is full; what was begun is completed later.
        """
        try:
            sealed, failures, remaining = self._sealer.step(
                closed_day, self._applied, self._highest_segment, self._monotonic, seconds, round_=round_
            )
        finally:
            losses = self.take_losses()
        return SealStep(sealed, failures, remaining, losses)

    def retain(self, today: int, seconds: float, needed_bytes: int = 0) -> RetentionStep:
        """Remove some of the sealed days that are to go.

        Args:
            today: days since the epoch.
            seconds: stop after about so long.
            needed_bytes: also remove the oldest days of all exchanges until so much is free again.
        """
        days, size, finished = self._retention.step(today, self._monotonic, seconds, needed_bytes)
        return RetentionStep(days, size, finished)

    def close(self) -> None:
        """Let go of everything."""
        self._held.close()


def loss_note(loss: Loss) -> LossNote:
    """Return the note of a loss."""
    entry = loss.stream.entry
    table = loss.stream.table.name
    return LossNote(entry.exchange, entry.symbol, table, loss.day, loss.first_row, loss.rows, loss.cause)


__all__ = ["Applied", "Applier", "Note", "RetentionStep", "Saved", "SealStep"]
