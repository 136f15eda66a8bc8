"""What has been committed to each partition: gives new rows their numbers, and late ones their own place.

Belongs to the committing thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import attrs
import numpy as np

from multilogger.storage.checkpoint import NEVER
from multilogger.storage.grouping import Grouped
from multilogger.storage.partition import BEGINNING, Partition
from multilogger.storage.payload import SECTION, TableRows
from multilogger.storage.streams import ABSURD, LATE, LIVE, Streams
from multilogger.tables import Array

Key = tuple[int, int]
"""Stream number and day."""
_UNKNOWN: Final = -1
_ROOM: Final = 256


@attrs.frozen
class Numbered:
    """Rows with their numbers."""

    rows: TableRows
    late: int
    """How many of them go to late partitions."""
    absurd: int
    """How many of them have a time that can't be true."""


class Book:
    """The partitions' row counts, the journal's rows included.

    A row goes to its live partition if it is not older than the newest there, and its day isn't closed;
    else to the late one. Rows of days that can't be true go to a partition of the day they came.

    Args:
        streams: finds the siblings for late and absurd rows.
        adopt: returns a partition that is not in the book, as its files have it; None if it has none.
        days_back: rows of days further back, or after tomorrow, are absurd.
    """

    def __init__(
        self, streams: Streams, adopt: Callable[[int, int], Partition | None], days_back: int
    ) -> None:
        self._streams = streams
        self._adopt = adopt
        self._days_back = days_back
        self.closed_day = NEVER
        """Rows of this day and those before are late."""
        self._slots: dict[int, Array] = {}
        """By day: the slot of each stream, or ``_UNKNOWN``."""
        self._used = 0
        self._rows = np.zeros(_ROOM, np.int64)
        self._last = np.zeros(_ROOM, np.int64)
        self._closed = np.zeros(_ROOM, np.bool_)

    def enter(self, key: Key, partition: Partition) -> None:
        """Take up a partition as it is."""
        stream, day = key
        self._enter(day, np.array([stream]), [partition])

    def _enter(self, day: int, streams: Array, partitions: Iterable[Partition | None]) -> Array:
        """Take up partitions of a day, None for those without rows, and return their slots."""
        first, self._used = self._used, self._used + len(streams)
        missing = self._used - len(self._rows)
        if missing > 0:
            self._rows, self._last, self._closed = (
                np.concatenate([it, np.zeros(max(missing, len(it)), it.dtype)])
                for it in (self._rows, self._last, self._closed)
            )
        new = np.arange(first, self._used)
        self._rows[new], self._last[new], self._closed[new] = 0, BEGINNING, False
        for slot, partition in enumerate(partitions, first):
            if partition is not None:
                self._rows[slot] = partition.end
                self._last[slot] = partition.last_time_ns
                self._closed[slot] = partition.kind == LIVE and partition.generation > 0
        slots = self._slots.get(day, np.empty(0, np.int64))
        missing = int(streams.max()) + 1 - len(slots)
        if missing > 0:
            missing = max(missing, len(self._streams.all) - len(slots))
            slots = self._slots[day] = np.append(slots, np.full(missing, _UNKNOWN))
        slots[streams] = new
        return new

    def rows_of(self, key: Key) -> int:
        """Return the number of the next row of a partition that is in the book."""
        return int(self._rows[self._slots[key[1]][key[0]]])

    def expect(self, day: int, most: int) -> None:
        """Take up live partitions of a day that is to come, of streams that have rows the day before.

        Args:
            day: since the epoch.
            most: how many partitions at once.
        """
        nothing = np.empty(0, np.int64)
        candidates = self._slots.get(day - 1, nothing) != _UNKNOWN
        known = self._slots.get(day, nothing)[: len(candidates)]
        candidates[: len(known)] &= known == _UNKNOWN
        found = np.flatnonzero(candidates).tolist()
        live = [number for number in found if self._streams.all[number].entry.kind == LIVE][:most]
        if live:
            self._enter(day, np.array(live), [self._adopt(number, day) for number in live])

    def forget_before(self, day: int) -> None:
        """Leave out the partitions of days before; should a row come, their files speak for them."""
        for found in [it for it in self._slots if it < day]:
            del self._slots[found]
        kept = np.unique(np.concatenate([np.array([_UNKNOWN]), *self._slots.values()]))[1:]
        moved = np.full(self._used + 1, _UNKNOWN, np.int64)
        moved[kept] = np.arange(len(kept))
        self._rows, self._last, self._closed = (
            np.concatenate([it[kept], np.zeros(_ROOM, it.dtype)])
            for it in (self._rows, self._last, self._closed)
        )
        self._used = len(kept)
        # The last place of ``moved`` stands for the unknown slot, -1.
        self._slots = {found: moved[slots] for found, slots in self._slots.items()}

    def number(self, grouped: Grouped, today: int) -> Numbered:
        """Give rows the next numbers of their partitions.

        Args:
            grouped: rows of one table.
            today: days since the epoch.
        """
        days = grouped.days
        usual = (days > max(self.closed_day, today - self._days_back - 1)) & (days <= today + 1)
        times, starts = grouped.rows["time_ns"], grouped.bounds[:-1]
        slots = self._find(grouped.streams[usual], days[usual])
        apart = ~usual
        apart[usual] = (times[starts[usual]] < self._last[slots]) | self._closed[slots]
        if not apart.any():
            return Numbered(self._fill(grouped, slots, times[grouped.bounds[1:] - 1]), 0, 0)
        pieces, late, absurd = self._pieces_of(grouped, np.flatnonzero(apart).tolist(), today)
        plain = np.stack([grouped.streams, days, starts, grouped.bounds[1:]], axis=1)[~apart]
        return Numbered(self._fill_pieces(grouped, np.concatenate([plain, pieces])), late, absurd)

    def _find(self, streams: Array, days: Array) -> Array:
        found = np.empty(len(streams), np.int64)
        for day in np.unique(days).tolist():
            here = np.flatnonzero(days == day)
            known = self._slots.get(day)
            wanted = streams[here]
            slots = np.full(len(here), _UNKNOWN, np.int64)
            if known is not None:
                inside = wanted < len(known)
                slots[inside] = known[wanted[inside]]
            unknown = slots == _UNKNOWN
            if unknown.any():
                new = wanted[unknown]
                slots[unknown] = self._enter(day, new, [self._adopt(stream, day) for stream in new.tolist()])
            found[here] = slots
        return found

    def _fill(self, grouped: Grouped, slots: Array, lasts: Array) -> TableRows:
        counts = np.diff(grouped.bounds)
        sections = np.zeros(len(slots), SECTION)
        sections["stream"], sections["day"] = grouped.streams, grouped.days
        sections["start_row"], sections["rows"] = self._rows[slots], counts
        self._rows[slots] += counts
        self._last[slots] = np.maximum(self._last[slots], lasts)
        return TableRows(
            grouped.table, sections, {name: grouped.rows[name] for name in grouped.table.stored_fields}
        )

    def _pieces_of(self, grouped: Grouped, places: Iterable[int], today: int) -> tuple[Array, int, int]:
        """Cut rows some of which don't go to their live partitions.

        Returns:
            Of each piece stream, day, first row and end; the numbers of late rows and of absurd ones.
        """
        pieces: list[tuple[int, int, int, int]] = []
        late = absurd = 0
        times = grouped.rows["time_ns"]
        for place in places:
            stream, day = int(grouped.streams[place]), int(grouped.days[place])
            first, last = int(grouped.bounds[place]), int(grouped.bounds[place + 1])
            if not today - self._days_back <= day <= today + 1:
                pieces.append((self._sibling(stream, ABSURD), today, first, last))
                absurd += last - first
                continue
            cut = first + self._count_late(stream, day, times[first:last])
            late += cut - first
            if cut > first:
                pieces.append((self._sibling(stream, LATE), day, first, cut))
            if last > cut:
                pieces.append((stream, day, cut, last))
        return np.array(pieces, np.int64), late, absurd

    def _count_late(self, stream: int, day: int, times: Array) -> int:
        if day <= self.closed_day:
            return len(times)
        (slot,) = self._find(np.array([stream]), np.array([day]))
        if self._closed[slot]:
            return len(times)
        return int(np.searchsorted(times, self._last[slot]))

    def _sibling(self, stream: int, kind: int) -> int:
        return self._streams.sibling(self._streams.all[stream], kind).entry.number

    def _fill_pieces(self, grouped: Grouped, pieces: Array) -> TableRows:
        """Number rows by pieces; those of one stream and day become one section."""
        streams, days, firsts, ends = pieces[np.lexsort((pieces[:, 1], pieces[:, 0]))].T
        counts = ends - firsts
        bounds = np.append(0, np.cumsum(counts))
        rows = grouped.rows[np.arange(bounds[-1]) + np.repeat(firsts - bounds[:-1], counts)]
        new = np.append(True, (np.diff(streams) != 0) | (np.diff(days) != 0))
        streams, days, bounds = streams[new], days[new], np.append(bounds[:-1][new], bounds[-1])
        lasts = np.maximum.reduceat(rows["time_ns"], bounds[:-1])
        return self._fill(
            Grouped(grouped.table, rows, bounds, streams, days), self._find(streams, days), lasts
        )
