"""What is to be said of an exchange's coverage, and when it may be.

A crash may come at any time, and must never leave a ledger that claims too much. So a note that claims less,
such as that a gap begins, leaves at once and is durable no later than the rows that showed it; one that
claims more, such as that a gap is filled, goes with the batch of the rows that fill it, and is durable after
them.

Where intervals overlap the latest word counts, and a note that ends an interval is a word of its own. Whoever
says or ends an interval that is whole therefore repeats in the same breath what is known to be missing in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from multilogger.batch import SymbolTable
from multilogger.notes import CoverageNote, CoverageState, Note, closed
from multilogger.quality.missing import Filled, GivenUp, Hole, News, Opened, Unknown
from multilogger.tables import TRADES, Table

AddNotes = Callable[[list[Note]], None]
"""Has notes journalled with the next commit; must not block."""
HolesOf = Callable[[int], Iterable[Hole]]
_MAX_LASTING: Final = 256
"""Gaps of a symbol that are repeated whenever an interval over them is ended."""
_MAX_STARTS: Final = 64


class Words:
    """The notes of one exchange.

    Args:
        exchange: its name.
        symbols: names their numbers.
        add_notes: takes the notes that leave at once.
    """

    def __init__(self, exchange: str, symbols: SymbolTable, add_notes: AddNotes) -> None:
        self._exchange = exchange
        self._symbols = symbols
        self._add_notes = add_notes
        self._pending: list[Note] = []
        self._lasting: dict[int, dict[int, CoverageNote]] = {}
        """Gaps in trades without ids that nothing will fill, by symbol number and start."""
        self._burdened: set[int] = set()
        self._starts: dict[int, deque[int]] = {}
        """Of the latest gaps in trades that ids may yet explain, by symbol number."""
        self.holes_of: HolesOf = lambda _: ()
        """Returns the open holes of a symbol."""

    def make(
        self, number: int, table: Table, state: CoverageState, cause: str, start_ns: int, end_ns: int | None
    ) -> CoverageNote:
        """Return a note on a symbol's table; it never ends before it starts."""
        end = None if end_ns is None else max(start_ns, end_ns)
        symbol = self._symbols.names[number]
        return CoverageNote(str(self._exchange), symbol, table.name, state, cause, start_ns, end)

    def free_start(self, number: int, start_ns: int) -> int:
        """Return a start for a gap in trades that no other has, by which each is known."""
        while start_ns in self._lasting.get(number, ()):
            start_ns += 1
        self._starts.setdefault(number, deque(maxlen=_MAX_STARTS)).append(start_ns)
        return start_ns

    def say(self, notes: Sequence[Note]) -> None:
        """Say at once what claims less."""
        if notes:
            self._add_notes(list(notes))

    def say_with_rows(self, notes: Iterable[Note]) -> None:
        """Say with the next batch what claims more."""
        self._pending += notes

    def take(self) -> tuple[Note, ...]:
        """Return what goes with the batch that is staged now."""
        if not self._pending:
            return ()
        taken, self._pending = tuple(self._pending), []
        return taken

    def whole(self, number: int, state: CoverageState, start_ns: int, end_ns: int) -> None:
        """Say, with rows, that a symbol's trades are all there, but for what is known to be missing."""
        if start_ns < end_ns:
            said = self.make(number, TRADES, state, "", start_ns, end_ns)
            self.say_with_rows([said, *self.missing(number, start_ns, end_ns)])

    def tell(self, news: Iterable[News]) -> None:
        """Say what became of holes.

        One that was found is said at once, and again with the rows: a batch that is still on its way may say
        of a longer time that it is whole.
        """
        for it in news:
            match it:
                case Opened():
                    self._say_twice(self.hole(it.hole))
                case Unknown():
                    self._say_twice(self._last(it.symbol, it.start_ns, it.end_ns, it.cause))
                case Filled():
                    self._tell_filled(it)
                case GivenUp():
                    note = self.hole(it.hole)
                    end_ns = _end_of(it.hole)
                    lasting = self._last(it.hole.symbol, note.start_ns, end_ns, it.cause)
                    self.say_with_rows([lasting, closed(note, note.start_ns)])

    def remember(self, it: Unknown) -> None:
        """Take over a gap that stays, and that an earlier run has told of."""
        self._last(it.symbol, it.start_ns, it.end_ns, it.cause)

    def _say_twice(self, note: CoverageNote) -> None:
        self.say([note])
        self.say_with_rows([note])

    def missing(self, number: int, start_ns: int, end_ns: int) -> list[CoverageNote]:
        """Return what is known to be missing of a symbol's trades in an interval."""
        known = [*self._lasting.get(number, {}).values(), *map(self.hole, self.holes_of(number))]
        return [it for it in known if it.start_ns < end_ns and (it.end_ns is None or it.end_ns > start_ns)]

    def take_burdened(self) -> list[int]:
        """Return the symbols with too many gaps to repeat them for ever."""
        full, self._burdened = self._burdened, set()
        return sorted(full)

    def forget(self, number: int) -> None:
        """Repeat a symbol's gaps no more: nothing is open any longer that they are in."""
        self._lasting.pop(number, None)

    def hole(self, hole: Hole) -> CoverageNote:
        """Return the note of a hole."""
        return CoverageNote(
            str(self._exchange),
            self._symbols.names[hole.symbol],
            TRADES.name,
            CoverageState.GAP,
            hole.cause,
            hole.before_ns,
            _end_of(hole),
            hole.first,
            hole.last,
        )

    def _tell_filled(self, it: Filled) -> None:
        number = it.hole.symbol
        for start_ns, end_ns in it.backfilled:
            self.whole(number, CoverageState.BACKFILLED, start_ns, max(start_ns + 1, end_ns))
        self.say_with_rows(map(self.hole, it.rest))
        note = self.hole(it.hole)
        if (note.start_ns, note.first_id) not in {(rest.before_ns, rest.first) for rest in it.rest}:
            self.say_with_rows([closed(note, note.start_ns)])

    def _last(self, number: int, start_ns: int, end_ns: int, cause: str) -> CoverageNote:
        """Return the note of a gap that stays, joined to one that has the same start."""
        lasting = self._lasting.setdefault(number, {})
        while start_ns in self._starts.get(number, ()):
            start_ns += 1
        known = lasting.get(start_ns)
        end_ns = max(start_ns + 1, end_ns, (known and known.end_ns) or 0)
        note = lasting[start_ns] = self.make(number, TRADES, CoverageState.GAP, cause, start_ns, end_ns)
        if len(lasting) > _MAX_LASTING:
            self._burdened.add(number)
        return note


def _end_of(hole: Hole) -> int:
    """Return when a hole ends, not part of it: a missing trade may have the time of the one after it."""
    return max(hole.before_ns, hole.after_ns) + 1
