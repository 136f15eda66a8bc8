"""When the history does not answer, has nothing yet, or never will: what waits, and what is given up."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from connection_history import Repair, make_repair, missing_by_notes, recorded
from structlog.testing import capture_logs
from trio.testing import MockClock

from multilogger.connection.agenda import GRACE_SECS
from multilogger.connection.backfill import NO_HISTORY, NOT_THERE, OFF, TOO_OLD
from multilogger.errors import ListingError, RateLimited, RestError
from multilogger.exchanges.base import TradeHistory, TradeIds


def gaps_left(repair: Repair) -> dict[str, list[tuple[int, int, str]]]:
    """Return the gaps that all notes so far leave open."""
    with_rows = [note for batch in repair.received_now() for note in batch.notes]
    return missing_by_notes([*repair.said, *with_rows])


async def test_backfill_asks_a_stale_cache_again(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What is not there yet is asked for again after 5 and 15 seconds, and taken when it is."""
    repair = make_repair()
    repair.exchange.newest_id = 3
    repair.receive("A", 1, 6)
    nursery.start_soon(repair.run)
    await trio.sleep(GRACE_SECS + 10)
    repair.exchange.newest_id = 5
    await trio.sleep(100)
    assert repair.times() == [3, 3, 8, 23]
    assert repair.spans() == [("A", 2, 5), ("A", 4, 5), ("A", 4, 5), ("A", 4, 5)]
    assert sorted(recorded(repair.received_now())) == [1, 2, 3, 4, 5, 6]
    assert repair.stats.given_up == 0


