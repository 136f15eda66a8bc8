"""Circuit breakers: a symbol's table that is mostly wrong is set aside until it is right again.

One breaker a symbol and table, and one only where something looks wrong::

                 more than the share of at least 20 rows is suspect
        closed ───────────────────────────────────────────────────────▶ open ◀─┐
           ▲                                                              │    │ still suspect:
           │ 20 rows, no more than the share suspect             its time │    │ twice as long
           └──────────────────────────────────────── half-open ◀──────────┘    │
                                                         └─────────────────────┘

A closed breaker lets every row pass, an open one none; a half-open one lets those pass that look right, so
that nothing good is lost to the trial and nothing bad gets through.

Suspect clocks don't count. A wrong clock, ours or the exchange's, makes all rows of all symbols suspect and
none of them wrong: it must not stop the recording.
"""

from __future__ import annotations

from typing import Final

import attrs
import numpy as np
import structlog

from multilogger.batch import SymbolTable
from multilogger.config.sections import ExchangeConfig
from multilogger.quality.growing import ROOM, with_room
from multilogger.quality.validation import WORDS, Doubt
from multilogger.records import Flag
from multilogger.stats import BreakerStats, ExchangeStats
from multilogger.tables import NANOS_PER_SECOND, TABLES, Array, Table

log = structlog.get_logger(__name__)

ROWS_NEEDED: Final = 20
"""Fewer rows prove nothing, neither to open nor to close."""
WINDOW_ROWS: Final = 200
WINDOW_SECS: Final = 60.0
"""What is judged: the last so many rows of the last so many seconds, from the first suspect one on."""
MOST_SECS: Final = 3600.0
"""A breaker is tried again at least this often, or every ``breaker_secs`` if those are more."""

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half-open"

_COUNTING: Final = int(Doubt.PRICE | Doubt.QUOTES | Doubt.SIZE)
_UNWATCHED, _WATCHED, _SHUT = range(3)
"""What is to be done with a symbol's rows: nothing, judge them, set them aside."""
_NAMED: Final = 5
"""Breakers that a log line names."""


@attrs.frozen
class BreakerChange:
    """A breaker went from one state to another."""

    symbol: str
    table: Table
    state: str
    """The new one."""
    reason: str
    """In words: how many rows were suspect, and why."""

    @property
    def name(self) -> str:
        """As in the counters: ``SYMBOL/TABLE``."""
        return f"{self.symbol}/{self.table.name}"


class _Breaker:
    """One symbol's table: its state, and the rows that it is judged by."""

    def __init__(self, share: float, secs: float) -> None:
        self.state = CLOSED
        self.reason = ""
        self.due = np.inf
        """When an open one is tried."""
        self.wait = secs
        """How long it was opened for, or will be."""
        self._share = share
        self._secs = secs
        self._doubts = np.empty(0, np.uint8)
        """Of the rows in the window, or of the trial so far."""
        self._times = np.empty(0)
        self._trial_ends = np.inf

    @property
    def mark(self) -> int:
        """What is to be done with the next rows."""
        if self.state == OPEN:
            return _SHUT
        return _WATCHED if self.state == HALF_OPEN or len(self._doubts) else _UNWATCHED

    def judge(self, doubts: Array, now: float) -> Array:
        """Return which of some rows pass; not to be asked while open."""
        self._doubts = np.concatenate([self._doubts, doubts])
        if self.state == HALF_OPEN:
            return self._try(doubts, now)
        self._times = np.concatenate([self._times, np.full(len(doubts), now)])
        self._keep_window(now)
        if len(self._doubts) >= ROWS_NEEDED and self._wrong():
            self._open(now, self._secs)
        # The rows it opened by have no frames set aside. Those after them do.
        return np.ones(len(doubts), np.bool_)

    def begin_trial(self, now: float) -> None:
        """Let an open breaker show whether it may close."""
        self.state = HALF_OPEN
        self.due = np.inf
        self._doubts = self._doubts[:0]
        self._trial_ends = now + WINDOW_SECS

    def _try(self, doubts: Array, now: float) -> Array:
        right: Array = doubts == 0
        # A market that has become rare is not kept half-open for hours by the rows still wanted.
        if len(self._doubts) < ROWS_NEEDED and now < self._trial_ends:
            return right
        if self._wrong():
            self._open(now, min(2.0 * self.wait, max(MOST_SECS, self._secs)))
            return np.zeros(len(doubts), np.bool_)
        self.state, self.wait = CLOSED, self._secs
        self._set_reason()
        self._clear()
        return np.ones(len(doubts), np.bool_)

    def _wrong(self) -> bool:
        return bool(np.count_nonzero(self._doubts) > self._share * len(self._doubts))

    def _open(self, now: float, secs: float) -> None:
        self.state, self.wait, self.due = OPEN, secs, now + secs
        self._set_reason()
        self._clear()

    def _set_reason(self) -> None:
        suspect = np.count_nonzero(self._doubts)
        why = int(np.bitwise_or.reduce(self._doubts))
        words = ", ".join(word for doubt, word in WORDS.items() if why & doubt)
        self.reason = f"{suspect} of {len(self._doubts)} rows suspect" + (f": {words}" if words else "")

    def _clear(self) -> None:
        self._doubts, self._times = self._doubts[:0], self._times[:0]

    def _keep_window(self, now: float) -> None:
        start = max(len(self._doubts) - WINDOW_ROWS, int(np.searchsorted(self._times, now - WINDOW_SECS)))
        wrong = np.flatnonzero(self._doubts[start:])
        start = start + int(wrong[0]) if len(wrong) else len(self._doubts)
        self._doubts, self._times = self._doubts[start:], self._times[start:]


