"""The ledger over restarts, pauses and ends: what the ids say of the time in between."""

from __future__ import annotations

from quality_rows import BACKFILLED, GAP, LIVE, SECOND, SYMBOL, Recorder, restarted

from multilogger.notes import OFFLINE, CoverageState
from multilogger.quality.missing import Hole
from multilogger.supervision.feeds import note_offline
from multilogger.tables import MD


def streaming() -> Recorder:
    """Return a recorder that carries the symbol since 10 s, with trades 1 and 2."""
    recorder = Recorder().at(10)
    recorder.carry()
    recorder.at(12).trades((1, 11), (2, 12))
    return recorder


def stopped() -> Recorder:
    """Return one that has stopped in order at 20 s, and begins again at 50 s."""
    before = streaming()
    before.at(20).book.close()
    return begun_again(before, 21, (2, 12))


def begun_again(before: Recorder, stopped_secs: float, last: tuple[int, float]) -> Recorder:
    """Return the next run, begun at 50 s."""
    after = restarted(before, stopped_secs, last)
    still_open = [note for note in before.log.standing() if note.end_ns is None]
    note_offline(["binance"], after.stopped_ns, 50 * SECOND, after.log.add, still_open)
    return after.at(50)


def test_an_orderly_stop() -> None:
    """What was live ends with the run, and nothing is recorded from then on."""
    recorder = streaming()
    recorder.at(20).book.close()
    for table in ("MD", "TRADES"):
        assert recorder.log.states([10, 19, 20, 1000], table) == "LLGG"
    assert [note.cause for note in recorder.log.standing() if note.end_ns is None] == [OFFLINE]


def test_restart_and_the_next_id_comes() -> None:
    """Trades were live all the time, MD was not; what says so goes with the row that shows it."""
    recorder = stopped()
    recorder.at(55).carry()
    assert recorder.log.states([19, 20, 49, 54, 56], "MD") == "LGGGL"
    assert recorder.log.states([19, 20, 49, 54, 56]) == "LGGGL"
    ahead = len(recorder.at_once)
    kept, with_rows = recorder.at(60).trades((2, 12), (3, 60))
    assert (kept, len(recorder.at_once)) == ([3], ahead)
    assert [note.state for note in with_rows] == [LIVE]
    assert recorder.log.states([12, 19, 20, 49, 54, 61]) == "LLLLLL"
    assert recorder.log.states([19, 20, 49, 54, 56], "MD") == "LGGGL"


def test_restart_and_ids_are_missing() -> None:
    """The hole begins with the last trade on disk; what the history gives of it is whole again."""
    recorder = stopped()
    recorder.at(55).carry()
    recorder.trades((6, 60))
    assert recorder.log.holes() == {(3, 5)}
    assert recorder.at_once[-1].cause == OFFLINE
    assert recorder.log.states([11, 12, 49, 59, 60]) == "LGGGL"
    kept, _ = recorder.backfill((3, 25), (4, 35))
    assert kept == [3, 4]
    assert recorder.log.states([12, 20, 34, 35, 59, 60]) == "BBBGGL"
    recorder.backfill((5, 58))
    assert recorder.log.states([11, 12, 20, 34, 35, 59, 60]) == "LBBBBBL"


def test_restart_and_the_exchange_names_the_last_trade() -> None:
    """A symbol that does not trade is proven whole without a trade."""
    recorder = stopped()
    recorder.at(55).carry()
    recorder.at(70).book.heard_of(SYMBOL, 2)
    recorder.take()
    assert recorder.log.states([12, 19, 20, 49, 54, 61]) == "LLLLLL"


def test_restart_after_a_crash() -> None:
    """The last second before the end may be missing, unless ids tell that it isn't."""
    before = streaming()
    before.trades((3, 19.5))
    recorder = begun_again(before, 20, (3, 19.5))
    for table in ("MD", "TRADES"):
        assert recorder.log.states([18.9, 19, 20, 49], table) == "LGGG"
    recorder.at(51).carry()
    recorder.trades((4, 52))
    assert recorder.log.states([18.9, 19, 20, 49, 51]) == "LLLLL"
    assert recorder.log.states([18.9, 19, 20, 49, 51], "MD") == "LGGGL"


def test_a_crash_in_a_gap() -> None:
    """Gaps that were open end with the run; later ids may still say that no trade was missed."""
    before = streaming()
    before.at(15).lose(15)
    recorder = begun_again(before, 20, (2, 12))
    assert recorder.log.states([11, 14, 19.5, 49]) == "LGGG"
    recorder.at(51).carry()
    recorder.trades((3, 52))
    assert recorder.log.states([13, 14, 19.5, 49]) == "LLLL"
    assert recorder.log.states([13, 14, 19.5, 49, 51], MD.name) == "LGGGL"


