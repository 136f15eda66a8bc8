"""The holes in the trades of one exchange, and what is news of them."""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np
import numpy.typing as npt

from multilogger.quality.growing import ROOM, with_room
from multilogger.quality.missing import Filled, GivenUp, Hole, MissingIds, News, Opened, Unknown, without
from multilogger.stats import ExchangeStats
from multilogger.tables import Array

TOO_MANY: Final = "too many gaps"
_MAX_SPANS: Final = 256
"""Holes remembered for one symbol; the oldest are given up first."""


class Holes:
    """All holes by symbol number.

    A hole that is found and filled by the rows of one hand-over is no news: :meth:`tell_opened` ends that.

    Args:
        stats: where missing ids are counted.
    """

    def __init__(self, stats: ExchangeStats) -> None:
        self._stats = stats
        self._missing: dict[int, MissingIds] = {}
        self._given_up: dict[int, MissingIds] = {}
        """Nobody asks for their ids any more; one that comes late all the same is taken."""
        self._opening: dict[Hole, None] = {}
        self._news: list[News] = []
        self._any: npt.NDArray[np.bool_] = np.zeros(ROOM, np.bool_)

    def all(self) -> list[Hole]:
        """Return the holes of all symbols, the newest first."""
        found = [hole for missing in self._missing.values() for hole in missing]
        return sorted(found, key=lambda hole: hole.after_ns, reverse=True)

    def of(self, number: int) -> list[Hole]:
        """Return the holes of a symbol, ascending."""
        return list(self._missing.get(number, ()))

    def open(self, hole: Hole) -> None:
        """Add a hole that is news."""
        self._opening[hole] = None
        self._add(hole)

    def grow(self, number: int, reached: int, newest: int, now_ns: int) -> bool:
        """Let the hole that ends with ``reached`` go on to ``newest``; return whether there is one."""
        missing = self._missing.get(number, MissingIds())
        tail = missing.newest
        if tail is None or tail.last != reached:
            return False
        missing.discard(tail)
        self._count(-len(tail))
        self.open(attrs.evolve(tail, last=newest, after_ns=max(now_ns, tail.after_ns)))
        return True

    def adopt(self, hole: Hole) -> None:
        """Take over a hole that an earlier run has noted; ids that are in one already stay there."""
        known = self._missing.get(hole.symbol, MissingIds()).within(hole.first, hole.last)
        rest = without(hole, known)
        if rest != [hole]:
            self._news.append(Filled(hole, tuple(rest)))
        for part in rest:
            self._add(part)

    def fill(self, symbol: Array, ids: Array, times: Array, backfilled: Array) -> Array:
        """Take ids out of the holes, and return of each whether it was missing.

        Args:
            symbol: numbers.
            ids: of trades that came, i8, in order of arrival.
            times: their event times.
            backfilled: of each whether it is from the exchange's history.
        """
        taken = np.zeros(len(ids), np.bool_)
        self._any = with_room(self._any, int(symbol.max()), fill=False)
        for number in np.unique(symbol[self._any[symbol]]).tolist():
            rows = np.flatnonzero(symbol == number)
            missing = self._missing.get(number, MissingIds())
            taken[rows], filled = missing.fill(ids[rows], times[rows], backfilled[rows])
            for it in filled:
                self._note_filled(it)
            if number in self._given_up:
                rows = rows[~taken[rows]]
                taken[rows], _ = self._given_up[number].fill(ids[rows], times[rows], backfilled[rows])
                came = int(taken[rows].sum())
                self._stats.given_up -= came
                self._stats.gaps -= came
            self._set_any(number)
        return taken

    def give_up(self, number: int, first: int, last: int, cause: str) -> None:
        """Forget the holes of a symbol that have ids of ``first`` to ``last``: they will not be filled."""
        missing = self._missing.get(number, MissingIds())
        for hole in missing.within(first, last):
            missing.discard(hole)
            self._forget(hole, cause)
        self._set_any(number)

    def dismiss(self, number: int, first: int, last: int) -> None:
        """Forget the holes of a symbol that have ids of ``first`` to ``last``: there are no such trades."""
        missing = self._missing.get(number, MissingIds())
        for hole in missing.within(first, last):
            missing.discard(hole)
            self._note_filled(Filled(hole))
        self._set_any(number)

    def lacks(self, number: int, first: int, last: int) -> bool:
        """Return whether all ids of ``first`` to ``last`` are in one hole, given up or not."""
        known = (self._missing.get(number, MissingIds()), self._given_up.get(number, MissingIds()))
        return any(
            hole.first <= first and last <= hole.last for it in known for hole in it.within(first, last)
        )

    def begin_anew(self, number: int, last: int, cause: str) -> None:
        """Forget all holes of a symbol up to an id: its ids will be used for other trades."""
        self.give_up(number, 0, last, cause)
        self._given_up.pop(number, None)
        self._set_any(number)

    def note(self, unknown: Unknown) -> None:
        """Take note of trades that may be missing without ids to tell."""
        self._news.append(unknown)

    def tell_opened(self) -> list[Hole]:
        """Make news of the holes that were found since the last call and are open still; return them."""
        opened, self._opening = list(self._opening), {}
        self._news += map(Opened, opened)
        return opened

    def take_news(self) -> list[News]:
        """Return what was found out since the last call, in order."""
        news, self._news = self._news, []
        return news

    def _add(self, hole: Hole) -> None:
        self._any = with_room(self._any, hole.symbol, fill=False)
        self._any[hole.symbol] = True
        missing = self._missing.setdefault(hole.symbol, MissingIds())
        missing.add(hole)
        self._count(len(hole))
        if len(missing) > _MAX_SPANS:
            self._forget(missing.drop_oldest(), TOO_MANY)

    def _note_filled(self, filled: Filled) -> None:
        self._count(sum(map(len, filled.rest)) - len(filled.hole))
        if filled.hole in self._opening:
            del self._opening[filled.hole]
            self._opening.update(dict.fromkeys(filled.rest))
        else:
            self._news.append(filled)

    def _set_any(self, number: int) -> None:
        self._any = with_room(self._any, number, fill=False)
        self._any[number] = bool(self._missing.get(number)) or bool(self._given_up.get(number))

    def _forget(self, hole: Hole, cause: str) -> None:
        self._stats.missing -= len(hole)
        self._stats.given_up += len(hole)
        given_up = self._given_up.setdefault(hole.symbol, MissingIds())
        given_up.add(hole)
        if len(given_up) > _MAX_SPANS:
            given_up.drop_oldest()
        if hole in self._opening:
            del self._opening[hole]
            self._news.append(Unknown(hole.symbol, hole.before_ns, hole.after_ns, cause))
        else:
            self._news.append(GivenUp(hole, cause))

    def _count(self, more: int) -> None:
        self._stats.gaps += more
        self._stats.missing += more
