"""Trade ids in sequence: which rows are new, which were seen before, which ids are missing.

For exchanges whose trade ids are integers that rise by one per symbol (Coinbase, Binance, ...). Judged a
batch at a time in NumPy; Python looks at single holes, and at single rows only where ids begin anew.

Two things are no ordinary disorder. An id that leaps ahead by more than :data:`ABSURD` opens no hole: nobody
could ask for so many trades, so that it is a gap without ids; if the next ids go on where the leap began, the
sequence goes back there. And ids that fall back for good, as when an exchange numbers its trades anew, would
be taken for repetitions for ever: so after :data:`ANEW_ROWS` trades of a symbol with rising ids, newer than
its newest and not one above the last id among them, the sequence begins again with them. What was dropped
until then is noted as a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import structlog

from multilogger.batch import SymbolTable
from multilogger.quality.disorder import FallenBack, Leap
from multilogger.quality.grouping import Grouped, group, highest_before
from multilogger.quality.growing import ROOM, with_room
from multilogger.quality.holes import Holes
from multilogger.quality.merged import take_whole
from multilogger.quality.missing import Hole, News, Unknown
from multilogger.records import Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import NANOS_PER_SECOND, Array

log = structlog.get_logger(__name__)

IDS_MISSING: Final = "ids missing"
LEAPT: Final = "ids leapt"
BEGAN_ANEW: Final = "ids began anew"
ABSURD: Final = 10_000_000
"""More ids than this are not missed at once."""
ANEW_ROWS: Final = 100
"""So many trades in a row make ids that fell back believed."""
_UNKNOWN: Final = -1
_NEWER_NS: Final = NANOS_PER_SECOND
"""A repeated trade is never newer than the newest by more than this."""


class TradeSequence:
    """The last trade id of every symbol of one exchange, and the holes below it.

    Args:
        symbols: numbers the rows' symbols.
        stats: where duplicates and gaps are counted.
        last_ids: the last id on disk by venue symbol.
        last_times: event time of the last trade on disk by venue symbol, nanoseconds since the epoch.
    """

    def __init__(
        self,
        symbols: SymbolTable,
        stats: ExchangeStats,
        last_ids: Mapping[str, int],
        last_times: Mapping[str, int] | None = None,
    ) -> None:
        self._symbols = symbols
        self._stats = stats
        self.cause_of: Callable[[int], str] = lambda _: IDS_MISSING
        """Returns why trades of a symbol may be missing just now."""
        self._holes = Holes(stats)
        self._fallen: dict[int, FallenBack] = {}
        self._leaps: dict[int, Leap] = {}
        self.new_holes: list[Hole] = []
        """Found by the last :meth:`fresh`, and still open."""
        size = max(len(symbols), ROOM)
        self._last: npt.NDArray[np.int64] = np.full(size, _UNKNOWN, np.int64)
        self._last_ns: npt.NDArray[np.int64] = np.zeros(size, np.int64)
        for symbol, last in last_ids.items():
            number = symbols.number(symbol)
            self._grow(number)
            self._last[number] = last
            self._last_ns[number] = (last_times or {}).get(symbol, 0)

    def fresh(self, trades: Array) -> Array:
        """Return the rows that were not seen before, in their order, and remember them.

        A skipped id counts as a gap until it arrives; an id at or below the last one is taken only if it
        was missing, so disorder costs nothing and a repeat never counts twice.
        """
        self.new_holes = []
        grouped = group(trades)
        self._grow(int(grouped.numbers[-1]))
        before = grouped.before(self._last)
        if (grouped.firsts - before == 1).all():
            self._advance(trades, grouped, grouped.numbers, grouped.newest())
            return trades
        kept = np.zeros(len(trades), np.bool_)
        kept[grouped.order] = self._judge(trades, grouped, before)
        self.new_holes = self._holes.tell_opened()
        return trades if kept.all() else trades[kept]

    def last_id(self, number: int) -> int | None:
        """Return the highest id of a symbol, None if none is known."""
        last = int(self._last[number]) if number < len(self._last) else _UNKNOWN
        return None if last == _UNKNOWN else last

    def last_ns(self, number: int) -> int:
        """Return the event time of the trade with the highest id that came, 0 if it isn't known."""
        return int(self._last_ns[number]) if number < len(self._last_ns) else 0

    def holes(self) -> list[Hole]:
        """Return the holes of all symbols, the newest first."""
        return self._holes.all()

    def holes_of(self, number: int) -> list[Hole]:
        """Return the holes of a symbol, ascending."""
        return self._holes.of(number)

    def take_news(self) -> list[News]:
        """Return what was found out since the last call, in order."""
        return self._holes.take_news()

    def add_hole(self, hole: Hole) -> None:
        """Take over a hole that an earlier run has noted.

        What the holes of this run have of it already, such as after the first trades, is left to them. Ids
        between the last one and a hole above it were lost with that run's last rows: they are a hole, too.
        """
        number = hole.symbol
        self._grow(number)
        last = int(self._last[number])
        if hole.last > last:
            if last != _UNKNOWN and hole.first > last + 1:
                self._skip(number, last, hole.first, self.last_ns(number), hole.before_ns)
            self._last[number] = hole.last
        self._holes.adopt(hole)
        self._holes.tell_opened()

    def reach(self, number: int, newest: int, now_ns: int) -> None:
        """Take note that trades up to ``newest`` have happened, and don't come: a hole at the tail.

        A trade that comes late all the same fills it. It grows while no trade comes.
        """
        last = self.last_id(number)
        if last is None or newest <= last:
            return
        absurd = newest - last > ABSURD
        if absurd or not self._holes.grow(number, last, newest, now_ns):
            self._skip(number, last, newest + 1, self.last_ns(number), now_ns)
        self._last[number] = newest
        self._holes.tell_opened()

    def give_up(self, hole: Hole, cause: str) -> None:
        """Forget what is left of a hole: it will not be filled."""
        self._holes.give_up(hole.symbol, hole.first, hole.last, cause)

    def dismiss(self, hole: Hole) -> None:
        """Forget what is left of a hole: no trades have its ids."""
        self._holes.dismiss(hole.symbol, hole.first, hole.last)

    def _judge(self, trades: Array, grouped: Grouped, before: Array) -> Array:
        """Return of each grouped row whether it is new: rising ids are, and of others those missed before."""
        highest = before
        if (grouped.ids <= before).any():
            highest = highest_before(grouped, before)
        fresh = grouped.ids > highest
        rows = np.flatnonzero(fresh)
        self._note_skips(trades, grouped, highest, rows)
        for row in np.flatnonzero(fresh & (grouped.firsts <= highest) & (highest != _UNKNOWN)):
            fresh[row] = self._take_straddling(trades, grouped, int(row), int(highest[row]))
        if len(rows):
            symbol = grouped.symbol[rows]
            newest = rows[np.append(symbol[1:] != symbol[:-1], True)]
            self._advance(trades, grouped, grouped.symbol[newest], newest)
        if len(rows) < len(fresh):
            behind = np.setdiff1d(np.arange(len(fresh)), rows, assume_unique=True)
            fresh[behind] = self._take_behind(trades, grouped, behind)
        return fresh

    def _take_behind(self, trades: Array, grouped: Grouped, behind: Array) -> Array:
        """Return which of the rows at or below their symbol's last id are taken."""
        taken = np.zeros(len(behind), np.bool_)
        merged = grouped.firsts[behind] < grouped.ids[behind]
        single = behind[~merged]
        if len(single):
            taken[~merged] = self._take_late(
                grouped.symbol[single], grouped.ids[single], trades[grouped.order[single]]
            )
        for place in np.flatnonzero(merged):
            row = int(behind[place])
            taken[place] = take_whole(self._holes, trades, grouped, row, int(grouped.ids[row]))
            self._stats.duplicates += not taken[place]
        return taken

    def _take_straddling(self, trades: Array, grouped: Grouped, row: int, last: int) -> bool:
        """Return whether to take merged fills the first of which are not above the last id.

        Not if any of these is there: then those above it are missing, and the history may give them.
        """
        if take_whole(self._holes, trades, grouped, row, last):
            return True
        self._stats.duplicates += 1
        number, now_ns = int(grouped.symbol[row]), int(trades["time_ns"][grouped.order[row]])
        self._skip(number, last, int(grouped.ids[row]) + 1, self.last_ns(number), now_ns)
        return False

    def _note_skips(self, trades: Array, grouped: Grouped, highest: Array, rows: Array) -> None:
        """Note the ids that were skipped before the rows that are ahead."""
        skips = (highest[rows] != _UNKNOWN) & (grouped.firsts[rows] > highest[rows] + 1)
        for place in np.flatnonzero(skips):
            at = rows[place]
            number = int(grouped.symbol[at])
            previous = rows[place - 1] if place else -1
            before_ns = self._last_ns[number]
            if previous >= 0 and grouped.symbol[previous] == number:
                before_ns = trades["time_ns"][grouped.order[previous]]
            now_ns = trades["time_ns"][grouped.order[at]]
            self._skip(number, int(highest[at]), int(grouped.firsts[at]), int(before_ns), int(now_ns))

    def _advance(self, trades: Array, grouped: Grouped, symbol: Array, newest: Array) -> None:
        """Remember the newest row of each symbol, where there is one."""
        self._last[symbol] = grouped.ids[newest]
        self._last_ns[symbol] = trades["time_ns"][grouped.order[newest]]
        if self._fallen or self._leaps:
            for number, last in zip(symbol.tolist(), self._last[symbol].tolist(), strict=True):
                self._fallen.pop(number, None)
                if number in self._leaps and last > self._leaps[number].to:
                    del self._leaps[number]

    def _take_late(self, symbol: Array, ids: Array, trades: Array) -> Array:
        """Return which of the rows at or below their symbol's last id were missing."""
        times, backfilled = trades["time_ns"], (trades["flags"] & Flag.BACKFILLED).astype(np.bool_)
        taken = self._holes.fill(symbol, ids, times, backfilled)
        odd = ~taken & ~backfilled & (times > self._last_ns[symbol] + _NEWER_NS)
        if self._leaps:
            odd |= ~taken & np.isin(symbol, list(self._leaps))
        for row in np.flatnonzero(odd):
            taken[row] = self._begins_anew(int(symbol[row]), int(ids[row]), int(times[row]))
        self._stats.duplicates += int(len(taken) - taken.sum())
        return taken

    def _begins_anew(self, number: int, trade_id: int, time_ns: int) -> bool:
        """Return whether to take a trade whose id has fallen back: if enough others have before it."""
        last, last_ns = int(self._last[number]), int(self._last_ns[number])
        leap = self._leaps.get(number)
        if trade_id <= last:
            if leap is not None and leap.last < trade_id <= leap.last + ABSURD:
                last, last_ns = leap.last, leap.last_ns
            elif time_ns > last_ns + _NEWER_NS and self._is_run(number, trade_id):
                self._holes.note(Unknown(number, last_ns, time_ns, BEGAN_ANEW))
                self._holes.begin_anew(number, last, BEGAN_ANEW)
                last = trade_id - 1
            else:
                return False
            self._warn("trade ids fell back", number, int(self._last[number]), trade_id)
            self._fallen.pop(number, None)
            self._leaps.pop(number, None)
        if trade_id > last + 1:
            self._skip(number, last, trade_id, last_ns, time_ns)
        self._last[number], self._last_ns[number] = trade_id, time_ns
        return True

    def _is_run(self, number: int, trade_id: int) -> bool:
        run = self._fallen.get(number)
        if run is None or trade_id < run.last:
            self._fallen[number] = FallenBack(trade_id)
            return False
        run.rows += trade_id > run.last
        run.last = trade_id
        return run.rows >= ANEW_ROWS

    def _skip(self, number: int, last: int, now: int, before_ns: int, now_ns: int) -> None:
        """Note that the ids between ``last`` and ``now`` are missing."""
        if now - last - 1 > ABSURD:
            self._warn("trade ids leapt", number, last, now)
            self._leaps[number] = Leap(last, before_ns, now)
            self._holes.note(Unknown(number, before_ns, now_ns, LEAPT))
        else:
            self._holes.open(Hole(number, last + 1, now - 1, before_ns, now_ns, self.cause_of(number)))

    def _warn(self, event: str, number: int, last: int, now: int) -> None:
        symbol = self._symbols.names[number]
        log.warning(event, exchange=self._symbols.exchange, symbol=symbol, last=last, now=now)

    def _grow(self, number: int) -> None:
        self._last = with_room(self._last, number, _UNKNOWN)
        self._last_ns = with_room(self._last_ns, number, 0)
