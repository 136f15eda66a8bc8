"""Trade ids that were skipped, and may still come: late, or from the exchange's history."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from operator import attrgetter
from typing import Final, TypeAlias

import attrs
import numpy as np

from multilogger.tables import Array

_FIRST: Final = attrgetter("first")


@attrs.frozen
class Hole:
    """A run of missing ids of one symbol."""

    symbol: int
    """Its number."""
    first: int
    last: int
    before_ns: int
    """Event time of the trade before the first."""
    after_ns: int
    """Of the trade after the last; of a hole at the tail, when it was found."""
    cause: str

    def __len__(self) -> int:
        return self.last - self.first + 1


@attrs.frozen
class Opened:
    """A hole was found, or one at the tail has grown."""

    hole: Hole


@attrs.frozen
class Filled:
    """Ids of a hole came."""

    hole: Hole
    """As it was."""
    rest: tuple[Hole, ...] = ()
    """What is left of it; the first may begin where it began."""
    backfilled: tuple[tuple[int, int], ...] = ()
    """Intervals of event time that the exchange's history has filled."""


@attrs.frozen
class GivenUp:
    """A hole will not be filled."""

    hole: Hole
    cause: str


@attrs.frozen
class Unknown:
    """Trades may be missing, and ids don't tell which."""

    symbol: int
    start_ns: int
    end_ns: int
    cause: str


News: TypeAlias = Opened | Filled | GivenUp | Unknown


class MissingIds:
    """The holes of one symbol: ascending, disjoint."""

    __slots__ = ("_holes",)

    def __init__(self) -> None:
        self._holes: list[Hole] = []

    def __len__(self) -> int:
        """Return how many holes there are."""
        return len(self._holes)

    def __iter__(self) -> Iterator[Hole]:
        return iter(self._holes)

    @property
    def newest(self) -> Hole | None:
        """The hole with the highest ids."""
        return self._holes[-1] if self._holes else None

    def add(self, hole: Hole) -> None:
        """Add a hole whose ids are in none yet; one with the same first id is replaced."""
        at = bisect_left(self._holes, hole.first, key=_FIRST)
        known = at < len(self._holes) and self._holes[at].first == hole.first
        self._holes[at : at + known] = [hole]

    def drop_oldest(self) -> Hole:
        """Forget the hole with the lowest ids, and return it."""
        return self._holes.pop(0)

    def within(self, first: int, last: int) -> list[Hole]:
        """Return the holes that have ids of ``first`` to ``last``."""
        at = max(0, bisect_right(self._holes, first, key=_FIRST) - 1)
        return [hole for hole in self._holes[at:] if hole.first <= last and hole.last >= first]

    def discard(self, hole: Hole) -> None:
        """Forget a hole."""
        self._holes.remove(hole)

    def fill(self, ids: Array, times: Array, backfilled: Array) -> tuple[Array, list[Filled]]:
        """Take ids out of the holes.

        Args:
            ids: of trades that came, i8, in order of arrival.
            times: their event times.
            backfilled: of each whether it is from the exchange's history.

        Returns:
            Of each id whether it was missing; and what became of the holes that had some.
        """
        if not self._holes:
            return np.zeros(len(ids), np.bool_), []
        firsts = np.array([hole.first for hole in self._holes], np.int64)
        lasts = np.array([hole.last for hole in self._holes], np.int64)
        at = np.searchsorted(firsts, ids, side="right") - 1
        missing = (at >= 0) & (ids <= lasts[at])
        # The first arrival of each id, ascending by id.
        came = np.flatnonzero(missing)
        came = came[np.unique(ids[came], return_index=True)[1]]
        taken = np.zeros(len(ids), np.bool_)
        taken[came] = True
        filled = []
        for place in np.unique(at[came])[::-1]:
            of_it = came[at[came] == place]
            news = _fill(self._holes[place], ids[of_it], times[of_it], backfilled[of_it])
            self._holes[place : place + 1] = news.rest
            filled.append(news)
        return taken, filled


def without(hole: Hole, known: Iterable[Hole]) -> list[Hole]:
    """Return the parts of a hole that are not in others, ascending as those are."""
    parts = []
    for other in known:
        if other.first > hole.first:
            parts.append(attrs.evolve(hole, last=other.first - 1, after_ns=other.before_ns))
        if other.last >= hole.last:
            return parts
        hole = attrs.evolve(hole, first=other.last + 1, before_ns=other.after_ns)
    return [*parts, hole]


def _fill(hole: Hole, ids: Array, times: Array, backfilled: Array) -> Filled:
    """Return what becomes of a hole if these ids of it, ascending, come."""
    known = [
        (hole.first - 1, hole.before_ns),
        *zip(ids.tolist(), times.tolist(), strict=True),
        (hole.last + 1, hole.after_ns),
    ]
    rest = tuple(
        attrs.evolve(hole, first=low + 1, last=high - 1, before_ns=before, after_ns=after)
        for (low, before), (high, after) in pairwise(known)
        if high - low > 1
    )
    intervals = []
    for run in np.split(np.arange(len(ids)), np.flatnonzero(np.diff(ids) > 1) + 1):
        low, high = int(run[0]), int(run[-1])
        start = hole.before_ns if ids[low] == hole.first else int(times[low])
        end = hole.after_ns if ids[high] == hole.last else int(times[high])
        if backfilled[run].any():
            intervals.append((start, end))
    return Filled(hole, rest, tuple(intervals))
