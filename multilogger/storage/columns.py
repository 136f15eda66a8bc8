"""The column files: grown from durable rows, a file after the other, the time column last."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs
import numpy as np

from multilogger.errors import StorageDamaged
from multilogger.storage import disk
from multilogger.storage.checkpoint import PartitionState, StreamState
from multilogger.storage.grouping import Merged
from multilogger.storage.layout import Paths
from multilogger.storage.partition import (
    Partition,
    choose_columns,
    keep_existing_columns,
    measure,
    open_partition,
)
from multilogger.storage.streams import Streams
from multilogger.tables import Array, Column

Key = tuple[int, int]
"""Stream number and day."""


@attrs.frozen(eq=False)
class Run:
    """Rows of one partition within a :class:`Merged`: ``first`` to ``last`` (exclusive)."""

    key: Key
    start_row: int
    first: int
    last: int


class Columns:
    """All partitions that are written to, or were lately. Belongs to the applying thread.

    Args:
        paths: where things are.
        streams: what stream numbers mean.
        exact: whether new partitions get the exact columns.
        aliases: whether the trade columns get their short names too.
    """

    def __init__(self, paths: Paths, streams: Streams, *, exact: bool, aliases: bool) -> None:
        self._paths = paths
        self._streams = streams
        self._exact = exact
        self._aliases = aliases
        self.partitions: dict[Key, Partition] = {}
        self.touched: set[Key] = set()
        """Written to since the last checkpoint."""

    def apply(self, merged: Iterable[Merged], *, replaying: bool = False) -> int:
        """Append rows to their files.

        Args:
            merged: durable rows, in the journal's order for each partition.
            replaying: the files may hold these rows already, or some of them.

        Returns:
            The number of rows.

        Raises:
            StorageDamaged: a file is not as long as it was left.
        """
        count = 0
        for rows in merged:
            values = _Values(rows)
            for run in runs(rows):
                self._extend(run, values, replaying=replaying)
            self._remember(rows)
            count += int(rows.bounds[-1])
        return count

    def _extend(self, run: Run, values: _Values, *, replaying: bool) -> None:
        partition = self._partition(run)
        if run.start_row != partition.rows + partition.lost:
            raise StorageDamaged(
                f"{partition.prefix}*{partition.suffix} hold {partition.rows} rows, but the journal goes on "
                f"at row {run.start_row - partition.lost}"
            )
        if not partition.rows and not partition.settled:
            disk.make_directories(partition.prefix)
        self.touched.add(run.key)
        for column in partition.columns:
            width = column.dtype.itemsize
            data = values.of(column)[run.first * width : run.last * width]
            _write(partition.path(column), data, partition.rows * width, replaying=replaying)
            partition.crcs[column.name] = zlib.crc32(data, partition.crcs[column.name])
        partition.rows += run.last - run.first
        if not partition.settled:
            partition.settled = True
            if self._aliases:
                partition.link_aliases()

    def _partition(self, run: Run) -> Partition:
        partition = self.partitions.get(run.key)
        if partition is None:
            partition = self.open(run.key)
            if run.start_row:
                keep_existing_columns(partition)
                partition.rows = run.start_row
                measure(partition)
            self.partitions[run.key] = partition
        return partition

    def open(self, key: Key) -> Partition:
        """Return a partition without rows, with the configured columns; touches nothing."""
        return open_partition(self._paths, self._streams.all[key[0]], key[1], exact=self._exact)

    def _remember(self, rows: Merged) -> None:
        """Note what is asked for after a restart: times, last rows, trade ids."""
        starts = rows.bounds[:-1]
        newest = _newest_rows(rows)
        times = newest["time_ns"].tolist()
        trade_ids = rows.fields.get("trade_id")
        highest = None if trade_ids is None else np.maximum.reduceat(trade_ids, starts).tolist()
        for index, (number, day) in enumerate(zip(rows.streams.tolist(), rows.days.tolist(), strict=True)):
            partition = self.partitions[number, day]
            partition.last_time_ns = max(partition.last_time_ns, times[index])
            stream = partition.stream
            if times[index] >= stream.last_row_ns:
                stream.last_row, stream.last_row_ns = newest[index].tobytes(), times[index]
            if highest is not None:
                stream.last_trade_id = max(stream.last_trade_id or 0, highest[index])

    def sync_touched(self) -> None:
        """Sync each file and directory written to since the last checkpoint."""
        directories = set()
        for key in self.touched:
            partition = self.partitions[key]
            for column in partition.columns:
                _sync(partition.path(column))
            directory = Path(partition.prefix)
            directories.update([directory, *directory.parents[:3]])
        for directory in directories:
            disk.sync_directory(directory)

    def states(self) -> tuple[list[StreamState], list[PartitionState]]:
        """Return what a checkpoint remembers."""
        streams = [StreamState(it.entry, it.last_trade_id, it.last_row) for it in self._streams.all]
        partitions = [
            PartitionState(number, day, it.rows, it.lost, it.last_time_ns, dict(it.crcs))
            for (number, day), it in self.partitions.items()
        ]
        return streams, partitions

    def restore(self, streams: Sequence[StreamState], partitions: Sequence[PartitionState]) -> None:
        """Take over what a checkpoint remembers."""
        self._streams.restore(state.entry for state in streams)
        for state in streams:
            stream = self._streams.all[state.entry.number]
            stream.last_trade_id = state.last_trade_id
            if len(state.last_row) == stream.table.row.itemsize:
                row = np.frombuffer(state.last_row, stream.table.row)
                stream.last_row, stream.last_row_ns = state.last_row, int(row["time_ns"][0])
        for found in partitions:
            partition = self.open((found.stream, found.day))
            every = partition.stream.table.disk_columns(exact=True)
            choose_columns(partition, tuple(column for column in every if column.name in found.crcs))
            partition.crcs.update(found.crcs)
            partition.rows, partition.lost, partition.last_time_ns = (
                found.rows,
                found.lost,
                found.last_time_ns,
            )
            self.partitions[found.stream, found.day] = partition


class _Values:
    """The columns' values of some rows, each derived at its first use."""

    def __init__(self, rows: Merged) -> None:
        self._rows = rows
        self._derived: dict[str, memoryview] = {}

    def of(self, column: Column) -> memoryview:
        """Return the bytes of a column over all rows."""
        data = self._derived.get(column.name)
        if data is None:
            with np.errstate(over="ignore"):  # a price beyond 32 bits is infinite there, exact beside
                values = column.derive(self._rows.fields).astype(column.dtype, copy=False)
            data = self._derived[column.name] = np.ascontiguousarray(values).view(np.uint8).data
        return data


