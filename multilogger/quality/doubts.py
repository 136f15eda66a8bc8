"""Symbols whose trades may have been missed, until their ids tell; where ids rise by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from multilogger.notes import CoverageState
from multilogger.quality.recorded import STALE_SECS, Doubt, NamedTrades, Recorded, Sequence
from multilogger.quality.words import Words
from multilogger.tables import Array


class Doubts:
    """The doubts of one exchange.

    Args:
        words: takes what is to be said.
        calendar: nanoseconds since the epoch on the scale of event times.
        seconds: the time for what has to wait a little.
    """

    def __init__(self, words: Words, calendar: Callable[[], int], seconds: Callable[[], float]) -> None:
        self.sequence: Sequence | None = None
        """Of ids that rise by one; without it nothing is ever in doubt."""
        self._words = words
        self._calendar = calendar
        self._seconds = seconds
        self._of: dict[int, Recorded] = {}
        """Those in doubt, by number."""
        self._named = NamedTrades(self._seconds)

    def last_id(self, it: Recorded) -> int | None:
        """Return the highest id of a symbol, None if none is known, or none tells."""
        return None if self.sequence is None else self.sequence.last_id(it.number)

    def last_ns(self, it: Recorded) -> int:
        """Return the event time of the trade with that id, 0 if it isn't known."""
        return 0 if self.sequence is None else self.sequence.last_ns(it.number)

    def begin(self, it: Recorded, doubt: Doubt) -> None:
        """Take note that trades may have been missed."""
        it.doubt = doubt
        self._of[it.number] = it

    def end(self, it: Recorded) -> None:
        """Take note that none were, or that it is said already which."""
        it.doubt = None
        self._of.pop(it.number, None)
        self._named.discard(it.number)

    def lost(self, it: Recorded) -> None:
        """Take note that a symbol is no longer carried: what was named of it may never come."""
        self._named.discard(it.number)

    def note(self, trades: Array | None) -> None:
        """Take note of trades that were kept."""
        if self._of and trades is not None:
            for number in self._of.keys() & np.unique(trades["symbol"]).tolist():
                it = self._of[number]
                last_ns = self.last_ns(it)
                if it.shown_by(self.last_id(it), last_ns, self._seconds()):
                    self._prove(it, last_ns)

    def heard_of(self, it: Recorded, newest_id: int) -> None:
        """Take note of the newest trade id that the exchange has named."""
        last = self.last_id(it)
        if last is None or not it.carried:
            return
        if newest_id > last:
            self._named.add(it, newest_id)
        elif newest_id == last and it.provable:
            self._prove(it, self._calendar())

    def unproven(self) -> list[int]:
        """Return the numbers of the symbols of which the exchange should be asked."""
        ripe = self._seconds() - STALE_SECS
        found = [self._of[number] for number in sorted(self._of.keys() - self._named.numbers)]
        return [it.number for it in found if it.provable and it.since <= ripe]

    def settle(self) -> None:
        """Make holes of trades that were named some seconds ago and have not come."""
        sequence = self.sequence
        if sequence is None or not self._named.are_due():
            return
        now_ns = self._calendar()
        for it, newest in self._named.take_late(sequence, now_ns):
            sequence.reach(it.number, newest, now_ns)
            self._words.tell(sequence.take_news())
            if it.provable:
                self._prove(it, now_ns)

    def _prove(self, it: Recorded, until_ns: int) -> None:
        """Take note that no trade was missed until then but those in holes."""
        doubt = it.doubt
        self.end(it)
        self._words.say_with_rows(it.trades.take_back())
        if doubt is not None and doubt.outdo:
            self._words.whole(it.number, CoverageState.LIVE, doubt.start_ns, max(until_ns, it.since_ns))
