"""Trades that an exchange leaves out of its stream are found by its own page of the newest ones."""

from __future__ import annotations

import pytest
from quality_pages import come, lost, page, span, streaming, uid, unordered
from quality_rows import BACKFILLED, GAP, SECOND, SYMBOL, Recorder

from multilogger.quality.audits import CLOCKS_NS, LEFT_OUT
from multilogger.records import Flag


def with_left_out(*left_out: int) -> Recorder:
    """Return a recorder that has brought trades of 11 to 30 s, but for some."""
    recorder = streaming()
    for secs in range(21, 31):
        recorder.at(secs)
        if secs not in left_out:
            come(recorder, (secs, secs))
    return recorder


def gaps(recorder: Recorder) -> list[tuple[str, float, float]]:
    """Return cause, start and end of the gaps that stand, in seconds."""
    return [
        (it.cause, it.start_ns / SECOND, (it.end_ns or 0) / SECOND)
        for it in recorder.log.standing()
        if it.state is GAP and it.table == "TRADES"
    ]


def test_nothing_was_left_out() -> None:
    """A page of what is known changes nothing, and says nothing."""
    recorder = with_left_out()
    assert page(recorder, *span(15, 30)) == ([], [])


def test_what_was_left_out_is_recorded() -> None:
    """Each run of such trades is whole again, from the trade before to the one behind, and flagged."""
    recorder = with_left_out(23, 24, 27)
    kept, notes = page(recorder, *span(15, 30))
    assert kept == [23, 24, 27]
    said = [(it.state, it.start_ns // SECOND, (it.end_ns or 0) / SECOND) for it in notes]
    assert said == [(BACKFILLED, 22, 25), (BACKFILLED, 26, 28)]
    assert recorder.log.states([21, 22.5, 24.5, 25.5, 26.5, 28.5]) == "LBBLBL"
    assert gaps(recorder) == []
    assert come(recorder, (23, 23)) == []
    assert page(recorder, *span(15, 30)) == ([], [])


def test_what_is_younger_than_all_that_came_may_be_under_way() -> None:
    """It is left to come."""
    recorder = with_left_out(29, 30)
    assert page(recorder, *span(15, 30)) == ([], [])
    assert come(recorder, (29, 29), (30, 30)) == [29, 30]


def test_trades_of_the_same_time_may_be_in_any_order() -> None:
    """One that has the time of the youngest that came is left to come, too."""
    recorder = with_left_out()
    assert page(recorder, *span(15, 30), (31, 30)) == ([], [])


def test_what_is_older_than_all_that_is_known_may_be_from_before() -> None:
    """A page goes back further than the recording."""
    recorder = with_left_out()
    assert page(recorder, *span(-100, 30)) == ([], [])


def test_trades_left_out_before_a_page_begins() -> None:
    """They are missed since the last page that showed all to be there, or for as long as is certain."""
    recorder = unordered().at(10)
    recorder.carry()
    for secs in range(11, 101):
        come(recorder.at(secs), (secs, secs))
    assert page(recorder, *span(60, 100)) == ([], [])
    for secs in range(151, 161):
        come(recorder.at(secs), (secs, secs))
    kept, _ = page(recorder, *span(130, 160))
    assert kept == [*range(130, 151)]
    assert gaps(recorder) == [(LEFT_OUT, 100, 130 + 1 / SECOND)]
    assert recorder.log.states([99, 100.5, 129, 131, 150.5, 152]) == "LGGBBL"
    # The end of what is live is a later word: it repeats what is missing in it.
    recorder.at(200).lose(199)
    assert recorder.log.states([99, 100.5, 129, 150.5, 152, 199]) == "LGGLLG"


@pytest.mark.parametrize(("began", "kept"), [(50.0, []), (39.0, [100])])
def test_the_recording_began_by_our_clock(began: float, kept: list[int]) -> None:
    """Soon after it began a trade may be from before it, by the exchange's."""
    recorder = unordered().at(began)
    recorder.carry()
    come(recorder.at(101), (101, 101))
    assert CLOCKS_NS == 60 * SECOND
    assert page(recorder, (100, 100), (101, 101))[0] == kept


def test_a_symbol_with_a_gap_is_no_matter_of_this() -> None:
    """There what is older than what came may be missed with the gap; released ones are looked at no more."""
    recorder = lost()
    come(recorder.at(32), (32, 32))
    page(recorder.at(33), *span(15, 33))
    assert [cause for cause, _, _ in gaps(recorder)] == []
    recorder.book.released([SYMBOL])
    assert page(recorder.at(40), *span(15, 31), (1, 28), (32, 32)) == ([], [])


def test_replayed_trades_tell_as_well() -> None:
    """A younger trade was sent again at a subscription: the older one should have been."""
    recorder = with_left_out(25)
    come(recorder, (31, 31), flags=Flag.REPLAYED)
    assert page(recorder, *span(20, 31))[0] == [25]
    assert uid(25) != 25
