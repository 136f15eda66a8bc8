"""Trade ids that don't rise by one: they tell repetitions, and nothing of what is missing.

The same methods as :class:`multilogger.quality.sequence.TradeSequence`, with no hole ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import attrs
import numpy as np
import numpy.typing as npt

from multilogger.batch import SymbolTable
from multilogger.quality.grouping import group, highest_before
from multilogger.quality.growing import ROOM, with_room
from multilogger.quality.missing import Hole, News
from multilogger.records import Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import Array

REMEMBERED: Final = 8_000
"""Ids of a symbol that are remembered at most, and half as many at least."""
TICK_NS: Final = 10_000_000
"""When an id became known is remembered this exactly, for more than a year."""
_UNSORTED: Final = 256
"""Ids that wait to be sorted in."""
_UNKNOWN: Final = -1
_NOT_KNOWN, _FROM_DISK = 0, 1
_LAST_TICK: Final = 2**32 - 1
_NEVER: Final = -(1 << 63)
_TOLD_LATE: Final = int(Flag.BACKFILLED | Flag.REPLAYED)

Ids = npt.NDArray[np.uint64]
Ticks = npt.NDArray[np.uint32]
_NO_IDS: Final[Ids] = np.zeros(0, np.uint64)
_NO_TICKS: Final[Ticks] = np.zeros(0, np.uint32)


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


@attrs.frozen(eq=False)
class _Generation:
    """Ids in ascending order, and in which tick each became known."""

    ids: Ids = _NO_IDS
    ticks: Ticks = _NO_TICKS

    def __len__(self) -> int:
        return len(self.ids)

    def has(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Return which are here."""
        if not len(self.ids):
            return np.zeros(len(ids), np.bool_)
        places = np.searchsorted(self.ids, ids)
        places[places == len(self.ids)] = 0
        found: npt.NDArray[np.bool_] = self.ids[places] == ids
        return found

    def find(self, ids: Ids) -> Ticks:
        """Return the tick of each, ``_NOT_KNOWN`` where it isn't here."""
        found = np.full(len(ids), _NOT_KNOWN, np.uint32)
        here = self.has(ids)
        found[here] = self.ticks[np.searchsorted(self.ids, ids[here])]
        return found

    def joined(self, new: Mapping[int, int]) -> _Generation:
        """Return these and others, all of them not here."""
        ids = np.concatenate([self.ids, np.fromiter(new.keys(), np.uint64, len(new))])
        ticks = np.concatenate([self.ticks, np.fromiter(new.values(), np.uint32, len(new))])
        order = np.argsort(ids)
        return _Generation(ids[order], ticks[order])


class _Recent:
    """The newest ids of one symbol: two sorted generations, and those that are not sorted in yet."""

    __slots__ = ("_new", "_old", "_young")

    def __init__(self) -> None:
        self._old = self._young = _Generation()
        self._new: dict[int, int] = {}

    def begin(self, ids: Ids) -> None:
        """Remember ids that are on disk."""
        self._young = _Generation(np.sort(ids), np.full(len(ids), _FROM_DISK, np.uint32))

    def add(self, ids: Ids, tick: int) -> list[bool]:
        """Remember ids, and return of each whether it was not known."""
        known = self._young.has(ids) | self._old.has(ids)
        fresh = []
        for trade_id, is_known in zip(ids.tolist(), known.tolist(), strict=True):
            is_fresh = not is_known and trade_id not in self._new
            fresh.append(is_fresh)
            if is_fresh:
                self._new[trade_id] = tick
        if len(self._new) >= _UNSORTED:
            self._sort_in()
        return fresh

    def ticks(self, ids: Ids) -> Ticks:
        """Return in which tick each became known, ``_NOT_KNOWN`` for the others."""
        new = [self._new.get(trade_id, _NOT_KNOWN) for trade_id in ids.tolist()]
        return self._young.find(ids) | self._old.find(ids) | np.array(new, np.uint32)

    def _sort_in(self) -> None:
        new, self._new = self._new, {}
        if len(self._young) + len(new) > REMEMBERED // 2:
            self._old, self._young = self._young, _Generation()
        self._young = self._young.joined(new)


