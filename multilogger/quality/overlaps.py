"""Gaps in trades whose ids have no order: filled by a page of the exchange's newest trades, if it spans them.

No id tells what is missing. But a page has every trade from its oldest on, up to when it was made. So if it
goes back to a trade that was known before the gap, and on to one that was recorded behind it, nothing is
missing in between once the page is recorded::

        known before     gap                       recorded live
      ──────────K──────┤░░░░░░░░░░░░░░░░░░░├────────────L────────▶
           └──────────────── page ──────────────────────┘

What is older than the page stays a gap. A page that ends before L was made too early, or comes from a cache:
another one is asked for, and joined to it by the trades that both have. Of a market that is quiet no L comes:
then time decides, for no answer is older than :data:`~multilogger.quality.recorded.STALE_SECS`.

Trades are compared by their ids alone, and never by the exchange's clock and ours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from multilogger.notes import OFFLINE, CoverageNote, CoverageState, closed
from multilogger.quality.audits import Audits
from multilogger.quality.pages import Missed, Page
from multilogger.quality.recent_ids import Ids, RecentIds
from multilogger.quality.recorded import SLACK_NS, Recorded
from multilogger.quality.words import Words
from multilogger.records import Flag
from multilogger.tables import TRADES, Array

ALIVE_SECS: Final = 1.0
"""A trade that comes so long after a connection began to carry its symbol came by that connection."""
_MOST_GAPS: Final = 32
"""Of a symbol; the oldest ones are left as they are."""
_SENT_AGAIN: Final = int(Flag.BACKFILLED | Flag.REPLAYED)


class Overlaps:
    """The gaps in the trades of one exchange that a page may fill.

    Args:
        words: takes what is to be said.
        seconds: the time, as in :attr:`~multilogger.quality.recorded.Recorded.since`.
    """

    def __init__(self, words: Words, seconds: Callable[[], float]) -> None:
        self.trades: RecentIds | None = None
        """The trades that are known; without it nothing is ever asked for."""
        self._words = words
        self._seconds = seconds
        self._missed: dict[int, list[Missed]] = {}
        self._audits = Audits(words)
        self._last: dict[int, Page] = {}
        """The newest page of each symbol."""
        self._gaps: dict[int, deque[int]] = {}
        """Starts of the latest gaps of each symbol, by which each is known."""
        self._stops: dict[int, int] = {}
        """Since when a symbol was not recorded at the start of the program."""

    @property
    def newest(self) -> dict[int, Missed]:
        """The newest gap of each symbol that has any, by its number."""
        return {number: each[-1] for number, each in self._missed.items()}

    def stopped(self, number: int, since_ns: int) -> None:
        """Take note that an earlier run recorded a symbol until some time."""
        self._stops[number] = since_ns

    def resumed(self, it: Recorded) -> None:
        """Take note that a symbol's trades are recorded, and that there was a gap in them, if there was."""
        note, it.trades.missed = it.trades.missed, None
        heard_ns = it.heard_ns
        if it.trades.gap is None:
            it.heard_ns = None
        if self.trades is not None and note is not None and note.end_ns is not None:
            missed = Missed(
                note,
                min(note.start_ns, self._stops.pop(it.number, note.start_ns)),
                note.end_ns,
                note.start_ns if heard_ns is None else heard_ns,
                self.trades.last_ns(it.number),
                self._seconds(),
            )
            self._link_last(it.number, missed, self.trades)
            self._add(it.number, missed)
        if it.trades.live is not None:
            self._audits.begin(it.number, it.trades.live.start_ns)

    def adopt(self, number: int, note: CoverageNote, before: Ids) -> None:
        """Take over a gap that an earlier run has noted, and did not live to fill.

        Args:
            number: of the symbol.
            note: on the gap, which has an end.
            before: trades on disk that are certainly from before it.
        """
        if self.trades is not None and note.end_ns is not None:
            # After a crash a gap of all symbols began so much sooner.
            start_ns = note.start_ns - (SLACK_NS if note.cause == OFFLINE else 0)
            missed = Missed(note, start_ns, note.end_ns, None, start_ns, self._seconds())
            missed.linked, missed.linked_ns = before, start_ns
            self._add(number, missed)

    def came(self, trades: Array) -> None:
        """Take note of trades that were kept."""
        if not self._missed:
            return
        live, now = trades[trades["flags"] & _SENT_AGAIN == 0], self._seconds()
        for number in self._missed.keys() & np.unique(live["symbol"]).tolist():
            ids = live["trade_id"][live["symbol"] == number].tolist()
            for missed in self._missed[number]:
                if now >= missed.since + ALIVE_SECS:
                    missed.live.extend(ids)

    def judge(self, number: int, page: Page) -> Array:
        """Return which trades of a page are to be recorded, and say what that fills.

        Of a symbol without a gap, trades are looked for that the exchange has left out of its stream. What is
        said goes with the next batch that is staged: that must be the page's.
        """
        wanted = np.zeros(len(page.ids), np.bool_)
        trades, left = self.trades, list[Missed]()
        if trades is None:
            return wanted
        if number not in self._missed:
            wanted = self._audits.check(number, page, trades)
            # What may be under way is not recorded yet, and may never be.
            self._last[number] = page.only(wanted | trades.knows(number, page.ids))
            return wanted
        if len(page.ids):
            self._last[number] = page
        fresh, starts = ~trades.knows(number, page.ids), deque[int]()
        # The newest first: what is said of one that began with a restart may lie over one before it.
        for missed in reversed(self._missed.pop(number, ())):
            if len(page.ids):
                wanted |= missed.link(page, fresh, _before(missed, number, page, trades))
            # An exchange that has no trades has none that were missed, unless some are known.
            if missed.is_joined(page) and (len(page.ids) or not missed.known_ns):
                self._say(missed, number, starts)
            else:
                left.insert(0, missed)
        if left:
            self._missed[number] = left
            self._words.say_with_rows([missed.note for missed in left if starts])
        return wanted

    def give_up(self, number: int) -> None:
        """Leave the gaps of a symbol, but for what pages have filled of them up to now."""
        starts = deque[int]()
        for missed in reversed(self._missed.pop(number, ())):
            if missed.begun:
                missed.lose(missed.linked_ns, missed.end_ns)
                self._say(missed, number, starts)

    def forget(self, number: int) -> None:
        """Leave the gaps of a symbol as they are: nobody wants it any more."""
        self._missed.pop(number, None)
        self._stops.pop(number, None)
        self._last.pop(number, None)
        self._audits.forget(number)

    def _link_last(self, number: int, missed: Missed, trades: RecentIds) -> None:
        """Join the last page to a gap, if it goes back to before that: it may have been asked for behind it.

        A connection that brings nothing is not noticed at once.
        """
        page = self._last.get(number)
        if page is not None and len(page.ids):
            before = _before(missed, number, page, trades)
            if page.reaches(before):
                missed.link(page, np.zeros(len(page.ids), np.bool_), before)

    def _add(self, number: int, missed: Missed) -> None:
        self._missed[number] = [*self._missed.get(number, ()), missed][-_MOST_GAPS:]
        self._gaps.setdefault(number, deque(maxlen=4 * _MOST_GAPS)).append(missed.note.start_ns)

    def _say(self, missed: Missed, number: int, starts: deque[int]) -> None:
        """Say what a gap has become.

        Args:
            missed: the gap.
            number: of its symbol.
            starts: of what was said of others just before; of the same state and start only the last counts.
        """
        start_ns, end_ns = missed.start_ns, missed.end_ns
        lost = [(first, min(last, end_ns)) for first, last in missed.lost]
        if any(first <= start_ns and last >= end_ns for first, last in lost):
            self._words.say_with_rows([missed.note] if starts else [])
            return
        make = partial(self._words.make, number, TRADES)
        notes = [closed(missed.note, missed.note.start_ns)]
        if start_ns < missed.note.start_ns and missed.whole_ns is not None:
            # A run that never carried the symbol has said nothing of it: here it is made up for.
            filled_ns = start_ns if missed.filled_ns is None else missed.filled_ns
            live_ns, start_ns = missed.whole_ns - SLACK_NS, min(start_ns, filled_ns)
            if live_ns < start_ns:
                notes.append(make(CoverageState.LIVE, "", _another(live_ns, starts), start_ns))
        state = CoverageState.LIVE if missed.filled_ns is None else CoverageState.BACKFILLED
        notes.append(make(state, "", _another(start_ns, starts), end_ns))
        for first, last in lost:
            # One that begins with the gap itself is what is left of it. All others have starts of their own.
            start_ns = first if first == missed.note.start_ns else _another(first, self._gaps[number])
            notes.append(make(CoverageState.GAP, missed.note.cause, start_ns, last))
        self._words.say_with_rows(notes)


def _before(missed: Missed, number: int, page: Page, trades: RecentIds) -> Array:
    """Return which trades of a page are certainly from before a gap."""
    if missed.heard_ns is None:
        return np.zeros(len(page.ids), np.bool_)
    return trades.known_by(number, page.ids, missed.heard_ns)


def _another(start_ns: int, starts: deque[int]) -> int:
    """Return a start that is not among some yet, and add it."""
    while start_ns in starts:
        start_ns -= 1
    starts.append(start_ns)
    return start_ns
