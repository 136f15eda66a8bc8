"""Holes in the trades are filled from the exchange's history: what is asked for, when, what comes of it."""

from __future__ import annotations

import pytest
import trio
from connection_history import RECV_NS, make_repair, missing_by_notes, recorded, time_of
from trio.testing import MockClock

from multilogger.connection.agenda import GRACE_SECS
from multilogger.exchanges.base import TradeHistory
from multilogger.notes import CoverageNote, CoverageState
from multilogger.records import Flag
from multilogger.tables import TRADES

FILLED = int(Flag.BACKFILLED)


async def test_backfill_fills_a_hole(autojump_clock: MockClock) -> None:
    """What was skipped is asked for after a grace, and recorded once, flagged, at the time of receipt."""
    repair = make_repair()
    repair.receive("A", 1, 5)
    assert repair.stats.missing == 3
    await repair.run_for(10)
    assert repair.exchange.asked == [(GRACE_SECS, "A", 2, 4)]
    batches = repair.received_now()
    assert recorded(batches) == {1: 0, 5: 0, 2: FILLED, 3: FILLED, 4: FILLED}
    assert batches[-1].rows[TRADES.number]["recv_ns"].tolist() == [RECV_NS] * 3
    assert (repair.stats.missing, repair.stats.gaps, repair.stats.backfilled) == (0, 0, 3)
    assert repair.stats.rows["TRADES"] == 5


async def test_backfill_says_so_in_the_ledger(autojump_clock: MockClock) -> None:
    """The gap is noted at once, and taken back, as backfilled, together with the rows that fill it."""
    repair = make_repair()
    repair.receive("A", 1, 5)
    assert missing_by_notes(repair.said) == {"A": [(2, 4, "ids missing")]}
    await repair.run_for(10)
    with_rows = [note for batch in repair.received_now() for note in batch.notes]
    assert missing_by_notes([*repair.said, *with_rows]) == {}
    notes = [note for note in with_rows if isinstance(note, CoverageNote)]
    backfilled = [it for it in notes if it.state is CoverageState.BACKFILLED]
    assert [(it.start_ns, it.end_ns) for it in backfilled] == [(time_of(1), time_of(5))]


async def test_backfill_waits_for_late_trades(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A trade that comes within the grace is not asked for."""
    repair = make_repair()
    nursery.start_soon(repair.run)
    repair.receive("A", 1, 3)
    await trio.sleep(2.9)
    repair.receive("A", 2)
    await trio.sleep(20)
    assert repair.exchange.asked == []
    assert recorded(repair.received_now()) == {1: 0, 3: 0, 2: 0}


async def test_backfill_wakes_up_for_a_hole(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A hole is found the moment that a row shows it, however long nothing was missing."""
    repair = make_repair()
    nursery.start_soon(repair.run)
    await trio.sleep(1001)
    repair.receive("A", 1, 3)
    await trio.sleep(20)
    assert repair.times() == [1001 + GRACE_SECS]


async def test_backfill_walks_a_large_hole_page_by_page(autojump_clock: MockClock) -> None:
    """What a page leaves open is asked for next, until every trade is there once."""
    repair = make_repair()
    repair.receive("A", 1, 302)
    await repair.run_for(10)
    assert repair.spans() == [("A", 2, 301), ("A", 2, 201), ("A", 2, 101)]
    assert sorted(recorded(repair.received_now())) == list(range(1, 303))


async def test_backfill_reads_the_holes_again_before_each_page(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Trades that come late while a page is fetched are neither asked for nor recorded again."""
    repair = make_repair()
    repair.exchange.request_secs = 1
    repair.receive("A", 1, 302)
    nursery.start_soon(repair.run)
    await trio.sleep(GRACE_SECS + 0.5)
    repair.receive("A", *range(150, 221))
    await trio.sleep(10)
    assert repair.spans() == [("A", 2, 301), ("A", 2, 149), ("A", 2, 49)]
    flags = recorded(repair.received_now())
    assert sorted(flags) == list(range(1, 303))
    assert [trade_id for trade_id, flag in flags.items() if not flag] == [1, 302, *range(150, 221)]
    assert repair.holes() == []


async def test_backfill_of_symbols_in_turn(autojump_clock: MockClock) -> None:
    """Symbols take turns, those with the newest holes first, and each has its newest hole filled first."""
    repair = make_repair()
    repair.receive("A", 1, 10, 11, 400)
    repair.receive("B", 500, 750)
    repair.receive("C", 600, 603)
    await repair.run_for(10)
    assert repair.spans() == [
        ("B", 501, 749),
        ("C", 601, 602),
        ("A", 12, 399),
        ("B", 501, 649),
        ("A", 12, 299),
        ("B", 501, 549),
        ("A", 12, 199),
        ("A", 12, 99),
        ("A", 2, 9),
    ]
    batches = repair.received_now()
    assert sorted(recorded(batches, "A")) == list(range(1, 401))
    assert sorted(recorded(batches, "B")) == list(range(500, 751))


async def test_backfill_of_a_hole_at_the_tail(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Trades that the exchange names, and never sends, are asked for."""
    repair = make_repair()
    nursery.start_soon(repair.run)
    repair.coverage.carried(["A"])
    repair.receive("A", 1)
    repair.exchange.newest_id = 3
    for _ in range(12):
        await trio.sleep(1)
        repair.coverage.heard_of("A", 3)
    assert repair.spans() == [("A", 2, 3)]
    assert recorded(repair.received_now()) == {1: 0, 2: FILLED, 3: FILLED}


async def test_backfill_of_the_newest_trades_only(autojump_clock: MockClock) -> None:
    """Where no span can be asked for, the newest trades give what they have, and the rest is given up."""
    repair = make_repair()
    repair.exchange.history = TradeHistory(by_id=False)
    repair.exchange.newest_id = 205
    repair.receive("A", 1, 204)
    await repair.run_for(200)
    assert sorted(recorded(repair.received_now())) == [1, *range(106, 205)]
    assert set(repair.spans()) == {("A", 106, 205)}
    assert (repair.stats.given_up, repair.stats.missing) == (104, 0)


@pytest.mark.parametrize("lost", [(), (3,), (2, 3, 4)])
async def test_backfill_with_several_holes_at_once(lost: tuple[int, ...], autojump_clock: MockClock) -> None:
    """Holes that are filled by one another's pages are not asked for twice."""
    repair = make_repair()
    repair.exchange.void = set(lost)
    repair.receive("A", 1, 5, 7, 9)
    await repair.run_for(300)
    assert sorted(recorded(repair.received_now())) == [it for it in range(1, 10) if it not in lost]
    assert repair.stats.given_up == len(lost)
