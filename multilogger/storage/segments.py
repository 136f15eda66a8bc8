"""The journal's files: preallocated, zero-written, and used again when nothing needs them any more."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs
import structlog

from multilogger.storage import disk
from multilogger.storage.frame import ALIGNMENT, HEADER_BYTES, Header, decode_header, hash_payload, span

log = structlog.get_logger()

MIN_SEGMENT_BYTES: Final = 8 * ALIGNMENT
_NUMBERS_SKIPPED: Final = 1000
_WAL: Final = re.compile(r"(\d{12})\.wal", re.ASCII)
_SPARE: Final = re.compile(r"spare(\d+)\.free", re.ASCII)


@attrs.frozen
class Segment:
    """A segment in one of the journal's directories."""

    number: int
    """Unique over all directories, and higher than that of every segment written before."""
    path: Path


@attrs.frozen
class Closed:
    """A segment that nothing is written to any more."""

    segment: Segment
    last_sequence: int
    """Of the frames in it that count."""
    reusable: bool = True
    """False after the disk failed there: it is removed instead of written to again."""


def segment_path(directory: Path, number: int) -> Path:
    """Return the path of a segment in a directory."""
    return directory / f"{number:012d}.wal"


def list_segments(*directories: Path) -> list[Segment]:
    """Return the segments in the journal's directories, by number; a directory may be missing."""
    found = []
    for directory in directories:
        try:
            names = disk.names(directory)
        except FileNotFoundError:
            log.warning("journal directory is missing", path=str(directory))
            continue
        found += [
            Segment(int(match[1]), directory / name) for name in names if (match := _WAL.fullmatch(name))
        ]
    return sorted(found, key=lambda segment: segment.number)


def first_number(highest: int) -> int:
    """Return the number of the first segment that a start makes.

    Args:
        highest: of those known; a disk that is not mounted now may hold later ones, which must not win.
    """
    return highest + _NUMBERS_SKIPPED


def segment_finder(*directories: Path) -> Callable[[int], Path]:
    """Return what tells where a segment is by its number.

    The path is the first directory's if none has it, so that opening it says what is missing.
    """

    def find(number: int) -> Path:
        paths = [segment_path(directory, number) for directory in directories]
        return next((path for path in paths if disk.length_of(path) is not None), paths[0])

    return find


