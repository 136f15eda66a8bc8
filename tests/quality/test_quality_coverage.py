"""The ledger: what is said of losses and holes, and what goes ahead of the rows and what with them."""

from __future__ import annotations

import pytest
from quality_rows import BACKFILLED, GAP, LIVE, SECOND, SYMBOL, Log, Recorder

from multilogger.notes import CoverageNote
from multilogger.quality.coverage import SET_ASIDE
from multilogger.quality.recorded import TAIL_SECS
from multilogger.tables import MD, TABLES, TRADES


def words(notes: list[CoverageNote]) -> list[tuple[str, str, float, float | None, int, int]]:
    """Return what notes say: table, state, start and end in seconds (to the microsecond), ids."""
    return [
        (
            note.table,
            note.state.value,
            note.start_ns // 1000 * 1000 / SECOND,
            None if note.end_ns is None else note.end_ns // 1000 * 1000 / SECOND,
            note.first_id,
            note.last_id,
        )
        for note in notes
    ]


def streaming(*, contiguous: bool = True) -> Recorder:
    """Return a recorder that carries the symbol since 10 s, with trades 1 and 2."""
    recorder = Recorder(contiguous=contiguous).at(10)
    recorder.carry()
    recorder.at(12).trades((1, 11), (2, 12))
    return recorder


def test_first_carried_is_live() -> None:
    """From the moment a connection first carries it, a symbol is live in all tables; it is said once."""
    recorder = Recorder().at(10)
    recorder.carry()
    recorder.at(20).carry()
    assert words(recorder.log.notes) == [
        ("MD", "live", 10, None, -1, -1),
        ("TRADES", "live", 10, None, -1, -1),
    ]
    assert recorder.log.states([9, 10, 30]) == "-LL"


def test_lost_and_the_next_id_comes() -> None:
    """MD has a gap from a second before the last data to the next carrier; trades had none after all."""
    recorder = streaming()
    recorder.at(25).lose(20)
    assert words(recorder.at_once)[2:] == [
        ("MD", "live", 10, 19, -1, -1),
        ("MD", "gap", 19, None, -1, -1),
        ("TRADES", "gap", 12, None, -1, -1),
    ]
    recorder.at(30).carry()
    assert words(recorder.at_once)[5:] == [("MD", "gap", 19, 30, -1, -1), ("MD", "live", 30, None, -1, -1)]
    assert recorder.log.states([18, 19, 29, 30], "MD") == "LGGL"
    assert recorder.log.states([11, 19, 29, 31]) == "LGGG"
    ahead = len(recorder.at_once)
    kept, with_rows = recorder.at(31).trades((3, 31))
    assert (kept, words(with_rows)) == ([3], [("TRADES", "gap", 12, 12, -1, -1)])
    assert len(recorder.at_once) == ahead
    assert recorder.log.states([18, 19, 29, 31]) == "LLLL"


@pytest.mark.parametrize("upward", [True, False])
def test_lost_and_ids_are_missing_until_two_pages_come(*, upward: bool) -> None:
    """The gap becomes a hole; each page fills its part of it, from either end; the rest stays missing."""
    recorder = streaming()
    recorder.at(25).lose(20)
    recorder.at(30).carry()
    ahead = len(recorder.at_once)
    _, with_rows = recorder.at(40).trades((9, 40))
    hole = ("TRADES", "gap", 12, 40, 3, 8)
    assert words(recorder.at_once[ahead:]) == [hole]
    assert recorder.at_once[-1].cause == "connection lost"
    # A batch still on its way might say more: what is missing is said again behind it.
    assert words(with_rows) == [hole, ("TRADES", "gap", 12, 12, -1, -1)]
    assert recorder.log.states([11, 12, 39, 40]) == "LGGL"
    pages = [[(3, 20.0), (4, 21.0), (5, 22.0)], [(6, 23.0), (7, 24.0), (8, 25.0)]]
    first, second = pages if upward else pages[::-1]
    kept, with_rows = recorder.at(50).backfill(*first)
    assert kept == [trade_id for trade_id, _ in first]
    assert recorder.log.holes() == {(6, 8) if upward else (3, 5)}
    assert recorder.log.states([11, 12, 21.5, 22.5, 39, 40]) == ("LBBGGL" if upward else "LGGGBL")
    kept, with_rows = recorder.at(60).backfill(*second)
    assert kept == [trade_id for trade_id, _ in second]
    assert recorder.log.holes() == set()
    assert recorder.log.states([11, 12, 21.5, 22.5, 39, 40]) == "LBBBBL"
    assert len(recorder.at_once) == ahead + 1
    assert (recorder.stats.gaps, recorder.stats.missing, recorder.stats.backfilled) == (0, 0, 6)