class Breakers:
    """The circuit breakers of one exchange.

    Args:
        symbols: numbers the rows' symbols.
        config: ``breaker_share`` and ``breaker_secs``.
        stats: where rows set aside are counted, and the breakers' states shown.
    """

    def __init__(self, symbols: SymbolTable, config: ExchangeConfig, stats: ExchangeStats) -> None:
        self.open_symbols: frozenset[str] = frozenset()
        """Symbols with a breaker that is open or half-open: those whose frames are to be kept."""
        self.removed: dict[int, Array] = {}
        """What the last :meth:`judge` set aside, by table number."""
        self.changes: tuple[BreakerChange, ...] = ()
        """Which states it changed, in order."""
        self._symbols = symbols
        self._config = config
        self._stats = stats
        self._breakers: dict[tuple[int, int], _Breaker] = {}
        """By table and symbol number; only where something is or was recently wrong."""
        self._marks = [np.zeros(ROOM, np.uint8) for _ in TABLES]
        """What is to be done with each symbol's rows, by table."""
        self._due = np.inf
        """When the first of the open ones is tried."""
        self._found: list[BreakerChange] = []
        for shown in stats.breakers.values():
            # Those of an exchange that was started again went with what they had judged.
            shown.state, shown.retry_ns = CLOSED, 0

    def judge(
        self, rows: dict[int, Array], doubts: dict[int, Array], now: float, now_ns: int
    ) -> dict[int, Array]:
        """Return the rows without those of open breakers; backfilled ones are neither judged nor set aside.

        Args:
            rows: by table number.
            doubts: why rows are suspect: :attr:`Validation.doubts` of the same rows.
            now: monotonic seconds.
            now_ns: nanoseconds since the epoch, to show when a state changed.
        """
        self.removed, self.changes = {}, ()
        if not (doubts or self._breakers) or not self._config.breaker_share:
            return rows
        if now >= self._due:
            self._begin_trials(now, now_ns)
        kept = {number: self._judge(number, table, doubts, now, now_ns) for number, table in rows.items()}
        if self._found:
            self.changes, self._found = tuple(self._found), []
            self._settle()
        return kept

    def _begin_trials(self, now: float, now_ns: int) -> None:
        for (number, symbol), breaker in self._breakers.items():
            if breaker.due <= now:
                breaker.begin_trial(now)
                self._marks[number][symbol] = breaker.mark
                self._note_change(TABLES[number], symbol, breaker, now_ns)

    def _judge(self, number: int, rows: Array, doubts: dict[int, Array], now: float, now_ns: int) -> Array:
        symbol = rows["symbol"].astype(np.intp)
        counting = doubts.get(number, np.zeros(len(rows), np.uint8)) & _COUNTING
        marks = self._marks[number] = with_room(self._marks[number], int(symbol.max(initial=0)), _UNWATCHED)
        live = rows["flags"] & int(Flag.BACKFILLED) == 0
        wrong = symbol[live & (counting > 0)]
        marks[wrong] = np.maximum(marks[wrong], _WATCHED)
        todo = marks[symbol] * live
        passed: Array = todo != _SHUT
        at = np.flatnonzero(todo == _WATCHED)
        at = at[np.argsort(symbol[at], kind="stable")]
        for part in np.split(at, np.flatnonzero(np.diff(symbol[at])) + 1) if len(at) else ():
            passed[part] = self._judge_symbol(number, int(symbol[part[0]]), counting[part], now, now_ns)
        if passed.all():
            return rows
        self.removed[number] = rows[~passed]
        self._stats.broken_rows += len(self.removed[number])
        return rows[passed]

    def _judge_symbol(self, number: int, symbol: int, doubts: Array, now: float, now_ns: int) -> Array:
        breaker = self._breakers.get((number, symbol))
        if breaker is None:
            breaker = _Breaker(self._config.breaker_share, self._config.breaker_secs)
            self._breakers[number, symbol] = breaker
        state = breaker.state
        passed = breaker.judge(doubts, now)
        if breaker.state != state:
            self._note_change(TABLES[number], symbol, breaker, now_ns)
        self._marks[number][symbol] = breaker.mark
        if breaker.mark == _UNWATCHED:
            del self._breakers[number, symbol]
        return passed

    def _note_change(self, table: Table, symbol: int, breaker: _Breaker, now_ns: int) -> None:
        change = BreakerChange(self._symbols.names[symbol], table, breaker.state, breaker.reason)
        shown = self._stats.breakers.get(change.name)
        if shown is None:
            shown = self._stats.breakers[change.name] = BreakerStats(breaker.state, breaker.reason)
        shown.state, shown.reason, shown.changed_ns = breaker.state, breaker.reason, now_ns
        opened = breaker.state == OPEN
        shown.opened += opened
        shown.retry_ns = now_ns + int(breaker.wait * NANOS_PER_SECOND) if opened else 0
        self._found.append(change)

    def _settle(self) -> None:
        """Work out what follows from the changes, and log them: one line a state, however many they are."""
        standing = {key: breaker for key, breaker in self._breakers.items() if breaker.state != CLOSED}
        self.open_symbols = frozenset(self._symbols.names[symbol] for _, symbol in standing)
        self._due = min((breaker.due for breaker in standing.values()), default=np.inf)
        for state in (OPEN, HALF_OPEN, CLOSED):
            told = [f"{change.name} ({change.reason})" for change in self.changes if change.state == state]
            if told:
                which = "; ".join(told[:_NAMED]) + ("; …" if len(told) > _NAMED else "")
                level = log.warning if state == OPEN else log.info
                level(f"breakers {state}", exchange=self._stats.name, count=len(told), which=which)
