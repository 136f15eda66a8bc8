"""Taking checkpoints."""

from __future__ import annotations

from multilogger.storage import checkpoint as checkpoints
from multilogger.storage import disk
from multilogger.storage.columns import Columns
from multilogger.storage.journal import Position
from multilogger.storage.layout import Paths


class Saver:
    """Makes the column files durable, and says so in a checkpoint. Belongs to the applying thread.

    Args:
        paths: where things are.
        columns: what to remember.
    """

    def __init__(self, paths: Paths, columns: Columns) -> None:
        self._paths = paths
        self._columns = columns
        # Opened once: the kernel reports a failed write-back to those who had the filesystem open by then.
        self._fd = disk.open_directory(paths.data)
        self._syncfs = disk.filesystem_type(paths.data) in disk.SYNCFS_KNOWN
        self.saved = Position(0, 0)
        """What the newest checkpoint covers."""

    def save(self, position: Position, segment: int) -> None:
        """Take a checkpoint.

        Args:
            position: up to where the journal is in the column files.
            segment: the highest segment number there was.
        """
        if not self._syncfs:
            self._columns.sync_touched()
        disk.sync_filesystem(self._fd)
        streams, partitions = self._columns.states()
        found = checkpoints.Checkpoint(
            position.sequence, position.chain, segment, disk.boot_id(), streams, partitions
        )
        checkpoints.save(self._paths.checkpoint, found)
        self._columns.touched.clear()
        self.saved = position

    def close(self) -> None:
        """Close what is held open."""
        disk.close(self._fd)
