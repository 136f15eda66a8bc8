"""The notes log: every note there was, in the order of the journal.

A run of records, little-endian::

    u32 payload length, u32 0, u64 XXH3-64 of the payload seeded with the record's offset
    payload: msgpack of [sequence of the note's frame, its index there, the note]

The checkpoint remembers the log's length. What lies behind is cut at a start and comes again from the
journal, to the same place.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import structlog
import xxhash

from multilogger.errors import StorageError
from multilogger.notes import UNREADABLE, NoteRecord
from multilogger.storage import disk

log = structlog.get_logger()

_HEADER: Final = struct.Struct("<IIQ")
_LONGEST: Final = 2**24 - 1
"""Bytes of a payload; no journal frame carries as much."""
_PLAUSIBLE: Final = re.compile(rb"(?=(?:[^\0]..|.[^\0].|..[^\0])\0{5})", re.DOTALL)
"""A record's length, which is not 0 and at most ``_LONGEST``, and the zero behind it."""
_PLAUSIBLE_BYTES: Final = 8
_PIECE: Final = 1024 * 1024


class NotesLog:
    """The log for one thread at a time; its methods raise :class:`OSError` as the file system gives it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.length = 0
        """Bytes of complete records; the next one goes here."""
        self._fd = -1
        self._temporary = path.with_name(path.name + ".tmp")
        self._decoder = msgspec.msgpack.Decoder(NoteRecord)

    def open(self, length: int) -> None:
        """Open the file, new if there is none, and :meth:`cut` it to the checkpoint's ``length``; or anew."""
        self.close()
        created = disk.length_of(self.path) is None
        disk.unlink(self._temporary)
        self._fd = disk.open_file(self.path, create=True)
        if created:
            disk.sync_directory(self.path.parent)
        self.cut(length)

    def cut(self, length: int) -> None:
        """Drop what lies behind ``length``; a file that is shorter is logged and filled up with zeros.

        :meth:`read` passes over them. Records so come to the same place again if a start is interrupted.
        """
        size = disk.length(self._fd)
        if size < length:
            log.error(
                "the notes log is shorter than it was left", path=str(self.path), bytes=size, expected=length
            )
        if size != length:
            disk.truncate(self._fd, length)
        self.length = length

    def append(self, records: Iterable[NoteRecord]) -> None:
        """Write records at the end; not durable before :meth:`sync`.

        If it fails, the same call writes the same bytes to the same place.

        Raises:
            StorageError: a note is absurdly long.
        """
        parts = []
        end = self.length
        for record in records:
            payload = msgspec.msgpack.encode(record)
            if len(payload) > _LONGEST:
                raise StorageError(f"a note of {len(payload)} bytes is too long for {self.path}")
            parts += [_HEADER.pack(len(payload), 0, xxhash.xxh3_64_intdigest(payload, seed=end)), payload]
            end += _HEADER.size + len(payload)
        if parts:
            disk.write(self._fd, b"".join(parts), self.length)
        self.length = end

    def sync(self) -> None:
        """Make what was appended durable."""
        disk.sync_data(self._fd)

    def renew(self, length: int) -> None:
        """Replace the file by a copy of its first ``length`` bytes, which a checkpoint made durable.

        After a failed sync what came later may be lost whatever is done to the same file; it is to be
        appended again, to the copy.
        """
        fd = disk.open_file(self._temporary, create=True)
        try:
            disk.truncate(fd, 0)
            for offset in range(0, length, _PIECE):
                disk.write(fd, disk.read(self._fd, min(_PIECE, length - offset), offset), offset)
            disk.sync(fd)
            disk.rename(self._temporary, self.path)
        except OSError:
            disk.close(fd)
            raise
        old, self._fd = self._fd, fd
        disk.let_go(old)
        self.cut(length)
        disk.sync_directory(self.path.parent)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            disk.let_go(self._fd)
            self._fd = -1

    def read(self, start: int = 0) -> Iterator[tuple[int, NoteRecord]]:
        """Yield the records from offset ``start`` on, each with its offset.

        What can't be read is logged, and reading goes on at the next record that can.
        """
        file = _Window(self._fd, self.length)
        at = start
        while at < file.end:
            payload = file.payload(at)
            if payload is None:
                following = file.next_record(at + 1)
                log.error("the notes log is damaged", path=str(self.path), offset=at, bytes=following - at)
                at = following
                continue
            record = self._decode(payload, at)
            if record is not None:
                yield at, record
            at += _HEADER.size + len(payload)

    def _decode(self, payload: bytes, at: int) -> NoteRecord | None:
        try:
            return self._decoder.decode(payload)
        except UNREADABLE as error:
            # Intact, but of a kind that only a newer version knows: no place in the code is to blame.
            log.error(  # noqa: TRY400
                "a note can't be understood", path=str(self.path), offset=at, error=str(error)
            )
            return None

    def hash_at(self, offset: int) -> int | None:
        """Return the hash of the record at ``offset``, None if there is none that can be read."""
        payload = _Window(self._fd, self.length).payload(offset)
        return None if payload is None else xxhash.xxh3_64_intdigest(payload, seed=offset)


class _Window:
    """The records of a file up to ``end``, read a piece at a time."""

    def __init__(self, fd: int, end: int) -> None:
        self.end = end
        self._fd = fd
        self._start = 0
        self._data = b""

    def payload(self, at: int) -> bytes | None:
        """Return the payload of the record at ``at``, None if there is no intact one."""
        header = self._bytes(at, _HEADER.size)
        if len(header) < _HEADER.size:
            return None
        length, zero, digest = _HEADER.unpack(header)
        if zero or not 0 < length <= _LONGEST:
            return None
        payload = self._bytes(at + _HEADER.size, length)
        if len(payload) < length or xxhash.xxh3_64_intdigest(payload, seed=at) != digest:
            return None
        return payload

    def next_record(self, at: int) -> int:
        """Return the offset of the first intact record from ``at`` on, the end if there is none."""
        while len(data := self._bytes(at, _PIECE)) >= _PLAUSIBLE_BYTES:
            for match in _PLAUSIBLE.finditer(data):
                if self.payload(at + match.start()) is not None:
                    return at + match.start()
            at += len(data) - _PLAUSIBLE_BYTES + 1
        return self.end

    def _bytes(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        size = min(size, self.end - offset)
        if size <= 0:
            return b""
        if not self._start <= offset <= offset + size <= self._start + len(self._data):
            self._data = disk.read(self._fd, min(max(size, _PIECE), self.end - offset), offset)
            self._start = offset
        first = offset - self._start
        return self._data[first : first + size]
