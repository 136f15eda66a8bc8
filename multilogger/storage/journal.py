"""The journal: frames appended to segments, durable when :meth:`Journal.append` returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from multilogger.storage import disk
from multilogger.storage.frame import ALIGNMENT, FrameType, Header, hash_payload, span
from multilogger.storage.segments import Segment, SegmentPool

MAX_PAYLOAD_BYTES: Final = 4 * 1024 * 1024
"""Of a rows frame; longer commits are split."""
_MAX_GROUP: Final = 256
"""Frames in one write: each is three parts, and the kernel takes 1,024."""
_ZEROS: Final = bytes(ALIGNMENT)

Buffer = memoryview | bytes


@attrs.frozen
class Position:
    """How far something got in the journal."""

    sequence: int
    """Of the last frame; 0 before the first."""
    chain: int
    """Hash of its payload; 0 before the first."""


@attrs.frozen(kw_only=True)
class JournalStats:
    """What appends have cost since the start."""

    bytes: int
    syncs: int


class Journal:
    """Appends frames. Used by one thread at a time.

    After an :class:`OSError` from :meth:`append` it must not be used again: whether the frames are durable is
    unknown, and a second sync would not tell.

    Args:
        pool: where segments come from.
        first_segment: number of the segment to begin with: higher than any there ever was.
        position: where the journal ends now.
        dictionary: the payloads of the dictionary frames that every segment opens with.
        clock: nanoseconds since the epoch, for the frames' headers.
    """

    def __init__(
        self,
        pool: SegmentPool,
        first_segment: int,
        position: Position,
        dictionary: Callable[[], Sequence[bytes]],
        clock: Callable[[], int],
    ) -> None:
        self._pool = pool
        self._next_segment = first_segment
        self._position = position
        self._dictionary = dictionary
        self._clock = clock
        self._segment: Segment | None = None
        self._fd = -1
        self._size = 0
        self._offset = 0
        self._bytes = 0
        self._syncs = 0

    @property
    def position(self) -> Position:
        """The last durable frame."""
        return self._position

    @property
    def last_segment(self) -> int:
        """Number of the newest segment there is or was."""
        return self._next_segment - 1

    def statistics(self) -> JournalStats:
        """Return what appends have cost so far."""
        return JournalStats(bytes=self._bytes, syncs=self._syncs)

    def append(self, frames: Sequence[tuple[FrameType, Buffer]]) -> Position:
        """Write frames and make them durable.

        Frames that fit into the current segment are written by one call and synced together.

        Returns:
            The position of the last of them.
        """
        waiting = list(frames)
        while waiting:
            fitting = self._count_fitting(waiting)
            if fitting:
                self._write(waiting[:fitting])
                del waiting[:fitting]
            else:
                waiting = self._roll(waiting)
        return self._position

    def _count_fitting(self, frames: Sequence[tuple[FrameType, Buffer]]) -> int:
        room = self._size - self._offset
        for count, (_, payload) in enumerate(frames[:_MAX_GROUP]):
            room -= span(len(payload))
            if room < 0:
                return count
        return min(len(frames), _MAX_GROUP)

    def _roll(self, waiting: list[tuple[FrameType, Buffer]]) -> list[tuple[FrameType, Buffer]]:
        """Begin a segment, and return what is to be written to it first."""
        self.close()
        opening: list[tuple[FrameType, Buffer]] = [
            (FrameType.DICTIONARY, payload) for payload in self._dictionary()
        ]
        needed = sum(span(len(payload)) for _, payload in [*opening, waiting[0]])
        self._segment, self._size = self._pool.take(self._next_segment, needed)
        self._next_segment += 1
        self._fd = disk.open_file(self._segment.path)
        self._offset = 0
        return opening + waiting

    def _write(self, frames: Sequence[tuple[FrameType, Buffer]]) -> None:
        position = self._position
        parts: list[Buffer] = []
        for place, (kind, payload) in enumerate(frames):
            header = self._header(kind, payload, position, place)
            padding = span(len(payload)) - len(payload) - len(encoded := header.encode())
            parts += [encoded, payload, _ZEROS[:padding]]
            position = Position(header.sequence, header.payload_hash)
        disk.write_parts(self._fd, parts, self._offset)
        disk.sync_data(self._fd)
        written = sum(span(len(payload)) for _, payload in frames)
        self._offset += written
        self._bytes += written
        self._syncs += 1
        self._position = position

    def _header(self, kind: FrameType, payload: Buffer, after: Position, place: int) -> Header:
        if self._segment is None:
            raise RuntimeError("a frame without a segment")
        sequence = after.sequence + 1
        return Header(
            type=kind,
            segment=self._segment.number,
            sequence=sequence,
            wall_ns=self._clock(),
            length=len(payload),
            place=place,
            previous=after.chain,
            payload_hash=hash_payload(payload, sequence),
        )

    def close(self) -> None:
        """Close the current segment, if any; the next append begins another."""
        if self._segment is None:
            return
        disk.close(self._fd)
        self._pool.close(self._segment, self._position.sequence)
        self._segment = None
        self._fd, self._size, self._offset = -1, 0, 0
