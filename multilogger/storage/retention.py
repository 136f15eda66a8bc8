"""Retention: sealed days that are not to be kept any more are removed, the oldest first.

What happens to each day, and what a start or a later pass does after a crash:

1. its files are compared with the manifest's hashes: what is damaged is kept, and told of;
2. the manifest is renamed to ``manifest.{DD}.{MM}.{YY}.removed.tmp``; synced: the day is gone;
3. its files are removed, the time column first. That is completed;
4. the renamed manifest stays until the checkpoints that are kept don't know the day.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import attrs
import structlog

from multilogger.config.policy import ExchangePolicy
from multilogger.errors import ColumnsUnavailable, StorageDamaged
from multilogger.storage import disk
from multilogger.storage.columns import Columns
from multilogger.storage.manifest import Manifest
from multilogger.storage.markers import Markers
from multilogger.storage.partition import Partition, open_partition
from multilogger.storage.removal import alias_names, check, removed_bytes
from multilogger.storage.runs import Key
from multilogger.storage.saver import Saver
from multilogger.storage.scan import Place, StreamIndex, days, exchanges, late_files, names, places
from multilogger.storage.shelf import read_manifest
from multilogger.storage.streams import LATE, LIVE, Stream, StreamEntry
from multilogger.storage.syncing import Syncer

log = structlog.get_logger()

_KEEP: Final = ExchangePolicy()
_AT_ONCE: Final = 100
"""Days of a symbol's table that are removed in one go: removing files takes longer than looking at them."""


@attrs.frozen
class _Candidate:
    """A sealed day."""

    place: Place
    day: int


@attrs.frozen(eq=False)
class _Removal:
    """A day that is going to be removed."""

    exchange: str
    live: Partition
    """Without rows: it says where the files are."""
    manifest: Manifest
    keys: Mapping[int, Key]
    """Of the partitions that the applier knows, by kind."""

    @property
    def bytes(self) -> int:
        """Of the files."""
        return removed_bytes(self.manifest)


