"""Reading the journal after a stop: every frame that was durable, in order, or a refusal.

The first frame that is not valid ends the journal, if it may be the torn end of a write that was never
acknowledged. It may not if a valid frame of a later sync group lies behind it: that one was written only
after this one was durable, so this one has been damaged since.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import structlog

from multilogger.errors import StorageDamaged
from multilogger.storage import disk
from multilogger.storage.frame import (
    ALIGNMENT,
    HEADER_BYTES,
    FrameType,
    Header,
    decode_header,
    hash_payload,
    span,
)
from multilogger.storage.journal import Position
from multilogger.storage.segments import Closed, Segment

log = structlog.get_logger()


@attrs.frozen(eq=False)
class Replayed:
    """A frame that was read back."""

    type: FrameType
    position: Position
    payload: bytes


class SegmentReader:
    """Reads the frames of one segment."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._fd = disk.open_file(segment.path)
        self.size = disk.length(self._fd)

    def close(self) -> None:
        """Close the file."""
        disk.close(self._fd)

    def sync(self) -> None:
        """Make durable what is about to be replayed: the writer may have died between write and sync."""
        disk.sync(self._fd)

    def header_at(self, offset: int) -> Header | None:
        """Return the valid header at ``offset``, None if there is none."""
        header = decode_header(disk.read(self._fd, HEADER_BYTES, offset), self.segment.number)
        if header is None or offset + span(header.length) > self.size:
            return None
        return header

    def payload_at(self, offset: int, header: Header) -> bytes | None:
        """Return the payload that follows a header, None if it is not what was hashed."""
        payload = disk.read(self._fd, header.length, offset + HEADER_BYTES)
        right = len(payload) == header.length
        return payload if right and hash_payload(payload, header.sequence) == header.payload_hash else None

    def later_frames(self, offset: int) -> Iterator[tuple[int, Header]]:
        """Return all valid frames that begin at or after ``offset``, wherever."""
        for at in range(offset, self.size, ALIGNMENT):
            header = self.header_at(at)
            if header is not None and self.payload_at(at, header) is not None:
                yield at, header


class Replay:
    """One pass over a journal.

    Args:
        segments: all segments, by number.
        after: the checkpoint's position: what it covers is passed over, and may be damaged.
    """

    def __init__(self, segments: Sequence[Segment], after: Position) -> None:
        self._segments = segments
        self._after = after
        self._expected: int | None = None
        self._chain = after.chain
        self.end = after
        """Position of the last frame; the checkpoint's if the journal ends before."""
        self.closed: list[Closed] = []
        """The segments and their last sequences, complete when the pass is."""

    def frames(self) -> Iterator[Replayed]:
        """Read the frames after the checkpoint, in order.

        Raises:
            StorageDamaged: frames are missing or damaged, and not just torn at the end.
        """
        readers: list[SegmentReader] = []
        try:
            for segment in self._segments:
                readers.append(SegmentReader(segment))
                readers[-1].sync()
            yield from self._read(readers)
        finally:
            for reader in readers:
                reader.close()
        self.closed = [Closed(segment, self.end.sequence) for segment in self._segments]

    def _read(self, readers: Sequence[SegmentReader]) -> Iterator[Replayed]:
        at, offset = 0, 0
        while at < len(readers):
            reader = readers[at]
            header = reader.header_at(offset)
            payload = self._accept(reader, offset, header)
            if header is None or payload is None:
                found = self._find_next(readers, at, offset)
                if found is None:
                    return
                at, offset = found
                continue
            self._expected = header.sequence + 1
            self._chain = header.payload_hash
            offset += span(header.length)
            if header.sequence > self._after.sequence:
                self.end = Position(header.sequence, header.payload_hash)
                yield Replayed(header.type, self.end, payload)

    def _accept(self, reader: SegmentReader, offset: int, header: Header | None) -> bytes | None:
        """Return the payload of the frame at ``offset`` if it continues the journal."""
        if header is None or not self._anchored(header):
            return None
        if self._expected is None:
            if header.sequence > self._after.sequence + 1:
                return None
        elif header.sequence != self._expected or header.previous != self._chain:
            return None
        return reader.payload_at(offset, header)

    def _anchored(self, header: Header) -> bool:
        """Return whether a frame may follow the checkpoint: the first one names its predecessor."""
        return header.sequence != self._after.sequence + 1 or header.previous == self._after.chain

    def _find_next(self, readers: Sequence[SegmentReader], at: int, offset: int) -> tuple[int, int] | None:
        """Return where the journal goes on after a place without the frame that should be there."""
        for later in range(at + 1, len(readers)):
            header = readers[later].header_at(0)
            if self._accept(readers[later], 0, header) is not None:
                return later, 0
        return self._find_survivor(readers, at, offset)

    def _find_survivor(
        self, readers: Sequence[SegmentReader], at: int, offset: int
    ) -> tuple[int, int] | None:
        """Return the first frame behind a damaged place that only held what the checkpoint covers."""
        covered = self._after.sequence
        expected = self._expected or 0
        needed = max(expected, covered + 1)
        for index in range(at, len(readers)):
            for found, header in readers[index].later_frames(offset if index == at else 0):
                if expected <= covered and expected <= header.sequence <= needed and self._anchored(header):
                    log.warning(
                        "journal damaged before the checkpoint", segment=str(readers[at].segment.path)
                    )
                    self._expected, self._chain = header.sequence, header.previous
                    return index, found
                if header.group > needed or header.sequence == needed:
                    raise StorageDamaged(
                        f"journal {readers[at].segment.path}: frame {needed} is not valid at {offset}, "
                        f"but frame {header.sequence} of segment {header.segment} is: "
                        f"committed rows are damaged or missing"
                    )
        self._note_end(readers[at], offset)
        return None

    def _note_end(self, reader: SegmentReader, offset: int) -> None:
        if reader.header_at(offset) is not None:
            log.warning("journal ends in a torn frame", segment=str(reader.segment.path), offset=offset)
