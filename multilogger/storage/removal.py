"""Removing a sealed day's files, in an order in which a reader misses nothing or everything."""

from __future__ import annotations

from typing import Final

import xxhash

from multilogger.errors import StorageDamaged
from multilogger.notes import RetentionNote
from multilogger.storage import disk
from multilogger.storage.manifest import Manifest
from multilogger.storage.partition import Partition
from multilogger.storage.sealing import seal_note
from multilogger.storage.switch import manifest_columns
from multilogger.tables import Table

_CHUNK: Final = 4 * 1024 * 1024
_ALIASED: Final = "trade_"


def check(live: Partition, manifest: Manifest) -> None:
    """Check that a sealed day's files are what its manifest says.

    Raises:
        StorageDamaged: one is not, or can't be read.
    """
    for name, said in manifest.columns.items():
        path = f"{live.prefix}{name}{live.suffix}"
        try:
            found = _digest(path, said.bytes)
        except OSError as error:
            raise StorageDamaged(f"{path} can't be read: {error.strerror}") from error
        if found != said.xxh3_128:
            raise StorageDamaged(f"{path} is not what its manifest says")


def _digest(path: str, size: int) -> str | None:
    """Return the hash of a file, None if it has not that size."""
    fd = disk.open_file(path)
    try:
        if disk.length(fd) != size:
            return None
        digest = xxhash.xxh3_128()
        for offset in range(0, size, _CHUNK):
            digest.update(disk.read(fd, min(_CHUNK, size - offset), offset))
        return digest.hexdigest()
    finally:
        disk.close(fd)


def remove_files(live: Partition, manifest: Manifest) -> None:
    """Remove a day's columns, the time first, and their short names; some may be gone already."""
    columns = manifest_columns(live, manifest)
    for column in reversed(columns):
        disk.unlink(live.path(column))
    for name in sorted(alias_names(live.stream.table)):
        alias = f"{live.prefix}{name}{live.suffix}"
        if disk.length_of(alias) is None:  # a link that leads nowhere any more, and no file of its own
            disk.unlink(alias)


def alias_names(table: Table) -> frozenset[str]:
    """Return the short names that a table's columns may have too, as links."""
    prefixed = [it.name for it in table.columns if it.name.startswith(_ALIASED)]
    return frozenset(name.removeprefix(_ALIASED) for name in prefixed)


def removed_bytes(manifest: Manifest) -> int:
    """Return the size of a day's files."""
    return sum(column.bytes for column in manifest.columns.values())


def retention_note(manifest: Manifest, now_ns: int) -> RetentionNote:
    """Return the note of a removal."""
    return RetentionNote(
        manifest.exchange,
        manifest.symbol,
        manifest.table,
        seal_note(manifest).day,
        removed_bytes(manifest),
        now_ns,
    )
