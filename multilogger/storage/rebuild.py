"""Replacing files after a failed write or sync: the only way to be sure of them again.

After a failed sync the kernel may take pages for clean that never reached the disk, and a later sync that
succeeds proves nothing. The page cache still has the right content, so each file is written anew beside the
old one, synced, read back past the cache, and renamed over it.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Final

import structlog

from multilogger.errors import StorageDamaged
from multilogger.storage import disk
from multilogger.storage.partition import Partition

log = structlog.get_logger()

_CHUNK: Final = 1024 * 1024
SUFFIX: Final = ".rebuilt.tmp"
"""Of the copies until they are renamed."""


def rebuild(partition: Partition) -> None:
    """Write every file of a partition anew, with its present rows.

    Raises:
        StorageDamaged: a file does not have the content that was written to it.
        OSError: the disk takes no new file either.
    """
    for column in partition.columns:
        path = partition.path(column)
        length = partition.rows * column.dtype.itemsize
        if length:
            _copy(path, length, partition.crcs[column.name])
    if partition.rows:
        for column in partition.columns:
            path = partition.path(column)
            disk.rename(Path(path + SUFFIX), Path(path))
        disk.sync_directory(Path(partition.prefix))
    partition.suspect = partition.uneven = False
    log.warning("column files replaced by copies", path=partition.prefix, suffix=partition.suffix)


def _copy(path: str, length: int, crc: int) -> None:
    source = disk.open_file(path)
    try:
        target = disk.open_file(path + SUFFIX, create=True)
        try:
            disk.copy_permissions(source, target)
            found = 0
            for offset in range(0, length, _CHUNK):
                data = disk.read(source, min(_CHUNK, length - offset), offset)
                found = zlib.crc32(data, found)
                disk.write(target, data, offset)
            disk.truncate(target, length)
            disk.sync(target)
        finally:
            disk.close(target)
    finally:
        disk.close(source)
    if found != crc:
        raise StorageDamaged(f"{path} does not hold what was written to it")
    stored = disk.read_past_cache(path + SUFFIX, length)
    if stored is not None and zlib.crc32(stored) != crc:
        raise StorageDamaged(f"{path}: its copy is not on the disk as it was written")
