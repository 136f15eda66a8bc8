"""Where durable frames lie, and reading them back from there: in any process, while the journal goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs
import msgspec

from multilogger.errors import StorageDamaged
from multilogger.storage.frame import FrameType, span
from multilogger.storage.segments import Segment, SegmentReader, segment_path


class Position(msgspec.Struct, array_like=True, frozen=True):
    """How far something got in the journal."""

    sequence: int
    """Of the last frame; 0 before the first."""
    chain: int
    """Hash of its payload; 0 before the first."""


class Extent(msgspec.Struct, array_like=True, frozen=True):
    """Durable frames that follow each other in one segment."""

    segment: int
    offset: int
    length: int
    """In bytes, padding included."""
    frames: int
    last_sequence: int
    chain: int
    """Hash of the last frame's payload."""

    @property
    def position(self) -> Position:
        """Of the last frame."""
        return Position(self.last_sequence, self.chain)


@attrs.frozen(eq=False)
class Replayed:
    """A frame that was read back."""

    type: FrameType
    position: Position
    payload: bytes
    wall_ns: int
    """When it was written, nanoseconds since the epoch."""


class ExtentReader:
    """Reads the frames of extents. The segment read last stays open.

    Args:
        where: the journal's directory, or what tells the path of a segment by its number.
    """

    def __init__(self, where: Path | Callable[[int], Path]) -> None:
        self._where = where
        self._reader: SegmentReader | None = None

    def read(self, extents: Iterable[Extent]) -> Iterator[Replayed]:
        """Return every frame of ``extents``, in order.

        Raises:
            StorageDamaged: they are not there as they were written.
            OSError: they can't be read.
        """
        for extent in extents:
            yield from self._read(self._open(extent.segment), extent)

    def close(self) -> None:
        """Close the segment read last; reading again opens it again."""
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reader.close()

    def _open(self, number: int) -> SegmentReader:
        if self._reader is None or self._reader.segment.number != number:
            self.close()
            path = segment_path(self._where, number) if isinstance(self._where, Path) else self._where(number)
            try:
                self._reader = SegmentReader(Segment(number, path))
            except FileNotFoundError as error:
                raise StorageDamaged(f"journal {path}: the segment is gone") from error
        return self._reader

    def _read(self, reader: SegmentReader, extent: Extent) -> Iterator[Replayed]:
        offset = extent.offset
        chain = None
        for sequence in range(extent.last_sequence - extent.frames + 1, extent.last_sequence + 1):
            header = reader.header_at(offset)
            payload = reader.payload_at(offset, header) if header else None
            continues = (
                header is not None and header.sequence == sequence and chain in (None, header.previous)
            )
            if header is None or payload is None or not continues:
                raise StorageDamaged(
                    f"journal {reader.segment.path}: frame {sequence} is not at {offset} any more"
                )
            offset += span(header.length)
            chain = header.payload_hash
            yield Replayed(header.type, Position(sequence, chain), payload, header.wall_ns)
        if offset != extent.offset + extent.length or chain != extent.chain:
            raise StorageDamaged(f"journal {reader.segment.path}: the frames up to {offset} are others")
