"""Which missing trades are asked for next, and how long each hole has to wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from multilogger.quality.missing import Hole

GRACE_SECS: Final = 3.0
"""A trade that was skipped may simply be late."""
EMPTY_SECS: Final = (5.0, 15.0, 60.0)
"""Answers come from caches: what brought nothing is asked for again after these times, and then given up."""
FAILURE_SECS: Final = 5.0
MOST_FAILURE_SECS: Final = 300.0
"""A hole whose requests fail is put off for twice as long each time, up to this: others go first."""

_DOUBLINGS: Final = 6


@attrs.define
class _Standing:
    """How it stands with one hole."""

    hole: Hole
    due: float
    """When it may be asked for, in seconds of the caller's clock."""
    empty: int = 0
    """Answers in a row that brought nothing."""
    failures: int = 0
    """Requests in a row that failed."""


class Agenda:
    """The holes of one exchange, in the order in which they are to be asked for.

    Symbols take turns, and within a symbol the newest hole comes first. A hole shrinks, or falls into pieces,
    as trades come from wherever: what is left of it takes over how it stood.
    """

    def __init__(self) -> None:
        self._standings: dict[int, list[_Standing]] = {}
        self._served: dict[int, int] = {}
        """In which turn a symbol was last asked for, by its number."""
        self._turn = 0

    def follow(self, holes: Sequence[Hole], now: float) -> None:
        """Take over which holes are open now."""
        known = self._standings
        self._standings = {}
        for hole in holes:
            before = _overlapping(known.get(hole.symbol, ()), hole)
            standing = (
                _Standing(hole, now + GRACE_SECS) if before is None else attrs.evolve(before, hole=hole)
            )
            self._standings.setdefault(hole.symbol, []).append(standing)

    def next(self, now: float) -> Hole | None:
        """Return the hole whose turn it is, and give it to its symbol; None if none is due."""
        due = [it for it in self._all() if it.due <= now]
        if not due:
            return None
        chosen = min(due, key=lambda it: (self._served.get(it.hole.symbol, 0), -it.hole.after_ns)).hole
        self._turn += 1
        self._served[chosen.symbol] = self._turn
        return chosen

    def next_due(self) -> float | None:
        """Return when the next hole is due, None if there is none."""
        return min((it.due for it in self._all()), default=None)

    def is_due(self, hole: Hole, now: float) -> bool:
        """Return whether a hole has had its time to be filled by itself."""
        return self._of(hole).due <= now

    def exhausted(self) -> list[Hole]:
        """Return the holes that nothing was found of, however often it was tried."""
        return [it.hole for it in self._all() if it.empty > len(EMPTY_SECS)]

    def brought(self, hole: Hole) -> None:
        """Take note that the exchange had trades of a hole."""
        standing = self._of(hole)
        standing.empty = standing.failures = 0

    def brought_nothing(self, hole: Hole, now: float) -> None:
        """Take note that the exchange had none."""
        standing = self._of(hole)
        standing.failures = 0
        if standing.empty < len(EMPTY_SECS):
            standing.due = now + EMPTY_SECS[standing.empty]
        standing.empty += 1

    def failed(self, hole: Hole, now: float) -> None:
        """Take note that a request failed."""
        standing = self._of(hole)
        doubled = FAILURE_SECS * 2.0 ** min(standing.failures, _DOUBLINGS)
        standing.due = now + min(MOST_FAILURE_SECS, doubled)
        standing.failures += 1

    def _all(self) -> list[_Standing]:
        return [it for standings in self._standings.values() for it in standings]

    def _of(self, hole: Hole) -> _Standing:
        return next(it for it in self._standings[hole.symbol] if it.hole == hole)


def _overlapping(standings: Sequence[_Standing], hole: Hole) -> _Standing | None:
    return next(
        (it for it in standings if it.hole.first <= hole.last and hole.first <= it.hole.last),
        None,
    )
