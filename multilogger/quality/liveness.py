"""Which tables of which symbols are silent for longer than is usual for them.

A connection that stands and brings data may still bring nothing of one symbol: a subscription that was
confirmed and forgotten, a market data stream that goes on while the trades have stopped. Some markets trade
a thousand times a second and some twice a day, so how long a silence is suspicious is learnt for each symbol
and table from its own past.

Counted are seconds in which a table brought something, not rows: a market that trades twenty times in one
millisecond and then rests for ten minutes is usually silent for ten minutes.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from multilogger.quality.growing import ROOM, with_room
from multilogger.records import Flag
from multilogger.tables import MD, TABLES, TRADES, Array, Table

USUAL_INTERVALS: Final = 20.0
"""A silence this many times the usual one is suspicious; by chance alone it is all but impossible."""
MOST_SECS: Final = 3600.0
"""No silence is unsuspicious for longer, however rarely a market trades."""
KNOWN_FROM: Final = 10
"""Busy seconds from which on the usual interval is believed."""
UNKNOWN_SECS: Final = 600.0
"""What is suspicious before that. A table of which little is known is either new or rarely busy: asking about
each of some thousand rare ones every half minute would use up the exchange's REST allowance, and the one that
was never really subscribed is found out in ten minutes, or at once by what the other table brings."""
OVERTAKING_SECS: Final = 5.0
"""A heartbeat may name a trade before the trade comes; not by longer than this."""

_USUAL_SECS: Final = 3600.0
"""Time constant of the usual interval."""
_RATE_SECS: Final = 60.0
"""Time constant of the rates."""
_YOUNG_SECS: Final = 10.0
"""A rate is at least over this time: what comes right after a subscription is no rate."""
_FOLD_SECS: Final = 1.0
"""What was noted is folded into the averages so often; in between, noting costs an addition a row."""

_LONG_AGO: Final = 100.0
_NEXT_TO_NOTHING: Final = 1e-100

_SENT_AGAIN: Final = int(Flag.BACKFILLED | Flag.REPLAYED)
_LIVE: Final = int(Flag.LIVE)


class _Clocks:
    """One table's times and averages, by symbol number; times are monotonic seconds."""

    def __init__(self) -> None:
        self.heard = np.full(ROOM, -np.inf)
        """When the newest data came."""
        self.restarted = np.full(ROOM, -np.inf)
        """When the silence was last counted anew without data."""
        self.pending = np.zeros(ROOM, np.int64)
        """Rows since the last fold."""
        self.busy = np.zeros(ROOM)
        """Seconds with data, decayed."""
        self.known = np.zeros(ROOM, np.int64)
        """Seconds with data, ever."""
        self.carried = np.zeros(ROOM)
        """Seconds of being carried, decayed, up to :attr:`anchor`."""
        self.anchor = np.full(ROOM, np.nan)
        self.patience = np.zeros(ROOM)
        """After a silence that was found to be true, the next one may last this long."""

    def grow(self, number: int) -> None:
        """Make room for a symbol."""
        for name in ("heard", "restarted"):
            setattr(self, name, with_room(getattr(self, name), number, -np.inf))
        for name in ("pending", "busy", "known", "carried", "patience"):
            setattr(self, name, with_room(getattr(self, name), number, 0))
        self.anchor = with_room(self.anchor, number, np.nan)

    def fold(self, folded: float, secs: float) -> None:
        """Take what is pending into the averages; it came at about ``folded``, ``secs`` ago."""
        busy = self.pending > 0
        self.known += busy
        self.busy = (self.busy + busy) * np.exp(-secs / _USUAL_SECS)
        new = busy & np.isnan(self.anchor)
        self.anchor[new] = folded
        self.pending[:] = 0

    def since(self, numbers: Array) -> Array:
        """Return from when on each has been silent; minus infinity for those never carried."""
        since: Array = np.maximum(self.heard[numbers], self.restarted[numbers])
        return since

    def carried_until(self, numbers: Array, when: Array) -> Array:
        """Return the decayed seconds for which each had been carried at ``when``."""
        left = np.exp(-np.maximum(when - self.anchor[numbers], 0.0) / _USUAL_SECS)
        secs: Array = self.carried[numbers] * left + _USUAL_SECS * (1.0 - left)
        return secs

    def usual(self, numbers: Array, folded: float) -> Array:
        """Return the usual interval as it was when the silence began; NaN where it is not known."""
        usual = np.full(len(numbers), np.nan)
        last = self.pending[numbers] > 0
        at = np.flatnonzero(self.known[numbers] + last >= KNOWN_FROM)
        numbers, last = numbers[at], last[at]
        since = self.since(numbers)
        # The exponent is bounded for a market that has been silent for weeks, and so rests on nothing.
        ago = np.minimum((folded - since) / _USUAL_SECS, _LONG_AGO)
        busy = np.maximum((self.busy[numbers] + last) * np.exp(ago), _NEXT_TO_NOTHING)
        usual[at] = self.carried_until(numbers, since) / busy
        return usual

    def begin(self, numbers: Array, now: float) -> None:
        """Count the silence of ``numbers`` anew; the time since the last data does not count as silence."""
        since = self.since(numbers)
        met = np.isfinite(since) & ~np.isnan(self.anchor[numbers])
        self.carried[numbers[~met]] = 0.0
        again = numbers[met]
        carried = self.carried_until(again, since[met])
        self.carried[again] = carried * np.exp(-(now - since[met]) / _USUAL_SECS)
        self.anchor[numbers] = now
        self.restarted[numbers] = now
        self.patience[numbers] = 0.0