def test_a_late_trade_takes_the_hole_back() -> None:
    """What arrives live, if late, was never missing; the note that says so goes with its row."""
    recorder = streaming()
    recorder.at(20).trades((5, 20))
    assert words(recorder.at_once)[2:] == [("TRADES", "gap", 12, 20, 3, 4)]
    _, with_rows = recorder.trades((4, 19))
    assert words(with_rows) == [("TRADES", "gap", 12, 19, 3, 3)]
    assert recorder.log.states([12, 18, 19]) == "GGL"
    _, with_rows = recorder.trades((3, 18))
    assert words(with_rows) == [("TRADES", "gap", 12, 12, 3, 3)]
    assert recorder.log.states([12, 18, 19]) == "LLL"


def test_disorder_within_a_batch_is_not_said() -> None:
    """A trade that comes behind the next one, in the same hand-over, is no news."""
    recorder = streaming()
    kept, with_rows = recorder.at(20).trades((4, 20), (3, 19), (5, 20))
    assert (kept, with_rows, len(recorder.at_once)) == ([4, 3, 5], [], 2)


def test_given_up() -> None:
    """What the history doesn't give stays a gap, of another cause and without ids."""
    recorder = streaming()
    recorder.at(40).trades((9, 40))
    recorder.backfill((5, 20))
    for hole in recorder.quality.trades.holes():
        recorder.quality.trades.give_up(hole, "not in the exchange's history")
    assert {note.cause for note in recorder.take() if note.end_ns != note.start_ns} == {
        "not in the exchange's history"
    }
    assert recorder.log.holes() == set()
    assert recorder.log.states([12, 19, 20, 39, 40]) == "GGGGL"
    assert (recorder.stats.gaps, recorder.stats.missing, recorder.stats.given_up) == (5, 0, 5)


def test_trades_of_one_time_on_both_sides_of_a_hole() -> None:
    """Filling a hole of no length does not cover others at the same time, open or given up."""
    recorder = streaming()
    recorder.at(20).trades((4, 20), (6, 20), (8, 20))
    assert recorder.log.holes() == {(3, 3), (5, 5), (7, 7)}
    recorder.backfill((5, 20))
    assert recorder.log.state_at(20 * SECOND) is GAP
    (seventh,) = (hole for hole in recorder.quality.trades.holes() if hole.first == 7)
    recorder.quality.trades.give_up(seventh, "too old")
    recorder.take()
    recorder.backfill((3, 19))
    assert recorder.log.holes() == set()
    assert recorder.log.state_at(20 * SECOND) is GAP
    assert recorder.log.state_at(20 * SECOND - 1) is BACKFILLED


def test_the_exchange_names_the_last_trade() -> None:
    """A heartbeat that names the last trade proves that a silent symbol has missed none."""
    recorder = streaming()
    recorder.at(25).lose(20)
    recorder.book.heard_of(SYMBOL, 2)
    assert recorder.take() == []
    recorder.at(30).carry()
    assert recorder.book.unproven() == []
    recorder.at(41)
    assert recorder.book.unproven() == [SYMBOL]
    recorder.book.heard_of(SYMBOL, 2)
    assert words(recorder.take()) == [("TRADES", "gap", 12, 12, -1, -1)]
    assert recorder.book.unproven() == []


def test_a_heartbeat_overtakes_its_trade() -> None:
    """A trade that was named and comes within seconds is not missed."""
    recorder = streaming()
    recorder.at(20)
    recorder.book.heard_of(SYMBOL, 3)
    recorder.at(20 + TAIL_SECS - 0.5).trades((3, 20))
    recorder.at(30)
    recorder.book.settle()
    assert len(recorder.at_once) == 2
    assert recorder.quality.trades.holes() == []


def test_the_exchange_names_a_trade_that_does_not_come() -> None:
    """It is a hole at the tail, which grows while nothing comes, and which a late trade may yet fill."""
    recorder = streaming()
    recorder.at(20)
    recorder.book.heard_of(SYMBOL, 4)
    recorder.at(20 + TAIL_SECS)
    recorder.book.settle()
    assert words(recorder.at_once)[2:] == [("TRADES", "gap", 12, 20 + TAIL_SECS, 3, 4)]
    recorder.at(30)
    recorder.book.heard_of(SYMBOL, 6)
    recorder.at(40)
    recorder.book.heard_of(SYMBOL, 7)
    assert recorder.log.holes() == {(3, 6)}
    assert recorder.log.states([12, 39, 41]) == "GGL"
    kept, _ = recorder.at(50).trades((7, 45), (5, 35))
    assert kept == [7, 5]
    assert recorder.log.holes() == {(3, 4), (6, 6)}
    assert recorder.log.states([12, 34, 35, 39]) == "GGGG"


