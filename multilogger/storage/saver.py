"""Taking checkpoints."""

from __future__ import annotations

import time
from typing import Final

import structlog

from multilogger.errors import ColumnsUnavailable
from multilogger.notes import NoteRecord
from multilogger.storage import checkpoint as checkpoints
from multilogger.storage import disk
from multilogger.storage.checkpoint import NEVER, Checkpoint
from multilogger.storage.columns import Columns
from multilogger.storage.extent import Position
from multilogger.storage.layout import Paths
from multilogger.storage.notes_log import NotesLog
from multilogger.storage.rebuild import rebuild

log = structlog.get_logger()

_WORTH: Final = 4.0
"""Work between two checkpoints that take long lasts so many times as long."""
_SHORT_SECS: Final = 0.2
"""A checkpoint that takes no longer is no reason to work longer between two."""


class Saver:
    """Makes the column files and the notes durable, and says so in a checkpoint. Belongs to the applier.

    Args:
        paths: where things are.
        columns: what to remember.
        notes: where notes are kept.
    """

    def __init__(self, paths: Paths, columns: Columns, notes: NotesLog) -> None:
        self._paths = paths
        self._columns = columns
        self._notes = notes
        # Opened once: the kernel reports a failed write-back to those who had the filesystem open by then.
        self._fd = disk.open_directory(paths.data)
        self._syncfs = disk.filesystem_type(paths.data) in disk.SYNCFS_KNOWN
        self.saved = Position(0, 0)
        """What the newest checkpoint covers."""
        self.closed_day = NEVER
        """As the checkpoint remembers it."""
        self.waiting: list[NoteRecord] = []
        """Notes that no checkpoint covers yet."""
        self._notes_saved = 0
        self.written_ns = 0
        """When the newest frame that was taken in was written: nothing is known of a run after it."""
        self._naming_secs = 0.0
        """What the last checkpoint took once the files were durable: it names every partition."""

    def resume(self, known: Checkpoint) -> None:
        """Go on from the checkpoint there is."""
        self.saved = Position(known.sequence, known.chain)
        self.closed_day = known.closed_day
        self._notes_saved = known.notes_bytes
        self.written_ns = known.written_ns

    def sync(self) -> None:
        """Make everything written so far durable.

        Raises:
            ColumnsUnavailable: it may not be; the files concerned are replaced before they are trusted again.
        """
        try:
            if not self._syncfs:
                self._columns.sync_touched()
            disk.sync_filesystem(self._fd)
        except OSError as error:
            self._suspect_touched()
            raise ColumnsUnavailable(f"column files can't be synced: {error}") from error

    def worthwhile(self, seconds: float) -> float:
        """Return how long work should last that ends with checkpoints: longer where these take long."""
        return max(seconds, _WORTH * (self._naming_secs - _SHORT_SECS))

    def save(self, position: Position, segment: int) -> None:
        """Take a checkpoint.

        Args:
            position: up to where the journal is in the column files.
            segment: the highest segment number there was.

        Raises:
            ColumnsUnavailable: the files can't be made durable, or the checkpoint can't be written.
        """
        self._replace_suspects()
        self.sync()
        started = time.perf_counter()
        try:
            self._keep_notes()
            streams, partitions = self._columns.states()
            checkpoints.save(
                self._paths.checkpoint,
                Checkpoint(
                    position.sequence,
                    position.chain,
                    segment,
                    disk.boot_id(),
                    self.closed_day,
                    self._notes.length,
                    streams,
                    partitions,
                    self.written_ns,
                ),
            )
        except OSError as error:
            raise ColumnsUnavailable(f"no checkpoint can be written: {error}") from error
        self._naming_secs = time.perf_counter() - started
        self._columns.touched.clear()
        self.waiting, self._notes_saved = [], self._notes.length
        self._clear_mark()
        self.saved = position

    def _keep_notes(self) -> None:
        if self._notes.length != self._notes_saved:
            # An attempt failed before: what it wrote may be lost whatever a later sync says.
            self._notes.renew(self._notes_saved)
        if self.waiting:
            self._notes.append(self.waiting)
            self._notes.sync()

    def _suspect_touched(self) -> None:
        """Remember, beyond a crash of this program, that the files written to lately can't be trusted."""
        for key in self._columns.touched:
            self._columns.partitions[key].suspect = True
        try:
            disk.write_file(self._paths.sync_failed, disk.boot_id().encode())
        except OSError as error:
            # Without it only a crash of this program, and not of the machine, would go unnoticed.
            log.warning("the mark of a failed sync can't be written", error=str(error))

    def _clear_mark(self) -> None:
        if disk.length_of(self._paths.sync_failed) is not None:
            disk.unlink(self._paths.sync_failed)

    def _replace_suspects(self) -> None:
        try:
            for partition in self._columns.partitions.values():
                if partition.suspect:
                    rebuild(partition)
        except OSError as error:
            raise ColumnsUnavailable(f"column files can't be replaced: {error}") from error

    def close(self) -> None:
        """Close what is held open."""
        disk.let_go(self._fd)
