"""The journal's files: preallocated, zero-written, and used again when nothing needs them any more."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Final

import attrs

from multilogger.storage import disk
from multilogger.storage.frame import ALIGNMENT

MIN_SEGMENT_BYTES: Final = 8 * ALIGNMENT
_SPARES: Final = 2
"""Free segments that are kept; what a burst made beyond them is removed."""
_WAL: Final = re.compile(r"(\d{12})\.wal")
_SPARE: Final = re.compile(r"spare(\d+)\.free")


@attrs.frozen
class Segment:
    """A segment in the journal's directory."""

    number: int
    path: Path


@attrs.frozen
class Closed:
    """A segment that nothing is written to any more."""

    segment: Segment
    last_sequence: int
    """Of the frames in it."""


def list_segments(directory: Path) -> list[Segment]:
    """Return the segments in the journal's directory, by number."""
    found = [(_WAL.fullmatch(name), name) for name in disk.names(directory)]
    return sorted(
        (Segment(int(match[1]), directory / name) for match, name in found if match),
        key=lambda segment: segment.number,
    )


class SegmentPool:
    """Hands out segments and takes them back.

    The committing thread calls :meth:`take` and :meth:`close`, the applying one :meth:`prepare` and
    :meth:`retire`; a lock protects the lists.

    Args:
        directory: the journal's.
        segment_bytes: size of a segment, at least :data:`MIN_SEGMENT_BYTES`.
        closed: segments found at start that may still be needed.
    """

    def __init__(self, directory: Path, segment_bytes: int, closed: list[Closed]) -> None:
        self._directory = directory
        self._segment_bytes = max(segment_bytes, MIN_SEGMENT_BYTES)
        self._lock = threading.Lock()
        self._closed = list(closed)
        self._free: list[Path] = []
        for name in disk.names(directory):
            self._sort_leftover(directory / name)
        # New spares must not take the names of those that were found.
        numbers = [int(match[1]) for path in self._free if (match := _SPARE.fullmatch(path.name))]
        self._made = max(numbers, default=0)

    def _sort_leftover(self, path: Path) -> None:
        if path.suffix == ".free" and disk.length_of(path) == self._segment_bytes:
            self._free.append(path)
        elif path.suffix in (".free", ".tmp"):
            disk.unlink(path)

    def take(self, number: int, needed: int) -> tuple[Segment, int]:
        """Put segment ``number`` into place, and return it and its size of at least ``needed`` bytes."""
        size = max(self._segment_bytes, needed)
        with self._lock:
            spare = self._free.pop() if self._free and size == self._segment_bytes else None
        spare = spare or self._make(size)
        segment = Segment(number, self._directory / f"{number:012d}.wal")
        disk.rename(spare, segment.path)
        disk.sync_directory(self._directory)
        return segment, size

    def prepare(self) -> None:
        """Make a spare segment if there is none, so that :meth:`take` needn't."""
        with self._lock:
            enough = bool(self._free)
        if not enough:
            spare = self._make(self._segment_bytes)
            with self._lock:
                self._free.append(spare)

    def _make(self, size: int) -> Path:
        """Return a new file of zeros, under a name that is taken for a free segment once it is complete."""
        with self._lock:
            self._made += 1
            temporary = self._directory / f"spare{self._made}.tmp"
        fd = disk.open_file(temporary, create=True)
        try:
            disk.write_zeros(fd, size)
            disk.sync(fd)
        finally:
            disk.close(fd)
        spare = temporary.with_suffix(".free")
        disk.rename(temporary, spare)
        return spare

    def close(self, segment: Segment, last_sequence: int) -> None:
        """Note that nothing more is written to a segment."""
        with self._lock:
            self._closed.append(Closed(segment, last_sequence))

    def retire(self, sequence: int) -> None:
        """Free the segments whose frames are all at or before ``sequence``."""
        with self._lock:
            done = [closed for closed in self._closed if closed.last_sequence <= sequence]
            self._closed = [closed for closed in self._closed if closed.last_sequence > sequence]
        for closed in done:
            self._free_segment(closed.segment)
        if done:
            disk.sync_directory(self._directory)

    def _free_segment(self, segment: Segment) -> None:
        with self._lock:
            reusable = len(self._free) < _SPARES and disk.length_of(segment.path) == self._segment_bytes
        if not reusable:
            disk.unlink(segment.path)
            return
        free = segment.path.with_suffix(".free")
        disk.rename(segment.path, free)
        with self._lock:
            self._free.append(free)
