"""The renamed manifests of days that are being removed, and were removed a short time ago."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from multilogger.notes import RetentionNote, records_of
from multilogger.storage import disk
from multilogger.storage.catalog import CatalogError, open_catalog
from multilogger.storage.layout import Paths
from multilogger.storage.manifest import Manifest
from multilogger.storage.partition import Partition
from multilogger.storage.removal import remove_files, retention_note
from multilogger.storage.saver import Saver
from multilogger.storage.sealing import seal_note
from multilogger.storage.shelf import read_manifest
from multilogger.storage.switch import removed_manifest

log = structlog.get_logger()

_CHECKPOINTS: Final = 2
"""How many are kept."""


class Markers:
    """Puts them in place, completes what was begun, and removes them when no checkpoint needs them any more.

    Args:
        paths: where things are.
        saver: keeps the notes.
        clock: nanoseconds since the epoch; says when a day was removed.
    """

    def __init__(self, paths: Paths, saver: Saver, clock: Callable[[], int]) -> None:
        self._paths = paths
        self._saver = saver
        self._clock = clock
        self._begun: set[str] = set()
        """Those that this run has made, and noted."""
        self._finished: dict[str, int] = {}
        """Those of days whose files are gone, and how many checkpoints there were since."""

    def begin(self, live: Partition, manifest: Manifest) -> None:
        """Rename a day's manifest: from here on it is gone, once that is durable."""
        marker = removed_manifest(live)
        disk.rename(Path(live.manifest_path), Path(marker))
        self._begun.add(marker)
        self._note(retention_note(manifest, self._clock()))

    def finish(self, live: Partition, manifest: Manifest) -> None:
        """Remove the files of a day whose renamed manifest is durable."""
        remove_files(live, manifest)
        marker = removed_manifest(live)
        self._begun.discard(marker)
        self._finished[marker] = 0

    def complete(self, live: Partition) -> None:
        """Remove what is left of a day that an earlier attempt, or run, has begun to remove."""
        marker = removed_manifest(live)
        if marker in self._finished:
            return
        manifest = read_manifest(marker, self._paths.quarantine)
        if manifest is None:
            return
        # It may have been renamed a moment before the program was killed.
        disk.sync_directory(Path(live.prefix))
        note = retention_note(manifest, self._clock())
        if marker not in self._begun and not self._is_noted(note, seal_note(manifest).sealed_ns):
            self._note(note)
        self.finish(live, manifest)

    def overrule(self, live: Partition) -> None:
        """Remove the marker of a day that late rows have made a new one of."""
        marker = removed_manifest(live)
        disk.unlink(marker)
        self._begun.discard(marker)
        self._finished.pop(marker, None)

    def settle(self) -> None:
        """Remove the markers that are old enough; to be called after each checkpoint.

        A start from an older checkpoint finds the marker, and does not take the files for lost.
        """
        try:
            for marker in list(self._finished):
                self._finished[marker] += 1
                if self._finished[marker] >= _CHECKPOINTS:
                    disk.unlink(marker)
                    del self._finished[marker]
        except OSError as error:
            log.warning("a renamed manifest can't be removed now", error=str(error))

    def _note(self, note: RetentionNote) -> None:
        self._saver.waiting += records_of(self._saver.saved.sequence, [note])

    def _is_noted(self, note: RetentionNote, sealed_ns: int) -> bool:
        try:
            with open_catalog(self._paths.catalog) as catalog:
                found = catalog.removals(note.exchange, note.symbol, note.table, note.day)
        except CatalogError as error:
            log.warning("a removal may be noted twice", error=str(error))
            return False
        return any(it.removed_ns >= sealed_ns for it in found)
