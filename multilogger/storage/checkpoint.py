"""The checkpoint: what the column files hold for certain, so that the journal before it isn't needed.

The file is ``MLCKPT02``, the u64 XXH3-64 of the rest, and msgpack. It is replaced by rename; the one before
is kept, and the journal is kept back to it, so either of them can be started from.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import msgspec
import structlog
import xxhash

from multilogger.errors import StorageDamaged
from multilogger.storage import disk
from multilogger.storage.streams import StreamEntry

log = structlog.get_logger()

_MAGIC: Final = b"MLCKPT02"
_HASH: Final = struct.Struct("<Q")
_START: Final = len(_MAGIC) + _HASH.size


NEVER: Final = -(1 << 62)
"""The day up to which all are closed, when none is."""


class StreamState(msgspec.Struct, array_like=True, frozen=True):
    """What is remembered of a stream."""

    entry: StreamEntry
    last_trade_id: int | None
    last_row: bytes


class PartitionState(msgspec.Struct, array_like=True, frozen=True):
    """What is remembered of a stream's day."""

    stream: int
    day: int
    generation: int
    """Of its seal; of a late one, of the seal that its rows came after."""
    rows: int
    """In each of its files."""
    offset: int
    """Row n of the files is row n + offset of the journal."""
    last_time_ns: int
    """The highest time in the files."""
    crcs: dict[str, int]
    """CRC-32 of each column's file; also tells which columns the partition has."""


class Checkpoint(msgspec.Struct, array_like=True, frozen=True):
    """All of it."""

    sequence: int
    """Of the last frame that the column files hold."""
    chain: int
    """Hash of that frame's payload."""
    segment: int
    """The highest segment number there was."""
    boot_id: str
    closed_day: int
    """Rows of this day and those before are late, whatever their partition."""
    notes_bytes: int
    """Length of the log of notes."""
    streams: list[StreamState]
    partitions: list[PartitionState]
    written_ns: int = 0
    """When the last frame was written that it covers, nanoseconds since the epoch; 0 if it is not known."""


EMPTY: Final = Checkpoint(0, 0, 0, "", NEVER, 0, [], [])
"""Before the first."""


def previous_of(path: Path) -> Path:
    """Return where the checkpoint before the one at ``path`` is kept."""
    return path.with_name(path.name + ".previous")


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Make a checkpoint durable, keeping the one before it."""
    body = msgspec.msgpack.encode(checkpoint)
    temporary = path.with_name(path.name + ".tmp")
    fd = disk.open_file(temporary, create=True)
    try:
        disk.truncate(fd, 0)
        disk.write(fd, _MAGIC + _HASH.pack(xxhash.xxh3_64_intdigest(body)) + body, 0)
        disk.sync(fd)
    finally:
        disk.close(fd)
    if disk.length_of(path) is not None:
        disk.rename(path, previous_of(path))
    disk.rename(temporary, path)
    disk.sync_directory(path.parent)


def load(path: Path) -> Checkpoint:
    """Return the newest checkpoint that can be read; :data:`EMPTY` if there is no file at all.

    Raises:
        StorageDamaged: there are files, but none of them can be read.
    """
    found = False
    for candidate in (path, previous_of(path)):
        size = disk.length_of(candidate)
        if size is None:
            continue
        found = True
        checkpoint = _read(candidate, size)
        if checkpoint is not None:
            if candidate != path and disk.length_of(path) is not None:
                # Out of the way: the next save must not make it the one that is kept.
                disk.rename(path, path.with_name(path.name + ".unreadable"))
            return checkpoint
        log.error("checkpoint can't be read", path=str(candidate))
    if found:
        raise StorageDamaged(f"{path} can't be read, nor can the one before it")
    return EMPTY


def _read(path: Path, size: int) -> Checkpoint | None:
    fd = disk.open_file(path)
    try:
        data = disk.read(fd, size, 0)
    finally:
        disk.close(fd)
    body = data[_START:]
    if data[:_START] != _MAGIC + _HASH.pack(xxhash.xxh3_64_intdigest(body)):
        return None
    try:
        return msgspec.msgpack.decode(body, type=Checkpoint)
    except msgspec.MsgspecError:
        return None
