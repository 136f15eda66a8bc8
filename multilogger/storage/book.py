"""What has been committed to each partition: gives new rows their numbers.

Belongs to the committing thread.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np

from multilogger.storage.grouping import Grouped
from multilogger.storage.payload import SECTION, TableRows


@attrs.define
class Entry:
    """A partition as the journal has it."""

    rows: int
    last_time_ns: int
    """The highest time of its rows."""


class Book:
    """The partitions' row counts, the journal's rows included.

    Args:
        adopt: returns the entry of a partition that is not in the book, from its files.
    """

    def __init__(self, adopt: Callable[[int, int], Entry]) -> None:
        self.entries: dict[tuple[int, int], Entry] = {}
        """By stream number and day."""
        self._adopt = adopt

    def number(self, grouped: Grouped) -> tuple[TableRows, int]:
        """Give rows the next numbers of their partitions.

        Returns:
            The rows, and how many of them are older than one that their partition has already.
        """
        times = grouped.rows["time_ns"]
        firsts = times[grouped.bounds[:-1]].tolist()
        lasts = times[grouped.bounds[1:] - 1].tolist()
        bounds = grouped.bounds.tolist()
        starts = []
        late = 0
        for index, key in enumerate(zip(grouped.streams.tolist(), grouped.days.tolist(), strict=True)):
            entry = self.entries.get(key)
            if entry is None:
                entry = self.entries[key] = self._adopt(*key)
            starts.append(entry.rows)
            entry.rows += bounds[index + 1] - bounds[index]
            if firsts[index] < entry.last_time_ns:
                run = times[bounds[index] : bounds[index + 1]]
                late += int(np.searchsorted(run, entry.last_time_ns))
            entry.last_time_ns = max(entry.last_time_ns, lasts[index])
        sections = np.zeros(len(starts), SECTION)
        sections["stream"], sections["day"] = grouped.streams, grouped.days
        sections["start_row"], sections["rows"] = starts, np.diff(grouped.bounds)
        return TableRows(
            grouped.table, sections, {name: grouped.rows[name] for name in grouped.table.stored_fields}
        ), late
