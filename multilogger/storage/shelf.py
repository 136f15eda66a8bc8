"""Partitions as their files and manifests tell of them, where neither checkpoint nor journal does."""

from __future__ import annotations

from pathlib import Path

import structlog

from multilogger.errors import StorageDamaged
from multilogger.storage import disk
from multilogger.storage.layout import Paths, day_suffix, manifest_name
from multilogger.storage.manifest import Manifest, decode_manifest
from multilogger.storage.partition import Partition, adopt, live_prefix, open_partition
from multilogger.storage.streams import ABSURD, LATE, LIVE, Stream, Streams
from multilogger.storage.switch import complete_switch

log = structlog.get_logger()


class Shelf:
    """Opens partitions below one data path.

    Args:
        paths: where things are.
        streams: the sibling of a late stream is looked up there.
        exact: whether days begin with the exact columns.
    """

    def __init__(self, paths: Paths, streams: Streams, *, exact: bool) -> None:
        self.paths = paths
        self._streams = streams
        self._exact = exact

    def blank(self, number: int, day: int, *, generation: int = 0) -> Partition:
        """Return a partition without rows, with the configured columns; touches nothing."""
        stream = self._streams.all[number]
        return open_partition(self.paths, stream, day, exact=self._exact, generation=generation)

    def opened(self, number: int, day: int) -> Partition:
        """Return a partition as its manifest has it; without rows if its day isn't sealed, or it is late.

        A seal that a crash interrupted behind the manifest is completed.
        """
        partition = self.blank(number, day)
        if partition.kind == ABSURD:
            return partition
        manifest = self.manifest(partition)
        if manifest is None:
            return partition
        if partition.kind == LATE:
            partition = self.blank(number, day, generation=manifest.generation)
            partition.offset = manifest.journal.late
        else:
            complete_switch(partition, manifest)
        return partition

    def adopted(self, number: int, day: int) -> Partition | None:
        """Return a partition with the rows that its files have; None for a live one that has nothing yet."""
        # After midnight very many are asked for at once, and nearly all are new.
        stream = self._streams.all[number]
        if stream.entry.kind == LIVE and not self._has_rows(stream, day):
            return None
        partition = self.opened(number, day)
        if partition.kind != LIVE or not partition.generation:
            adopt(partition, self.paths.quarantine)
        return partition

    def manifest(self, partition: Partition) -> Manifest | None:
        """Return the manifest of a live or late partition's day, None if it isn't sealed.

        One that can't be understood is set aside, and the day counts as not sealed.
        """
        live = partition
        if partition.kind == LATE:
            entry = partition.stream.entry
            live = self._live(entry.exchange, entry.symbol, partition)
        return read_manifest(live.manifest_path, self.paths.quarantine)

    def _has_rows(self, stream: Stream, day: int) -> bool:
        table = stream.table
        prefix = live_prefix(self.paths, stream)
        if disk.length_of(prefix) is None:  # of a new archive, at the first rows of all symbols
            return False
        time = f"{prefix}{table.disk_columns(exact=self._exact)[-1].name}{day_suffix(day)}"
        return disk.length_of(time) is not None or disk.length_of(f"{prefix}{manifest_name(day)}") is not None

    def _live(self, exchange: str, symbol: str, partition: Partition) -> Partition:
        number = self._streams.find(exchange, symbol, partition.stream.table, LIVE).entry.number
        return self.blank(number, partition.day)


def read_manifest(path: str, quarantine: Path) -> Manifest | None:
    """Return a manifest, None if there is none; one that can't be understood goes to the quarantine."""
    size = disk.length_of(path)
    if size is None:
        return None
    fd = disk.open_file(path)
    try:
        data = disk.read(fd, size, 0)
    finally:
        disk.close(fd)
    try:
        return decode_manifest(data, path)
    except StorageDamaged as error:
        disk.make_directories(quarantine)
        disk.rename(Path(path), quarantine / "+".join(Path(path).parts[-4:]))
        log.warning("manifest set aside: its day counts as not sealed", path=path, error=str(error))
        return None
