"""Sealing the days of an archive that no logger writes to, those of an older one included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import unquote

import attrs
import structlog

from multilogger.config import StorageConfig
from multilogger.config.policy import ExchangePolicy
from multilogger.errors import StartupError, StorageDamaged
from multilogger.storage import disk
from multilogger.storage.adoption import adopted_day, unknown_late
from multilogger.storage.applier import Applier
from multilogger.storage.catalog import Catalog, CatalogError
from multilogger.storage.columns import Columns
from multilogger.storage.layout import Paths, day_of
from multilogger.storage.lock import WriterLock, prepare_directories
from multilogger.storage.manifest import Manifest
from multilogger.storage.recovery import Recovered, recover
from multilogger.storage.scan import Place, StreamIndex, days, late_files, places
from multilogger.storage.seal import Sealer
from multilogger.storage.shelf import Shelf, read_manifest
from multilogger.storage.streams import LATE, LIVE, StreamEntry, Streams

log = structlog.get_logger()


@contextmanager
def open_archive(
    data_path: Path,
    settings: StorageConfig,
    policies: Mapping[str, ExchangePolicy],
    clock: Callable[[], int],
) -> Iterator[ArchiveSealer]:
    """Lock a data path, recover what a stop left, and yield what seals its days.

    The journal gets nothing: it tells a later start until when a logger ran.

    Args:
        data_path: where the exchanges' directories are.
        settings: ``[storage]``.
        policies: permissions by exchange.
        clock: nanoseconds since the epoch.

    Raises:
        StartupError: a logger is at work there, or the path can't be written to.
        StorageError: what is there can't be understood, or the disk fails.
    """
    paths = Paths(data_path)
    prepare_directories(paths, settings.journal_alternate)
    with ExitStack() as held:
        try:
            lock = WriterLock(paths.lock)
        except StartupError as error:
            raise StartupError(f"a running logger seals its days by itself: {error}") from error
        held.callback(lock.release)
        with disk.storage_errors("recovery"):
            applier = Applier(paths, settings, policies)
            held.callback(applier.close)
            recovered = recover(applier)
        catalog = Catalog(paths.catalog, applier.notes)
        held.callback(catalog.close)
        yield ArchiveSealer(applier, recovered, catalog, settings, policies, clock)


class ArchiveSealer:
    """Seals the days of an archive; made by :func:`open_archive`."""

    def __init__(
        self,
        applier: Applier,
        recovered: Recovered,
        catalog: Catalog,
        settings: StorageConfig,
        policies: Mapping[str, ExchangePolicy],
        clock: Callable[[], int],
    ) -> None:
        self._known = applier.columns
        self._recovered = recovered
        self._catalog = catalog
        self._policies = policies
        self._clock = clock
        self.closed_day = day_of(clock() - int(settings.seal_after_secs * 1e9)) - 1
        """The newest day that is over for long enough."""
        streams = Streams()
        # What only the files tell of gets no place in the state that the logger goes on from: an unknown
        # directory's symbol is a guess.
        self._found = Columns(
            Shelf(applier.paths, streams, exact=settings.exact_columns),
            streams,
            aliases=settings.trade_aliases,
            policies=policies,
        )
        self._known_index, self._found_index = StreamIndex(self._known.streams), StreamIndex(streams)
        self._sealers = [
            Sealer(columns, applier.saver, catalog, aliases=settings.trade_aliases, clock=clock)
            for columns in (self._known, self._found)
        ]
        self.refused: list[str] = []
        """Why days could not be taken over."""

    @property
    def failed(self) -> list[str]:
        """Why days could not be sealed."""
        return self.refused + [why for sealer in self._sealers for why in sealer.failed.values()]

    def look(self, only_day: int | None = None) -> None:
        """Take over the unsealed days that only the files tell of.

        Args:
            only_day: no others, in days since the epoch.

        Raises:
            StorageError: the disk fails.
        """
        with disk.storage_errors("looking for unsealed days"):
            self._sealers[0].roll_forward()
            for place in places(self._known.shelf.paths):
                for day in self._unsealed_days(place):
                    if day <= self.closed_day and only_day in (None, day):
                        self._take_over(place, day)

    def step(self, monotonic: Callable[[], float], seconds: float, *, only_day: int | None = None) -> Step:
        """Seal some days, for about so long.

        Args:
            monotonic: seconds.
            seconds: how long.
            only_day: no others, in days since the epoch.

        Raises:
            ColumnsUnavailable: the disk failed or is full.
        """
        sealed: list[Manifest] = []
        remaining = 0
        for sealer in self._sealers:
            _, _, left = sealer.step(
                self.closed_day,
                self._recovered.position,
                max(self._recovered.next_segment - 1, 0),
                monotonic,
                seconds,
                only_day=only_day,
            )
            sealed += sealer.sealed
            remaining += left
        if not remaining:
            self._update_catalog()
        return Step(sealed, remaining)

    def _update_catalog(self) -> None:
        try:
            self._catalog.update()
        except CatalogError as error:
            log.warning("the catalog can't be brought up to date", error=str(error))

    def _unsealed_days(self, place: Place) -> list[int]:
        """Return the days of which rows are in no sealed file."""
        found = days(place)
        waiting = {
            day
            for day, generation in late_files(place)
            if generation == _generation(place, day, sealed=day in found.sealed)
        }
        return sorted((found.columns - found.sealed - found.removed) | waiting)

    def _take_over(self, place: Place, day: int) -> None:
        numbers = self._known_index.numbers(place)
        if any((number, day) in self._known.partitions for number in numbers.values()):
            return
        number = self._stream(place, LIVE)
        shelf = self._found.shelf
        live = shelf.blank(number, day)
        manifest = read_manifest(live.manifest_path, shelf.paths.quarantine)
        try:
            if manifest is None:
                adopted_day(shelf.paths, live)
            else:
                live.generation = manifest.generation
            late = unknown_late(shelf.paths, live, manifest)
        except StorageDamaged as error:
            self.refused.append(str(error))
            return
        if live.rows:
            self._found.partitions[number, day] = live
        if late is not None:
            self._found.partitions[self._stream(place, LATE), day] = late

    def _stream(self, place: Place, kind: int) -> int:
        """Return the number of a stream in this run."""
        streams = self._found.streams
        found = self._found_index.numbers(place).get(kind)
        if found is not None:
            return found
        entry = StreamEntry(
            len(streams.all), place.exchange, self._symbol(place), place.table.number, kind, place.directory
        )
        streams.restore([entry])
        return entry.number

    def _symbol(self, place: Place) -> str:
        """Return the symbol in the exchange's spelling; where nothing tells it, the directory's name."""
        for number in self._known_index.numbers(place).values():
            return self._known.streams.all[number].entry.symbol
        for day in sorted(days(place).sealed):
            manifest = read_manifest(place.manifest(day), place.paths.quarantine)
            if manifest is not None:
                return manifest.symbol
        return unquote(place.directory, errors="surrogatepass")


@attrs.frozen
class Step:
    """What a step did."""

    sealed: list[Manifest]
    remaining: int
    """Days of a symbol's table that are left."""


def _generation(place: Place, day: int, *, sealed: bool) -> int:
    manifest = read_manifest(place.manifest(day), place.paths.quarantine) if sealed else None
    return manifest.generation if manifest else 0
