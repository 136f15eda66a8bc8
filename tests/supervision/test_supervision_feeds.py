"""Pauses: the feeds end in order, wait, and go on; the gap is noted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import NoReturn

import attrs
import pytest
import trio
import trio.testing

from multilogger.config import SupervisionConfig
from multilogger.notes import CoverageNote, CoverageState, Note, closed, gap_note, offline_note
from multilogger.stats import ExchangeState, Stats
from multilogger.supervision.feeds import note_offline, run_exchanges
from multilogger.supervision.gate import Gate
from multilogger.supervision.restart import keep_alive

SECOND = 1_000_000_000
HAND_OVER_SECS = 2.0
"""What an exchange's end takes here."""


def now_ns() -> int:
    """Return the virtual time."""
    return round(trio.current_time() * SECOND)


@attrs.define(eq=False)
class Feeds:
    """Two made-up exchanges under a gate."""

    stats: Stats = attrs.field(factory=lambda: Stats(started_ns=0))
    began: list[str] = attrs.field(factory=list)
    ended: list[str] = attrs.field(factory=list)
    notes: list[Note] = attrs.field(factory=list)
    pauses: list[tuple[str, int]] = attrs.field(factory=list)
    """Cause and second of the pauses that the ledgers were told of."""
    gate: Gate = attrs.field(init=False)
    names: Sequence[str] = ("alpha", "beta")

    def __attrs_post_init__(self) -> None:
        """Make the gate."""
        self.gate = Gate(self.stats, now_ns)

    async def live(self, name: str) -> None:
        """Run until cancelled, and then hand over for a while, as connections do."""
        self.began.append(name)
        self.stats.exchange(name).state = ExchangeState.RUNNING
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(HAND_OVER_SECS)
            self.ended.append(name)

    async def run(self) -> NoReturn:
        """Run both, as a roster does."""
        async with trio.open_nursery() as nursery:
            for name in self.names:
                life, stats = partial(self.live, name), self.stats.exchange(name)
                nursery.start_soon(keep_alive, life, stats, SupervisionConfig())
        raise AssertionError("lives never end")

    def pause(self, cause: str, at_ns: int) -> None:
        """Take note of a pause, as a ledger does."""
        assert sorted(self.ended)[-2:] == ["alpha", "beta"] or not self.began
        self.pauses.append((cause, at_ns // SECOND))

    async def run_gated(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run both while the gate lets them."""
        task_status.started()
        await run_exchanges(self, lambda: [self], self.stats, self.gate, self.notes.extend, now_ns)

    @property
    def states(self) -> set[tuple[ExchangeState, str]]:
        """What the exchanges show."""
        return {(exchange.state, exchange.detail) for exchange in self.stats.exchanges.values()}

    def noted(self) -> list[tuple[str, str, int, int | None]]:
        """Return exchange, cause, start and end of the gaps noted so far, in seconds since the first."""
        gaps = [note for note in self.notes if isinstance(note, CoverageNote)]
        assert all((note.symbol, note.table, note.state.value) == ("*", "*", "gap") for note in gaps)
        first = gaps[0].start_ns if gaps else 0
        secs = [(gap.start_ns - first, None if gap.end_ns is None else gap.end_ns - first) for gap in gaps]
        return [
            (gap.exchange, gap.cause, start // SECOND, None if end is None else end // SECOND)
            for gap, (start, end) in zip(gaps, secs, strict=True)
        ]


@asynccontextmanager
async def running(feeds: Feeds) -> AsyncIterator[None]:
    """Run the feeds around a block; at its end they are stopped."""
    async with trio.open_nursery() as nursery:
        await nursery.start(feeds.run_gated)
        await trio.testing.wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


@contextmanager
def takes(secs: float) -> Iterator[None]:
    """Assert that a block takes so many virtual seconds."""
    began = trio.current_time()
    yield
    assert trio.current_time() - began == pytest.approx(secs, abs=0.01)


async def test_pause_and_resume(autojump_clock: trio.testing.MockClock) -> None:
    """A pause ends all exchanges in order and shows why; afterwards each lives again."""
    feeds = Feeds()
    async with running(feeds):
        assert sorted(feeds.began) == ["alpha", "beta"]
        feeds.gate.pause("disk /data: full")
        await trio.sleep(HAND_OVER_SECS - 0.1)
        assert feeds.ended == []
        await trio.sleep(0.2)
        assert sorted(feeds.ended) == ["alpha", "beta"]
        assert feeds.states == {(ExchangeState.PAUSED, "paused: disk /data: full")}
        feeds.gate.pause("disk /data: fuller")
        await trio.sleep(60)
        assert feeds.states == {(ExchangeState.PAUSED, "paused: disk /data: fuller")}
        assert len(feeds.began) == 2
        feeds.gate.resume()
        await trio.sleep(0.1)
        assert len(feeds.began) == 4
        assert feeds.states == {(ExchangeState.RUNNING, "")}
        assert [exchange.restarts for exchange in feeds.stats.exchanges.values()] == [0, 0]


async def test_the_pause_is_noted(autojump_clock: trio.testing.MockClock) -> None:
    """What is missed has an entry from its beginning on, and its end as soon as that is known."""
    feeds = Feeds()
    async with running(feeds):
        await trio.sleep(5)
        feeds.gate.pause("disk /data: full")
        await trio.sleep(10.5)
        assert feeds.noted() == [("alpha", "disk full", 0, None), ("beta", "disk full", 0, None)]
        feeds.gate.resume()
        await trio.sleep(10)
        assert feeds.noted()[2:] == [("alpha", "disk full", 0, 10), ("beta", "disk full", 0, 10)]
    assert len(feeds.notes) == 4
    assert [cause for cause, _ in feeds.pauses] == ["disk full"]


async def test_opened_while_the_exchanges_end(autojump_clock: trio.testing.MockClock) -> None:
    """A short pause is one, too: the connections end, begin again, and the gap is noted."""
    feeds = Feeds()
    async with running(feeds):
        feeds.gate.pause("full")
        await trio.sleep(0.5)
        feeds.gate.resume()
        await trio.sleep(HAND_OVER_SECS)
        assert (len(feeds.began), len(feeds.ended)) == (4, 2)
        assert feeds.noted()[2:] == [("alpha", "disk full", 0, 2), ("beta", "disk full", 0, 2)]


async def test_closed_from_the_start(autojump_clock: trio.testing.MockClock) -> None:
    """With no room at the start no exchange is asked for anything until there is."""
    feeds = Feeds()
    feeds.gate.pause("full")
    async with running(feeds):
        await trio.sleep(30)
        assert feeds.began == []
        assert feeds.states == {(ExchangeState.PAUSED, "paused: full")}
        feeds.gate.resume()
        await trio.sleep(0.1)
        assert sorted(feeds.began) == ["alpha", "beta"]


async def test_a_stop_while_paused_is_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing is left to hand over; the gap ends with the run."""
    feeds = Feeds()
    with takes(30):
        async with running(feeds):
            feeds.gate.pause("full", cause="no journal")
            await trio.sleep(30)
    assert feeds.noted()[2:] == [("alpha", "no journal", 0, 30), ("beta", "no journal", 0, 30)]
    assert len(feeds.began) == 2


async def test_a_stop_while_the_exchanges_end(autojump_clock: trio.testing.MockClock) -> None:
    """A stop during the last hand-over of a pause waits for it, and for no more."""
    feeds = Feeds()
    with takes(HAND_OVER_SECS):
        async with running(feeds):
            feeds.gate.pause("full")
            await trio.sleep(0.5)
    assert sorted(feeds.ended) == ["alpha", "beta"]


async def test_no_pause_no_note(autojump_clock: trio.testing.MockClock) -> None:
    """A run without a pause notes nothing; its stop hands over as ever."""
    feeds = Feeds()
    async with running(feeds):
        await trio.sleep(1)
    assert feeds.notes == []
    assert len(feeds.ended) == 2


def test_time_between_runs_is_noted() -> None:
    """Each exchange has its gap from the last run's end to this one's beginning; a first run has none."""
    feeds = Feeds()
    note_offline(["alpha"], 0, 5 * SECOND, feeds.notes.extend)
    assert feeds.notes == []
    note_offline(["alpha", "beta"], 2 * SECOND, 5 * SECOND, feeds.notes.extend)
    assert feeds.noted() == [("alpha", "offline", 0, 3), ("beta", "offline", 0, 3)]


def noted_at_start(*still_open: CoverageNote, names: Sequence[str] = ("alpha",)) -> list[Note]:
    """Return what a start at 50 s notes after a stop at 20 s."""
    notes: list[Note] = []
    note_offline(names, 20 * SECOND, 50 * SECOND, notes.extend, still_open)
    return notes


def live_note(start_secs: int) -> CoverageNote:
    """Return that a table of alpha is live."""
    return CoverageNote("alpha", "A", "MD", CoverageState.LIVE, "", start_secs * SECOND, None)


def test_gap_of_a_run_that_ended_in_it_is_closed() -> None:
    """A pause that the last run did not survive ends with that run."""
    gap = gap_note("alpha", "disk full", SECOND, None)
    assert noted_at_start(gap) == [
        closed(gap, 20 * SECOND),
        offline_note("alpha", 19 * SECOND, 50 * SECOND),
    ]


def test_an_orderly_end_began_the_gap_until_now() -> None:
    """The run that ended in order has said when; the gap lasts as long as the exchange is not recorded."""
    gap = gap_note("alpha", "offline", 18 * SECOND, None)
    assert noted_at_start(gap) == [closed(gap, 50 * SECOND)]
    assert noted_at_start(gap, names=()) == []


def test_what_was_live_at_a_crash() -> None:
    """It ends a second before the last sign of life, and what was said over it since is said again."""
    live = live_note(5)
    gap = CoverageNote("alpha", "A", "MD", CoverageState.GAP, "lost", 8 * SECOND, 9 * SECOND)
    assert noted_at_start(live, gap) == [
        closed(live, 19 * SECOND),
        gap,
        offline_note("alpha", 19 * SECOND, 50 * SECOND),
    ]


def test_an_exchange_that_is_no_longer_enabled() -> None:
    """After a crash its gap goes on until it is enabled again."""
    live = live_note(5)
    assert noted_at_start(live, names=()) == [
        closed(live, 19 * SECOND),
        gap_note("alpha", "offline", 19 * SECOND, None),
    ]


def test_a_symbol_that_was_not_heard_of_before_a_crash() -> None:
    """Its connection may have been dead while others lived: tickers count as recorded up to its last row."""
    notes: list[Note] = []
    live = live_note(2)
    other, trades = (
        CoverageNote("alpha", symbol, table, CoverageState.LIVE, "", 2 * SECOND, None)
        for symbol, table in (("B", "MD"), ("A", "TRADES"))
    )
    heard = {("alpha", "A"): 9 * SECOND, ("alpha", "B"): 20 * SECOND}
    note_offline(["alpha"], 20 * SECOND, 50 * SECOND, notes.extend, [live, other, trades], None, heard)
    assert notes == [
        closed(live, 19 * SECOND),
        CoverageNote("alpha", "A", "MD", CoverageState.GAP, "offline", 8 * SECOND, 19 * SECOND),
        closed(other, 19 * SECOND),
        closed(trades, 19 * SECOND),
        offline_note("alpha", 19 * SECOND, 50 * SECOND),
    ]
