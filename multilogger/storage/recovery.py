"""From what a stop left behind to files that are even and a journal that can go on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs
import structlog

from multilogger.errors import UnknownStream
from multilogger.notes import LossNote, NoteRecord, records_of
from multilogger.storage import checkpoint as checkpoints
from multilogger.storage import disk
from multilogger.storage.applier import Applier, loss_note
from multilogger.storage.extent import Position, Replayed
from multilogger.storage.grouping import Merged, merge
from multilogger.storage.partition import Partition, keep_existing_columns, measure
from multilogger.storage.payload import TableRows
from multilogger.storage.quarantine import keep_damaged
from multilogger.storage.repair import Loss, bridge, mend_short, settle_excess
from multilogger.storage.replay import Damaged, Replay
from multilogger.storage.runs import runs
from multilogger.storage.segments import Closed, first_number, list_segments
from multilogger.storage.streams import LIVE

log = structlog.get_logger()

_CHUNK_BYTES: Final = 64 * 1024 * 1024
"""Replayed at once: bounds the memory, and lets many commits share one visit to each file."""
_DAMAGED: Final = "journal damaged"


@attrs.frozen(eq=False)
class Recovered:
    """Where a start stands."""

    position: Position
    """The journal's end; everything up to it is in the column files."""
    checkpoint: Position
    """What the checkpoint that was found covers."""
    next_segment: int
    closed: list[Closed]
    """Segments that the checkpoint before the newest may still need."""
    rows: int
    """Replayed."""
    closed_day: int
    """Up to which days are closed."""
    stopped_ns: int
    """When the last frame was written, nanoseconds since the epoch; 0 if there is none."""
    losses: list[LossNote]
    """Rows that had been accepted and are gone."""


def recover(applier: Applier) -> Recovered:
    """Bring the column files up to the journal's end. Doing it again, or half of it before, changes nothing.

    Raises:
        StorageDamaged: no checkpoint can be read, or it contradicts the journal.
        ColumnsUnavailable: the column files can't be written now; nothing is lost, start again later.
    """
    known = checkpoints.load(applier.paths.checkpoint)
    applier.columns.restore(known.streams, known.partitions, uneven=True)
    applier.notes.open(known.notes_bytes)
    applier.saver.resume(known)
    segments = list_segments(*applier.journal_directories)
    highest = max([known.segment, *(segment.number for segment in segments)])
    start = Position(known.sequence, known.chain)
    recovery = _Recovery(applier, highest, known.boot_id == disk.boot_id(), applied=start, taken=start)
    return recovery.run(Replay(segments, start))


@attrs.define(eq=False)
class _Recovery:
    """Brings frames into the column files, many at once."""

    applier: Applier
    highest: int
    """Segment number."""
    trusted: bool
    """The files are as this boot wrote them, not what a power cut left."""
    applied: Position
    """Everything up to here is in the column files."""
    taken: Position
    """Of the newest frame that waits to be applied."""
    losses: list[LossNote] = attrs.field(factory=list)
    notes: list[NoteRecord] = attrs.field(factory=list)
    waiting: list[TableRows] = attrs.field(factory=list)
    size: int = 0
    rows: int = 0

    def run(self, replay: Replay) -> Recovered:
        """Replay, and even everything out."""
        start = self.applied
        columns, shelf = self.applier.columns, self.applier.shelf
        self.applier.roll_forward()
        self._settle(mend_short(list(columns.partitions.values()), shelf))
        for item in replay.items():
            if isinstance(item, Damaged):
                self._pass_over(item)
            else:
                self._take(item)
        self._apply()
        self.applied = replay.end
        settle_excess(columns.partitions.values(), shelf, trusted=self.trusted)
        if self.trusted and disk.length_of(self.applier.paths.sync_failed) is not None:
            for key in columns.touched:
                columns.partitions[key].suspect = True
        self._save()
        if self.rows:
            frames = replay.end.sequence - start.sequence
            log.info("rows replayed from the journal", rows=self.rows, frames=frames)
        return Recovered(
            replay.end,
            start,
            first_number(self.highest),
            replay.closed,
            self.rows,
            self.applier.saver.closed_day,
            self.applier.saver.written_ns,
            self.losses,
        )

    def _take(self, frame: Replayed) -> None:
        if self.size >= _CHUNK_BYTES:
            self._apply()
        try:
            self.waiting += self.applier.take_in(frame, self.notes)
        except UnknownStream as error:
            # Its dictionary was in the same write, which a power cut tore: it was never acknowledged. If both
            # copies of a dictionary that was durable are damaged, that is told of as damage by itself.
            log.warning("rows of streams that no dictionary names are passed over", why=str(error))
        self.size += len(frame.payload)
        self.taken = frame.position

    def _apply(self) -> None:
        """Bring what waits into the files."""
        merged = merge(self.waiting)
        self._settle(self._meet(merged))
        self.rows += self.applier.columns.apply(merged)
        self.losses += self.applier.take_losses()
        self.applier.saver.waiting += self.notes
        self.applied = self.taken
        self.waiting, self.notes, self.size = [], [], 0

    def _meet(self, merged: Iterable[Merged]) -> list[Loss]:
        """Open the partitions that a replay continues, and pass over rows that the journal lost."""
        losses = []
        for run in (run for rows in merged for run in runs(rows)):
            losses += self._bridge(run.key, run.start_row, run.start_row)
        return losses

    def _pass_over(self, damaged: Damaged) -> None:
        """Go on behind frames that are damaged; the rows they held may be in the column files already."""
        self._apply()
        keep_damaged(damaged, self.applier.paths.quarantine)
        if not damaged.acknowledged:
            return
        losses = []
        for section in damaged.sections or ():
            if section.stream < len(self.applier.streams.all):
                end = section.start_row + section.rows
                losses += self._bridge((section.stream, section.day), section.start_row, end)
        self._settle(losses)

    def _bridge(self, key: tuple[int, int], start_row: int, end: int) -> list[Loss]:
        columns, shelf = self.applier.columns, self.applier.shelf
        losses = []
        partition = columns.partitions.get(key)
        if partition is None:
            partition = columns.partitions[key] = self._open(key, start_row)
            losses += mend_short([partition], shelf)
        if partition.end >= end:
            return losses
        columns.touched.add(key)
        return losses + bridge(partition, end, shelf, trusted=self.trusted, cause=_DAMAGED)

    def _open(self, key: tuple[int, int], start_row: int) -> Partition:
        """Open a partition that the checkpoint does not know: its files are to have the rows before."""
        partition = self.applier.shelf.opened(*key)
        if partition.kind == LIVE and partition.generation:
            # It was sealed after the checkpoint: the rows that its files have are passed over.
            return partition
        partition.uneven = True
        if start_row > partition.end:
            partition.rows = start_row - partition.offset
            if any(partition.lengths().values()):
                keep_existing_columns(partition)
            if partition.complete_rows() >= partition.rows:
                measure(partition)
        return partition

    def _settle(self, losses: list[Loss]) -> None:
        """Make repairs durable before anything is built on them: rows are found by the new counts then."""
        if not losses:
            return
        notes = [loss_note(loss) for loss in losses]
        for loss in losses:
            log.error(
                "accepted rows are lost", of=loss.name, day=loss.day, first_row=loss.first_row, rows=loss.rows
            )
        self.losses += notes
        self.applier.saver.waiting += records_of(self.applied.sequence, notes)
        self._save()

    def _save(self) -> None:
        self.applier.saver.save(self.applied, self.highest)
        self.applier.stand_at(self.applied, self.highest)
