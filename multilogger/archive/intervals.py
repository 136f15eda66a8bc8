"""Coverage intervals as one line of time: where they overlap, the latest word counts.

All times are nanoseconds since the epoch. The intervals given are those of one symbol's table, with those of
all symbols, tables or exchanges among them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

import attrs
import numpy as np

from multilogger.notes import CoverageState
from multilogger.storage.catalog import CoverageInterval
from multilogger.storage.layout import NANOS_PER_DAY, day_of
from multilogger.tables import Array

NO_WORD: Final = -1

Said = tuple[CoverageState | None, str]
"""A state and its cause; None where nothing is said."""


class Kind(enum.IntEnum):
    """What a time is for the reckoning, in the order of :meth:`Timeline.by_day`."""

    RECORDED = 0
    """Live or afterwards."""
    GAP = 1
    IDLE = 2
    """The exchange did not trade it, or not list it: there was nothing to record."""
    UNKNOWN = 3
    """Nothing is said about it."""


_KINDS: Final = {
    None: Kind.UNKNOWN,
    CoverageState.LIVE: Kind.RECORDED,
    CoverageState.BACKFILLED: Kind.RECORDED,
    CoverageState.GAP: Kind.GAP,
    CoverageState.HALTED: Kind.IDLE,
    CoverageState.NOT_LISTED: Kind.IDLE,
}


@attrs.frozen(eq=False)
class GapSpans:
    """The gaps of a line, in order of time: an array each, of one length."""

    start_ns: Array
    end_ns: Array
    """Not part of them."""
    causes: tuple[str, ...]
    missing_ids: Array
    """How many trades are missing by their ids, of the intervals that begin to count in the gap."""

    def __len__(self) -> int:
        return len(self.start_ns)


@attrs.frozen(eq=False)
class Timeline:
    """What is true at each time of a window; made by :func:`timeline_of`."""

    bounds: Array
    """i8, increasing: where it may change. The first and the last are the window's."""
    said: tuple[Said, ...]
    """The states and causes there are; ``(None, "")`` is the last."""
    codes: Array
    """From each bound to the next: which of them is true."""
    gaps: GapSpans

    def state_at(self, time_ns: int) -> CoverageState | None:
        """Return what is true at a time; None where nothing is said, and outside the window."""
        place = int(np.searchsorted(self.bounds, time_ns, "right")) - 1
        return self.said[self.codes[place]][0] if 0 <= place < len(self.codes) else None

    def totals(self) -> dict[Said, int]:
        """Return how long each state and cause lasts altogether, in nanoseconds."""
        lengths = np.zeros(len(self.said), np.int64)
        np.add.at(lengths, self.codes, np.diff(self.bounds))
        return {key: it for key, it in zip(self.said, lengths.tolist(), strict=True) if it}

    def by_day(self, first_day: int, days: int) -> Array:
        """Return how long each :class:`Kind` lasts on each UTC day: i8 nanoseconds, a row for each day.

        Args:
            first_day: in days since the epoch.
            days: how many; what lies outside them is left out.
        """
        found = np.zeros((days, len(Kind)), np.int64)
        midnights = (first_day + np.arange(days + 1)) * NANOS_PER_DAY
        inside = midnights[(midnights > self.bounds[0]) & (midnights < self.bounds[-1])]
        cuts = np.union1d(self.bounds, inside)
        pieces = np.searchsorted(self.bounds, cuts[:-1], "right") - 1
        kinds = np.array([_KINDS[state] for state, _ in self.said], np.intp)
        rows = cuts[:-1] // NANOS_PER_DAY - first_day
        wanted = (rows >= 0) & (rows < days)
        places = rows[wanted], kinds[self.codes[pieces[wanted]]]
        np.add.at(found, places, np.diff(cuts)[wanted])
        return found

    def days(self) -> range:
        """Return the UTC days that the window has a part of, in days since the epoch."""
        start, end = int(self.bounds[0]), int(self.bounds[-1])
        return range(day_of(start), day_of(end - 1) + 1) if start < end else range(0)


def timeline_of(intervals: Iterable[CoverageInterval], start_ns: int, end_ns: int) -> Timeline:
    """Return what is true at each time of a window: of the intervals that hold there, the latest word.

    Args:
        intervals: in any order. One without an end lasts until the window's.
        start_ns: the window's first time.
        end_ns: its end; a window that ends before it starts is empty.
    """
    end_ns = max(start_ns, end_ns)
    ordered = sorted(intervals, key=attrgetter("position"))
    starts = np.clip(np.array([it.start_ns for it in ordered], np.int64), start_ns, end_ns)
    ends = np.array([end_ns if it.end_ns is None else it.end_ns for it in ordered], np.int64)
    ends = np.clip(ends, start_ns, end_ns)
    bounds = np.unique(np.concatenate([starts, ends, np.array([start_ns, end_ns], np.int64)]))
    words = np.full(len(bounds) - 1, NO_WORD, np.intp)
    lows, highs = np.searchsorted(bounds, starts).tolist(), np.searchsorted(bounds, ends).tolist()
    for word, (low, high) in enumerate(zip(lows, highs, strict=True)):
        words[low:high] = word
    said, code_of_word = _codes(ordered)
    codes = code_of_word[words]
    return Timeline(bounds, said, codes, _gaps(bounds, words, said, codes, ordered))


def missing_ids(interval: CoverageInterval) -> int:
    """Return how many trades an interval says are missing and may yet be had."""
    if interval.state is not CoverageState.GAP or interval.first_id < 0:
        return 0
    return interval.last_id - interval.first_id + 1


def _codes(intervals: Sequence[CoverageInterval]) -> tuple[tuple[Said, ...], Array]:
    """Return what is said, and which of it by each interval; the last is for :data:`NO_WORD`."""
    said: dict[Said, int] = {}
    codes = [said.setdefault((it.state, it.cause), len(said)) for it in intervals]
    return (*said, (None, "")), np.array([*codes, len(said)], np.intp)


def _gaps(
    bounds: Array, words: Array, said: Sequence[Said], codes: Array, intervals: Sequence[CoverageInterval]
) -> GapSpans:
    """Return the times throughout which the same cause of a gap is true."""
    changes = np.flatnonzero(np.diff(codes, prepend=-1))
    edges = np.append(changes, len(codes))
    run_of_piece = np.cumsum(np.diff(codes, prepend=-1) != 0) - 1
    ids = np.zeros(len(changes), np.int64)
    # An interval that a later word interrupts counts once, where it begins to count.
    counting, first_pieces = np.unique(words, return_index=True)
    holes = np.array([*map(missing_ids, intervals), 0], np.int64)
    np.add.at(ids, run_of_piece[first_pieces], holes[counting])
    is_gap = np.array([state is CoverageState.GAP for state, _ in said])[codes[changes]]
    return GapSpans(
        bounds[edges[:-1]][is_gap],
        bounds[edges[1:]][is_gap],
        tuple(said[code][1] for code in codes[changes][is_gap].tolist()),
        ids[is_gap],
    )
