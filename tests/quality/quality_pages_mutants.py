"""What the repair of gaps by pages rests on, each part of it switched off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import attrs
from quality_pages_world import PagesWorld

from multilogger.notes import Note
from multilogger.quality import overlaps, pages
from multilogger.quality.pages import Missed, Page
from multilogger.quality.recent_ids import RecentIds
from multilogger.quality.words import Words
from multilogger.tables import Array


@attrs.frozen
class Mutant:
    """A part that is switched off, and steps in which it is needed."""

    owner: Any
    name: str
    value: Any
    steps: Sequence[str]
    replays: bool = False

    @contextmanager
    def patch(self) -> Iterator[None]:
        """Switch it off during a block."""
        kept = self.owner.__dict__[self.name]
        setattr(self.owner, self.name, self.value)
        try:
            yield
        finally:
            setattr(self.owner, self.name, kept)

    def wrong(self) -> str:
        """Return what goes wrong in its steps, empty if nothing does."""
        world = PagesWorld(replays=self.replays)
        try:
            for step in self.steps:
                world.step(step)
        except AssertionError as error:
            return str(error) or "wrong"
        return ""


def _lose_nothing(missed: Missed, start_ns: int, end_ns: int) -> None:
    """Take no note of what lies between two pages."""


def _lose_nothing_before(
    missed: Missed, page: Page, fresh: Array, before: Array, link: Any = Missed.link
) -> Any:
    wanted = link(missed, page, fresh, before)
    missed.lost = []
    return wanted


def _known_now(trades: RecentIds, number: int, ids: Any, _: int) -> Any:
    return trades.knows(number, ids)


def _say_at_once(words: Words, notes: Sequence[Note]) -> None:
    words.say(list(notes))


def _begin_blank(
    ids: RecentIds, symbols: Any, stats: Any, last: Any, _: Any, clock: Any, begin: Any = RecentIds.__init__
) -> None:
    begin(ids, symbols, stats, last, {}, clock)


_LATE: Final = ["lose", "wait", "wait", "trade", "carry", "cached_page"]
_FAR: Final = ["lose", "burst", "burst", "carry", "wait", "trade", "short_page"]
_TWO: Final = ["lose", "burst", "wait", "wait", *["burst"] * 3, "carry", "wait", "cached_page", "trade"]

MUTANTS: Final[dict[str, Mutant]] = {
    "trades at the cut of a page": Mutant(
        Page,
        "reaches",
        lambda _, known: bool(known.any()),
        ["trade", "torn_burst", "lose", "burst", "carry", "wait", "trade", "short_page"],
    ),
    "a page goes back to before the gap": Mutant(Missed, "link", _lose_nothing_before, _FAR),
    "known before the gap, not now": Mutant(RecentIds, "known_by", _known_now, _FAR, replays=True),
    "pages are joined to each other": Mutant(Missed, "lose", _lose_nothing, [*_TWO, "short_page"]),
    "a page ends behind the gap": Mutant(Missed, "is_joined", lambda *_: True, _LATE),
    "an answer may be old": Mutant(pages, "STALE_SECS", 0.0, _LATE),
    "what is sent again is not live": Mutant(
        overlaps,
        "_SENT_AGAIN",
        0,
        ["lose", "burst", "wait", "trade", "carry", "wait", "cached_page", "cached_page"],
    ),
    "said with the rows": Mutant(
        Words, "say_with_rows", _say_at_once, ["lose", "trade", "carry", "wait", "trade", "page"]
    ),
    "trades on disk are known": Mutant(RecentIds, "__init__", _begin_blank, ["crash", "carry"], replays=True),
}