class RecentIds(_WithoutHoles):
    """The newest trade ids of every symbol, where ids only tell trades apart.

    Args:
        symbols: numbers the rows' symbols.
        stats: where duplicates are counted.
        last_ids: an id on disk by venue symbol.
        recent: the newest trades on disk by venue symbol: arrays of ``trade_id`` and ``time_ns``, the oldest
            first. They are what an exchange sends again after a restart, and what a page of newest trades
            can be joined to.
        clock: nanoseconds since the epoch, for :meth:`known_by`.
    """

    def __init__(
        self,
        symbols: SymbolTable,
        stats: ExchangeStats,
        last_ids: Mapping[str, int],
        recent: Mapping[str, Array] | None = None,
        clock: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__()
        self._stats = stats
        self._clock = clock
        self._began_ns = clock()
        self._seen: dict[int, _Recent] = {}
        self._last_ns = np.zeros(ROOM, np.int64)
        self._floor_ns = np.full(ROOM, _NEVER, np.int64)
        """Of trades from before nothing is known; those on disk are not among :attr:`_seen`."""
        for symbol, rows in (recent or {}).items():
            number = symbols.number(symbol)
            self._recent(number).begin(rows["trade_id"])
            self._grow(number)
            self._floor_ns[number] = rows["time_ns"][0]
            self._last_ns[number] = rows["time_ns"][-1]
        for symbol, last in last_ids.items():
            self._recent(symbols.number(symbol)).add(np.array([last], np.uint64), _FROM_DISK)

    def last_id(self, number: int) -> int | None:  # noqa: ARG002 - as TradeSequence has it
        """Return None: no id says more than another."""
        return None

    def last_ns(self, number: int) -> int:
        """Return the event time of a symbol's newest trade, 0 if none is known."""
        return int(self._last_ns[number]) if number < len(self._last_ns) else 0

    def knows(self, number: int, ids: Ids) -> npt.NDArray[np.bool_]:
        """Return which ids are among those that are remembered."""
        known: npt.NDArray[np.bool_] = self._recent(number).ticks(ids) != _NOT_KNOWN
        return known

    def known_by(self, number: int, ids: Ids, time_ns: int) -> npt.NDArray[np.bool_]:
        """Return which ids were known at a time by the clock, but for some of the hundredth second before."""
        ticks = self._recent(number).ticks(ids)
        # An id's tick is counted up, and this one down.
        latest = max(_FROM_DISK, min(_LAST_TICK - 1, _FROM_DISK + (time_ns - self._began_ns) // TICK_NS))
        known: npt.NDArray[np.bool_] = (ticks != _NOT_KNOWN) & (ticks <= latest)
        return known

    def fresh(self, trades: Array) -> Array:
        """Return the rows whose ids were not seen of late, in their order, and remember them.

        What is told of the past, and is from before the first trade that was read from disk, is taken for a
        repetition: it may be on disk.
        """
        symbol = trades["symbol"]
        self._grow(int(symbol.max()))
        tick = min(_LAST_TICK, _FROM_DISK + 1 + max(0, self._clock() - self._began_ns) // TICK_NS)
        order = np.argsort(symbol, kind="stable")
        bounds = np.flatnonzero(np.diff(symbol[order])) + 1
        kept = np.zeros(len(trades), np.bool_)
        for rows in np.split(order, bounds):
            kept[rows] = self._recent(int(symbol[rows[0]])).add(trades["trade_id"][rows], tick)
        if trades["flags"].any():
            told_late = (trades["flags"] & _TOLD_LATE) > 0
            kept &= ~told_late | (trades["time_ns"] >= self._floor_ns[symbol])
        np.maximum.at(self._last_ns, symbol[kept], trades["time_ns"][kept])
        if kept.all():
            return trades
        self._stats.duplicates += int(len(kept) - kept.sum())
        return trades[kept]

    def _recent(self, number: int) -> _Recent:
        return self._seen.setdefault(number, _Recent())

    def _grow(self, number: int) -> None:
        self._last_ns = with_room(self._last_ns, number, 0)
        self._floor_ns = with_room(self._floor_ns, number, _NEVER)
