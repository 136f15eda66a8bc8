"""The sealer: brings closed days to a new generation, many at a time so that they share the syncs.

What happens to each day, and what a start does after a crash (``docs/storage.md``):

1. its files are checked, and the next generation is written under temporary names; synced. What is left of
   that is removed;
2. the manifest is renamed into place: the new generation is the truth now; synced;
3. the columns are renamed into place, the time column last. That is completed;
4. a checkpoint; then the files of the late rows that were folded in are removed. So they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from multilogger.errors import ColumnsUnavailable, StorageDamaged
from multilogger.notes import records_of
from multilogger.storage import disk
from multilogger.storage.adoption import adopted_day, unknown_late
from multilogger.storage.catalog import Catalog, CatalogError
from multilogger.storage.checkpoint import NEVER
from multilogger.storage.columns import Columns
from multilogger.storage.extent import Position
from multilogger.storage.gaps import Coverage
from multilogger.storage.manifest import Manifest
from multilogger.storage.partition import Partition
from multilogger.storage.rebuild import rebuild
from multilogger.storage.rollforward import days_of, roll_forward
from multilogger.storage.runs import Key
from multilogger.storage.saver import Saver
from multilogger.storage.sealing import Prepared, Unsealed, abandon, prepare, seal_note
from multilogger.storage.shelf import read_manifest
from multilogger.storage.streams import ABSURD, LATE
from multilogger.storage.switch import rename_columns, take_over, temporary_manifest
from multilogger.storage.syncing import Syncer

log = structlog.get_logger()


class Sealer:
    """Seals closed days. Belongs to the applier, and is never used while rows are applied.

    Args:
        columns: whose partitions.
        saver: takes the checkpoints.
        catalog: brought up to date before coverage is asked for.
        aliases: whether the trade columns get their short names too.
        clock: nanoseconds since the epoch; says when a day was sealed.
    """

    def __init__(
        self,
        columns: Columns,
        saver: Saver,
        catalog: Catalog,
        *,
        aliases: bool = False,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._columns = columns
        self._saver = saver
        self._catalog = catalog
        self._aliases = aliases
        self._clock = clock
        self._syncer = Syncer(columns.shelf.paths.data, saver)
        self.sealed: list[Manifest] = []
        """What the last step sealed, and those before it that failed on the way."""
        self.failed: dict[Key, str] = {}
        """Days, by their live keys, with files that are not what was written; until another day is closed."""
        self._told = True
        self._closed_day = NEVER
        self._round: int | None = None
        self._done: set[Key] = set()
        """Live partitions that were sealed in this round."""
        self._unsealed: set[Key] = set()
        """Live partitions that were sealed and have lost their manifest."""
        self._switched: list[Prepared] = []
        """Days of which the columns may not have been renamed into place."""
        self._folded: list[str] = []
        """Files of late rows that are in the columns."""

    def step(
        self,
        closed_day: int,
        applied: Position,
        segment: int,
        monotonic: Callable[[], float],
        seconds: float,
        *,
        only_day: int | None = None,
        round_: int | None = None,
    ) -> tuple[int, int, int]:
        """Seal some of the days that are closed, and take a checkpoint.

        Args:
            closed_day: days up to this one get no rows any more but late ones; all rows before are applied.
            applied: up to where the journal is in the column files.
            segment: the highest segment number there was.
            monotonic: seconds.
            seconds: begin no other day of a symbol's table after so long, or later if checkpoints take long.
            only_day: seal this day alone.
            round_: a day that was sealed in a round is left alone in the rest of it, though rows come late.

        Returns:
            How many days of a symbol's table were sealed, how many have files that are not what was written
            (they are told of in the log, and left out until another day is closed), and how many are left.

        Raises:
            ColumnsUnavailable: the disk failed or is full; the next step goes on.
        """
        self._begin(closed_day, round_)
        try:
            self._complete()
            wanted = self._wanted(closed_day, only_day)
            started = monotonic()
            seconds = self._saver.worthwhile(seconds)
            prepared, failures = self._prepare(wanted, lambda: monotonic() - started >= seconds)
            if prepared:
                with self._abandoning(prepared):
                    self._make_durable(prepared, applied, segment)
            self._switch(prepared, applied)
            self._complete()
            if self.sealed:
                self._saver.save(applied, segment)
            self.settle()
        except OSError as error:
            raise ColumnsUnavailable(f"days can't be sealed: {error}") from error
        self._told = True
        return len(self.sealed), failures, len(wanted) - len(prepared) - failures

    def _begin(self, closed_day: int, round_: int | None) -> None:
        if round_ is None or round_ != self._round:
            self._round, self._done = round_, set()
        if self._told:
            self.sealed, self._told = [], False
        if closed_day > self._closed_day:
            self._closed_day = closed_day
            self.failed.clear()
        self._saver.closed_day = max(self._saver.closed_day, closed_day)

    def _wanted(self, closed_day: int, only_day: int | None) -> list[tuple[Key, Key | None]]:
        """Return the live keys that are to be sealed, each with the late one, by day."""
        partitions = self._columns.partitions
        found = []
        for live_key, late_key in days_of(self._columns).items():
            live = partitions.get(live_key)
            late = partitions[late_key] if late_key else None
            fresh = live is not None and not self._is_sealed(live_key, live)
            due = live_key[1] <= closed_day if only_day is None else live_key[1] == only_day
            left_out = live_key in self.failed or live_key in self._done
            if due and (fresh or (late is not None and late.rows)) and not left_out:
                found.append((live_key, late_key))
        return sorted(found, key=lambda keys: (keys[0][1], keys[0][0]))

    def _is_sealed(self, key: Key, live: Partition) -> bool:
        return not live.rows or (live.generation > 0 and key not in self._unsealed)

    def _prepare(
        self, wanted: Sequence[tuple[Key, Key | None]], is_over: Callable[[], bool]
    ) -> tuple[list[Prepared], int]:
        """Write the next generation of some days, durably; return them and how many are damaged."""
        prepared: list[Prepared] = []
        failures = 0
        if not wanted:
            return prepared, failures
        with self._abandoning(prepared), self._coverage() as coverage:
            for live_key, late_key in wanted:
                try:
                    prepared.append(self._prepare_day(live_key, late_key, coverage))
                except StorageDamaged as error:
                    failures += 1
                    self._leave_out(live_key, str(error))
                if is_over():
                    break
        return prepared, failures

    def _make_durable(self, prepared: Sequence[Prepared], applied: Position, segment: int) -> None:
        """Make sure of the new files, and that a start knows the days that it may find switched."""
        self._syncer.sync_files(prepared)
        self._saver.save(applied, segment)

    def _leave_out(self, key: Key, why: str) -> None:
        self.failed[key] = why
        log.error("a day can't be sealed: its files are damaged", day=key[1], why=why)

    def _prepare_day(self, live_key: Key, late_key: Key | None, coverage: Coverage) -> Prepared:
        shelf, paths = self._columns.shelf, self._columns.shelf.paths
        live = self._columns.partitions.get(live_key) or shelf.opened(*live_key)
        if not live.rows and not live.generation:
            live = adopted_day(paths, live)  # only late rows of it are known
        previous = read_manifest(live.manifest_path, paths.quarantine)
        late = self._columns.partitions[late_key] if late_key else unknown_late(paths, live, previous)
        for partition in (live, late):
            if partition is not None and partition.suspect:
                rebuild(partition)
        entry, table = live.stream.entry, live.stream.table.name
        return prepare(
            Unsealed(live_key, live, late_key, late, previous),
            coverage=coverage.summary(entry.exchange, entry.symbol, table, live.day),
            policy=self._columns.policy(live),
            now_ns=self._clock(),
        )

    def _coverage(self) -> Coverage:
        try:
            self._catalog.update()
        except CatalogError as error:
            log.warning("the catalog can't be brought up to date", error=str(error))
        notes = [record.note for record in self._saver.waiting]
        return Coverage(self._columns.shelf.paths.catalog, notes)

    @contextmanager
    def _abandoning(self, prepared: Sequence[Prepared]) -> Iterator[None]:
        """If the disk fails, remove what was prepared; all of it is written anew then."""
        try:
            yield
        except (OSError, ColumnsUnavailable):
            abandon(prepared)
            raise

    def _switch(self, prepared: Sequence[Prepared], applied: Position) -> None:
        """Make the new generation the truth, on the disk and in memory."""
        switched: list[Prepared] = []
        try:
            for it in prepared:
                live = it.day.live
                disk.rename(Path(temporary_manifest(live)), Path(live.manifest_path))
                self._enter(it)
                switched.append(it)
        except OSError:
            abandon(prepared[len(switched) :])
            raise
        finally:
            self._saver.waiting += records_of(applied.sequence, [seal_note(it.manifest) for it in switched])

    def _enter(self, prepared: Prepared) -> None:
        day, columns = prepared.day, self._columns
        take_over(day.live, prepared.manifest)
        columns.partitions[day.key] = day.live
        columns.touched.discard(day.key)  # what was written to it is durable by now
        if day.late_key:
            late = columns.shelf.blank(*day.late_key, generation=prepared.manifest.generation)
            late.offset = prepared.manifest.journal.late
            columns.partitions[day.late_key] = late
            columns.touched.discard(day.late_key)
        self._unsealed.discard(day.key)
        self._switched.append(prepared)
        self._done.add(day.key)
        self.sealed.append(prepared.manifest)

    def _complete(self) -> None:
        """Rename the columns of switched days into place."""
        if any(it.rewritten for it in self._switched):
            self._syncer.sync_names(it.day.live for it in self._switched)
        folded = []
        for it in self._switched:
            rename_columns(it.day.live, it.columns, it.manifest.generation)
            if self._aliases and it.rewritten:
                it.day.live.link_aliases()
            late = it.day.late
            if late is not None and late.rows:
                folded += [late.path(column) for column in late.columns]
        self._syncer.sync_directories(it.day.live for it in self._switched)
        self._switched = []
        self._folded += folded

    def settle(self) -> None:
        """Remove the files of late rows that are in the columns; to be called after each checkpoint."""
        try:
            while self._folded:
                disk.unlink(self._folded[-1])
                self._folded.pop()
        except OSError as error:
            log.warning("files of late rows that were folded in can't be removed now", error=str(error))

    def is_done(self, key: Key, partition: Partition) -> bool:
        """Return whether nothing of a partition is left to seal, so that its files speak for it."""
        if partition.kind == ABSURD:
            return True
        if partition.kind == LATE:
            return not partition.rows
        return self._is_sealed(key, partition) and all(it.day.key != key for it in self._switched)

    def roll_forward(self) -> None:
        """Complete the seals and removals that a stop interrupted; to be called before anything is replayed.

        Raises:
            ColumnsUnavailable: the disk fails.
        """
        try:
            found = roll_forward(self._columns, self._clock())
        except OSError as error:
            raise ColumnsUnavailable(f"an interrupted seal can't be completed: {error}") from error
        self._unsealed, self._folded = found.unsealed, found.folded
        self._saver.waiting += records_of(self._saver.saved.sequence, found.notes)