async def test_backfill_counts_answers_in_vain_in_a_row(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """An answer that brings anything begins the count of those in vain anew."""
    repair = make_repair()
    repair.receive("A", 1, 6)
    repair.exchange.newest_id = 1
    nursery.start_soon(repair.run)
    for newest in (3, 5):
        await trio.sleep(30)
        repair.exchange.newest_id = newest
        await trio.sleep(60)
    assert repair.times() == [3, 8, 23, 83, 83, 88, 103, 163]
    assert (repair.holes(), repair.stats.given_up) == ([], 0)


async def test_backfill_gives_up_what_the_history_never_has(autojump_clock: MockClock) -> None:
    """After four answers in vain a hole is a gap for good, and is not asked for any more."""
    repair = make_repair()
    repair.exchange.void = {3, 4}
    repair.receive("A", 1, 6)
    with capture_logs() as logs:
        await repair.run_for(1000)
    assert repair.times() == [3, 3, 8, 23, 83]
    assert (repair.stats.given_up, repair.stats.missing, repair.holes()) == (2, 0, [])
    assert gaps_left(repair) == {"A": [(-1, -1, NOT_THERE)]}
    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert (line["symbol"], line["first"], line["last"], line["why"]) == ("A", 3, 4, NOT_THERE)


async def test_backfill_notes_what_it_gives_up_without_any_rows(autojump_clock: MockClock) -> None:
    """That nothing will come is said once it is no longer just late, though nothing else is sent."""
    repair = make_repair(backfill=False)
    repair.receive("A", 1, 6)
    assert [len(batch) for batch in repair.received_now()] == [2]
    await repair.run_for(1)
    assert list(repair.received_now()) == []
    await repair.run_for(4)
    (batch,) = repair.received_now()
    assert len(batch) == 0
    assert missing_by_notes([*repair.said, *batch.notes]) == {"A": [(-1, -1, OFF)]}


async def test_backfill_without_a_history(autojump_clock: MockClock) -> None:
    """An exchange that has none is not asked."""
    repair = make_repair()
    repair.exchange.history = None
    repair.receive("A", 1, 6)
    await repair.run_for(100)
    assert repair.exchange.asked == []
    assert gaps_left(repair) == {"A": [(-1, -1, NO_HISTORY)]}


@pytest.mark.parametrize(
    ("max_age_secs", "history", "cause"),
    [
        (60, TradeHistory(), TOO_OLD),
        (86400, TradeHistory(max_age_secs=60), NOT_THERE),
    ],
)
async def test_backfill_of_old_holes(
    max_age_secs: float, history: TradeHistory, cause: str, autojump_clock: MockClock
) -> None:
    """A hole that ended too long ago is given up, by the configuration or by what the exchange keeps."""
    repair = make_repair(backfill_max_age_secs=max_age_secs)
    repair.exchange.history = history
    await trio.sleep(50)
    repair.receive("A", 48_000, 50_000)
    repair.receive("B", 1, 3)
    await trio.sleep(20)
    await repair.run_for(10)
    assert repair.spans()[0] == ("A", 48_001, 49_999)
    assert {symbol for symbol, *_ in repair.spans()} == {"A"}
    assert gaps_left(repair)["B"] == [(-1, -1, cause)]


async def test_backfill_stops_where_a_large_hole_is_too_old(autojump_clock: MockClock) -> None:
    """A hole is walked from its newer end: what of it is too old is given up on the way."""
    repair = make_repair(backfill_max_age_secs=60)
    await trio.sleep(100)
    repair.receive("A", 10_000, 40_201)
    await repair.run_for(1)
    assert repair.exchange.asked == []
    repair = make_repair(backfill_max_age_secs=60 + GRACE_SECS)
    repair.receive("A", 10_000, 41_150)
    await repair.run_for(10)
    # Ids are milliseconds, and it is second 104: what came before 41,000 is older than 63 seconds.
    assert repair.spans() == [("A", 10_001, 41_149), ("A", 10_001, 41_049)]
    assert repair.stats.given_up == 40_949 - 10_000
    assert gaps_left(repair) == {"A": [(-1, -1, TOO_OLD)]}


@pytest.mark.parametrize("failure", [RestError("no route"), ListingError("no JSON")])
async def test_backfill_backs_off(
    failure: RestError, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A failed request is made again later and later, is told in the counters, and loses nothing."""
    repair = make_repair()
    failures = [failure] * 4
    repair.exchange.answer = lambda _: failures.pop() if failures else None
    repair.receive("A", 1, 4)
    nursery.start_soon(repair.run)
    await trio.sleep(GRACE_SECS + 1)
    assert repair.stats.backfill_problem == str(failure)
    await trio.sleep(200)
    times = repair.times()
    assert [round(later - earlier) for earlier, later in pairwise(times)] == [
        5,
        10,
        20,
        40,
    ]
    assert repair.stats.backfill_problem == ""
    assert sorted(recorded(repair.received_now())) == [1, 2, 3, 4]


async def test_backfill_of_a_symbol_that_always_fails(autojump_clock: MockClock) -> None:
    """A symbol that the exchange refuses does not keep the others from being repaired."""
    repair = make_repair(backfill_max_age_secs=2000)
    repair.exchange.answer = lambda symbol: RestError("400") if symbol == "A" else None
    for symbol in "BCDE":
        repair.receive(symbol, 1, 250)
    repair.receive("A", 1, 300)
    await repair.run_for(1900)
    assert repair.exchange.asked[0][1] == "A"
    assert repair.holes() == [("A", 2, 299)]
    assert len([symbol for symbol, *_ in repair.spans() if symbol == "A"]) <= 14
    await repair.run_for(200)
    assert repair.stats.given_up == 298


async def test_backfill_when_the_exchange_wants_no_requests(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """After a 429 nothing at all is asked for until its time is over, and then at once."""
    repair = make_repair()
    failures = [RateLimited("429", 120.0)]
    repair.exchange.answer = lambda _: failures.pop() if failures else None
    repair.receive("A", 1, 4)
    repair.receive("B", 1, 4)
    nursery.start_soon(repair.run)
    await trio.sleep(GRACE_SECS + 119)
    assert repair.times() == [3]
    assert repair.stats.backfill_problem == "429"
    await trio.sleep(10)
    assert repair.times() == [3, 123, 123]
    assert repair.holes() == []
    assert repair.stats.backfill_problem == ""


async def test_backfill_problem_ends_with_the_hole(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Once nothing is missing, that the history can't be asked is no problem any more."""
    repair = make_repair()
    repair.exchange.answer = lambda _: RestError("no route")
    repair.receive("A", 1, 3)
    nursery.start_soon(repair.run)
    await trio.sleep(GRACE_SECS + 1)
    repair.receive("A", 2)
    await trio.sleep(10)
    assert repair.stats.backfill_problem == ""
    assert len(repair.exchange.asked) == 1


async def test_backfill_does_not_hammer_a_hole_that_grows(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A hole at the tail that grows while nothing is found of it waits like any other."""
    repair = make_repair()
    repair.coverage.carried(["A"])
    repair.receive("A", 1)
    repair.exchange.newest_id = 1
    repair.exchange.request_secs = 2
    nursery.start_soon(repair.run)
    for newest in range(1000, 61_000, 1000):
        await trio.sleep(1)
        repair.coverage.heard_of("A", newest)
    assert 3 <= len(repair.exchange.asked) <= 5


async def test_backfill_believes_a_history_that_has_no_such_ids(autojump_clock: MockClock) -> None:
    """Where ids are only suspected to be missing, a history that has none of them says that none are."""
    repair = make_repair()
    repair.exchange.trade_ids = TradeIds.SUSPECTED
    repair.exchange.void = {3, 4}
    repair.receive("A", 1, 6)
    with capture_logs() as logs:
        await repair.run_for(1000)
    assert repair.times() == [3, 3, 8, 23, 83]
    assert (repair.stats.given_up, repair.stats.missing, repair.stats.gaps) == (0, 0, 0)
    assert (repair.holes(), gaps_left(repair)) == ([], {})
    assert [line for line in logs if line["log_level"] == "warning"] == []
