"""Reading the journal after a stop: every frame that is left, in order, and what is missing between them.

Of a segment those frames count whose sequence is lower than the one that a later segment begins with: what
lies behind was given up when its sync failed, or is the torn end of an earlier stop, and never acknowledged.

A place without a valid frame is damage if a valid frame with a later sequence than the one expected follows.
If that is one of a *later sync group*, the missing frames had been durable: it was written only after they
were. Without one they may be the torn end of a write that was never acknowledged.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import attrs
import structlog

from multilogger.storage.extent import Position, Replayed
from multilogger.storage.frame import ALIGNMENT, HEADER_BYTES, FrameType, Header, span
from multilogger.storage.salvage import LostSection, mend_header, salvage
from multilogger.storage.segments import Closed, Segment, SegmentReader

log = structlog.get_logger()

_NEVER: Final = 1 << 64
"""Higher than every sequence."""
_UNREADABLE: Final = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN})


@attrs.frozen(kw_only=True)
class Damaged:
    """Frames that are missing at one place of the journal."""

    path: Path
    """The segment they were in; the one before or after if that is gone as a whole."""
    offset: int
    size: int
    """Of the damaged place in bytes; 0 if nothing is there."""
    first: int
    last: int
    """The sequences that are missing."""
    type: FrameType | None
    """Of the one missing frame, if that is known."""
    sections: tuple[LostSection, ...] | None
    """The rows that are missing; None if nothing tells which, or whether any."""
    acknowledged: bool
    """Whether the frames are known to have been durable."""


@attrs.define
class _Hole:
    """A place where frames should be, and no valid ones are."""

    reader: SegmentReader
    offset: int
    end: int
    first: int | None
    """Sequence that should be there; None if nothing in the segment tells."""
    following: int | None = None
    """Sequence of the frame at ``end``; None if there is none in the segment."""


class Replay:
    """One pass over a journal.

    Args:
        segments: all segments, by number.
        after: the checkpoint's position: what it covers is passed over, and may be damaged.
    """

    def __init__(self, segments: Sequence[Segment], after: Position) -> None:
        self._segments = segments
        self._after = after
        self._expected = after.sequence + 1
        self._proven = 0
        self._foreign: int | None = None
        self._holes: list[_Hole] = []
        self.end = after
        """Position of the last frame; the checkpoint's if the journal ends before."""
        self.closed: list[Closed] = []
        """The segments and their last sequences, complete when the pass is."""

    def items(self) -> Iterator[Replayed | Damaged]:
        """Read the frames after the checkpoint, in order, and tell what is missing where.

        Raises:
            OSError: a segment can't be opened.
        """
        limits = self._limits()
        readers: list[SegmentReader] = []
        try:
            for segment, limit in zip(self._segments, limits, strict=True):
                readers.append(_PatientReader(segment))
                readers[-1].sync()
                yield from self._read_segment(readers[-1], limit)
                self._close_done(readers)
            for item in self._missing(_NEVER):
                if item.sections or item.acknowledged:
                    yield item
        finally:
            for reader in readers:
                reader.close()
        self.closed = [Closed(segment, self.end.sequence) for segment in self._segments]

    def _limits(self) -> list[int]:
        """Return for each segment the sequence that the segments after it begin with."""
        limit = _NEVER
        limits = []
        for segment in reversed(self._segments):
            limits.append(limit)
            with closing(_PatientReader(segment)) as reader:
                first = next(reader.headers(), None)
                if first is not None and limit == _NEVER:
                    groups = (header.group for _, header in reader.headers())
                    self._proven = max(groups, default=0)
                limit = min(limit, first[1].opening) if first else limit
        return limits[::-1]

    def _close_done(self, readers: list[SegmentReader]) -> None:
        """Close the segments whose holes have all been told: there may be more than descriptors."""
        needed = [hole.reader for hole in self._holes]
        for reader in [reader for reader in readers if reader not in needed]:
            readers.remove(reader)
            reader.close()

    def _read_segment(self, reader: SegmentReader, limit: int) -> Iterator[Replayed | Damaged]:
        sequence: int | None = None
        foreign = False
        for offset, end, header in _places(reader):
            if header is None:
                if not foreign:
                    self._holes.append(_Hole(reader, offset, end, sequence))
                continue
            self._bound_hole(reader, header, min(header.sequence, limit))
            if header.sequence >= limit:
                return
            sequence = header.sequence + 1
            foreign = foreign or self._contradicts(header)
            if foreign:
                self._skip_foreign(reader, header)
            elif header.sequence < self._expected:
                self._pass_covered(reader)
            elif (payload := reader.payload_at(offset, header)) is None:
                self._holes.append(_Hole(reader, offset, end, header.sequence, sequence))
            else:
                yield from self._missing(header.sequence, _Hole(reader, offset, offset, None))
                yield self._accept(reader, header, payload)

    def _accept(self, reader: SegmentReader, header: Header, payload: bytes) -> Replayed:
        if header.sequence == self.end.sequence + 1 and header.previous != self.end.chain:
            # The later segment was written later, and so is right about what it continues.
            log.error("journal frame continues another one", segment=str(reader.segment.path))
        self._expected = header.sequence + 1
        self.end = Position(header.sequence, header.payload_hash)
        return Replayed(header.type, self.end, payload, header.wall_ns)

    def _contradicts(self, header: Header) -> bool:
        """Return whether a frame can't be of the journal that the checkpoint was made of."""
        if header.sequence == self._after.sequence:
            return header.payload_hash != self._after.chain
        if header.sequence == self._after.sequence + 1:
            return header.previous != self._after.chain
        return self._foreign is not None and header.previous == self._foreign

    def _skip_foreign(self, reader: SegmentReader, header: Header) -> None:
        if header.sequence > self._after.sequence:
            log.error(
                "journal frame is not of this history, and left out",
                segment=str(reader.segment.path),
                sequence=header.sequence,
            )
        self._foreign = header.payload_hash
        self._holes.clear()

    def _pass_covered(self, reader: SegmentReader) -> None:
        if any(hole.following is not None for hole in self._holes):
            log.warning("journal damaged before the checkpoint", segment=str(reader.segment.path))
        self._holes.clear()

    def _bound_hole(self, reader: SegmentReader, header: Header, following: int) -> None:
        """Tell the hole before a frame what the frame tells."""
        if self._holes and self._holes[-1].reader is reader and self._holes[-1].following is None:
            self._holes[-1].following = following
            if self._holes[-1].first is None:
                self._holes[-1].first = header.opening

    def _missing(self, until: int, before: _Hole | None = None) -> Iterator[Damaged]:
        """Tell what is missing before the frame ``until``, which stands where ``before`` ends, and where."""
        holes, self._holes = self._holes, []
        for hole in holes:
            if hole.first is not None:
                yield from self._lose(hole, min(hole.first, until))
            yield from self._salvage(hole, until)
        if before is not None:
            yield from self._lose(holes[-1] if holes else before, until)

    def _salvage(self, hole: _Hole, until: int) -> Iterator[Damaged]:
        """Tell frame by frame what is missing in a hole, as far as that can be told."""
        sequence = self._expected if hole.first is None else hole.first
        stop = until if hole.following is None else min(hole.following, until)
        while hole.offset < hole.end and sequence < stop:
            whole = hole.following == sequence + 1 and self._proven > sequence
            found = salvage(hole.reader, hole.offset, sequence, hole.end if whole else None)
            if found.length is None:
                break
            if sequence >= self._expected:
                kind = found.header.type if found.header else FrameType.ROWS
                yield from self._lose(hole, sequence + 1, kind, found.sections)
            hole.offset = min(hole.offset + span(found.length), hole.end)
            sequence += 1
        if hole.following is not None:
            yield from self._lose(hole, stop)

    def _lose(
        self,
        hole: _Hole,
        until: int,
        kind: FrameType | None = None,
        sections: tuple[LostSection, ...] | None = None,
    ) -> Iterator[Damaged]:
        if self._expected >= until:
            return
        first, self._expected = self._expected, until
        nothing = hole.following is None and not any(hole.reader.read(ALIGNMENT, hole.offset))
        yield Damaged(
            path=hole.reader.segment.path,
            offset=hole.offset,
            size=0 if nothing else hole.end - hole.offset,
            first=first,
            last=until - 1,
            type=kind,
            sections=sections,
            acknowledged=first < self._proven,
        )