def test_a_hole_is_known_although_its_rows_were_lost() -> None:
    """A hole that was said ahead of rows that never became durable, and those rows, are missing after it."""
    before = streaming()
    before.trades((3, 13), (4, 14), (7, 15))
    recorder = begun_again(before, 20, (2, 12))
    number = recorder.symbols.number(SYMBOL)
    recorder.quality.trades.add_hole(Hole(number, 5, 6, 14 * SECOND, 15 * SECOND, "ids missing"))
    recorder.take()
    assert recorder.log.holes() == {(3, 4), (5, 6)}
    recorder.at(51).carry()
    kept, _ = recorder.trades((9, 52))
    assert kept == [9]
    assert recorder.log.holes() == {(3, 4), (5, 6), (7, 8)}
    assert recorder.log.states([11, 12, 13.5, 14.5, 30, 52]) == "LGGGGL"


def test_rows_of_a_hole_are_on_disk_already() -> None:
    """A crash before the notes of rows that fill a hole: the rows from disk fill it now, and are not kept."""
    before = streaming()
    before.trades((6, 15))
    recorder = begun_again(before, 20, (6, 15))
    number = recorder.symbols.number(SYMBOL)
    recorder.quality.trades.add_hole(Hole(number, 3, 5, 12 * SECOND, 15 * SECOND, "ids missing"))
    recorder.backfill((4, 14))
    assert recorder.log.holes() == {(3, 3), (5, 5)}
    assert [(hole.first, hole.last) for hole in recorder.quality.trades.holes_of(number)] == [(3, 3), (5, 5)]


def test_a_pause() -> None:
    """All connections end, and begin again: the ids say what of the trades was missed."""
    recorder = streaming()
    recorder.at(22).book.pause("disk full", 20 * SECOND)
    assert recorder.log.states([19, 20, 30]) == "LGG"
    recorder.at(40).carry()
    assert recorder.log.states([19, 20, 39, 41], "MD") == "LGGL"
    assert recorder.log.states([19, 20, 39, 41]) == "LGGL"
    recorder.at(45).trades((3, 45))
    assert recorder.log.states([19, 20, 39, 41]) == "LLLL"
    assert {note.cause for note in recorder.log.standing() if note.state is GAP} == {"disk full"}


def test_a_pause_after_a_loss() -> None:
    """Trades are in doubt since the loss; ids that are missing are looked for from the last trade on."""
    recorder = streaming()
    recorder.at(16).lose(15)
    recorder.at(22).book.pause("disk full", 20 * SECOND)
    recorder.at(40).carry()
    recorder.at(45).trades((4, 45))
    assert recorder.log.holes() == {(3, 3)}
    assert recorder.log.states([11, 12, 30, 44, 45]) == "LGGGL"
    recorder.backfill((3, 30))
    assert recorder.log.states([11, 12, 30, 44, 45]) == "LBBBL"


def test_a_hole_outlasts_the_end_of_what_is_live() -> None:
    """The end of a live interval is a later word than the hole in it, which is therefore repeated."""
    recorder = streaming()
    recorder.at(15).trades((4, 15))
    recorder.at(20).book.close()
    assert recorder.log.states([11, 13, 16, 21]) == "LGLG"
    assert recorder.log.holes() == {(3, 3)}


def test_an_exchange_that_is_taken_out_and_put_back() -> None:
    """After its end an exchange can be recorded again by the same program."""
    recorder = streaming()
    recorder.at(20).book.close()
    recorder.at(30).book.close()
    assert [note.start_ns for note in recorder.log.standing() if note.end_ns is None] == [20 * SECOND]
    recorder.at(40).carry()
    assert recorder.log.states([19, 30, 41], "MD") == "LGL"
    recorder.trades((3, 41))
    assert recorder.log.states([19, 30, 41]) == "LLL"


def test_halted_not_listed_and_released() -> None:
    """What the exchange does not trade is no gap; neither is what nobody wants."""
    recorder = streaming()
    recorder.at(20).book.halted([SYMBOL])
    recorder.at(25).book.halted([SYMBOL])
    recorder.at(30).book.listed_again([SYMBOL])
    assert recorder.log.states([19, 20, 29, 30]) == "LHHL"
    recorder.at(40).book.not_listed([SYMBOL])
    recorder.at(50).carry()
    recorder.book.listed_again([SYMBOL])
    assert recorder.log.states([39, 40, 49, 50]) == "LNNL"
    recorder.at(60).book.released([SYMBOL])
    assert recorder.log.states([59, 61]) == "L-"
    assert recorder.log.state_at(45 * SECOND) is CoverageState.NOT_LISTED
    assert BACKFILLED not in {note.state for note in recorder.log.standing()}


def test_a_symbol_that_is_new_after_a_restart() -> None:
    """Of a symbol without anything on disk nothing is said of the time before."""
    recorder = Recorder(stopped_ns=20 * SECOND).at(50)
    recorder.carry()
    assert recorder.log.states([30, 51]) == "-L"
    assert recorder.book.unproven() == []
