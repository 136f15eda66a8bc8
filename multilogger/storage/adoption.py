"""Taking over days that nothing but their files is known of, such as those of an older archive."""

from __future__ import annotations

from typing import Final

from multilogger.errors import StorageDamaged
from multilogger.storage import disk
from multilogger.storage.layout import Paths
from multilogger.storage.manifest import Manifest
from multilogger.storage.partition import Partition, adopt, measure, open_partition
from multilogger.storage.streams import LATE, Stream, StreamEntry

_TORN_ROWS: Final = 10_000
"""More rows than a flush had are not torn off by a crash."""


def adopted_day(paths: Paths, blank: Partition) -> Partition:
    """Return a partition as its files have it; without rows if there are none.

    A row that a crash left half written is cut off, and kept in the quarantine.

    Args:
        paths: where things are.
        blank: the partition without rows; is returned.

    Raises:
        StorageDamaged: the files are not those of one table, and are left alone.
    """
    _check_layout(blank)
    adopt(blank, paths.quarantine)
    measure(blank)
    return blank


def unknown_late(paths: Paths, live: Partition, previous: Manifest | None) -> Partition | None:
    """Return the late rows that are there although nothing is known of them, None if there are none.

    Args:
        paths: where things are.
        live: the live partition of their day.
        previous: that day's manifest, if it is sealed.

    Raises:
        StorageDamaged: the files are not those of one table, and are left alone.
    """
    entry = live.stream.entry
    late_entry = StreamEntry(-1, entry.exchange, entry.symbol, entry.table, LATE, entry.directory)
    late = open_partition(paths, Stream(late_entry), live.day, exact=True, generation=live.generation)
    if disk.length_of(late.path(late.columns[-1])) is None:
        return None
    late.offset = previous.journal.late if previous else 0
    return adopted_day(paths, late)


def _check_layout(partition: Partition) -> None:
    every = partition.stream.table.disk_columns(exact=True)
    found = {column.name: disk.length_of(partition.path(column)) for column in every}
    rows = {
        column.name: (found[column.name] or 0) // column.dtype.itemsize
        for column in every
        if found[column.name] is not None or not column.exact
    }
    most = max(rows.values())
    if not most:
        return
    for column in every:
        length, path = found[column.name], partition.path(column)
        if length is None:
            if not column.exact:
                raise StorageDamaged(f"{path} is missing")
        elif length == most or most - rows[column.name] > _TORN_ROWS:
            # One byte a row was the width of a side in the oldest files.
            raise StorageDamaged(
                f"{path} has {length} bytes, {most * column.dtype.itemsize} belong to {most} rows"
            )
