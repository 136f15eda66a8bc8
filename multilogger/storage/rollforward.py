"""What a stop left of seals and removals: completed from the manifest on, undone before it."""

from __future__ import annotations

import attrs
import structlog

from multilogger.notes import Note
from multilogger.storage.columns import Columns
from multilogger.storage.manifest import Manifest
from multilogger.storage.partition import Partition
from multilogger.storage.removal import remove_files, retention_note
from multilogger.storage.runs import Key
from multilogger.storage.scan import late_files, places
from multilogger.storage.sealing import seal_note
from multilogger.storage.shelf import read_manifest
from multilogger.storage.streams import ABSURD, LIVE
from multilogger.storage.switch import complete_switch, drop_unswitched, removed_manifest

log = structlog.get_logger()


@attrs.define(eq=False)
class Found:
    """What is to be done later."""

    unsealed: set[Key] = attrs.field(factory=set)
    """Live partitions that were sealed and whose manifest is gone."""
    folded: list[str] = attrs.field(factory=list)
    """Files of late rows that are in the columns by now."""
    notes: list[Note] = attrs.field(factory=list)
    """Of what no checkpoint knew."""


def roll_forward(columns: Columns, now_ns: int) -> Found:
    """Bring files and partitions to the generation of each day's manifest; twice is once.

    Args:
        columns: as the checkpoint has them; nothing was replayed yet.
        now_ns: nanoseconds since the epoch.

    Raises:
        OSError: the disk fails.
    """
    found = Found()
    for live_key, late_key in days_of(columns).items():
        _Day(columns, live_key, late_key, found).settle(now_ns)
    found.folded = folded_files(columns)
    return found


def days_of(columns: Columns) -> dict[Key, Key | None]:
    """Return the live keys of all days that are known, each with the late one if that is known."""
    found: dict[Key, Key | None] = {}
    for key, partition in columns.partitions.items():
        if partition.kind == LIVE:
            found.setdefault(key, None)
        elif partition.kind != ABSURD:
            live = columns.streams.sibling(partition.stream, LIVE)
            found[live.entry.number, key[1]] = key
    return found


def folded_files(columns: Columns) -> list[str]:
    """Return the files of late partitions that a seal has folded in."""
    found = []
    quarantine = columns.shelf.paths.quarantine
    for place in places(columns.shelf.paths):
        for (day, generation), files in late_files(place).items():
            manifest = read_manifest(place.manifest(day), quarantine)
            if manifest is not None and generation < manifest.generation:
                found += files
    return found


@attrs.frozen(eq=False)
class _Day:
    """One day of one table of a symbol."""

    columns: Columns
    live_key: Key
    late_key: Key | None
    found: Found

    @property
    def live(self) -> Partition | None:
        """The live partition, if the checkpoint has it."""
        return self.columns.partitions.get(self.live_key)

    @property
    def late(self) -> Partition | None:
        """The late partition, if the checkpoint has it."""
        return self.columns.partitions[self.late_key] if self.late_key else None

    def settle(self, now_ns: int) -> None:
        """Complete or undo what was begun."""
        shelf = self.columns.shelf
        live = self.live or shelf.blank(*self.live_key)
        manifest = read_manifest(live.manifest_path, shelf.paths.quarantine)
        known = max(live.generation, self.late.generation if self.late else 0)
        drop_unswitched(live, max(known, manifest.generation if manifest else 0) + 1)
        if manifest is not None and manifest.generation >= live.generation:
            self._complete(live, manifest)
            return
        removed = read_manifest(removed_manifest(live), shelf.paths.quarantine) if manifest is None else None
        if removed is not None:
            self._complete_removal(live, removed, now_ns)
        elif live.generation and live.rows:
            log.error("the manifest of a sealed day is gone: it is sealed again", path=live.manifest_path)
            self.found.unsealed.add(self.live_key)

    def _complete(self, live: Partition, manifest: Manifest) -> None:
        newer = self.live is not None and manifest.generation > live.generation
        completed = complete_switch(live, manifest)
        if self.live is not None and (newer or completed):
            self.columns.touched.add(self.live_key)
        late = self.late
        if self.late_key and late is not None and late.generation < manifest.generation:
            self._begin_late(self.late_key, manifest.generation, manifest.journal.late)
            newer = True
        if newer:
            log.info("interrupted seal completed", path=live.manifest_path, generation=manifest.generation)
            self.found.notes.append(seal_note(manifest))

    def _complete_removal(self, live: Partition, removed: Manifest, now_ns: int) -> None:
        remove_files(live, removed)
        if self.live is not None and live.generation <= removed.generation and live.rows:
            # Still there, without rows: should the journal have them, they are not to come again.
            blank = self.columns.shelf.blank(*self.live_key, generation=removed.generation)
            blank.offset = removed.journal.live
            self.columns.partitions[self.live_key] = blank
            self.columns.touched.discard(self.live_key)
            self.found.notes.append(retention_note(removed, now_ns))
        late = self.late
        if self.late_key and late is not None and (late.generation or late.offset < removed.journal.late):
            self._begin_late(self.late_key, 0, removed.journal.late)

    def _begin_late(self, key: Key, generation: int, offset: int) -> None:
        late = self.columns.shelf.blank(*key, generation=generation)
        late.offset, late.uneven = offset, True
        self.columns.partitions[key] = late
        self.columns.touched.discard(key)
