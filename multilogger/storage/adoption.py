"""Taking over days that nothing but their files is known of, such as those of an older archive."""

from __future__ import annotations

from typing import Final

from multilogger.errors import StorageDamaged
from multilogger.storage import disk
from multilogger.storage.partition import Partition, adopt, measure
from multilogger.storage.shelf import Shelf

_TORN_ROWS: Final = 10_000
"""More rows than a flush had are not torn off by a crash."""


def adopted_day(shelf: Shelf, number: int, day: int, *, generation: int = 0) -> Partition:
    """Return a partition as its files have it; without rows if there are none.

    A row that a crash left half written is cut off, and kept in the quarantine.

    Args:
        shelf: opens it.
        number: of its stream.
        day: in days since the epoch.
        generation: of a late one: of its files.

    Raises:
        StorageDamaged: the files are not those of one table, and are left alone.
    """
    partition = shelf.blank(number, day, generation=generation)
    _check_layout(partition)
    adopt(partition, shelf.paths.quarantine)
    measure(partition)
    return partition


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
