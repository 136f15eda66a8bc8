"""One table of one symbol in the ledger: the interval that is live, and the gap that is open."""

from __future__ import annotations

from typing import Final

import attrs

from multilogger.notes import CoverageNote, CoverageState, Note, closed
from multilogger.quality.words import Words
from multilogger.tables import TRADES, Table

LOST: Final = "lost"
ASIDE: Final = "aside"
_FOREVER: Final = 1 << 62


@attrs.frozen
class Away:
    """Nothing was recorded from some time on."""

    since_ns: int
    cause: str


@attrs.define(eq=False)
class Line:
    """One table of one symbol. The methods return what is to be said at once."""

    words: Words
    number: int
    """Of the symbol."""
    table: Table
    live: CoverageNote | None = None
    """The interval that is live, while it is open."""
    gap: CoverageNote | None = None
    """The gap, while it is open: behind what was live, or laid over what may still turn out to be."""
    reasons: set[str] = attrs.field(factory=set)
    """Why rows are missed now; a gap that was laid over it may last longer."""
    missed: CoverageNote | None = None
    """The gap behind which it was last recorded again, until somebody takes it."""
    _floor_ns: int = 0
    """The next gap does not begin before: each has a start of its own, by which it is known."""

    def make(self, state: CoverageState, cause: str, start_ns: int, end_ns: int | None) -> CoverageNote:
        """Return a note on it."""
        return self.words.make(self.number, self.table, state, cause, start_ns, end_ns)

    def begin(self, now_ns: int, away: Away | None) -> list[Note]:
        """Begin to record.

        Args:
            now_ns: the time.
            away: since when nothing was, if something ever was.
        """
        notes: list[Note] = []
        if self.gap is not None:
            self.missed, self.gap = closed(self.gap, now_ns), None
            notes.append(self.missed)
        elif away is not None and away.since_ns < now_ns:
            self.missed = self.make(CoverageState.GAP, away.cause, away.since_ns, now_ns)
            notes.append(self.missed)
        return [*notes, *self._go_live(now_ns)]

    def leave(self, away: Away) -> CoverageNote:
        """Begin the gap that lasts until it is recorded again."""
        return self._open_gap(away.since_ns, away.cause)

    def miss(self, reason: str, start_ns: int, cause: str, *, laid_over: bool) -> list[Note]:
        """Begin a gap, unless there is one.

        Args:
            reason: what has to be over before it can end.
            start_ns: when it began.
            cause: in words.
            laid_over: whether it may still turn out that nothing was missed.
        """
        self.reasons.add(reason)
        if self.gap is not None:
            return []
        gap = self._open_gap(start_ns, cause)
        return [gap] if laid_over else [*self._end_live(gap.start_ns), gap]

    def end_gap(self, reason: str, now_ns: int) -> list[Note]:
        """Take note that a reason is over; with the last one a gap ends that was not laid over."""
        self.reasons.discard(reason)
        if self.gap is None or self.reasons or self.live is not None:
            return []
        self.missed, self.gap = closed(self.gap, now_ns), None
        return [self.missed, *self._go_live(now_ns)]

    def take_back(self) -> list[Note]:
        """Return that there was no gap; to be said with the rows that show it."""
        self.reasons.clear()
        if self.gap is None:
            return []
        taken, self.gap = closed(self.gap, self.gap.start_ns), None
        return [taken]

    def stop(self, at_ns: int) -> list[Note]:
        """End all that is open."""
        notes = self._end_live(at_ns)
        if self.gap is not None:
            notes.append(closed(self.gap, at_ns))
            self.gap = None
        self.reasons.clear()
        return notes

    def roll(self, now_ns: int) -> list[Note]:
        """End what is live, and begin it anew: what is known to be missing so far is repeated no more."""
        if self.live is None:
            return []
        notes = [*self._end_live(now_ns), *self._go_live(now_ns)]
        return notes if self.gap is None else [*notes, self.gap]

    def _open_gap(self, start_ns: int, cause: str) -> CoverageNote:
        start_ns = max(start_ns, self._floor_ns)
        if self.table is TRADES:
            start_ns = self.words.free_start(self.number, start_ns)
        self._floor_ns = start_ns + 1
        self.gap = self.make(CoverageState.GAP, cause, start_ns, None)
        return self.gap

    def _go_live(self, now_ns: int) -> list[Note]:
        self._floor_ns = max(self._floor_ns, now_ns)
        self.live = self.make(CoverageState.LIVE, "", now_ns, None)
        return [self.live, *self._missing(now_ns, _FOREVER)]

    def _end_live(self, at_ns: int) -> list[Note]:
        if self.live is None:
            return []
        ended, self.live = closed(self.live, at_ns), None
        return [ended, *self._missing(ended.start_ns, at_ns)]

    def _missing(self, start_ns: int, end_ns: int) -> list[CoverageNote]:
        return self.words.missing(self.number, start_ns, end_ns) if self.table is TRADES else []