def test_lost_and_the_exchange_names_a_newer_trade() -> None:
    """The gap of a loss becomes a hole at the tail once the named trade has not come."""
    recorder = streaming()
    recorder.at(25).lose(20)
    recorder.at(30).carry()
    recorder.at(31)
    recorder.book.heard_of(SYMBOL, 5)
    recorder.at(35)
    recorder.book.heard_of(SYMBOL, 5)
    recorder.take()
    assert recorder.log.holes() == {(3, 5)}
    assert recorder.log.states([12, 20, 34, 36]) == "GGGL"
    recorder.at(50).trades((6, 50))
    assert recorder.log.holes() == {(3, 5)}


def test_rows_that_come_after_the_loss_prove_nothing() -> None:
    """The last hand-over of a connection that is gone says nothing of what followed."""
    recorder = streaming()
    recorder.at(25).lose(20)
    kept, with_rows = recorder.trades((3, 20))
    assert (kept, with_rows) == ([3], [])
    assert recorder.log.states([19, 30]) == "GG"


def test_losses_in_quick_succession_have_starts_of_their_own() -> None:
    """A gap that began when the last one did would be ended by its end."""
    recorder = streaming()
    for lost in (20.0, 20.1, 20.2):
        recorder.at(lost).lose(20)
        recorder.at(lost + 0.05).carry()
        recorder.trades((round((lost - 19.7) * 10), lost))
    for table in TABLES:
        opened = [note for note in recorder.at_once if note.state is GAP and note.end_ns is None]
        starts = [note.start_ns for note in opened if note.table == table.name]
        assert len({*starts}) == len(starts) == 3
    recorder.at(20.3).lose(20.3)
    assert recorder.log.states([20.26, 20.31], "MD") == "GG"


def test_without_contiguous_ids_a_gap_of_trades_stays() -> None:
    """Ids that only rise prove nothing: the gap ends when the symbol is carried again."""
    recorder = streaming(contiguous=False)
    recorder.at(25).lose(20)
    recorder.at(30).carry()
    recorder.trades((3, 31))
    for table in TABLES:
        assert recorder.log.states([18, 19, 29, 30], table.name) == "LGGL"
    assert recorder.book.unproven() == []


def test_one_table_alone() -> None:
    """A loss of one table leaves the other as it is, and trades of it prove what they prove."""
    recorder = streaming()
    recorder.book.lost([SYMBOL], 20 * SECOND, "silent", MD)
    assert (recorder.log.states([25], "MD"), recorder.log.states([25])) == ("G", "L")
    recorder.book.lost([SYMBOL], 20 * SECOND, "silent", TRADES)
    assert recorder.log.states([25]) == "G"
    recorder.at(30).trades((3, 30))
    assert recorder.log.states([25]) == "L"
    recorder.carry()
    assert recorder.log.states([25, 31], "MD") == "GL"


def test_set_aside_by_a_breaker() -> None:
    """While rows are set aside they are missing; afterwards the ids of trades say which."""
    recorder = streaming()
    recorder.at(21)
    for table in TABLES:
        recorder.book.set_aside([SYMBOL], table, on=True)
    assert {note.cause for note in recorder.log.standing() if note.state is GAP} == {SET_ASIDE}
    recorder.at(22).lose(22)
    recorder.at(30).carry()
    assert recorder.log.states([21, 31], "MD") == "GG"
    recorder.at(40)
    for table in TABLES:
        recorder.book.set_aside([SYMBOL], table, on=False)
    recorder.at(41).trades((6, 41))
    assert recorder.log.states([21, 39, 40], "MD") == "GGL"
    assert recorder.log.states([12, 39, 41]) == "GGL"
    assert recorder.log.holes() == {(3, 5)}


def test_more_gaps_than_are_repeated() -> None:
    """Gaps without ids outlast the end of the live interval they are in, however many there are."""
    recorder = streaming()
    for number in range(300):
        at = 20 + 2 * number
        recorder.at(at).trades((4 + 3 * number, at))
        for hole in recorder.quality.trades.holes():
            recorder.quality.trades.give_up(hole, "too old")
        recorder.take()
        recorder.trades((5 + 3 * number, at + 1))
    recorder.at(700)
    recorder.book.released([SYMBOL])
    log: Log = recorder.log
    assert log.states([19 + 2 * number for number in range(300)]) == "G" * 300
    assert log.states([20 + 2 * number for number in range(300)]) == "L" * 300
    assert log.states([699, 700]) == "L-"
    assert sum(note.state is LIVE for note in log.standing()) >= 3
