"""Trade ids that don't rise by one: they tell repetitions, and nothing of what is missing.

The same methods as :class:`multilogger.quality.sequence.TradeSequence`, with no hole ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from multilogger.batch import SymbolTable
from multilogger.quality.grouping import group, highest_before
from multilogger.quality.growing import ROOM, with_room
from multilogger.quality.missing import Hole, News
from multilogger.stats import ExchangeStats
from multilogger.tables import Array

REMEMBERED: Final = 10_000
"""Ids of a symbol that are remembered at most, and half as many at least."""
_UNSORTED: Final = 256
"""Ids that wait to be sorted in."""
_UNKNOWN: Final = -1
_NO_IDS: Final[npt.NDArray[np.uint64]] = np.zeros(0, np.uint64)


class _WithoutHoles:
    """What the two have in common."""

    def __init__(self) -> None:
        self.new_holes: list[Hole] = []
        """Always empty."""

    def holes(self) -> list[Hole]:
        """Return none."""
        return []

    def holes_of(self, number: int) -> list[Hole]:  # noqa: ARG002 - as TradeSequence has it
        """Return none."""
        return []

    def take_news(self) -> list[News]:
        """Return none."""
        return []

    def last_ns(self, number: int) -> int:  # noqa: ARG002 - as TradeSequence has it
        """Return 0: nobody asks where no id follows from another."""
        return 0

    def add_hole(self, hole: Hole) -> None:
        """Do nothing: nobody could tell what fills it."""

    def reach(self, number: int, newest: int, now_ns: int) -> None:
        """Do nothing: what lies between two ids is not known."""

    def give_up(self, hole: Hole, cause: str) -> None:
        """Do nothing: there are none."""

    def dismiss(self, hole: Hole) -> None:
        """Do nothing: there are none."""


class RisingIds(_WithoutHoles):
    """The last trade id of every symbol, where ids rise by any amount.

    An id that is not above its symbol's last one is taken for a repetition.

    Args:
        symbols: numbers the rows' symbols.
        stats: where duplicates are counted.
        last_ids: the last id on disk by venue symbol.
    """

    def __init__(self, symbols: SymbolTable, stats: ExchangeStats, last_ids: Mapping[str, int]) -> None:
        super().__init__()
        self._stats = stats
        self._last: npt.NDArray[np.int64] = np.full(max(len(symbols), ROOM), _UNKNOWN, np.int64)
        for symbol, last in last_ids.items():
            number = symbols.number(symbol)
            self._last = with_room(self._last, number, _UNKNOWN)
            self._last[number] = last

    def last_id(self, number: int) -> int | None:
        """Return the highest id of a symbol, None if none is known."""
        last = int(self._last[number]) if number < len(self._last) else _UNKNOWN
        return None if last == _UNKNOWN else last

    def fresh(self, trades: Array) -> Array:
        """Return the rows whose ids are above all before them, in their order, and remember them."""
        grouped = group(trades)
        self._last = with_room(self._last, int(grouped.symbol[-1]), _UNKNOWN)
        before = grouped.before(self._last)
        rising = grouped.ids > before
        if not rising.all():
            rising = grouped.ids > highest_before(grouped, before)
        # Of repeated indices NumPy's assignment keeps the last, which is the highest.
        self._last[grouped.symbol[rising]] = grouped.ids[rising]
        if rising.all():
            return trades
        kept = np.zeros(len(trades), np.bool_)
        kept[grouped.order] = rising
        self._stats.duplicates += int(len(kept) - kept.sum())
        return trades[kept]


class _Recent:
    """The newest ids of one symbol: two sorted generations, and those that are not sorted in yet."""

    __slots__ = ("_new", "_old", "_young")

    def __init__(self) -> None:
        self._old = self._young = _NO_IDS
        self._new: set[int] = set()

    def add(self, ids: npt.NDArray[np.uint64]) -> list[bool]:
        """Remember ids, and return of each whether it was not known."""
        known = _contains(self._young, ids) | _contains(self._old, ids)
        fresh = []
        for trade_id, is_known in zip(ids.tolist(), known.tolist(), strict=True):
            is_fresh = not is_known and trade_id not in self._new
            fresh.append(is_fresh)
            if is_fresh:
                self._new.add(trade_id)
        if len(self._new) >= _UNSORTED:
            self._sort_in()
        return fresh

    def _sort_in(self) -> None:
        new = np.fromiter(self._new, np.uint64, len(self._new))
        self._new = set()
        if len(self._young) + len(new) > REMEMBERED // 2:
            self._old, self._young = self._young, _NO_IDS
        self._young = np.sort(np.concatenate([self._young, new]))


def _contains(ordered: npt.NDArray[np.uint64], ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    if not len(ordered):
        return np.zeros(len(ids), np.bool_)
    places = np.searchsorted(ordered, ids)
    places[places == len(ordered)] = 0
    found: npt.NDArray[np.bool_] = ordered[places] == ids
    return found


class RecentIds(_WithoutHoles):
    """The newest trade ids of every symbol, where ids only tell trades apart.

    Args:
        symbols: numbers the rows' symbols.
        stats: where duplicates are counted.
        last_ids: an id on disk by venue symbol: what an exchange sends again after a restart.
    """

    def __init__(self, symbols: SymbolTable, stats: ExchangeStats, last_ids: Mapping[str, int]) -> None:
        super().__init__()
        self._stats = stats
        self._seen: dict[int, _Recent] = {}
        for symbol, last in last_ids.items():
            self._recent(symbols.number(symbol)).add(np.array([last], np.uint64))

    def last_id(self, number: int) -> int | None:  # noqa: ARG002 - as TradeSequence has it
        """Return None: no id says more than another."""
        return None

    def fresh(self, trades: Array) -> Array:
        """Return the rows whose ids were not seen of late, in their order, and remember them."""
        symbol = trades["symbol"]
        order = np.argsort(symbol, kind="stable")
        bounds = np.flatnonzero(np.diff(symbol[order])) + 1
        kept = np.zeros(len(trades), np.bool_)
        for rows in np.split(order, bounds):
            kept[rows] = self._recent(int(symbol[rows[0]])).add(trades["trade_id"][rows])
        if kept.all():
            return trades
        self._stats.duplicates += int(len(kept) - kept.sum())
        return trades[kept]

    def _recent(self, number: int) -> _Recent:
        return self._seen.setdefault(number, _Recent())