class Retention:
    """Removes sealed days. Belongs to the applier.

    Args:
        columns: what is known of the days that were written to lately.
        saver: makes renames durable, and keeps the notes.
        policies: what of each exchange is kept; all of those that are not named.
        clock: nanoseconds since the epoch; says when a day was removed.
    """

    def __init__(
        self,
        columns: Columns,
        saver: Saver,
        policies: Mapping[str, ExchangePolicy],
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._columns = columns
        self._paths = columns.shelf.paths
        self._policies = policies
        self._syncer = Syncer(self._paths.data, saver)
        self._markers = Markers(self._paths, saver, clock)
        self._passes: dict[bool, Iterator[_Candidate | None]] = {}
        """What is left of the present pass of each kind: whether it is an early one."""
        self._sizes: dict[str, int] = {}
        """Of the files of exchanges that have a limit, in the present pass."""
        self._damaged: set[str] = set()
        """Manifests of days that were told of."""
        self._streams = StreamIndex(columns.streams)

    def step(
        self, today: int, monotonic: Callable[[], float], seconds: float, needed_bytes: int
    ) -> tuple[int, int, bool]:
        """Remove some of the days that are not to be kept.

        Args:
            today: days since the epoch; nothing of it or later days is removed.
            monotonic: seconds.
            seconds: stop after about so long.
            needed_bytes: if not 0, remove the oldest days of all exchanges, whatever their policies keep,
                until so much is free again.

        Returns:
            How many days of a symbol's table were removed, how many bytes they had, and whether there is
            nothing more to remove.

        Raises:
            ColumnsUnavailable: the disk fails; a later step goes on.
        """
        started = monotonic()
        try:
            removals, finished = self._choose(today, needed_bytes, lambda: monotonic() - started >= seconds)
            self._remove(removals)
        except ColumnsUnavailable:
            self._passes.clear()
            raise
        except OSError as error:
            self._passes.clear()
            raise ColumnsUnavailable(f"days can't be removed: {error}") from error
        return len(removals), sum(it.bytes for it in removals), finished

    def settle(self) -> None:
        """Remove what no checkpoint needs any more; to be called after each checkpoint."""
        self._markers.settle()

    def _choose(
        self, today: int, needed_bytes: int, is_over: Callable[[], bool]
    ) -> tuple[list[_Removal], bool]:
        early = needed_bytes > 0
        if early not in self._passes:
            self._passes[early] = self._oldest(today) if early else self._outdated(today)
        removals: list[_Removal] = []
        size = 0
        for candidate in self._passes[early]:
            removal = self._check(candidate) if candidate else None
            if removal is not None:
                removals.append(removal)
                size += removal.bytes
                self._sizes[removal.exchange] = self._sizes.get(removal.exchange, 0) - removal.bytes
            if early and size >= needed_bytes:
                return removals, True
            if is_over() or len(removals) >= _AT_ONCE:
                return removals, False
        del self._passes[early]
        return removals, True

    def _oldest(self, today: int) -> Iterator[_Candidate | None]:
        """Yield all sealed days by age, and None now and then while they are looked for."""
        found: list[_Candidate] = []
        for place in places(self._paths):
            found += self._sealed(place, today)
            yield None
        yield from sorted(found, key=lambda it: it.day)

    def _outdated(self, today: int) -> Iterator[_Candidate | None]:
        """Yield the days that the policies don't keep, and None now and then while they are looked for."""
        for exchange in exchanges(self._paths):
            policy = self._policies.get(exchange, _KEEP)
            found: list[_Candidate] = []
            self._sizes[exchange] = 0
            for place in places(self._paths, exchange):
                found += self._sealed(place, today)
                if policy.retention_bytes:
                    self._sizes[exchange] += _size(place)
                yield None
            for candidate in sorted(found, key=lambda it: it.day):
                old = policy.retention_days and candidate.day < today - policy.retention_days
                large = policy.retention_bytes and self._sizes[exchange] > policy.retention_bytes
                if not old and not large:
                    break
                yield candidate

    def _sealed(self, place: Place, today: int) -> list[_Candidate]:
        """Return the sealed days of a place; what was begun to be removed before is removed."""
        found = days(place)
        for day in sorted(found.removed):
            live = self._blank(place, day)
            if day in found.sealed:
                self._markers.overrule(live)
            else:
                self._markers.complete(live)
        return [_Candidate(place, day) for day in sorted(found.sealed - found.switching) if day < today]

    def _check(self, candidate: _Candidate) -> _Removal | None:
        """Return what is to be removed, None if the day has to stay for now."""
        live = self._blank(candidate.place, candidate.day)
        manifest = read_manifest(live.manifest_path, self._paths.quarantine)
        if manifest is None or live.manifest_path in self._damaged:
            return None
        removal = _Removal(candidate.place.exchange, live, manifest, self._keys(candidate))
        if self._is_in_use(removal, candidate):
            return None
        try:
            check(live, manifest)
        except StorageDamaged as error:
            self._keep(live, str(error))
            return None
        return removal

    def _keep(self, live: Partition, why: str) -> None:
        self._damaged.add(live.manifest_path)
        log.error("a day that is due to be removed is damaged, and kept", why=why)

    def _blank(self, place: Place, day: int) -> Partition:
        """Return a live partition without rows, whether its stream has a number or not."""
        entry = StreamEntry(-1, place.exchange, "", place.table.number, LIVE, place.directory)
        return open_partition(self._paths, Stream(entry), day, exact=True)

    def _keys(self, candidate: _Candidate) -> dict[int, Key]:
        """Return the keys of the day's partitions that the applier knows, by kind."""
        numbers = self._streams.numbers(candidate.place)
        keys = {kind: (number, candidate.day) for kind, number in numbers.items() if kind in (LIVE, LATE)}
        return {kind: key for kind, key in keys.items() if key in self._columns.partitions}

    def _is_in_use(self, removal: _Removal, candidate: _Candidate) -> bool:
        """Return whether rows wait to be folded in, or the last seal is not complete."""
        for kind, key in removal.keys.items():
            partition = self._columns.partitions[key]
            outdated = kind == LIVE and partition.generation != removal.manifest.generation
            waiting = kind == LATE and partition.rows > 0
            if outdated or waiting or key in self._columns.touched or partition.suspect:
                return True
        return any(day == candidate.day for day, _ in late_files(candidate.place))

    def _remove(self, removals: Sequence[_Removal]) -> None:
        if not removals:
            return
        for it in removals:
            self._markers.begin(it.live, it.manifest)
            self._forget(it)
            log.info("sealed day removed", path=it.live.manifest_path, bytes=it.bytes)
        self._syncer.sync_names(it.live for it in removals)
        for it in removals:
            self._markers.finish(it.live, it.manifest)

    def _forget(self, removal: _Removal) -> None:
        """Let the applier know nothing of a day but how many rows came late: their numbers go on."""
        partitions = self._columns.partitions
        for kind, key in removal.keys.items():
            end = partitions.pop(key).end
            if kind == LATE and end:
                partitions[key] = self._columns.shelf.blank(*key)
                partitions[key].offset = end


def _size(place: Place) -> int:
    """Return how many bytes a place's files take; links are not counted."""
    links = alias_names(place.table)
    found = [f"{place.live}/{name}" for name in names(place.live) if name.partition(".")[0] not in links]
    found += [f"{place.late}/{name}" for name in names(place.late)]
    return sum(disk.length_of(path) or 0 for path in found)
