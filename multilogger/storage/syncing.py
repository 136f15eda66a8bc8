"""Making what a seal writes durable, whether the filesystem's ``syncfs`` can be trusted or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from multilogger.storage import disk
from multilogger.storage.manifest import temporary_column
from multilogger.storage.partition import Partition
from multilogger.storage.saver import Saver
from multilogger.storage.sealing import Prepared
from multilogger.storage.switch import temporary_manifest


class Syncer:
    """Makes what a seal writes durable."""

    def __init__(self, data: Path, saver: Saver) -> None:
        self._data = data
        self._saver = saver
        self._syncfs = disk.filesystem_type(data) in disk.SYNCFS_KNOWN

    def sync_files(self, prepared: Sequence[Prepared]) -> None:
        """Make the new files of days durable where the saver's sync, which follows, can't be relied upon."""
        if self._syncfs:
            return
        for it in prepared:
            live = it.day.live
            for column in it.columns:
                sync_file(temporary_column(live.path(column), it.manifest.generation))
            sync_file(temporary_manifest(live))
        self.sync_directories(it.day.live for it in prepared)

    def sync_names(self, partitions: Iterable[Partition]) -> None:
        """Make renames in the directories of live partitions durable."""
        self.sync_directories(partitions)
        self._saver.sync()

    def sync_directories(self, partitions: Iterable[Partition]) -> None:
        """Make the names in their directories durable where the saver's sync can't be relied upon."""
        if self._syncfs:
            return
        found = {Path(it.prefix) for it in partitions}
        for directory in sorted({above for it in found for above in [it, *it.parents]}, reverse=True):
            if directory.is_relative_to(self._data):
                disk.sync_directory(directory)


def sync_file(path: str) -> None:
    """Make a file's data and metadata durable."""
    fd = disk.open_file(path)
    try:
        disk.sync(fd)
    finally:
        disk.close(fd)
