"""Rows in order of arrival become sections, and sections of several commits become one: in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np

from multilogger.errors import StorageDamaged
from multilogger.storage.layout import NANOS_PER_DAY
from multilogger.storage.payload import TableRows
from multilogger.tables import Array, Fields, Table

_RADIX_SORTED: Final = 1 << 16
"""NumPy sorts 16-bit keys in linear time."""


@attrs.frozen(eq=False)
class Grouped:
    """Rows of one table, sorted by stream and time, and where stream or day change."""

    table: Table
    rows: Array
    """Of ``table.row``."""
    bounds: Array
    """First row of each section, and the number of rows."""
    streams: Array
    """Of each section."""
    days: Array
    """Of each section, since the epoch."""

    def part(self, first: int, last: int) -> Grouped:
        """Return rows ``first`` to ``last`` (exclusive)."""
        low = int(np.searchsorted(self.bounds, first, side="right")) - 1
        high = int(np.searchsorted(self.bounds, last, side="left"))
        bounds = np.clip(self.bounds[low : high + 1], first, last) - first
        return Grouped(self.table, self.rows[first:last], bounds, self.streams[low:high], self.days[low:high])


def group(table: Table, parts: Sequence[tuple[Array, Array]]) -> Grouped:
    """Sort rows by stream, then time; equal ones keep their order of arrival.

    Args:
        table: whose rows.
        parts: rows of ``table.row`` and the stream number of each, in order of arrival; not empty.
    """
    rows = np.concatenate([rows for rows, _ in parts])
    streams = np.concatenate([streams for _, streams in parts])
    order = np.argsort(rows["time_ns"], kind="stable")
    keys = streams[order]
    if keys.max() < _RADIX_SORTED:
        keys = keys.astype(np.uint16)
    order = order[np.argsort(keys, kind="stable")]
    rows, streams = rows[order], streams[order]
    days = rows["time_ns"] // NANOS_PER_DAY
    starts = _changes(streams, days)
    return Grouped(table, rows, np.append(starts, len(rows)), streams[starts], days[starts])


@attrs.frozen(eq=False)
class Merged:
    """Rows of one table out of any number of commits, a run for each stream and day."""

    table: Table
    fields: Fields
    bounds: Array
    """First row of each run, and the number of rows."""
    streams: Array
    days: Array
    start_rows: Array
    """Of each run: number of its first row in its partition."""


def merge(parts: Sequence[TableRows]) -> list[Merged]:
    """Join the rows of each stream and day, in the order of ``parts``.

    Raises:
        StorageDamaged: the row numbers of a partition don't follow each other.
    """
    by_table: dict[int, list[TableRows]] = {}
    for part in parts:
        by_table.setdefault(part.table.number, []).append(part)
    return [_merge_table(found) for found in by_table.values()]


def every(rows: TableRows, number: int, passes: int) -> TableRows:
    """Return the rows of each stream whose number leaves ``number`` when divided by ``passes``."""
    chosen = rows.sections["stream"] % passes == number
    index = np.repeat(chosen, rows.sections["rows"])
    fields = {name: rows.fields[name][index] for name in rows.table.stored_fields}
    return TableRows(rows.table, rows.sections[chosen], fields)


def _merge_table(parts: Sequence[TableRows]) -> Merged:
    table = parts[0].table
    sections = np.concatenate([part.sections for part in parts])
    fields = {name: np.concatenate([part.fields[name] for part in parts]) for name in table.stored_fields}
    if len(parts) > 1:
        sections, index = _by_partition(sections)
        fields = {name: values[index] for name, values in fields.items()}
    counts = sections["rows"].astype(np.int64)
    streams, days, start_rows = sections["stream"], sections["day"], sections["start_row"].astype(np.int64)
    firsts = _changes(streams, days)
    _check_contiguous(table, sections, firsts)
    ends = np.cumsum(counts)
    bounds = np.append((ends - counts)[firsts], ends[-1])
    return Merged(table, fields, bounds, streams[firsts], days[firsts], start_rows[firsts])


def _by_partition(sections: Array) -> tuple[Array, Array]:
    """Return the sections by stream and day, and the index that brings their rows into that order."""
    order = np.lexsort((sections["day"], sections["stream"]))
    counts = sections["rows"].astype(np.int64)
    sources = (np.cumsum(counts) - counts)[order]
    counts = counts[order]
    targets = np.cumsum(counts) - counts
    index = np.repeat(sources - targets, counts) + np.arange(counts.sum())
    return sections[order], index


def _check_contiguous(table: Table, sections: Array, firsts: Array) -> None:
    ends = sections["start_row"] + sections["rows"]
    broken = ends[:-1] != sections["start_row"][1:]
    broken[firsts[1:] - 1] = False
    if broken.any():
        at = sections[1:][broken][0]
        raise StorageDamaged(
            f"journal: rows of {table.name}, stream {at['stream']}, day {at['day']} are not contiguous "
            f"at row {at['start_row']}"
        )


def _changes(streams: Array, days: Array) -> Array:
    """Return the indices at which a stream or day begins."""
    changed = (streams[1:] != streams[:-1]) | (days[1:] != days[:-1])
    return np.append(0, np.flatnonzero(changed) + 1)
