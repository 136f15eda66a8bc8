"""Sealing one day of one symbol's table: files are checked, late rows folded in, the manifest is written.

All of it under temporary names: nothing has changed for anybody until the manifest is renamed into place.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import attrs
import numpy as np
import xxhash

from multilogger import __version__
from multilogger.config.policy import ExchangePolicy
from multilogger.errors import StorageDamaged
from multilogger.notes import SealNote
from multilogger.storage import disk
from multilogger.storage.fold import first_of_each, merge_rows, nanos_column, row_times
from multilogger.storage.manifest import (
    ColumnFile,
    CoverageSummary,
    JournalRows,
    Manifest,
    encode_manifest,
    temporary_column,
)
from multilogger.storage.partition import Partition
from multilogger.storage.runs import Key
from multilogger.storage.switch import drop_unswitched, temporary_manifest
from multilogger.tables import NANOS_PER_SECOND, TRADES, Array, Column, Table

_TRADE_ID: Final = "trade_id"


@attrs.frozen(eq=False)
class Unsealed:
    """A day that is to be sealed, for the first time or again."""

    key: Key
    """Of the live partition."""
    live: Partition
    """Without rows where all of them came late."""
    late_key: Key | None
    late: Partition | None
    """What came late since the last seal."""
    previous: Manifest | None
    """Of the last seal."""

    @property
    def generation(self) -> int:
        """The one that the seal makes."""
        known = [self.live.generation, self.late.generation if self.late else 0]
        return max(*known, self.previous.generation if self.previous else 0) + 1


@attrs.frozen(eq=False)
class Prepared:
    """A day whose next generation is written, under temporary names."""

    day: Unsealed
    manifest: Manifest
    rewritten: bool
    """Whether the columns are others than before."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that have temporary names, in writing order."""
        return self.day.live.columns if self.rewritten else ()


def prepare(
    day: Unsealed, *, coverage: CoverageSummary | None, policy: ExchangePolicy, now_ns: int
) -> Prepared:
    """Check a day's files and write its next generation beside them; not durable yet.

    Args:
        day: which one.
        coverage: what is known to be missing.
        policy: permissions, where the day has no files yet.
        now_ns: nanoseconds since the epoch.

    Raises:
        StorageDamaged: a file is not what was written to it, or can't be read.
        OSError: the next generation can't be written.
    """
    live, late, table = day.live, day.late, day.live.stream.table
    order = {name: _values(live, name) for name in _ordering_columns(table)}
    late_rows = late.rows if late else 0
    rewritten = bool(late_rows) or not _in_order(table, order)
    duplicates = 0
    columns: dict[str, Array] = order
    if rewritten:
        everything = {column.name: _values(live, column.name) for column in live.columns}
        columns, duplicates = merge_rows(table, everything, _late_values(day, everything))
    files = {}
    for column in live.columns:
        values = columns.get(column.name)
        files[column.name] = _describe(column, _values(live, column.name) if values is None else values)
    manifest = _manifest(day, files, columns, duplicates, coverage, now_ns)
    drop_unswitched(live, manifest.generation)
    prepared = Prepared(day, manifest, rewritten)
    try:
        _write(day, manifest, columns if rewritten else {}, policy)
    except OSError:
        abandon([prepared])
        raise
    return prepared


def abandon(prepared: Iterable[Prepared]) -> None:
    """Remove what was written of days that are not switched."""
    # What can't be removed now is removed by the next attempt, or the next start.
    with suppress(OSError):
        for it in prepared:
            drop_unswitched(it.day.live, it.manifest.generation)


def _ordering_columns(table: Table) -> list[str]:
    return [table.time_column, nanos_column(table), *([_TRADE_ID] if table is TRADES else [])]


def _in_order(table: Table, columns: Mapping[str, Array]) -> bool:
    """Return whether time never decreases and no trade is there twice."""
    if (np.diff(row_times(table, columns)) < 0).any():
        return False
    if table is not TRADES:
        return True
    ids = columns[_TRADE_ID]
    return bool((ids[1:] > ids[:-1]).all()) or len(first_of_each(ids)) == len(ids)


def _values(partition: Partition, name: str) -> Array:
    """Return a column's values, checked against what was written.

    Raises:
        StorageDamaged: they are others, or can't be read.
    """
    column = next(column for column in partition.columns if column.name == name)
    path, size = partition.path(column), partition.rows * column.dtype.itemsize
    if not size:
        return np.empty(0, column.dtype)
    try:
        fd = disk.open_file(path)
        try:
            found = disk.length(fd)
            data = disk.read(fd, size, 0) if found == size else b""
        finally:
            disk.close(fd)
    except OSError as error:
        raise StorageDamaged(f"{path} can't be read: {error.strerror}") from error
    if found != size:
        raise StorageDamaged(f"{path} has {found} bytes, {size} were written")
    if zlib.crc32(data) != partition.crcs[name]:
        raise StorageDamaged(f"{path} does not hold what was written to it: its CRC-32 is another")
    return np.frombuffer(data, column.dtype)


