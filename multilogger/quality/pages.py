"""A page of an exchange's newest trades, and a gap that it may fill."""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs
import numpy as np

from multilogger.notes import CoverageNote
from multilogger.quality.recent_ids import Ids
from multilogger.quality.recorded import SLACK_NS, STALE_SECS
from multilogger.tables import NANOS_PER_SECOND, Array

CLOCKS_NS: Final = 600 * NANOS_PER_SECOND
"""Trades of a page that are older by more than this than what is asked for were missed by nobody: they are
from before the recording. So much the exchange's clock may have been wrong."""
MOST_LIVE: Final = 2_000
"""Trades that a page is looked through for: twice as many as the longest page has."""
_NEVER: Final = -(1 << 62)


@attrs.frozen(eq=False)
class Page:
    """The newest trades of a symbol, as the exchange gave them, in any order."""

    ids: Ids
    times: Array
    """Event times, i8."""
    asked: float
    """When it was asked for, in the book's seconds."""
    cut: bool
    """Whether there may be older trades than it has room for."""

    @property
    def oldest_ns(self) -> int:
        """The lowest event time."""
        return int(self.times.min())

    @property
    def newest_ns(self) -> int:
        """The highest event time."""
        return int(self.times.max())

    def only(self, chosen: Array) -> Page:
        """Return a page of some of its trades."""
        return attrs.evolve(self, ids=self.ids[chosen], times=self.times[chosen])

    def reaches(self, known: Array) -> bool:
        """Return whether it has all trades behind the newest of those that are ``known``.

        Trades of the same time may be in any order, so those at the cut tell nothing.
        """
        if not known.any():
            return False
        return not self.cut or int(self.times[known].max()) > self.oldest_ns


@attrs.define(eq=False)
class Missed:
    """A gap that may yet be filled."""

    note: CoverageNote
    """As it was said."""
    start_ns: int
    """Of a gap since the end of the last run it is when all symbols' gap began, sooner than its own."""
    end_ns: int
    heard_ns: int | None
    """What was known by then is from before the gap; None if all trades on disk may be from behind it."""
    known_ns: int
    """Event time of the newest trade that was known when it ended, as far as is known; 0 if none was."""
    since: float
    """Since when the symbol is carried again, in the book's seconds."""
    live: deque[int] = attrs.field(factory=lambda: deque(maxlen=MOST_LIVE))
    """Ids of trades that were recorded live since."""
    begun: bool = False
    """Whether there was a page."""
    linked: Ids | None = None
    """Trades of the newest page: what is before them is decided. Before any, trades from before the gap."""
    linked_ns: int = 0
    """Event time of the newest of these."""
    lost: list[tuple[int, int]] = attrs.field(factory=list)
    """Intervals that no page has."""
    whole_ns: int | None = None
    """From when on nothing is missed, if pages go back to before the gap."""
    filled_ns: int | None = None
    """Event time of the first trade that was missed and a page has had; None while there is none."""

    def is_joined(self, page: Page) -> bool:
        """Return whether a page ends behind the gap."""
        if self.live:
            return bool(np.isin(page.ids, np.fromiter(self.live, np.uint64, len(self.live))).any())
        return page.asked >= self.since + STALE_SECS

    def link(self, page: Page, fresh: Array, before: Array) -> Array:
        """Join a page that is not empty to what is known; return which of its trades may have been missed.

        Args:
            page: what the exchange gave.
            fresh: which of its trades are not known.
            before: which are from before the gap.
        """
        if self.linked is not None and page.newest_ns < self.linked_ns:
            # An older one, from a cache.
            older: Array = page.times >= self.start_ns - CLOCKS_NS
            return older
        if page.reaches(before):
            # By itself it tells of the whole gap, whatever pages before it did not have.
            self.lost = []
        if self.linked is not None:
            before = before | np.isin(page.ids, self.linked)
        from_ns = _NEVER
        if page.reaches(before):
            from_ns = int(page.times[before].max())
            self.whole_ns = self.whole_ns if self.begun else from_ns
        elif self.linked is not None and (page.cut or len(self.linked)):
            self.lose(self.linked_ns, page.oldest_ns + 1)
        elif self.linked is None and self.known_ns:
            self.lost.append((self._unreached_ns(page.oldest_ns), page.oldest_ns + 1))
        else:
            from_ns = self.start_ns
            if page.cut and page.oldest_ns > from_ns - CLOCKS_NS:
                self.lost.append((from_ns, max(from_ns, page.oldest_ns) + SLACK_NS))
        times = page.times[fresh & (page.times >= from_ns)]
        if len(times):
            oldest_ns = int(times.min())
            self.filled_ns = oldest_ns if self.filled_ns is None else min(oldest_ns, self.filled_ns)
        self.linked, self.linked_ns, self.begun = page.ids, page.newest_ns, True
        may_be: Array = page.times >= from_ns - CLOCKS_NS
        return may_be

    def _unreached_ns(self, oldest_ns: int) -> int:
        """Return since when trades are missed of which the oldest that a page has is the first known one.

        By the clocks a page may begin before the gap, and all the same not go back to what was known before.
        At the end of a run a connection may have been dead that nobody had noticed yet.
        """
        if self.start_ns < self.note.start_ns:
            return min(self.start_ns, self.known_ns)
        if self.start_ns <= oldest_ns:
            return self.start_ns
        return max(self.start_ns - CLOCKS_NS, min(self.known_ns, oldest_ns - SLACK_NS))

    def lose(self, start_ns: int, end_ns: int) -> None:
        """Take note that no page has what is between two times, the first of them from within the gap.

        By the clocks it may be from behind it: then it is the gap's end that is missing.
        """
        start_ns = min(start_ns, self.end_ns - SLACK_NS)
        self.lost.append((start_ns, max(end_ns, start_ns + SLACK_NS)))
