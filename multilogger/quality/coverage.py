"""The ledger of one exchange: what of each symbol was recorded live, filled afterwards, or missed.

For MD, times that were live and gaps take turns: what is lost begins a second before data was last received,
and ends when a connection carries the symbol again. For TRADES with ids that rise by one, a gap is laid over
the time that is live, and stays open until the ids have told::

    the next trade has the next id, or the exchange        the gap is taken back
    names the last one as its newest                       (after a restart or a pause: it was live, too)
    ids are missing                                        taken back; each run of missing ids is a hole, a
                                                           gap with ids, until it is filled or given up
    the exchange names a newer one, and it doesn't come    the same: a hole at the tail

Where ids have no order a gap in TRADES is like one in MD, until pages of the exchange's newest trades fill
what they can of it: :mod:`multilogger.quality.overlaps`.

Intervals are of event time; how notes are ordered against rows is told in :mod:`multilogger.quality.words`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs

from multilogger.batch import SymbolTable
from multilogger.notes import ANY, OFFLINE, CoverageNote, CoverageState, Note, closed, gap_note
from multilogger.quality.doubts import Doubts
from multilogger.quality.lines import ASIDE, LOST, Away, Line
from multilogger.quality.missing import Unknown
from multilogger.quality.overlaps import Overlaps
from multilogger.quality.recent_ids import RecentIds
from multilogger.quality.recorded import SLACK_NS, Doubt, Recorded, Sequence
from multilogger.quality.sequence import IDS_MISSING
from multilogger.quality.words import AddNotes, Words
from multilogger.tables import NANOS_PER_SECOND, TABLES, TRADES, Array, Table

SET_ASIDE: Final = "set aside by the breaker"


class CoverageBook:
    """Notes what of an exchange is recorded.

    Args:
        exchange: its name.
        symbols: numbers its symbols.
        add_notes: takes the notes that leave at once.
        calendar: nanoseconds since the epoch on the scale of event times.
        contiguous: whether trade ids rise by one.
        pages: whether ids are unordered, and pages of the newest trades will be asked for.
        stopped_ns: when the last run ended, by ``calendar``; 0 if there was none.
        doubted_ns: since when trades of a symbol were in doubt then, nanoseconds since the epoch; of those
            that are not named, the time of :data:`~multilogger.notes.ANY`.
        seconds: the time for what has to wait a little; ``calendar``'s by default.
    """

    def __init__(
        self,
        exchange: str,
        symbols: SymbolTable,
        add_notes: AddNotes,
        calendar: Callable[[], int],
        *,
        contiguous: bool,
        pages: bool = False,
        stopped_ns: int,
        doubted_ns: Mapping[str, int] | None = None,
        seconds: Callable[[], float] | None = None,
    ) -> None:
        self._exchange = exchange
        self._symbols = symbols
        self._calendar = calendar
        self._seconds = seconds or (lambda: calendar() / NANOS_PER_SECOND)
        self._contiguous = contiguous
        self._pages = pages
        self._stopped_ns = stopped_ns
        self._doubted_ns = doubted_ns or {}
        self._words = Words(exchange, symbols, add_notes)
        self._sequence: Sequence | None = None
        self._of: dict[int, Recorded] = {}
        self._doubts = Doubts(self._words, calendar, self._seconds)
        self.overlaps = Overlaps(self._words, self._seconds)
        """Gaps that pages of the newest trades may fill."""
        self._offline: CoverageNote | None = None
        """The gap of all symbols since :meth:`close`."""

    def follow(self, sequence: Sequence, known: Iterable[str]) -> None:
        """Take the news of holes from a sequence, and go on from where the last run ended.

        Args:
            sequence: of this exchange; it knows the last trade ids on disk.
            known: venue symbols of which anything is on disk.
        """
        self._sequence = sequence
        self._words.holes_of = sequence.holes_of
        self._doubts.sequence = sequence if self._contiguous else None
        self.overlaps.trades = sequence if self._pages and isinstance(sequence, RecentIds) else None
        if not self._stopped_ns:
            return
        for it in map(self._symbol, known):
            it.away = Away(self._stopped_ns, OFFLINE)
            start_ns = self._stopped_ns - SLACK_NS
            doubted_ns = min(start_ns, self._doubted_ns.get(self._symbols.names[it.number], start_ns))
            self.overlaps.stopped(it.number, min(doubted_ns, self._doubted_ns.get(ANY, start_ns)))
            last = self._doubts.last_id(it)
            if last is not None:
                # Up to the last trade on disk all is there, but for holes.
                start_ns = min(doubted_ns, sequence.last_ns(it.number) or self._stopped_ns)
                self._doubts.begin(it, Doubt(start_ns, OFFLINE, last, outdo=True))

    def remember(self, gap: Unknown) -> None:
        """Take over a gap in trades that stays, and that an earlier run has told of."""
        self._words.remember(gap)

    def carried(self, symbols: Iterable[str]) -> None:
        """Take note that a connection now streams these symbols, in all tables."""
        now_ns, now = self._calendar(), self._seconds()
        notes: list[Note] = [] if self._offline is None else [closed(self._offline, now_ns)]
        self._offline = None
        for it in map(self._symbol, symbols):
            notes += it.begin(now_ns, now)
            notes += [note for line in it.lines for note in line.end_gap(LOST, now_ns)]
            self.overlaps.resumed(it)
        self._words.say(notes)

    def lost(self, symbols: Iterable[str], heard_ns: int, cause: str, table: Table | None = None) -> None:
        """Take note that no connection streams these symbols any more.

        Args:
            symbols: in the exchange's spelling.
            heard_ns: when data was last received that may have been of them, by the feed's ``calendar``.
            cause: a few words, such as ``connection lost``.
            table: if it concerns one table alone; :meth:`carried` says when it is over.
        """
        notes: list[Note] = []
        for it in map(self._symbol, symbols):
            it.carried = it.carried and table is not None
            self._doubts.lost(it)
            lines = it.lines if table is None else (it.lines[table.number],)
            for line in lines if it.begun else ():
                notes += self._miss(it, line, LOST, self._lost_since(it, line, heard_ns), cause)
        self._words.say(notes)

    def released(self, symbols: Iterable[str]) -> None:
        """Take note that nobody wants these symbols recorded any more: what is not there is no gap then."""
        now_ns = self._calendar()
        stopped = [self._symbol(symbol) for symbol in symbols]
        self._words.say([note for it in stopped for note in self._stop(it, now_ns)])
        for it in stopped:
            self.overlaps.forget(it.number)

    def heard_of(self, symbol: str, newest_id: int) -> None:
        """Take note of the newest trade id that the exchange has named for a symbol."""
        self._doubts.heard_of(self._symbol(symbol), newest_id)
        self._doubts.settle()

    def note(self, trades: Array | None = None) -> None:
        """Take note of what the sequence has found out, and of the trades that were kept."""
        if self._sequence is None:
            return
        self._words.tell(self._sequence.take_news())
        for number in self._words.take_burdened():
            self._words.say(self._symbol(self._symbols.names[number]).trades.roll(self._calendar()))
            self._words.forget(number)
        if trades is not None:
            self._doubts.note(trades)
            self.overlaps.came(trades)
        self._doubts.settle()

    def set_aside(self, symbols: Iterable[str], table: Table, on: bool) -> None:
        """Take note that a breaker sets rows aside from now on, or no longer does."""
        now_ns = self._calendar()
        notes: list[Note] = []
        for it in map(self._symbol, symbols):
            line = it.lines[table.number]
            if on and it.begun:
                notes += self._miss(it, line, ASIDE, now_ns - SLACK_NS, SET_ASIDE)
            elif not on:
                notes += line.end_gap(ASIDE, now_ns)
                self.overlaps.resumed(it)
        self._words.say(notes)

    def cause_of(self, number: int) -> str:
        """Return why trades of a symbol may be missing now."""
        it = self._of.get(number)
        return IDS_MISSING if it is None or it.doubt is None else it.doubt.cause

    def take_notes(self) -> tuple[Note, ...]:
        """Return the notes that go with the batch that is being staged."""
        return self._words.take()

    def unproven(self) -> list[str]:
        """Return the symbols whose trades may have been missed, and of which the exchange should be asked."""
        self._doubts.settle()
        return [self._symbols.names[number] for number in self._doubts.unproven()]

    def settle(self) -> None:
        """Make holes of trades that were named some seconds ago and have not come."""
        self._doubts.settle()

    def halted(self, symbols: Iterable[str]) -> None:
        """Take note that the exchange lists these symbols, and does not trade them."""
        self._set_outside(symbols, CoverageState.HALTED)

    def not_listed(self, symbols: Iterable[str]) -> None:
        """Take note that the exchange no longer lists these symbols."""
        self.released(symbols := list(symbols))
        self._set_outside(symbols, CoverageState.NOT_LISTED)

    def listed_again(self, symbols: Iterable[str]) -> None:
        """Take note that the exchange lists and trades these symbols; most always were."""
        now_ns = self._calendar()
        self._words.say([note for it in map(self._symbol, symbols) for note in it.end_outside(now_ns)])

    def pause(self, cause: str, at_ns: int) -> None:
        """Take note that all connections have ended, to be opened again later.

        Args:
            cause: of the gap; the caller notes one of all symbols, until they may be opened.
            at_ns: when they ended, by the calendar.
        """
        self.note()
        away = Away(at_ns, cause)
        for it in list(self._of.values()):
            if it.begun:
                self._words.say([*self._leave(it, away), *(line.leave(away) for line in it.lines)])

    def close(self, at_ns: int | None = None) -> None:
        """Take note that the exchange is off-line from now on: what is open ends.

        Args:
            at_ns: when the connections ended, by the calendar; now by default.
        """
        away = Away(self._calendar() if at_ns is None else at_ns, OFFLINE)
        self.note()
        notes = [*self.take_notes()]
        for it in self._of.values():
            notes += self._leave(it, away) if it.begun else it.end_gaps(away.since_ns)
            notes += it.end_outside(away.since_ns)
        if self._offline is None:
            # Left open: whoever begins again says when it ended, here or at the next start.
            self._offline = gap_note(self._exchange, OFFLINE, away.since_ns, None)
            notes.append(self._offline)
        self._words.say(notes)

    def _symbol(self, symbol: str) -> Recorded:
        number = self._symbols.number(symbol)
        it = self._of.get(number)
        if it is None:
            lines = tuple(Line(self._words, number, table) for table in TABLES)
            it = self._of[number] = Recorded(number, lines)
        return it

    def _lost_since(self, it: Recorded, line: Line, heard_ns: int) -> int:
        """Return since when rows may be missing; trades from the last one on, and their ids will tell."""
        last_ns = self._doubts.last_ns(it) if line.table is TRADES else 0
        return min(heard_ns - SLACK_NS, last_ns or heard_ns)

    def _miss(self, it: Recorded, line: Line, reason: str, start_ns: int, cause: str) -> list[Note]:
        if line.table is not TRADES:
            return line.miss(reason, start_ns, cause, laid_over=False)
        heard_ns = start_ns + SLACK_NS
        it.heard_ns = heard_ns if it.heard_ns is None else min(it.heard_ns, heard_ns)
        last = self._doubts.last_id(it)
        notes = line.miss(reason, start_ns, cause, laid_over=last is not None)
        if last is not None and line.gap is not None and line.live is not None and it.doubt is None:
            self._doubts.begin(it, Doubt(line.gap.start_ns, cause, last))
        return notes

    def _leave(self, it: Recorded, away: Away) -> list[Note]:
        """Stop recording a symbol; once it is recorded again, its trade ids tell what was missed."""
        last = self._doubts.last_id(it)
        doubt = it.doubt or (Doubt(away.since_ns, away.cause, last) if last is not None else None)
        notes = self._stop(it, away.since_ns)
        it.away = away
        if doubt is not None:
            self._doubts.begin(it, attrs.evolve(doubt, outdo=True))
        return notes

    def _stop(self, it: Recorded, at_ns: int) -> list[Note]:
        self._doubts.end(it)
        return it.stop(at_ns)

    def _set_outside(self, symbols: Iterable[str], state: CoverageState) -> None:
        now_ns = self._calendar()
        self._words.say([note for it in map(self._symbol, symbols) for note in it.set_outside(state, now_ns)])