def runs(rows: Merged) -> Iterator[Run]:
    """Return the runs of each partition."""
    bounds = rows.bounds.tolist()
    found = zip(rows.streams.tolist(), rows.days.tolist(), rows.start_rows.tolist(), strict=True)
    for index, (stream, day, start_row) in enumerate(found):
        yield Run((stream, day), start_row, bounds[index], bounds[index + 1])


def _newest_rows(rows: Merged) -> Array:
    """Return the row with the highest time of each run, the last of equal ones; not always the last row."""
    times = rows.fields["time_ns"]
    highest = np.repeat(np.maximum.reduceat(times, rows.bounds[:-1]), np.diff(rows.bounds))
    candidates = np.flatnonzero(times == highest)
    indices = candidates[np.searchsorted(candidates, rows.bounds[1:]) - 1]
    newest = np.zeros(len(indices), rows.table.row)
    for name in rows.table.stored_fields:
        newest[name] = rows.fields[name][indices]
    return newest


def _write(path: str, data: memoryview, offset: int, *, replaying: bool) -> None:
    try:
        fd = disk.open_file(path, create=offset == 0)
    except FileNotFoundError as error:
        raise StorageDamaged(f"{path} is missing: {offset} bytes were written to it") from error
    try:
        length = disk.length(fd)
        if length < offset or (length > offset and not replaying):
            raise StorageDamaged(f"{path} has {length} bytes, {offset} were written to it")
        disk.write(fd, data, offset)
    finally:
        disk.close(fd)


def _sync(path: str) -> None:
    fd = disk.open_file(path)
    try:
        disk.sync(fd)
    finally:
        disk.close(fd)
