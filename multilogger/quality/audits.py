"""Trades that an exchange has left out of its stream, found by its own page of the newest trades.

Where ids have no order, nothing in the stream shows that a trade is missing. But trades of a symbol come one
after the other: if a page has one that is not known, and a younger one that is, the first will not come any
more::

        page of the newest trades    known   known     ?     ?    known    known     ?
                                                    missed              under way, perhaps
"""

from __future__ import annotations

from typing import Final

import numpy as np

from multilogger.notes import CoverageState
from multilogger.quality.missing import Unknown
from multilogger.quality.pages import Page
from multilogger.quality.recent_ids import RecentIds
from multilogger.quality.words import Words
from multilogger.tables import NANOS_PER_SECOND, Array

LEFT_OUT: Final = "not sent"
"""The cause of a gap that a page does not reach back to."""
CLOCKS_NS: Final = 60 * NANOS_PER_SECOND
"""So long after a symbol began to be recorded, by our clock, a trade is from then by the exchange's, too."""


class Audits:
    """What pages tell of the trades of one exchange that are said to be recorded live.

    Args:
        words: takes what is to be said.
    """

    def __init__(self, words: Words) -> None:
        self._words = words
        self._since_ns: dict[int, int] = {}
        """Event time up to which each symbol's trades are known to be complete."""

    def begin(self, number: int, live_ns: int) -> None:
        """Take note that a symbol is recorded from some time on, by our clock."""
        self._since_ns[number] = max(live_ns + CLOCKS_NS, self._since_ns.get(number, 0))

    def forget(self, number: int) -> None:
        """Take note that a symbol is recorded no more."""
        self._since_ns.pop(number, None)

    def check(self, number: int, page: Page, trades: RecentIds) -> Array:
        """Return which trades of a page were left out of the stream, and say what that means.

        What is said goes with the next batch that is staged: that must be the page's.
        """
        known, since_ns = trades.knows(number, page.ids), self._since_ns.get(number)
        missed = np.zeros(len(page.ids), np.bool_)
        if since_ns is None or not known.any():
            return missed
        oldest_ns, newest_ns = int(page.times[known].min()), int(page.times[known].max())
        # What is older than all that is known may be from before the recording.
        missed = ~known & (page.times < newest_ns) & (page.times > min(oldest_ns, since_ns))
        if missed.any():
            self._tell(number, page.times[known | missed], np.flatnonzero(missed[known | missed]), since_ns)
        self._since_ns[number] = max(since_ns, newest_ns)
        return missed

    def _tell(self, number: int, times: Array, missed: Array, since_ns: int) -> None:
        """Say what is whole again: each run of missed trades, from the known one before to the one behind."""
        order = np.argsort(times, kind="stable")
        times, missed = times[order], np.flatnonzero(np.isin(order, missed))
        for run in np.split(missed, np.flatnonzero(np.diff(missed) > 1) + 1):
            first, last = int(run[0]), int(run[-1])
            # Of the time of the known ones there may be others, which may come yet.
            start_ns, end_ns = int(times[max(0, first - 1)]), int(times[min(last + 1, len(times) - 1)])
            start_ns += int(first > 0 and start_ns < times[first])
            self._words.whole(number, CoverageState.BACKFILLED, start_ns, end_ns)
            if first == 0 and since_ns < start_ns:
                # There may be more of them before the page begins.
                self._words.tell([Unknown(number, since_ns, start_ns + 1, LEFT_OUT)])
