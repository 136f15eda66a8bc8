"""Which symbols should move to another connection, judged by how much each brings.

A connection that brings more messages than the configuration allows is split; two that bring little are
merged. Both only after several looks in a row that say the same, and with a wide gap between the two limits,
so that nothing moves to and fro.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Final, Generic, TypeVar

import attrs
import structlog

log = structlog.get_logger(__name__)

SPLIT_LOOKS: Final = 3
"""A connection is split after so many looks in a row that found it overloaded."""
MERGE_LOOKS: Final = 6
"""Two are merged after so many looks in a row that found them idle."""
HOT_SHARE: Final = 0.5
"""A symbol that brings more than this part of an overloaded connection's messages gets its own."""
IDLE_SHARE: Final = 0.25
"""Connections that together bring less than this part of what one may are merged."""
FULL_SHARE: Final = 0.75
"""Where no connection may be opened, another one takes symbols only up to this part."""

L = TypeVar("L")


@attrs.frozen(eq=False)
class Load(Generic[L]):
    """What one connection brings."""

    lane: L
    rates: dict[str, float]
    """Messages a second by symbol."""

    @property
    def total(self) -> float:
        """Messages a second."""
        return sum(self.rates.values())


@attrs.frozen(eq=False)
class Move(Generic[L]):
    """Symbols that should change their connection."""

    symbols: tuple[str, ...]
    giving: L
    receiving: L | None
    """None: one that is yet to be opened."""


class Scaler(Generic[L]):
    """Decides, look after look.

    Args:
        most: messages a second that a connection should bring at most.
        size: symbols that a connection may carry.
    """

    def __init__(self, most: float, size: int) -> None:
        self._most = most
        self._size = size
        self._overloaded: Counter[L] = Counter()
        """For how many looks in a row each has been."""
        self._idle = 0
        """For how many looks in a row there have been two to merge."""
        self._stuck = False

    def decide(self, loads: Sequence[Load[L]], *, may_open: bool) -> Move[L] | None:
        """Return what should move now, if anything.

        Args:
            loads: of all connections.
            may_open: whether the configuration allows another one.
        """
        over = [load for load in loads if load.total > self._most and len(load.rates) > 1]
        self._overloaded = Counter({load.lane: self._overloaded[load.lane] + 1 for load in over})
        move = self._merge(loads)
        self._idle = self._idle + 1 if move is not None else 0
        split = self._split(loads, over, may_open=may_open)
        if split is not None:
            self._overloaded.clear()
            return split
        if move is not None and self._idle >= MERGE_LOOKS:
            self._idle = 0
            return move
        return None

    def _split(self, loads: Sequence[Load[L]], over: Sequence[Load[L]], *, may_open: bool) -> Move[L] | None:
        ripe = [load for load in over if self._overloaded[load.lane] >= SPLIT_LOOKS]
        if not ripe:
            self._stuck = False
            return None
        load = max(ripe, key=lambda one: one.total)
        symbols = part_of(load)
        if may_open:
            return Move(symbols, load.lane, None)
        receiving = self._with_room(loads, load, symbols)
        if receiving is not None:
            return Move(symbols, load.lane, receiving.lane)
        if not self._stuck:
            self._stuck = True
            log.warning(
                "a connection is overloaded, and no more are allowed",
                messages_per_second=round(load.total),
                symbols=len(load.rates),
            )
        return None

    def _with_room(self, loads: Sequence[Load[L]], full: Load[L], symbols: Sequence[str]) -> Load[L] | None:
        """Return the least busy connection that can take symbols of one that is full."""
        more = sum(full.rates[symbol] for symbol in symbols)
        fitting = [
            load
            for load in loads
            if load is not full
            and len(load.rates) + len(symbols) <= self._size
            and load.total + more <= FULL_SHARE * self._most
        ]
        return min(fitting, key=lambda load: load.total, default=None)

    def _merge(self, loads: Sequence[Load[L]]) -> Move[L] | None:
        """Return the merging of the two least busy connections that fit into one."""
        quietest = sorted(loads, key=lambda load: load.total)
        for one, other in combinations(quietest, 2):
            if one.total + other.total >= IDLE_SHARE * self._most:
                continue
            if len(one.rates) + len(other.rates) <= self._size:
                # The fewer symbols move, the better.
                giving, receiving = sorted((one, other), key=lambda load: len(load.rates))
                return Move(tuple(giving.rates), giving.lane, receiving.lane)
        return None


def part_of(load: Load[L]) -> tuple[str, ...]:
    """Return which symbols an overloaded connection should give away.

    The one that brings more than half of all, if there is one; else about half by messages.
    """
    busiest = sorted(load.rates, key=lambda symbol: -load.rates[symbol])
    if load.rates[busiest[0]] > HOT_SHARE * load.total:
        return (busiest[0],)
    halves: tuple[list[str], list[str]] = ([], [])
    sums = [0.0, 0.0]
    for symbol in busiest:
        lighter = 0 if sums[0] <= sums[1] else 1
        halves[lighter].append(symbol)
        sums[lighter] += load.rates[symbol]
    return tuple(halves[0] if len(halves[0]) <= len(halves[1]) else halves[1])