class SegmentReader:
    """Reads the frames of one segment.

    Raises:
        OSError: from every method.
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._fd = disk.open_file(segment.path)
        self.size = disk.length(self._fd)
        """In bytes."""

    def close(self) -> None:
        """Close the file."""
        disk.close(self._fd)

    def sync(self) -> None:
        """Make durable what is about to be replayed: the writer may have died between write and sync."""
        disk.sync(self._fd)

    def read(self, size: int, offset: int) -> bytes:
        """Return up to ``size`` bytes at ``offset``; fewer only at the end of the file."""
        return disk.read(self._fd, size, offset)

    def header_at(self, offset: int) -> Header | None:
        """Return the valid header at ``offset``, None if there is none."""
        return decode_header(self.read(HEADER_BYTES, offset), self.segment.number)

    def payload_at(self, offset: int, header: Header) -> bytes | None:
        """Return the payload of the frame at ``offset``, None if it is not what was hashed."""
        if offset + HEADER_BYTES + header.length > self.size:
            return None
        payload = self.read(header.length, offset + HEADER_BYTES)
        right = len(payload) == header.length and hash_payload(payload, header.sequence)
        return payload if right == header.payload_hash else None

    def headers(self, offset: int = 0) -> Iterator[tuple[int, Header]]:
        """Return the valid headers at or after ``offset``, and where each is; damage is passed over."""
        while offset < self.size:
            header = self.header_at(offset)
            if header is None:
                offset += ALIGNMENT
            else:
                yield offset, header
                offset += span(header.length)


class SegmentPool:
    """Hands out segments of one directory and takes them back.

    The committing thread calls :meth:`take` and :meth:`close`, the applying one :meth:`prepare` and
    :meth:`retire`; a lock protects the lists.

    Args:
        directory: the journal's, or its alternate one.
        segment_bytes: size of a segment, at least :data:`MIN_SEGMENT_BYTES`.
        closed: segments found at start that may still be needed, of any directory.
        spares: free segments that are kept; the journal lives on them while the disk is full.
    """

    def __init__(
        self, directory: Path, segment_bytes: int, closed: Sequence[Closed] = (), *, spares: int = 2
    ) -> None:
        self._directory = directory
        self._segment_bytes = max(segment_bytes, MIN_SEGMENT_BYTES)
        self._spares = self._kept = spares
        self._lock = threading.Lock()
        self._closed = [found for found in closed if found.segment.path.parent == directory]
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

    @property
    def directory(self) -> Path:
        """Where the segments are."""
        return self._directory

    @property
    def spare_bytes(self) -> int:
        """Size of the free segments: what the journal can grow by on a full disk."""
        return len(self._free) * self._segment_bytes

    def take(self, number: int, needed: int) -> tuple[Segment, int]:
        """Put segment ``number`` into place, and return it and its size of at least ``needed`` bytes.

        Raises:
            OSError: the disk failed or is full.
        """
        size = max(self._segment_bytes, needed)
        spare = (self._pop_spare() if size == self._segment_bytes else None) or self._make(size)
        segment = Segment(number, segment_path(self._directory, number))
        try:
            disk.rename(spare, segment.path)
            disk.sync_directory(self._directory)
        except OSError:
            # It may have either name now, and after a power cut again either.
            self.drop(segment)
            self._keep(spare)
            raise
        return segment, size

    def _pop_spare(self) -> Path | None:
        with self._lock:
            while self._free:
                spare = self._free.pop()
                # One whose renaming failed may be gone.
                if disk.length_of(spare) == self._segment_bytes:
                    return spare
        return None

    def prepare(self) -> bool:
        """Make a spare segment if there are too few, so that :meth:`take` needn't.

        Returns:
            Whether one was made: there may be room for another.

        Raises:
            OSError: the disk failed or is full.
        """
        if len(self._free) >= self._spares:
            return False
        self._keep(self._make(self._segment_bytes))
        return True

    def _keep(self, spare: Path) -> None:
        with self._lock:
            self._free.append(spare)

    def _make(self, size: int) -> Path:
        """Return a new file of zeros, under a name that is taken for a free segment once it is complete."""
        with self._lock:
            self._made += 1
            temporary = self._directory / f"spare{self._made}.tmp"
        try:
            self._fill(temporary, size)
            spare = temporary.with_suffix(".free")
            disk.rename(temporary, spare)
        except OSError:
            _discard(temporary)
            raise
        return spare

    def _fill(self, path: Path, size: int) -> None:
        fd = disk.open_file(path, create=True)
        try:
            disk.write_zeros(fd, size)
            disk.sync(fd)
        finally:
            disk.close(fd)

    def close(self, segment: Segment, last_sequence: int, *, reusable: bool = True) -> None:
        """Note that nothing more is written to a segment."""
        with self._lock:
            self._closed.append(Closed(segment, last_sequence, reusable))

    def drop(self, segment: Segment) -> None:
        """Remove a segment in which nothing became durable, later if that fails now."""
        if not _discard(segment.path):
            self.close(segment, 0, reusable=False)

    def rewind(self, sequence: int) -> None:
        """Note that frames behind ``sequence`` don't count: the next segment repeats their numbers."""
        with self._lock:
            self._closed = [
                attrs.evolve(closed, last_sequence=min(closed.last_sequence, sequence))
                for closed in self._closed
            ]

    def retire(self, sequence: int) -> None:
        """Free the segments whose frames are all at or before ``sequence``.

        Raises:
            OSError: the disk failed; what is not freed is tried again the next time.
        """
        with self._lock:
            done = [closed for closed in self._closed if closed.last_sequence <= sequence]
            self._kept = max(self._spares, len(done) + 1)  # what is filled between two checkpoints
        # Older ones first: frames that were given up must not outlive the segment that replaces them.
        for closed in sorted(done, key=lambda closed: closed.segment.number):
            self._free_segment(closed)
            with self._lock:
                self._closed.remove(closed)
        if done:
            disk.sync_directory(self._directory)

    def _free_segment(self, closed: Closed) -> None:
        path = closed.segment.path
        wanted = closed.reusable and len(self._free) < self._kept
        if not wanted or disk.length_of(path) != self._segment_bytes:
            disk.unlink(path)
            return
        free = path.with_suffix(".free")
        disk.rename(path, free)
        self._keep(free)


def _discard(path: Path) -> bool:
    """Remove a file that holds nothing, if the disk lets it be removed."""
    try:
        disk.unlink(path)
    except OSError as error:
        log.warning("unused segment can't be removed", path=str(path), error=str(error))
        return False
    return True
