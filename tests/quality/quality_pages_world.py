"""An exchange whose ids have no order, connections that fail, answers out of caches, and what is durable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import numpy as np
from quality_pages import RECENT, overlaps, uid, unordered
from quality_rows import BACKFILLED, GAP, LIVE, SECOND, SYMBOL, Log, Recorder, passed, trades

from multilogger.notes import Note
from multilogger.quality.pages import Page
from multilogger.records import Flag
from multilogger.supervision.feeds import note_offline
from multilogger.tables import TRADES

MILLI: Final = 1_000_000
SMALL: Final = 5


@attrs.define(eq=False)
class PagesWorld:
    """One symbol; after every step it must not matter that the program crashes there."""

    replays: bool = False
    """Whether the exchange sends its last trades again at a subscription."""
    recorder: Recorder = attrs.field(factory=unordered)
    now_ns: int = 100 * SECOND
    happened: list[int] = attrs.field(factory=list)
    """Event time of each trade, by its number."""
    kept: list[int] = attrs.field(factory=list)
    """Numbers of durable trades, in order."""
    durable: Log = attrs.field(factory=Log)
    first_ns: int = 0
    """Since when the symbol is recorded at all."""
    heard_ns: int = 0
    """When the connection, as far as the ledger knows of it, died."""
    up: bool = False
    """Whether the ledger has been told that a connection carries the symbol."""
    dead: bool = False
    """Whether that connection brings nothing any more, unnoticed."""
    unheard: int = 0
    """The first trade that it did not bring."""
    second: bool = False
    """Whether another one carries it, too."""
    unsent: set[int] = attrs.field(factory=set)
    """Trades that nobody can know of but from a page."""
    under_way: list[int] = attrs.field(factory=list)
    checks: int = 0

    def __attrs_post_init__(self) -> None:
        """Begin with two trades."""
        self._watch()
        self.carry()
        self.first_ns = self.now_ns
        for _ in range(2):
            self.step("trade")

    def step(self, name: str) -> None:
        """Let something happen, and a second pass; of what is quick, less than a trade may be under way."""
        self._arrive()
        STEPS[name](self)
        self.wait(0.2 if name in _QUICK else 1)

    def trade(self) -> None:
        """There is a trade."""
        self._receive(self._happen(1))

    def slow_trade(self) -> None:
        """There is a trade, which is under way for a while."""
        numbers = self._happen(1)
        if self.up and (self.second or not self.dead):
            self.under_way += numbers

    def left_out(self) -> None:
        """There is a trade, which the exchange does not send."""
        self.unsent.update(self._happen(1))

    def burst(self) -> None:
        """There are some trades at the same time."""
        self._receive(self._happen(3))

    def torn_burst(self) -> None:
        """The connection dies between trades of one time."""
        numbers = self._happen(3)
        if self.second or self.dead or not self.up:
            self._receive(numbers)
        else:
            # Of other symbols it brings something after that.
            self.dead, self.heard_ns = True, self.now_ns + 50 * MILLI
            self.unheard = min([*self.under_way, numbers[2]])
            self.under_way = []
            self._apply(numbers[:2], 0)

    def dies(self) -> None:
        """The connection brings nothing any more."""
        if self.up and not self.dead:
            self.dead, self.heard_ns = True, self.now_ns
            self.unheard = min(self.under_way, default=len(self.happened))
            self.under_way = []
            self.wait(1)

    def another(self) -> None:
        """Another connection begins to carry the symbol while the first one still seems well."""
        if self.up:
            self.second = True
            self._replay()

    def lose(self) -> None:
        """The death is noticed; or the connection ends."""
        if not self.up:
            return
        heard_ns = self.heard_ns if self.dead else self.now_ns
        self.recorder.book.lost([SYMBOL], heard_ns, "connection lost")
        self.up = self.second
        if self.second:
            self.recorder.carry()
        self.dead = self.second = False
        self.under_way = []

    def carry(self) -> None:
        """A connection carries the symbol."""
        if not self.up:
            self.up = True
            self.recorder.carry()
            self._replay()

    def page(self) -> None:
        """A page comes that has all trades."""
        self._page(0, 1000)

    def cached_page(self) -> None:
        """The same, from a cache."""
        self._page(9, 1000)

    def short_page(self) -> None:
        """A page has only some trades."""
        self._page(0, SMALL)

    def short_cached_page(self) -> None:
        """The same, from a cache."""
        self._page(3, SMALL)

    def give_up(self) -> None:
        """Nobody asks any more."""
        overlaps(self.recorder).give_up(self.recorder.symbols.number(SYMBOL))
        self._apply([], 0)

    def pause(self) -> None:
        """Recording pauses."""
        if self.up and not self.dead:
            self._arrive(0)
            self.up = self.second = False
            self.recorder.book.pause("disk full", self.now_ns)

    def stop(self) -> None:
        """The program ends in order, and starts again."""
        if not self.dead:
            self._arrive(0)
            self.recorder.book.close()
            self._restart(self.now_ns)

    def crash(self) -> None:
        """The program is killed, and starts again."""
        if not self.dead:
            newest_ns = max(self.happened[it] for it in self.kept)
            self._restart(min(self.now_ns, newest_ns))

    def wait(self, secs: float = 4) -> None:
        """Let time pass."""
        self.recorder.now_ns = self.now_ns = self.now_ns + round(secs * SECOND)

    def check(self) -> None:
        """Assert that a crash just now would leave no silent hole."""
        known = {*self.kept}
        for number, time_ns in enumerate(self.happened):
            unnoticed = self.up and self.dead and number >= self.unheard
            unnoticed = unnoticed or number in self.unsent or number in self.under_way
            if number not in known and time_ns >= self.first_ns and not unnoticed:
                # What nobody has a word for counts as missing, too.
                assert self.durable.state_at(time_ns) in (GAP, None), (number, time_ns / SECOND)
                self.checks += 1
        assert len(self.kept) == len(known)

    def mend(self) -> None:
        """Let a connection carry the symbol, and pages come that have all, also what was not sent."""
        for name in ("lose", "carry", "wait", "trade", "page", "trade", "page"):
            self.step(name)

    def holes(self) -> list[float]:
        """Return when something is not said to be there, in seconds; looked at where that may change."""
        bounds = {
            ns for note in self.durable.standing() for ns in (note.start_ns, note.end_ns or self.now_ns)
        }
        looked_at = sorted(ns for ns in {*self.happened, *bounds} if self.first_ns <= ns < self.now_ns)
        return [ns / SECOND for ns in looked_at if self.durable.state_at(ns) not in (LIVE, BACKFILLED)]

    def _happen(self, count: int) -> list[int]:
        self.happened += [self.now_ns // MILLI * MILLI] * count
        return list(range(len(self.happened)))[-count:]

    def _receive(self, numbers: list[int]) -> None:
        if self.up and (self.second or not self.dead):
            self._apply(numbers, 0)

    def _arrive(self, after_ns: int = SECOND // 2) -> None:
        """Receive what has been under way for long enough."""
        late = [it for it in self.under_way if self.now_ns - self.happened[it] >= after_ns]
        self.under_way = [it for it in self.under_way if it not in late]
        self._receive(late)

    def _replay(self) -> None:
        if self.replays:
            self._apply(list(range(max(0, len(self.happened) - 3), len(self.happened))), Flag.REPLAYED)

    def _page(self, lag_secs: float, size: int) -> None:
        if not self.up:
            return
        until_ns = self.now_ns - round(lag_secs * SECOND)
        numbers = [it for it, time_ns in enumerate(self.happened) if time_ns <= until_ns]
        # Those of the same time in any order.
        numbers = sorted(numbers, key=lambda it: (self.happened[it], uid(it)))[-size:]
        made = Page(
            np.array([uid(it) for it in numbers], np.uint64),
            np.array([self.happened[it] for it in numbers], np.int64),
            self.now_ns / SECOND,
            cut=len(numbers) == size,
        )
        wanted = overlaps(self.recorder).judge(self.recorder.symbols.number(SYMBOL), made)
        self._apply([it for it, want in zip(numbers, wanted.tolist(), strict=True) if want], Flag.BACKFILLED)

    def _apply(self, numbers: list[int], flags: int) -> None:
        quality, symbol = self.recorder.quality, self.recorder.symbols.number(SYMBOL)
        names, kept = {uid(it): it for it in numbers}, list[tuple[int, int]]()
        if numbers:
            rows = trades(*((symbol, uid(it), self.happened[it]) for it in numbers), flags=flags)
            kept = passed(quality, rows)
        else:
            quality.apply({})
        notes = quality.take_notes()
        # A crash between the rows and the notes behind them.
        self.kept += [names[trade_id] for _, trade_id in kept]
        self.check()
        self.durable.add(notes)
        self.check()

    def _restart(self, stopped_ns: int) -> None:
        disk = np.array([(uid(it), self.happened[it]) for it in self.kept], RECENT)
        disk = disk[np.argsort(disk["time_ns"], kind="stable")]
        lasting = [note for note in self.durable.standing() if note.end_ns is None]
        since_ns = [note.start_ns - SECOND for note in lasting if note.state is GAP and note.table != "MD"]
        after = unordered(
            disk, stopped_ns / SECOND, None, dict.fromkeys(["*"], min(since_ns)) if since_ns else {}
        )
        self.recorder, self.up, self.second, self.under_way = after, False, False, []
        self._watch()
        note_offline(["binance"], stopped_ns, self.now_ns, self.durable.add, lasting)
        self.wait(1)
        for note in self.durable.standing():
            ours = (note.symbol, note.table, note.state) == (SYMBOL, TRADES.name, GAP)
            if ours and note.end_ns is not None:
                before = disk["trade_id"][disk["time_ns"] <= note.start_ns]
                overlaps(after).adopt(after.symbols.number(SYMBOL), note, before)
        self.check()

    def _watch(self) -> None:
        """Write notes down in the order in which they become durable."""
        self.recorder.book._words._add_notes = self._at_once
        self.recorder.now_ns = self.now_ns

    def _at_once(self, notes: list[Note]) -> None:
        self.durable.add(notes)
        self.check()


_CONNECTIONS: Final = ("dies", "another", "lose", "carry", "pause", "stop", "crash", "wait", "give_up")
_TRADES: Final = ("trade", "slow_trade", "left_out", "burst", "torn_burst")
_PAGES: Final = ("page", "cached_page", "short_page", "short_cached_page")
STEPS: Final[dict[str, Callable[[PagesWorld], None]]] = {
    name: getattr(PagesWorld, name) for name in (*_CONNECTIONS, *_TRADES, *_PAGES)
}
WHOLE: Final = sorted({*STEPS} - {"short_page", "short_cached_page", "give_up"})
"""Steps that lose nothing for good."""
_QUICK: Final = ("slow_trade", "dies", "lose", *_PAGES)
