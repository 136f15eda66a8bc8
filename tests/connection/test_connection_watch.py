from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from connection_peer import until
from connection_watched import fall_silent, traded, watched
from trio.testing import MockClock

from multilogger.connection.watch import TRY_AGAIN_SECS, WATCH_SECS
from multilogger.errors import RestError
from multilogger.notes import gap_note
from multilogger.stats import LinkState


async def test_quiet_symbols_are_left_alone(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """If the exchange has nothing newer than what came, silence is true; it is asked once a second."""
    rig = watched(nursery)
    names = [f"S{number}" for number in range(8)]
    await rig.start(nursery, names)
    await trio.sleep(60)
    for name in names:
        traded(rig, name)
        await rig.venue.publish("t", name, 1)
    await trio.sleep(60)
    fall_silent(rig, *names)
    await trio.sleep(60)
    assert [symbol for _, symbol in rig.exchange.looks] == names
    assert all(later - earlier >= 1 for (earlier, _), (later, _) in pairwise(rig.exchange.looks))
    assert (rig.stats.looks, rig.stats.resubscribes, rig.stats.deaf) == (8, 0, {})
    excused = [what for word, what in rig.quality.told if word == "excused TRADES"]
    assert excused == [(rig.feed.symbols.number(name),) for name in names]
    assert [symbol for symbol, _ in rig.coverage.newest] == names
    assert len(rig.venue.peers) == 1
    assert autojump_clock.current_time() < 200


async def test_no_history_of_the_symbol_is_quiet(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A symbol that has never traded, or not since it is carried, is not deaf."""
    rig = watched(nursery)
    traded(rig, "OLD", ago=100)
    await rig.start(nursery, ["NEVER", "OLD"])
    await trio.sleep(60)
    fall_silent(rig, "NEVER", "OLD")
    await trio.sleep(60)
    assert (rig.stats.looks, rig.stats.resubscribes) == (2, 0)
    assert autojump_clock.current_time() < 130


async def test_a_trade_under_way_is_no_deafness(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A trade that comes by REST and then by WebSocket costs nothing."""
    rig = watched(nursery)
    await rig.start(nursery, ["A"])
    await trio.sleep(60)
    fall_silent(rig, "A")
    await until(lambda: bool(rig.feed.carriers.of("A")) and rig.stats.looks == 0 and "A" in rig.carried)
    traded(rig, "A", trade_id=1)
    await until(lambda: rig.stats.looks == 1)
    await rig.venue.publish("t", "A", 1)
    rig.quality.quiet.clear()
    await trio.sleep(60)
    assert rig.stats.resubscribes == 0
    assert autojump_clock.current_time() < 140


async def test_failing_requests(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A look that fails is tried again, ever more rarely, and decides nothing."""
    rig = watched(nursery)
    await rig.start(nursery, ["A"])
    rig.exchange.on_record["A"] = RestError("HTTP status 500")
    fall_silent(rig, "A")
    await trio.sleep(300)
    assert 10 < rig.stats.looks < 40
    assert rig.stats.resubscribes == 0
    traded(rig, "A", ago=10)
    await until(lambda: rig.stats.resubscribes == 1)
    assert autojump_clock.current_time() < 400


async def test_a_request_without_an_answer(
    nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up after half a minute; meanwhile nobody else is asked."""
    rig = watched(nursery)
    await rig.start(nursery, ["A", "B"])

    async def fetch_nothing(symbol: str) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(rig.exchange, "fetch_newest", fetch_nothing)
    fall_silent(rig, "A", "B")
    await trio.sleep(25)
    assert rig.stats.looks == 1
    await trio.sleep(60)
    assert 2 <= rig.stats.looks <= 3
    assert autojump_clock.current_time() < 100


async def test_without_anybody_to_ask(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Where there is no history, silence is reason for one resubscription, and for no more."""
    rig = watched(nursery)
    rig.exchange.history = None
    await rig.start(nursery, ["A"])
    fall_silent(rig, "A")
    await trio.sleep(10 * TRY_AGAIN_SECS)
    assert (rig.stats.resubscribes, rig.stats.reconnects, rig.stats.looks, rig.stats.deaf) == (1, 0, 0, {})
    assert autojump_clock.current_time() > 10 * TRY_AGAIN_SECS


async def test_a_wrong_clock_of_the_exchange(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """If its times are hours behind ours, a second look that finds another trade shows deafness, too."""
    rig = watched(nursery)
    await rig.start(nursery, ["A"])
    traded(rig, "A", trade_id=1, ago=10_000)
    fall_silent(rig, "A")
    await until(lambda: rig.stats.looks == 1)
    await trio.sleep(60)
    assert rig.stats.resubscribes == 0
    traded(rig, "A", trade_id=2, ago=9_990)
    fall_silent(rig, "A")
    await until(lambda: rig.stats.resubscribes == 1)
    assert rig.stats.looks == 2
    assert autojump_clock.current_time() < 120


async def test_a_writer_that_is_behind_makes_nobody_deaf(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """While a connection waits for the writer it can't hear, and is not blamed for it."""
    rig = watched(nursery, channel_size=0)
    await rig.start(nursery, ["A"], buffer_size=1)
    for number in range(3):
        await rig.venue.publish("t", "A", number)
    rig.quality.late["TRADES"] = {rig.feed.symbols.number("A")}
    await trio.sleep(120)
    assert rig.stats.resubscribes == 0
    assert autojump_clock.current_time() > 120


async def test_notes_without_rows_are_sent(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What has become true while nothing was traded is journalled all the same, soon."""
    rig = watched(nursery)
    await rig.start(nursery, ["A"])
    note = gap_note("words", "silent", 1, 2)
    rig.quality.notes.append(note)
    with trio.fail_after(WATCH_SECS + 1):
        batch = await rig.batches.receive()
    assert (batch.notes, len(batch)) == ((note,), 0)
    assert rig.stats.links["words-0"].state is LinkState.STREAMING
    assert autojump_clock.current_time() < 7
