"""A partition: the column files of one stream and UTC day, and what may be done to them.

Three kinds of streams have partitions: the public column files (live), the rows that came too late for them
(late, by the generation of the seal they came after), and rows whose event time can't be true (absurd).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
import structlog
import xxhash

from multilogger.errors import StorageDamaged
from multilogger.storage import disk
from multilogger.storage.layout import Paths, day_suffix, manifest_name
from multilogger.storage.streams import ABSURD, LATE, LIVE, Stream
from multilogger.tables import NANOS_PER_SECOND, Column

log = structlog.get_logger()

BEGINNING: Final = -(1 << 63)
"""The last time of a partition without rows."""
_CHUNK: Final = 1024 * 1024
_ALIASED: Final = "trade_"
_ALIASES: Final = frozenset(
    {"trade_id", "trade_time", "trade_nanos", "trade_price", "trade_size", "trade_side"}
)


@attrs.define(eq=False)
class Partition:
    """The files of one stream and day."""

    stream: Stream
    day: int
    columns: tuple[Column, ...]
    """In writing order."""
    prefix: str
    """Of every file's path, up to the column's name."""
    suffix: str
    generation: int = 0
    """Of a live one: of its newest seal, 0 before the first; of a late one: of the seal it came after."""
    rows: int = 0
    offset: int = 0
    """Row n of the files is row n + offset of the journal: some may be lost, or folded in by a seal."""
    last_time_ns: int = BEGINNING
    crcs: dict[str, int] = attrs.field(factory=dict)
    settled: bool = False
    """Whether the directory and the aliases have been seen to by this process."""
    uneven: bool = False
    """A write was interrupted: files may be longer than the rows say."""
    suspect: bool = False
    """A write or a sync failed: the files are to be replaced by copies before they grow."""

    @property
    def kind(self) -> int:
        """The kind of its stream."""
        return self.stream.entry.kind

    @property
    def end(self) -> int:
        """The number of the next row in the journal."""
        return self.rows + self.offset

    @property
    def manifest_path(self) -> str:
        """Where the manifest is, or would be."""
        return f"{self.prefix}{manifest_name(self.day)}"

    def path(self, column: Column) -> str:
        """Return a column's file."""
        return f"{self.prefix}{column.name}{self.suffix}"

    def lengths(self) -> dict[str, int | None]:
        """Return each column's length in bytes, None for a missing file."""
        return {column.name: disk.length_of(self.path(column)) for column in self.columns}

    def complete_rows(self) -> int:
        """Return how many rows all columns have."""
        found = self.lengths()
        return min((found[column.name] or 0) // column.dtype.itemsize for column in self.columns)

    def even(self) -> bool:
        """Return whether every file is exactly as long as the rows say."""
        found = self.lengths()
        return all(found[column.name] == self.rows * column.dtype.itemsize for column in self.columns)

    def link_aliases(self) -> None:
        """Give the trade columns their short names too, as relative symbolic links."""
        for column in self.columns:
            if column.name in _ALIASES:
                short = column.name.removeprefix(_ALIASED)
                disk.symlink(f"{column.name}{self.suffix}", f"{self.prefix}{short}{self.suffix}")


def open_partition(paths: Paths, stream: Stream, day: int, *, exact: bool, generation: int = 0) -> Partition:
    """Return a partition without rows; touches nothing.

    Args:
        paths: where things are.
        stream: whose rows.
        day: in days since the epoch.
        exact: whether a live one begins with the exact columns; the others have all there are.
        generation: of a late one: the seal that its rows came after.
    """
    entry = stream.entry
    root = paths.data if entry.kind == LIVE else paths.late if entry.kind == LATE else paths.absurd
    suffix = day_suffix(day)
    if entry.kind == LATE:
        suffix = f"{suffix.removesuffix('.bin')}.{generation}.bin"
    if entry.kind == ABSURD:
        columns = stream.table.raw_columns
    else:
        columns = stream.table.disk_columns(exact=exact or entry.kind == LATE)
    crcs = dict.fromkeys(_names(columns), 0)
    return Partition(stream, day, columns, _prefix(root, stream), suffix, generation, crcs=crcs)


def live_prefix(paths: Paths, stream: Stream) -> str:
    """Return what every file's path of a live stream begins with, up to the column's name."""
    return _prefix(paths.data, stream)


def _prefix(root: Path, stream: Stream) -> str:
    entry = stream.entry
    return f"{root}/{entry.exchange}/{entry.directory}/{stream.table.name}/"


def _names(columns: Sequence[Column]) -> list[str]:
    return [column.name for column in columns]


def keep_existing_columns(partition: Partition, candidates: Sequence[str] | None = None) -> None:
    """Choose the columns of a partition that has rows already.

    An exact column can't begin in the middle of a day, nor stop there: it goes on if its file has rows,
    whatever is configured now. The compatible columns always go on.

    Args:
        partition: whose columns.
        candidates: the exact columns that may go on; by default, all.
    """
    if partition.kind == ABSURD:
        return
    chosen = tuple(
        column
        for column in partition.stream.table.disk_columns(exact=True)
        if not column.exact
        or ((candidates is None or column.name in candidates) and disk.length_of(partition.path(column)))
    )
    missing = set(_names(partition.columns)) - set(_names(chosen))
    if missing:
        log.warning("partition goes on without exact columns", path=partition.prefix, missing=sorted(missing))
    choose_columns(partition, chosen)


def choose_columns(partition: Partition, columns: tuple[Column, ...]) -> None:
    """Set which columns a partition has, keeping the checksums of those it had."""
    partition.columns = columns
    partition.crcs = {column.name: partition.crcs.get(column.name, 0) for column in columns}


def cut(partition: Partition, rows: int, quarantine: Path) -> None:
    """Shorten every file to ``rows`` rows; what is cut off is copied to the quarantine first.

    The time column is cut first, so that a reader who sizes its read by it never passes another's end. A
    file that would be left empty is removed.
    """
    for column in reversed(partition.columns):
        path = partition.path(column)
        length, kept = disk.length_of(path), rows * column.dtype.itemsize
        if length is None or length < kept or (length == kept and kept):
            continue
        fd = disk.open_file(path)
        try:
            _copy_tail(fd, kept, length, quarantine, Path(path))
            disk.truncate(fd, kept)
            disk.sync(fd)
        finally:
            disk.close(fd)
        if not kept:
            disk.unlink(path)


def _copy_tail(fd: int, start: int, end: int, quarantine: Path, path: Path) -> None:
    if start == end:
        return
    digest = xxhash.xxh3_64(b"")
    for offset in range(start, end, _CHUNK):
        digest.update(disk.read(fd, min(_CHUNK, end - offset), offset))
    # The content's hash in the name makes a cut that is repeated after a crash write the same file again.
    name = "+".join(path.parts[-4:])
    disk.make_directories(quarantine)
    target = disk.open_file(quarantine / f"{name}.from{start}.{digest.hexdigest()}", create=True)
    try:
        for offset in range(start, end, _CHUNK):
            disk.write(target, disk.read(fd, min(_CHUNK, end - offset), offset), offset - start)
        disk.sync(target)
    finally:
        disk.close(target)
    disk.sync_directory(quarantine)
    log.warning(
        "tail of a column file moved to the quarantine", path=str(path), offset=start, bytes=end - start
    )


def measure(partition: Partition) -> None:
    """Set the checksums and the last time of a partition from its files' first ``rows`` rows."""
    for column in partition.columns:
        partition.crcs[column.name] = _checksum(
            partition.path(column), partition.rows * column.dtype.itemsize
        )
    partition.last_time_ns = read_last_time(partition)


def _checksum(path: str, length: int) -> int:
    if not length:
        return 0
    fd = disk.open_file(path)
    crc = 0
    try:
        for offset in range(0, length, _CHUNK):
            crc = zlib.crc32(disk.read(fd, min(_CHUNK, length - offset), offset), crc)
    finally:
        disk.close(fd)
    return crc


def read_last_time(partition: Partition) -> int:
    """Return the time of the last row in the files, :data:`BEGINNING` if there is none.

    In a late partition, that is not the highest one; nothing asks for it there.
    """
    if not partition.rows:
        return BEGINNING
    if partition.kind == ABSURD:
        return int.from_bytes(_last_value(partition, "time_ns", 8), "little", signed=True)
    time = partition.stream.table.time_column
    seconds = int.from_bytes(_last_value(partition, time, 4), "little")
    nanos = int.from_bytes(_last_value(partition, time.replace("time", "nanos"), 4), "little")
    return seconds * NANOS_PER_SECOND + nanos


def _last_value(partition: Partition, name: str, width: int) -> bytes:
    path = f"{partition.prefix}{name}{partition.suffix}"
    fd = disk.open_file(path)
    try:
        data = disk.read(fd, width, (partition.rows - 1) * width)
    finally:
        disk.close(fd)
    if len(data) != width:
        raise StorageDamaged(f"{path} is shorter than its {partition.rows} rows")
    return data


def adopt(partition: Partition, quarantine: Path) -> None:
    """Take over files that nothing is known about: the rows that all columns have; the rest is set aside."""
    every = partition.stream.table.raw_columns
    if partition.kind != ABSURD:
        every = partition.stream.table.disk_columns(exact=True)
    if not any(disk.length_of(partition.path(column)) for column in every):
        return
    configured = partition.columns
    keep_existing_columns(partition)
    partition.rows = partition.complete_rows()
    cut(partition, partition.rows, quarantine)
    if not partition.rows:
        choose_columns(partition, configured)
    partition.last_time_ns = read_last_time(partition)
    log.info("column files taken over", path=partition.prefix, suffix=partition.suffix, rows=partition.rows)
