"""The journal: frames appended to segments, durable when :meth:`Journal.append` returns.

A segment that failed is never written to again: after a failed write or sync nothing is known of what it
holds, and a second sync would not tell. The same frames are written into a new segment, or into one in the
alternate directory. Their sequence numbers repeat there, behind the dictionary that opens every segment; a
reader takes each segment only up to the number that a later one begins with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs
import structlog

from multilogger.errors import JournalUnavailable
from multilogger.storage import disk
from multilogger.storage.extent import Extent, Position
from multilogger.storage.frame import (
    ALIGNMENT,
    HEADER_BYTES,
    MAX_GROUP,
    FrameType,
    Header,
    hash_payload,
    span,
)
from multilogger.storage.segments import Segment, SegmentPool

log = structlog.get_logger()

MAX_PAYLOAD_BYTES: Final = 4 * 1024 * 1024
"""Of a rows frame; longer commits are split."""
_ZEROS: Final = bytes(ALIGNMENT)

Buffer = memoryview | bytes
Frame = tuple[FrameType, Buffer]


@attrs.frozen(kw_only=True)
class JournalStats:
    """What appends have cost since the start."""

    bytes: int
    syncs: int
    failures: int
    """Segments given up because the disk failed."""


@attrs.define
class _Open:
    """The segment that is written to."""

    pool: SegmentPool
    segment: Segment
    fd: int
    size: int
    offset: int = 0
    frames: int = 0
    """In it so far."""

    @property
    def room(self) -> int:
        return self.size - self.offset


class Journal:
    """Appends frames. Used by one thread at a time.

    Args:
        pool: where segments come from.
        first_segment: number of the segment to begin with: higher than any there ever was.
        position: where the journal ends now.
        dictionary: the payloads of the dictionary frames that every segment opens with.
        clock: nanoseconds since the epoch, for the frames' headers.
        alternate: where segments come from while ``pool``'s directory fails.
    """

    def __init__(
        self,
        pool: SegmentPool,
        first_segment: int,
        position: Position,
        dictionary: Callable[[], Sequence[bytes]],
        clock: Callable[[], int],
        alternate: SegmentPool | None = None,
    ) -> None:
        self._pools = (pool,) if alternate is None else (pool, alternate)
        self._next_segment = first_segment
        self._position = position
        self._dictionary = dictionary
        self._clock = clock
        self._open: _Open | None = None
        self._bytes = 0
        self._syncs = 0
        self._failures = 0

    @property
    def position(self) -> Position:
        """The last durable frame."""
        return self._position

    @property
    def last_segment(self) -> int:
        """Number of the newest segment there is or was."""
        return self._next_segment - 1

    @property
    def on_alternate(self) -> bool:
        """Whether the segment being written to is in the alternate directory."""
        return self._open is not None and self._open.pool is not self._pools[0]

    def statistics(self) -> JournalStats:
        """Return what appends have cost so far."""
        return JournalStats(bytes=self._bytes, syncs=self._syncs, failures=self._failures)

    def append(self, frames: Sequence[Frame]) -> list[Extent]:
        """Write frames and make them durable: all of them, or none.

        Frames that fit into the current segment are written by one call and synced together. Dictionary
        frames are written twice in a row, so that one damaged frame loses no stream's number.

        Returns:
            Where they are, with the dictionaries of segments that were begun, in order.

        Raises:
            JournalUnavailable: no directory takes them. The journal stands where it stood, and the frames
                can be appended again.
        """
        before = self._position
        waiting = _doubled(frames)
        extents: list[Extent] = []
        try:
            while waiting:
                del waiting[: self._append_some(waiting, extents)]
        except JournalUnavailable:
            self._position = before
            for pool in self._pools:
                pool.rewind(before.sequence)
            raise
        return extents

    def _append_some(self, waiting: Sequence[Frame], extents: list[Extent]) -> int:
        """Write the frames that fit, wherever the disk lets them be written, and return how many."""
        last: OSError | None = None
        if self._open is not None and (fitting := _count_fitting(waiting, self._open.room)):
            try:
                self._write(self._open, waiting[:fitting], extents)
            except OSError as error:
                self._give_up(error)
            else:
                return fitting
        self.close()
        for pool in self._pools:
            try:
                return self._begin(pool, waiting, extents)
            except OSError as error:
                self._give_up(error)
                last = error
        raise JournalUnavailable(f"journal {self._pools[-1].directory}: {last}") from last

    def _begin(self, pool: SegmentPool, waiting: Sequence[Frame], extents: list[Extent]) -> int:
        """Begin a segment with the dictionary and the frames that fit, and return how many of those."""
        opening = _doubled([(FrameType.DICTIONARY, payload) for payload in self._dictionary()])
        needed = sum(span(len(payload)) for _, payload in [*opening, waiting[0]])
        number = self._next_segment
        self._next_segment += 1
        segment, size = pool.take(number, needed)
        try:
            fd = disk.open_file(segment.path)
        except OSError:
            pool.drop(segment)
            raise
        self._open = current = _Open(pool, segment, fd, size)
        todo = [*opening, *waiting]
        while len(todo) >= len(waiting):
            fitting = _count_fitting(todo, current.room)
            self._write(current, todo[:fitting], extents)
            del todo[:fitting]
        return len(waiting) - len(todo)

    def _write(self, to: _Open, frames: Sequence[Frame], extents: list[Extent]) -> None:
        """Write one sync group."""
        position = self._position
        parts: list[Buffer] = []
        for place, (kind, payload) in enumerate(frames):
            header = self._header(to, kind, payload, position, place)
            parts += [
                header.encode(),
                payload,
                _ZEROS[: span(len(payload)) - len(payload) - HEADER_BYTES],
            ]
            position = Position(header.sequence, header.payload_hash)
        disk.write_parts(to.fd, parts, to.offset)
        disk.sync_data(to.fd)
        written = sum(span(len(payload)) for _, payload in frames)
        extent = Extent(to.segment.number, to.offset, written, len(frames), position.sequence, position.chain)
        _extend(extents, extent)
        to.offset += written
        to.frames += len(frames)
        self._bytes += written
        self._syncs += 1
        self._position = position

    def _header(self, to: _Open, kind: FrameType, payload: Buffer, after: Position, place: int) -> Header:
        sequence = after.sequence + 1
        return Header(
            type=kind,
            segment=to.segment.number,
            sequence=sequence,
            wall_ns=self._clock(),
            length=len(payload),
            place=place,
            ordinal=to.frames + place,
            previous=after.chain,
            payload_hash=hash_payload(payload, sequence),
        )

    def _give_up(self, error: OSError) -> None:
        """Leave the current segment, if one was begun, as it is."""
        path = str(self._open.segment.path) if self._open else ""
        log.error("journal can't be written", segment=path, error=str(error))
        if self._open is not None:
            self._failures += 1
            self._release(reusable=False)

    def close(self) -> None:
        """Close the current segment, if any; the next append begins another."""
        if self._open is not None:
            self._release(reusable=True)

    def _release(self, *, reusable: bool) -> None:
        if self._open is None:
            return
        left, self._open = self._open, None
        if left.frames:
            left.pool.close(left.segment, self._position.sequence, reusable=reusable)
        else:
            left.pool.drop(left.segment)
        try:
            disk.close(left.fd)
        except OSError as error:
            # Everything that counts in it was synced before.
            log.warning("closing a segment failed", segment=str(left.segment.path), error=str(error))


def _doubled(frames: Sequence[Frame]) -> list[Frame]:
    return [frame for frame in frames for _ in range(2 if frame[0] is FrameType.DICTIONARY else 1)]


def _count_fitting(frames: Sequence[Frame], room: int) -> int:
    """Return how many of ``frames`` one write takes."""
    for count, (_, payload) in enumerate(frames[:MAX_GROUP]):
        room -= span(len(payload))
        if room < 0:
            return count
    return min(len(frames), MAX_GROUP)


def _extend(extents: list[Extent], extent: Extent) -> None:
    """Add an extent, joined to the last one if it continues that."""
    last = extents[-1] if extents else None
    if last is not None and (last.segment, last.offset + last.length) == (extent.segment, extent.offset):
        extents[-1] = Extent(
            extent.segment,
            last.offset,
            last.length + extent.length,
            last.frames + extent.frames,
            extent.last_sequence,
            extent.chain,
        )
    else:
        extents.append(extent)
