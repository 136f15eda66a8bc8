"""The rows of one partition after another within rows that were merged, and their values for the columns."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from multilogger.storage.grouping import Merged
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


class Values:
    """The columns' values of some rows, each derived at its first use."""

    def __init__(self, rows: Merged) -> None:
        self._rows = rows
        self._derived: dict[Column, memoryview] = {}

    def of(self, column: Column) -> memoryview:
        """Return the bytes of a column over all rows."""
        data = self._derived.get(column)
        if data is None:
            with np.errstate(over="ignore", invalid="ignore"):  # beyond 32 bits: exact beside, or set aside
                values = column.derive(self._rows.fields).astype(column.dtype, copy=False)
            data = self._derived[column] = np.ascontiguousarray(values).view(np.uint8).data
        return data


def runs(rows: Merged) -> Iterator[Run]:
    """Return the runs of each partition."""
    bounds = rows.bounds.tolist()
    found = zip(rows.streams.tolist(), rows.days.tolist(), rows.start_rows.tolist(), strict=True)
    for index, (stream, day, start_row) in enumerate(found):
        yield Run((stream, day), start_row, bounds[index], bounds[index + 1])


def newest_rows(rows: Merged) -> Array:
    """Return the row with the highest time of each run, the last of equal ones; not always the last row."""
    times = rows.fields["time_ns"]
    highest = np.repeat(np.maximum.reduceat(times, rows.bounds[:-1]), np.diff(rows.bounds))
    candidates = np.flatnonzero(times == highest)
    indices = candidates[np.searchsorted(candidates, rows.bounds[1:]) - 1]
    newest = np.zeros(len(indices), rows.table.row)
    for name in rows.table.stored_fields:
        newest[name] = rows.fields[name][indices]
    return newest