class _PatientReader(SegmentReader):
    """Takes what the disk can't read for zeros, so that it costs no more than the frames it is in."""

    def sync(self) -> None:
        try:
            super().sync()
        except OSError as error:
            # The rows go to the column files next, and the segment is needed only until those are synced.
            log.warning("journal segment can't be synced", segment=str(self.segment.path), error=str(error))

    def read(self, size: int, offset: int) -> bytes:
        try:
            return super().read(size, offset)
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
        blocks = range(offset // ALIGNMENT * ALIGNMENT, min(offset + size, self.size), ALIGNMENT)
        starts = [max(block, offset) for block in blocks]
        ends = [*starts[1:], min(offset + size, self.size)]
        return b"".join(self._read_block(at, end - at) for at, end in zip(starts, ends, strict=True))

    def _read_block(self, offset: int, size: int) -> bytes:
        try:
            return super().read(size, offset)
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
            log.warning("journal block can't be read", segment=str(self.segment.path), offset=offset)
            return bytes(size)


def _places(reader: SegmentReader) -> Iterator[tuple[int, int, Header | None]]:
    """Return every frame's beginning, end and header, and the places between them, without a header."""
    offset = 0
    for found, header in reader.headers():
        yield from _between(reader, offset, found)
        offset = min(found + span(header.length), reader.size)
        yield found, offset, header
    yield from _between(reader, offset, reader.size)


def _between(reader: SegmentReader, offset: int, end: int) -> Iterator[tuple[int, int, Header | None]]:
    while offset < end:
        header = mend_header(reader.read(HEADER_BYTES, offset), reader.segment.number)
        if header is None or reader.payload_at(offset, header) is None:
            yield offset, end, None
            return
        log.warning("journal frame has a damaged header", segment=str(reader.segment.path), offset=offset)
        yield offset, offset + span(header.length), header
        offset += span(header.length)