class Liveness:
    """When each table of each symbol last brought data, how usual silence is for it, and how busy it is.

    Args:
        quiet_secs: a shorter silence is never suspicious.
    """

    def __init__(self, quiet_secs: float) -> None:
        self._quiet_secs = quiet_secs
        self._clocks = tuple(_Clocks() for _ in TABLES)
        self._rows = np.zeros(ROOM)
        """Rows of all tables, decayed."""
        self._born = np.full(ROOM, np.nan)
        """When a symbol was first met."""
        self._ahead_since = np.full(ROOM, np.inf)
        """Since when the exchange has named a trade that has not come."""
        self._folded = -np.inf

    def note(self, rows: dict[int, Array], now: float) -> None:
        """Take note of received rows by table number; those sent again or backfilled are no sign of life.

        Args:
            rows: as they came, before any is left out.
            now: monotonic seconds.
        """
        self._fold_if_due(now)
        for number, table in rows.items():
            symbol, flags = table["symbol"].astype(np.intp), table["flags"]
            if flags.any():
                symbol = symbol[flags & _SENT_AGAIN == _LIVE]
            if len(symbol):
                self._grow(int(symbol.max()))
                clocks = self._clocks[number]
                clocks.heard[symbol] = now
                np.add.at(clocks.pending, symbol, 1)

    def began(self, numbers: Array, now: float) -> None:
        """Take note that symbols are carried from now on: their silence counts from here, in all tables.

        The time since their last data, when they may not have been carried, is not learnt from.
        """
        if not len(numbers):
            return
        self._grow(int(numbers.max()))
        self._fold_if_due(now)
        for clocks in self._clocks:
            clocks.begin(numbers, now)
        self._ahead_since[numbers] = np.inf
        young = numbers[np.isnan(self._born[numbers])]
        self._born[young] = now

    def excused(self, numbers: Array, table: Table, now: float) -> None:
        """Take note that a silence was true: the exchange has nothing newer.

        It is learnt from, and if nothing comes the next look is due after twice as long, up to an hour.
        """
        if not len(numbers):
            return
        self._grow(int(numbers.max()))
        clocks = self._clocks[table.number]
        self._fold_if_due(now)
        patience = np.minimum(2.0 * self._threshold(numbers, table), MOST_SECS)
        clocks.restarted[numbers] = now
        clocks.patience[numbers] = patience

    def silent(self, numbers: Array, table: Table, now: float) -> Array:
        """Return those of ``numbers`` whose silence is longer than is usual for them.

        That is, than the larger of ``quiet_secs`` and :data:`USUAL_INTERVALS` usual intervals, the latter at
        most an hour; than ten minutes where the usual interval is not known. One never carried is not silent.
        """
        if not len(numbers):
            return numbers
        self._grow(int(numbers.max()))
        self._fold_if_due(now)
        since = self._clocks[table.number].since(numbers)
        return numbers[np.isfinite(since) & (now - since > self._threshold(numbers, table))]

    def lagging(self, numbers: Array, table: Table, now: float, *, ahead: Array | None = None) -> Array:
        """Return those of ``numbers`` that bring no ``table`` although the exchange shows that they should.

        MD lags if a trade came when it had already been silent for :data:`USUAL_INTERVALS` usual intervals.
        TRADES lag if the exchange has named a newer trade id for :data:`OVERTAKING_SECS`, and no trade came.
        To be asked every few seconds.

        Args:
            numbers: of carried symbols.
            table: the one that may lag.
            now: monotonic seconds.
            ahead: numbers of symbols of which a newer trade id is named now than the last one received.
        """
        if not len(numbers):
            return numbers
        self._grow(int(numbers.max()))
        self._fold_if_due(now)
        if table is MD:
            return self._md_lagging(numbers)
        return self._trades_lagging(numbers, now, numbers[:0] if ahead is None else ahead)

    def usual_secs(self, numbers: Array, table: Table) -> Array:
        """Return the usual interval of each symbol's table in seconds; NaN where it is not known."""
        self._grow(int(numbers.max(initial=0)))
        return self._clocks[table.number].usual(numbers, self._folded)

    def rates(self, numbers: Array) -> Array:
        """Return the rows a second of each symbol, all tables, decayed over a minute; as of the last note."""
        self._grow(int(numbers.max(initial=0)))
        age = np.maximum(self._folded - self._born[numbers], _YOUNG_SECS)
        # One never met has no age, and no rows either.
        over = _RATE_SECS * -np.expm1(-np.nan_to_num(age, nan=_YOUNG_SECS) / _RATE_SECS)
        rates: Array = self._rows[numbers] / over
        return rates

    def _md_lagging(self, numbers: Array) -> Array:
        usual = self.usual_secs(numbers, MD)
        # Where MD has never come often enough, its pace is about that of the trades.
        usual = np.where(np.isnan(usual), self.usual_secs(numbers, TRADES), usual)
        secs = np.nan_to_num(np.minimum(USUAL_INTERVALS * usual, MOST_SECS), nan=UNKNOWN_SECS)
        since = self._clocks[MD.number].since(numbers)
        traded = self._clocks[TRADES.number].heard[numbers]
        lagging: Array = numbers[np.isfinite(since) & (traded >= since + secs)]
        return lagging

    def _trades_lagging(self, numbers: Array, now: float, ahead: Array) -> Array:
        named = np.isin(numbers, ahead)
        known = np.where(named, np.minimum(self._ahead_since[numbers], now), np.inf)
        self._ahead_since[numbers] = known
        since = self._clocks[TRADES.number].since(numbers)
        lagging: Array = numbers[now - np.maximum(known, since) >= OVERTAKING_SECS]
        return lagging

    def _threshold(self, numbers: Array, table: Table) -> Array:
        usual = USUAL_INTERVALS * self.usual_secs(numbers, table)
        secs = np.nan_to_num(np.minimum(usual, MOST_SECS), nan=UNKNOWN_SECS)
        clocks = self._clocks[table.number]
        waiting = clocks.restarted[numbers] >= clocks.heard[numbers]
        patience = np.where(waiting, clocks.patience[numbers], 0.0)
        threshold: Array = np.maximum(np.maximum(secs, patience), self._quiet_secs)
        return threshold

    def _fold_if_due(self, now: float) -> None:
        secs = now - self._folded
        if secs < _FOLD_SECS:
            return
        if np.isinf(secs):
            self._folded = now
            return
        came = sum(clocks.pending for clocks in self._clocks)
        self._born[np.isnan(self._born) & (came > 0)] = self._folded
        self._rows = (self._rows + came) * np.exp(-secs / _RATE_SECS)
        for clocks in self._clocks:
            clocks.fold(self._folded, secs)
        self._folded = now

    def _grow(self, number: int) -> None:
        if number >= len(self._rows):
            for clocks in self._clocks:
                clocks.grow(number)
            self._rows = with_room(self._rows, number, 0.0)
            self._born = with_room(self._born, number, np.nan)
            self._ahead_since = with_room(self._ahead_since, number, np.inf)
