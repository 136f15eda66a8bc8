"""The journal's frames, looked at without replaying them: how many there are, and what is damaged.

Of a segment those frames count whose sequence is lower than the one that a later segment begins with; the
rest was given up when its sync failed, and written again there. What lies behind the last valid frame of all
may be the torn end of a write that was never acknowledged, and is no damage.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from multilogger.archive.report import Problem
from multilogger.archive.tree import names
from multilogger.storage.frame import ALIGNMENT, HEADER_BYTES, Header, decode_header, hash_payload, span

_SEGMENT: Final = re.compile(r"(\d{12})\.wal", re.ASCII)
_ENDLESS: Final = 1 << 64
"""Higher than every sequence."""


@attrs.frozen
class Hole:
    """A place between valid frames where others should be."""

    offset: int
    end: int
    first: int
    """The first sequence that is missing."""
    last: int


@attrs.define
class Scanned:
    """What is in a segment."""

    path: Path
    frames: int = 0
    opening: int | None = None
    """Sequence that the segment begins with; None of one without a valid frame."""
    next: int = 0
    """Sequence after the last valid frame."""
    end: int = 0
    """Where the last valid frame ends."""
    holes: list[Hole] = attrs.field(factory=list)
    unreadable: list[Problem] = attrs.field(factory=list)

    def enter(self, offset: int, header: Header) -> None:
        """Note a valid frame."""
        if self.opening is None:
            self.opening = self.next = header.opening
        if offset > self.end:
            self.holes.append(Hole(self.end, offset, self.next, header.sequence - 1))
        self.frames += 1
        self.next, self.end = header.sequence + 1, offset + span(header.length)


def check_journal(directories: Sequence[Path], *, running: bool) -> tuple[int, list[Problem]]:
    """Return how many frames the journal has, and what is wrong with it.

    Args:
        directories: of its segments; they need not exist.
        running: whether a logger holds the data path, and may use segments again meanwhile.

    Raises:
        ArchiveError: a directory can't be read.
    """
    found = [
        (int(match[1]), directory / name)
        for directory in directories
        for name in names(directory)
        if (match := _SEGMENT.fullmatch(name))
    ]
    scanned = [_scan(path, number, running=running) for number, path in sorted(found)]
    segments = [segment for segment in scanned if segment is not None]
    return sum(segment.frames for segment in segments), list(_judge(segments))


def _judge(segments: Sequence[Scanned]) -> Iterator[Problem]:
    limit = _ENDLESS
    limits = []
    for segment in reversed(segments):
        limits.append(limit)
        limit = min(limit, _ENDLESS if segment.opening is None else segment.opening)
    before: Scanned | None = None
    for segment, limit in zip(segments, reversed(limits), strict=True):
        yield from segment.unreadable
        if segment.opening is None:
            continue
        if before is not None and segment.opening > before.next:
            words = _words(before.next, segment.opening - 1)
            yield Problem(before.path, None, f"behind {before.end}: {words}, before {segment.path.name}")
        for hole in segment.holes:
            if hole.first < limit:
                words = _words(hole.first, min(hole.last, limit - 1))
                yield Problem(
                    segment.path, None, f"{hole.end - hole.offset:,} bytes at {hole.offset}: {words}"
                )
        before = segment


def _words(first: int, last: int) -> str:
    frames = f"frame {first} is" if first >= last else f"frames {first} to {last} are"
    return f"{frames} damaged or missing"


def _scan(path: Path, number: int, *, running: bool) -> Scanned | None:
    """Return what is in a segment; None if it is none any more."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Scanned(path, unreadable=[Problem(path, None, f"can't be opened: {error.strerror}")])
    try:
        scanned = _scan_open(path, fd, number)
        if running and not _still_named(path, fd):
            return None
    finally:
        os.close(fd)
    return scanned


def _scan_open(path: Path, fd: int, number: int) -> Scanned:
    scanned = Scanned(path)
    size = os.fstat(fd).st_size
    offset = 0
    while offset < size:
        try:
            header = _frame_at(fd, offset, size, number)
        except OSError as error:
            header = None
            scanned.unreadable.append(Problem(path, None, f"can't be read at {offset}: {error.strerror}"))
        if header is None:
            offset += ALIGNMENT
        else:
            scanned.enter(offset, header)
            offset = scanned.end
    return scanned


def _frame_at(fd: int, offset: int, size: int, number: int) -> Header | None:
    """Return the header of the frame at ``offset``, None if there is no whole one."""
    header = decode_header(os.pread(fd, HEADER_BYTES, offset), number)
    if header is None or offset + HEADER_BYTES + header.length > size:
        return None
    payload = os.pread(fd, header.length, offset + HEADER_BYTES)
    return header if hash_payload(payload, header.sequence) == header.payload_hash else None


def _still_named(path: Path, fd: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(fd).st_ino
    except FileNotFoundError:
        return False
