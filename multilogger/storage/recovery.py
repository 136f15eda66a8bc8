"""From what a stop left behind to files that are even and a journal that can go on."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
import structlog

from multilogger.errors import StorageDamaged
from multilogger.storage import checkpoint as checkpoints
from multilogger.storage import disk
from multilogger.storage.columns import Columns
from multilogger.storage.frame import FrameType
from multilogger.storage.grouping import merge
from multilogger.storage.journal import Position
from multilogger.storage.layout import Paths
from multilogger.storage.payload import TableRows, decode
from multilogger.storage.repair import meet, repair_short, settle_excess
from multilogger.storage.replay import Replay, Replayed
from multilogger.storage.segments import Closed, list_segments
from multilogger.storage.streams import Streams, decode_dictionary

log = structlog.get_logger()

_CHUNK_BYTES = 64 * 1024 * 1024
"""Replayed at once: bounds the memory, and lets many commits share one visit to each file."""


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


def recover(
    paths: Paths, streams: Streams, columns: Columns, save: Callable[[Position, int], None]
) -> Recovered:
    """Bring the column files up to the journal's end. Doing it again, or half of it before, changes nothing.

    Args:
        paths: where things are.
        streams: empty; filled here.
        columns: empty; filled here.
        save: makes a checkpoint of ``columns`` at a position, with the highest segment number.

    Raises:
        StorageDamaged: committed rows are damaged or missing in the journal.
    """
    known = checkpoints.load(paths.checkpoint)
    columns.restore(known.streams, known.partitions)
    start = Position(known.sequence, known.chain)
    segments = list_segments(paths.journal)
    highest = max([known.segment, *(segment.number for segment in segments)])
    if repair_short(columns, list(columns.partitions), paths.quarantine):
        save(start, highest)
    replay = Replay(segments, start)
    rows = _Replayer(paths, streams, columns, lambda position: save(position, highest)).run(replay)
    settle_excess(columns, paths.quarantine, same_boot=known.boot_id == disk.boot_id())
    save(replay.end, highest)
    if rows:
        log.info("rows replayed from the journal", rows=rows, frames=replay.end.sequence - start.sequence)
    return Recovered(replay.end, start, highest + 1, replay.closed, rows)


@attrs.frozen(eq=False)
class _Replayer:
    """Brings frames into the column files, many at once."""

    paths: Paths
    streams: Streams
    columns: Columns
    save: Callable[[Position], None]

    def run(self, replay: Replay) -> int:
        """Return the number of rows."""
        rows = size = 0
        waiting: list[TableRows] = []
        applied = replay.end
        for frame in replay.frames():
            waiting += _read_frame(frame, self.streams)
            size += len(frame.payload)
            if size >= _CHUNK_BYTES:
                rows += self._apply(waiting, applied)
                waiting, size, applied = [], 0, frame.position
        return rows + self._apply(waiting, applied)

    def _apply(self, waiting: list[TableRows], applied: Position) -> int:
        merged = merge(waiting)
        if meet(self.columns, merged, self.paths.quarantine):
            self.save(applied)
        return self.columns.apply(merged, replaying=True)


def _read_frame(frame: Replayed, streams: Streams) -> list[TableRows]:
    if frame.type is FrameType.DICTIONARY:
        streams.restore(decode_dictionary(frame.payload))
        return []
    tables = decode(np.frombuffer(frame.payload, np.uint8))
    for rows in tables:
        if rows.sections["stream"].max(initial=0) >= len(streams.all):
            raise StorageDamaged(f"journal: frame {frame.position.sequence} names an unknown stream")
    return tables
