"""The column files: grown from durable rows, a file after the other, the time column last."""

from __future__ import annotations

import errno
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from multilogger.config.policy import ExchangePolicy
from multilogger.errors import ColumnsUnavailable, StorageDamaged
from multilogger.storage import disk
from multilogger.storage.checkpoint import PartitionState, StreamState
from multilogger.storage.grouping import Merged
from multilogger.storage.partition import Partition, choose_columns, keep_existing_columns, measure
from multilogger.storage.rebuild import rebuild
from multilogger.storage.repair import Loss, mend
from multilogger.storage.runs import Key, Run, Values, newest_rows, runs
from multilogger.storage.shelf import Shelf
from multilogger.storage.streams import ABSURD, LATE, LIVE, Streams
from multilogger.storage.writeback import WriteBack

log = structlog.get_logger()

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_DEFAULT: Final = ExchangePolicy()


class Columns:
    """All partitions that are written to, or were lately. Belongs to the applier.

    Args:
        shelf: opens partitions.
        streams: what stream numbers mean.
        aliases: whether the trade columns get their short names too.
        policies: permissions by exchange.
    """

    def __init__(
        self, shelf: Shelf, streams: Streams, *, aliases: bool, policies: Mapping[str, ExchangePolicy]
    ) -> None:
        self.shelf = shelf
        self.streams = streams
        self._aliases = aliases
        self._policies = policies
        self._write_back = WriteBack(shelf.paths.data)
        self.partitions: dict[Key, Partition] = {}
        self.touched: set[Key] = set()
        """Written to since the last checkpoint."""
        self.losses: list[Loss] = []
        """Rows found missing since this list was last emptied by whoever tells of them."""

    def policy(self, partition: Partition) -> ExchangePolicy:
        """Return the permissions of a partition's files."""
        return self._policies.get(partition.stream.entry.exchange, _DEFAULT)

    def apply(self, merged: Iterable[Merged]) -> int:
        """Bring rows into their files; those that are there already are passed over.

        So it can be repeated after a failure. A partition that can't be written to holds up none but itself,
        unless the disk is full.

        Args:
            merged: durable rows, in the journal's order for each partition.

        Returns:
            The number of rows.

        Raises:
            ColumnsUnavailable: not all could be written; apply the same rows again later.
        """
        count = 0
        failures: dict[Key, OSError] = {}
        for rows in merged:
            values = Values(rows)
            with self._write_back.visit(len(rows.streams) * len(rows.table.columns)):
                for run in runs(rows):
                    try:
                        self._extend(run, values)
                    except OSError as error:
                        self._note_failure(run.key, error)
                        failures[run.key] = error
            self._remember(rows, failures)
            count += int(rows.bounds[-1])
        if failures:
            raise ColumnsUnavailable(
                f"{len(failures)} partitions can't be written: {next(iter(failures.values()))}"
            )
        return count

    def _note_failure(self, key: Key, error: OSError) -> None:
        partition = self.partitions.get(key)
        if partition is not None:
            partition.uneven = True
            partition.suspect = partition.suspect or error.errno not in _FULL
        if error.errno in _FULL:
            raise ColumnsUnavailable(f"disk full: {error}") from error

    def _extend(self, run: Run, values: Values) -> None:
        partition = self.partitions.get(run.key) or self._open(run)
        skip = partition.rows + partition.offset - run.start_row
        if skip < 0:
            raise StorageDamaged(
                f"{partition.prefix}*{partition.suffix} end at row {partition.end}, but the journal goes on "
                f"at row {run.start_row}"
            )
        first, last = run.first + skip, run.last
        if first >= last:
            return
        if partition.suspect:
            rebuild(partition)
        self.touched.add(run.key)
        if not self._write(partition, values, first, last):
            # Someone else has changed the files: what is left of them is evened out.
            self.losses += mend(partition, self.shelf)
            if not self._write(partition, values, first, last):
                raise StorageDamaged(f"{partition.prefix}*{partition.suffix} change while they are mended")
        partition.rows += last - first
        self._write_back.note(len(partition.columns))
        partition.uneven = False
        if not partition.settled:
            partition.settled = True
            if self._aliases and partition.kind == LIVE:
                partition.link_aliases()

    def _write(self, partition: Partition, values: Values, first: int, last: int) -> bool:
        """Write rows behind those there are; False if a file is not as it was left."""
        if not partition.settled:
            policy = self.policy(partition)
            disk.make_directories(partition.prefix, policy.directory_mode, policy.gid)
        rows, prefix, suffix, uneven = partition.rows, partition.prefix, partition.suffix, partition.uneven
        crcs = partition.crcs.copy()
        for column in partition.columns:
            name, width = column.name, column.dtype.itemsize
            data = values.of(column)[first * width : last * width]
            offset = rows * width
            try:
                fd = disk.open_file(f"{prefix}{name}{suffix}", create=not rows)
            except FileNotFoundError:
                return False
            try:
                length = disk.length(fd)
                if length != offset and (length < offset or not uneven):
                    return False
                if not rows:
                    self._permit(partition, fd)
                disk.write(fd, data, offset)
            finally:
                disk.close(fd)
            crcs[name] = zlib.crc32(data, crcs[name])
        partition.crcs = crcs
        return True

    def _permit(self, partition: Partition, fd: int) -> None:
        policy = self.policy(partition)
        if policy is not _DEFAULT:
            disk.set_permissions(fd, policy.file_mode, policy.gid)

    def _open(self, run: Run) -> Partition:
        partition = self.shelf.opened(*run.key)
        if run.start_row > partition.end:
            partition.rows = run.start_row - partition.offset
            keep_existing_columns(partition)
            if partition.even():
                measure(partition)
            else:
                self.losses += mend(partition, self.shelf)
        self.partitions[run.key] = partition
        return partition

    def _remember(self, rows: Merged, failed: Mapping[Key, OSError]) -> None:
        """Note what is asked for after a restart: times, last rows, trade ids."""
        starts = rows.bounds[:-1]
        newest = newest_rows(rows)
        times = newest["time_ns"].tolist()
        trade_ids = rows.fields.get("trade_id")
        highest = None if trade_ids is None else np.maximum.reduceat(trade_ids, starts).tolist()
        for index, key in enumerate(zip(rows.streams.tolist(), rows.days.tolist(), strict=True)):
            if key in failed:
                continue
            partition = self.partitions[key]
            partition.last_time_ns = max(partition.last_time_ns, times[index])
            stream = partition.stream
            kind = stream.entry.kind
            if kind == LIVE and times[index] >= stream.last_row_ns:
                stream.last_row, stream.last_row_ns = newest[index].tobytes(), times[index]
            if highest is not None and kind != ABSURD:
                # A late trade may be the newest by its id: it counts for the live stream, which is asked.
                live = self.streams.sibling(stream, LIVE) if kind == LATE else stream
                live.last_trade_id = max(live.last_trade_id or 0, highest[index])

    def sync_touched(self) -> None:
        """Sync each file and directory written to since the last checkpoint."""
        directories = set()
        for key in self.touched:
            partition = self.partitions[key]
            if not partition.rows:
                continue
            for column in partition.columns:
                _sync(partition.path(column))
            directory = Path(partition.prefix)
            directories.update([directory, *directory.parents[:5]])
        for directory in directories:
            if directory.is_relative_to(self.shelf.paths.data):
                disk.sync_directory(directory)

    def states(self) -> tuple[list[StreamState], list[PartitionState]]:
        """Return what a checkpoint remembers."""
        streams = [StreamState(it.entry, it.last_trade_id, it.last_row) for it in self.streams.all]
        partitions = [
            PartitionState(number, day, it.generation, it.rows, it.offset, it.last_time_ns, dict(it.crcs))
            for (number, day), it in self.partitions.items()
        ]
        return streams, partitions

    def restore(
        self, streams: Sequence[StreamState], partitions: Sequence[PartitionState], *, uneven: bool = False
    ) -> None:
        """Take over what a checkpoint remembers.

        Args:
            streams: all of them.
            partitions: of some days.
            uneven: the files may be longer than the checkpoint knows.
        """
        self.streams.restore(state.entry for state in streams)
        for state in streams:
            stream = self.streams.all[state.entry.number]
            stream.last_trade_id = state.last_trade_id
            if len(state.last_row) == stream.table.row.itemsize:
                row = np.frombuffer(state.last_row, stream.table.row)
                stream.last_row, stream.last_row_ns = state.last_row, int(row["time_ns"][0])
        for found in partitions:
            key = (found.stream, found.day)
            partition = self.shelf.blank(*key, generation=found.generation)
            if partition.kind != ABSURD:
                every = partition.stream.table.disk_columns(exact=True)
                choose_columns(partition, tuple(column for column in every if column.name in found.crcs))
            partition.crcs.update(found.crcs)
            partition.rows, partition.offset = found.rows, found.offset
            partition.last_time_ns, partition.uneven = found.last_time_ns, uneven
            self.partitions[key] = partition


def _sync(path: str) -> None:
    fd = disk.open_file(path)
    try:
        disk.sync(fd)
    finally:
        disk.close(fd)
