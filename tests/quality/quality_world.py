"""An exchange that trades once a second, a feed that loses, repeats and disorders, and what is durable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from quality_rows import BACKFILLED, GAP, LIVE, SECOND, SYMBOL, Log, Recorder

from multilogger.notes import CoverageNote, Note, closed, gap_note
from multilogger.records import Flag


@attrs.define(eq=False)
class World:
    """One symbol; after every step it must not matter that the program crashes there."""

    recorder: Recorder = attrs.field(factory=Recorder)
    secs: int = 100
    happened: dict[int, int] = attrs.field(factory=dict)
    """Second of each trade that there was, by id."""
    missed: set[int] = attrs.field(factory=set)
    """Trades that happened while no connection carried the symbol."""
    waiting: list[int] = attrs.field(factory=list)
    """Received, and not handed over."""
    held: list[int] = attrs.field(factory=list)
    """Sent late."""
    kept: list[int] = attrs.field(factory=list)
    """Durable, in order."""
    given_up: set[int] = attrs.field(factory=set)
    up: bool = False
    durable: Log = attrs.field(factory=Log)
    checks: int = 0

    def __attrs_post_init__(self) -> None:
        """Write notes down in the order in which they become durable."""
        self.recorder.book._words._add_notes = self._at_once
        self.carry()
        self.step("trade")
        self.step("hand_over")

    def step(self, name: str) -> None:
        """Let something happen, and a second pass."""
        STEPS[name](self)
        self.secs += 1
        self.recorder.at(self.secs)
        self.recorder.book.settle()

    def trade(self) -> None:
        """There is a trade, which is received."""
        self._happen(self.waiting)

    def drop(self) -> None:
        """There is a trade, which never comes."""
        self._happen([])

    def hold(self) -> None:
        """There is a trade, which comes late."""
        self._happen(self.held)

    def release(self) -> None:
        """What was late comes."""
        self.waiting += self.held
        self.held = []

    def repeat(self) -> None:
        """Trades that came come once more."""
        self.waiting += [*self.kept[-3:], *self.kept[:2]]

    def hand_over(self) -> None:
        """Rows are checked, and become durable with what they make true."""
        self._apply(self.waiting, 0)
        self.waiting = []

    def lose(self) -> None:
        """The connection is lost, and what it was late with."""
        if self.up:
            self.up, self.held = False, []
            self.recorder.lose(self.secs)

    def carry(self) -> None:
        """A connection carries the symbol; only then the last rows of the one before are handed over."""
        was_up, self.up = self.up, True
        self.recorder.at(self.secs).carry()
        if not was_up:
            self.hand_over()

    def pause(self) -> None:
        """Recording pauses."""
        self.hand_over()
        self.up, self.held = False, []
        self.recorder.book.pause("disk full", self.secs * SECOND)
        pause = gap_note("binance", "disk full", self.secs * SECOND, None)
        self._at_once([pause])
        self.secs += 5
        self._at_once([closed(pause, self.secs * SECOND)])

    def name(self) -> None:
        """The exchange names its newest trade."""
        if self.up:
            self.recorder.book.heard_of(SYMBOL, max(self.happened))

    def page_from_below(self) -> None:
        """The history gives the first two trades of the newest hole, and one that is known."""
        self._page(lambda first, last: range(first - 1, min(last, first + 1) + 1))

    def page_from_above(self) -> None:
        """The history gives the last two trades of the newest hole, the newer one first, and one known."""
        self._page(lambda first, last: range(last + 1, max(first, last - 1) - 1, -1))

    def page_within(self) -> None:
        """The history gives every second trade of the newest hole."""
        self._page(lambda first, last: range(first, last + 1, 2))

    def give_up(self) -> None:
        """The oldest hole is given up."""
        holes = self.recorder.quality.trades.holes()
        if holes:
            self.given_up.update(range(holes[-1].first, holes[-1].last + 1))
            self.recorder.quality.trades.give_up(holes[-1], "too old")

    def check(self) -> None:
        """Assert that a crash just now would leave no silent hole."""
        newest = max(self.kept, default=0)
        for trade_id, secs in self.happened.items():
            if trade_id not in self.kept and (trade_id < newest or trade_id in self.missed):
                assert self.durable.state_at(secs * SECOND) is GAP, (trade_id, secs)
                self.checks += 1
        assert len(self.kept) == len({*self.kept})

    def check_end(self) -> None:
        """Assert that each trade that never came is in a hole or given up, and that nothing else is."""
        missing = {it for it in self.happened if it < max(self.kept)} - {*self.kept}
        noted = {it for first, last in self.durable.holes() for it in range(first, last + 1)}
        assert {it for it in noted if it < max(self.kept)} == missing - self.given_up
        holes = self.recorder.quality.trades.holes()
        assert {(hole.first, hole.last) for hole in holes} == self.durable.holes()
        assert self.recorder.stats.missing == len(noted)
        assert self.recorder.stats.gaps == len(noted) + len(self.given_up - {*self.kept})

    def mend(self) -> None:
        """Let everything come that is missing: then the ledger has no gap, unless something was given up."""
        for name in ("release", "carry", "trade", "hand_over"):
            self.step(name)
        for hole in self.recorder.quality.trades.holes():
            self._apply(list(range(hole.first, hole.last + 1)), Flag.BACKFILLED)
        if not self.given_up:
            whole = {self.durable.state_at(self.happened[trade_id] * SECOND) for trade_id in self.kept}
            assert whole <= {LIVE, BACKFILLED}
            assert not self.durable.holes()

    def _happen(self, to: list[int]) -> None:
        trade_id = len(self.happened) + 1
        self.happened[trade_id] = self.secs
        if self.up:
            to.append(trade_id)
        else:
            self.missed.add(trade_id)

    def _page(self, choose: Callable[[int, int], range]) -> None:
        holes = self.recorder.quality.trades.holes()
        if holes:
            page = [it for it in choose(holes[0].first, holes[0].last) if it in self.happened]
            self._apply(page, Flag.BACKFILLED)

    def _apply(self, trade_ids: list[int], flags: int) -> None:
        rows = [(it, float(self.happened[it])) for it in trade_ids]
        kept, notes = self.recorder.trades(*rows, flags=flags)
        # A crash between the rows and the notes behind them.
        self.kept += kept
        self.check()
        self.durable.add(notes)
        self.check()

    def _at_once(self, notes: list[Note]) -> None:
        for note in notes:
            assert isinstance(note, CoverageNote)
            assert note.end_ns is None or note.end_ns >= note.start_ns
        self.durable.add(notes)
        self.check()


STEPS: Final[dict[str, Callable[[World], None]]] = {
    step.__name__: step
    for step in (
        World.trade,
        World.drop,
        World.hold,
        World.release,
        World.repeat,
        World.hand_over,
        World.lose,
        World.carry,
        World.pause,
        World.name,
        World.page_from_below,
        World.page_from_above,
        World.page_within,
        World.give_up,
    )
}
