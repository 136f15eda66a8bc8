"""What the ledger knows of a symbol, and of trades that the exchange has named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import attrs

from multilogger.notes import CoverageNote, CoverageState, Note, closed
from multilogger.quality.lines import ASIDE, Away, Line
from multilogger.quality.missing import Hole, News
from multilogger.tables import NANOS_PER_SECOND, TRADES

SLACK_NS: Final = NANOS_PER_SECOND
"""Data may have been lost on the way so long before the last that came."""
STALE_SECS: Final = 10.0
"""What a REST answer says, or what a connection hands over at its end, may be as old as this."""
TAIL_SECS: Final = 3.0
"""A trade that the exchange has named may come so much later."""
_TAIL_SHARE: Final = 0.125
"""A hole at the tail grows once it would be longer by this part."""
_SETTLE_SECS: Final = 1.0


class Sequence(Protocol):
    """What the book asks of the trades' ids."""

    def last_id(self, number: int) -> int | None:
        """Return the highest id of a symbol, None if none is known."""
        ...

    def last_ns(self, number: int) -> int:
        """Return its event time, 0 if it isn't known."""
        ...

    def holes_of(self, number: int) -> list[Hole]:
        """Return the holes of a symbol, ascending."""
        ...

    def reach(self, number: int, newest: int, now_ns: int) -> None:
        """Take note that trades up to ``newest`` have happened, and don't come."""
        ...

    def take_news(self) -> list[News]:
        """Return what was found out since the last call."""
        ...


@attrs.frozen
class Doubt:
    """Trades may have been missed; their ids will tell."""

    start_ns: int
    cause: str
    last_id: int
    """The newest when it began."""
    outdo: bool = False
    """Whether a gap of all symbols says so too, so that it is not enough to take back the symbol's own."""


@attrs.define(eq=False)
class Recorded:
    """One symbol in the ledger."""

    number: int
    lines: tuple[Line, ...]
    """By table number."""
    begun: bool = False
    """Whether it is being recorded, but for gaps."""
    carried: bool = False
    """Whether a connection streams it."""
    since: float = 0.0
    """Since when, in the book's seconds."""
    since_ns: int = 0
    away: Away | None = None
    heard_ns: int | None = None
    """When data that may have been of its trades was last received before the gap that is open."""
    doubt: Doubt | None = None
    outside: list[CoverageNote] = attrs.field(factory=list)
    """Open intervals in which the exchange does not trade or list it."""

    @property
    def trades(self) -> Line:
        """The table of trades."""
        return self.lines[TRADES.number]

    @property
    def provable(self) -> bool:
        """Whether the next word of the exchange tells if trades were missed."""
        return self.doubt is not None and self.carried and ASIDE not in self.trades.reasons

    def shown_by(self, last_id: int | None, last_ns: int, now: float) -> bool:
        """Return whether its newest trade has come by a connection that carries it now, as far as it shows.

        The last rows of the connection before may be handed over late. A trade from before is trusted if
        enough time has passed: then it is the exchange's clock that is slow.
        """
        if self.doubt is None or not self.provable or last_id == self.doubt.last_id:
            return False
        return last_ns >= self.since_ns - SLACK_NS or now - self.since >= STALE_SECS

    def begin(self, now_ns: int, now: float) -> list[Note]:
        """Take note that a connection streams it; return what is to be said at once, if none did before."""
        if not self.carried:
            self.carried, self.since, self.since_ns = True, now, now_ns
        if self.begun:
            return []
        away, self.begun, self.away = self.away, True, None
        begun = [note for line in self.lines for note in line.begin(now_ns, away)]
        return [*self.end_outside(now_ns), *begun]

    def stop(self, at_ns: int) -> list[Note]:
        """Record it no more, and return what is to be said at once."""
        self.begun = self.carried = False
        self.away = None
        return self.end_gaps(at_ns)

    def end_gaps(self, at_ns: int) -> list[Note]:
        """Return that all that is open ends."""
        return [note for line in self.lines for note in line.stop(at_ns)]

    def set_outside(self, state: CoverageState, now_ns: int) -> list[Note]:
        """Return that the exchange does not trade it, or not list it, from now on."""
        if any(note.state is state for note in self.outside):
            return []
        ended = self.end_outside(now_ns)
        self.outside = [line.make(state, "", now_ns, None) for line in self.lines]
        return [*ended, *self.outside]

    def end_outside(self, now_ns: int) -> list[Note]:
        """Return that the exchange trades it again from now on, if it did not."""
        ended: list[Note] = [closed(note, now_ns) for note in self.outside]
        self.outside = []
        return ended


class NamedTrades:
    """The newest trades that the exchange has named, and that have not come.

    Args:
        seconds: the time.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._named: dict[int, tuple[Recorded, int, float]] = {}
        """The symbol, the id, and since when it is awaited, by symbol number."""
        self._looked = 0.0

    @property
    def numbers(self) -> set[int]:
        """Of the symbols that have one."""
        return set(self._named)

    def add(self, it: Recorded, newest: int) -> None:
        """Await a trade, unless an earlier one is awaited."""
        self._named.setdefault(it.number, (it, newest, self._seconds()))

    def discard(self, number: int) -> None:
        """Await no trade of a symbol."""
        self._named.pop(number, None)

    def are_due(self) -> bool:
        """Return whether it is time to look."""
        return bool(self._named) and self._seconds() - self._looked >= _SETTLE_SECS

    def take_late(self, sequence: Sequence, now_ns: int) -> list[tuple[Recorded, int]]:
        """Return symbols and ids of those awaited for too long; forget these, and those that came."""
        now = self._looked = self._seconds()
        late = []
        for number, (it, newest, since) in list(self._named.items()):
            last = sequence.last_id(number)
            if last is None or last >= newest:
                del self._named[number]
            elif now - since >= _patience(sequence.holes_of(number), last, now_ns):
                del self._named[number]
                late.append((it, newest))
        return late


def _patience(holes: list[Hole], last: int, now_ns: int) -> float:
    """Return for how long a trade may be late; longer where the last ones are missing already."""
    if not holes or holes[-1].last != last:
        return TAIL_SECS
    return max(TAIL_SECS, _TAIL_SHARE * (now_ns - holes[-1].before_ns) / NANOS_PER_SECOND)