def _late_values(day: Unsealed, live: Mapping[str, Array]) -> dict[str, Array]:
    late = day.late
    if late is None or not late.rows:
        return {name: values[:0] for name, values in live.items()}
    missing = live.keys() - {column.name for column in late.columns}
    if missing:
        raise StorageDamaged(
            f"{late.prefix}*{late.suffix}: {', '.join(sorted(missing))} of late rows is gone"
        )
    return {name: _values(late, name) for name in live}


def _describe(column: Column, values: Array) -> ColumnFile:
    data = np.ascontiguousarray(values).view(np.uint8).data
    return ColumnFile(
        dtype=column.dtype.str.replace("|V", "V"),
        bytes=data.nbytes,
        crc32=f"{zlib.crc32(data):08x}",
        xxh3_128=xxhash.xxh3_128_hexdigest(data),
    )


def _manifest(
    day: Unsealed,
    files: dict[str, ColumnFile],
    columns: Mapping[str, Array],
    duplicates: int,
    coverage: CoverageSummary | None,
    now_ns: int,
) -> Manifest:
    live, late, previous = day.live, day.late, day.previous
    entry, table = live.stream.entry, live.stream.table
    times = row_times(table, columns)
    ids = columns[_TRADE_ID] if table is TRADES else None
    sealed = datetime.fromtimestamp(now_ns // NANOS_PER_SECOND, UTC)
    return Manifest(
        generation=day.generation,
        exchange=entry.exchange,
        symbol=entry.symbol,
        table=table.name,
        day=str(np.datetime64(live.day, "D")),
        rows=len(times),
        first_time_ns=int(times[0]),
        last_time_ns=int(times[-1]),
        first_trade_id=None if ids is None else int(ids.min()),
        last_trade_id=None if ids is None else int(ids.max()),
        late_rows=(late.rows if late else 0) + (previous.late_rows if previous else 0),
        duplicates=duplicates + (previous.duplicates if previous else 0),
        lost_rows=_lost_rows(day),
        columns=files,
        journal=JournalRows(live=live.end, late=_late_end(day)),
        coverage=coverage,
        sealed=sealed.isoformat(),
        program=f"multilogger {__version__}",
    )


def _late_end(day: Unsealed) -> int:
    if day.late is not None:
        return day.late.end
    return day.previous.journal.late if day.previous else 0


def _lost_rows(day: Unsealed) -> int:
    """Return how many of the journal's rows are in no file: that is what moves the offsets between seals."""
    live, late, previous = day.live, day.late, day.previous
    if previous is None:
        # Of a day that was sealed, but whose manifest is gone, nobody can tell.
        return max(live.offset, 0) + (late.offset if late else 0) if day.generation == 1 else 0
    lost = live.offset - (previous.journal.live - previous.rows)
    if late is not None:
        lost += late.offset - previous.journal.late
    return previous.lost_rows + max(lost, 0)


def _write(day: Unsealed, manifest: Manifest, columns: Mapping[str, Array], policy: ExchangePolicy) -> None:
    live = day.live
    disk.make_directories(live.prefix, policy.directory_mode, policy.gid)
    # The new files may be read by whoever could read the ones before.
    model = disk.open_file(live.path(live.columns[-1])) if live.rows else -1
    try:
        for name, values in columns.items():
            column = next(column for column in live.columns if column.name == name)
            path = temporary_column(live.path(column), manifest.generation)
            _write_file(path, values.view(np.uint8).data, model, policy)
        _write_file(temporary_manifest(live), encode_manifest(manifest), model, policy)
    finally:
        if model >= 0:
            disk.close(model)


def _write_file(path: str, data: memoryview | bytes, model: int, policy: ExchangePolicy) -> None:
    fd = disk.open_file(path, create=True)
    try:
        if model >= 0:
            disk.copy_permissions(model, fd)
        else:
            disk.set_permissions(fd, policy.file_mode, policy.gid)
        disk.write(fd, data, 0)
    finally:
        disk.close(fd)


def seal_note(manifest: Manifest) -> SealNote:
    """Return the note of a seal; the same one whenever it is asked for."""
    return SealNote(
        manifest.exchange,
        manifest.symbol,
        manifest.table,
        int(np.datetime64(manifest.day, "D").astype(np.int64)),
        manifest.generation,
        manifest.rows,
        manifest.late_rows,
        manifest.duplicates,
        int(datetime.fromisoformat(manifest.sealed).timestamp()) * NANOS_PER_SECOND,
    )
