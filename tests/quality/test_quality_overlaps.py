"""Gaps in trades whose ids have no order: what pages of the newest trades fill of them, and what not."""

from __future__ import annotations

from quality_pages import AT, come, lost, overlaps, page, span, states, streaming
from quality_rows import GAP, SECOND, SYMBOL

from multilogger.quality.overlaps import ALIVE_SECS
from multilogger.quality.recorded import STALE_SECS
from multilogger.records import Flag
from multilogger.tables import MD, TRADES


def test_a_gap_without_a_page() -> None:
    """Until a page tells, trades are missed from a second before the loss until the next carrier."""
    recorder = lost()
    assert states(recorder) == "LLGGGL"
    assert recorder.log.states(AT, MD.name) == "LLGGGL"
    assert list(overlaps(recorder).newest) == [recorder.symbols.number(SYMBOL)]


def test_a_page_that_spans_the_gap() -> None:
    """From what was known on to what came live: all that was missed is there, once, flagged."""
    recorder = lost()
    come(recorder.at(32), (32, 32))
    ahead = len(recorder.at_once)
    kept, notes = page(recorder.at(33), *span(15, 33))
    assert kept == [*range(21, 32), 33]
    assert states(recorder) == "LLBBBL"
    assert recorder.log.states(AT, MD.name) == "LLGGGL"
    # What claims more is said with the rows that make it true.
    assert len(recorder.at_once) == ahead
    assert {note.table for note in notes} == {TRADES.name}
    assert overlaps(recorder).newest == {}
    assert come(recorder, (33, 33)) == []
    assert recorder.stats.backfilled == 12


def test_nothing_was_missed() -> None:
    """Then the time was live after all."""
    recorder = lost()
    come(recorder.at(32), (32, 32))
    kept, _ = page(recorder.at(33), *span(15, 20), (32, 32))
    assert kept == []
    assert states(recorder) == "LLLLLL"
    assert [note for note in recorder.log.standing() if note.table == TRADES.name and note.state is GAP] == []


def test_what_was_replayed_is_not_backfilled() -> None:
    """An exchange that sends again at subscribe what was missed has left nothing to the history."""
    recorder = lost()
    assert come(recorder, *span(15, 29), flags=Flag.REPLAYED) == [*range(21, 30)]
    assert states(recorder) == "LLGGGL"
    come(recorder.at(32), (32, 32))
    assert page(recorder.at(33), *span(15, 29), (32, 32))[0] == []
    assert states(recorder) == "LLLLLL"


def test_replayed_trades_are_not_from_before_the_gap() -> None:
    """What is known since the subscription alone joins a page to nothing: there may be more between."""
    recorder = lost()
    come(recorder, *span(25, 29), flags=Flag.REPLAYED)
    come(recorder.at(32), (32, 32))
    page(recorder.at(33), *span(25, 29), (32, 32))
    assert states(recorder) == "LLGGLL"


def test_a_page_that_does_not_go_back_far_enough() -> None:
    """What is older than its oldest trade stays a gap, with its cause; the rest is filled."""
    recorder = lost()
    come(recorder.at(32), (32, 32))
    kept, _ = page(recorder.at(33), *span(24, 33))
    assert kept == [*range(24, 32), 33]
    assert recorder.log.states([19.4, 19.6, 23.9, 24.1, 29, 31]) == "LGGBBL"
    gaps = [note for note in recorder.log.standing() if note.table == TRADES.name and note.state is GAP]
    assert [(it.cause, it.start_ns, it.end_ns) for it in gaps] == [
        ("connection lost", 19.5 * SECOND, 24 * SECOND + 1)
    ]
    assert overlaps(recorder).newest == {}


def test_trades_of_the_oldest_time_may_be_cut() -> None:
    """A page whose only known trades have its oldest time may lack others of that time."""
    recorder = streaming()
    come(recorder, (1, 20), (2, 20))
    recorder.at(25).lose(20.5)
    come(recorder.at(30), flags=0)
    recorder.carry()
    come(recorder.at(32), (32, 32))
    page(recorder.at(33), (1, 20), (3, 20), *span(21, 32))
    assert recorder.log.states([19.4, 19.9, 20.1, 31]) == "LGBL"


def test_a_short_page_has_all_trades() -> None:
    """Where there is room for older ones, nothing was cut."""
    recorder = lost()
    come(recorder.at(32), (32, 32))
    page(recorder.at(33), (20, 20), *span(21, 32), cut=False)
    assert states(recorder) == "LLBBBL"


def test_a_page_from_a_cache() -> None:
    """A page that ends before what comes live is not the last word, however it goes back."""
    recorder = lost()
    come(recorder.at(32), (32, 32))
    assert page(recorder.at(33), *span(15, 27))[0] == [*range(21, 28)]
    assert states(recorder) == "LLGGGL"
    # It is joined to the next one by what both have, though that one goes back to nothing known before.
    kept, _ = page(recorder.at(36), *span(26, 33))
    assert kept == [28, 29, 30, 31, 33]
    assert states(recorder) == "LLBBBL"


def test_pages_that_are_not_joined() -> None:
    """What lies between them stays a gap."""
    recorder = lost()
    come(recorder.at(32), (32, 32))
    page(recorder.at(33), *span(15, 23))
    page(recorder.at(36), *span(27, 33))
    assert recorder.log.states([19.6, 22.9, 23.1, 26.9, 27.1, 29]) == "BBGGBB"


def test_an_older_page_comes_after_a_newer_one() -> None:
    """A cache may answer with less than another has: that takes nothing back."""
    recorder = lost()
    come(recorder.at(32), (32, 32))
    page(recorder.at(33), *span(15, 27))
    assert page(recorder.at(34), *span(5, 14))[0] == [*range(5, 11)]
    page(recorder.at(36), *span(26, 33))
    assert states(recorder) == "LLBBBL"


def test_a_quiet_market() -> None:
    """Without a trade behind the gap a page counts if no answer to the request can be from before."""
    recorder = lost()
    page(recorder.at(39), *span(15, 22), asked=30 + STALE_SECS - 0.1)
    assert states(recorder) == "LLGGGL"
    page(recorder.at(41), *span(15, 22), asked=30 + STALE_SECS)
    assert states(recorder) == "LLBBBL"


def test_a_trade_has_come_and_the_page_is_older() -> None:
    """Then no time is long enough: the answer is known to be from a cache."""
    recorder = lost()
    come(recorder.at(31.5), (31, 31.5))
    for secs in (45, 60, 120):
        page(recorder.at(secs), *span(15, 29))
        assert states(recorder) == "LLGGGL"
    overlaps(recorder).give_up(recorder.symbols.number(SYMBOL))
    recorder.take()
    assert recorder.log.states([19.6, 28.9, 29.1, 29.9, 31]) == "BBGGL"


def test_rows_of_the_connection_before_tell_nothing() -> None:
    """What is handed over right after a subscription may be from before it."""
    recorder = lost()
    come(recorder.at(30 + ALIVE_SECS / 2), (21, 21))
    page(recorder.at(33), *span(15, 22))
    assert states(recorder) == "LLGGGL"


def test_given_up_without_a_page() -> None:
    """The gap stays as it was said."""
    recorder = lost()
    ahead = len(recorder.log.notes)
    overlaps(recorder).give_up(recorder.symbols.number(SYMBOL))
    recorder.take()
    assert (states(recorder), len(recorder.log.notes)) == ("LLGGGL", ahead)


def test_another_connection_carried_it_before_the_loss_was_noticed() -> None:
    """Trades that came since the lost connection was last heard are not from before the gap."""
    recorder = streaming()
    for secs in range(31, 41):
        come(recorder.at(secs), (secs, secs))
    recorder.at(40.5).lose(20.5)
    recorder.carry()
    come(recorder.at(42), (42, 42))
    page(recorder.at(43), *span(35, 42))
    assert recorder.log.states([19.6, 34.9, 35.1, 40, 41]) == "GGBBL"


def test_two_gaps_and_one_page() -> None:
    """Each is filled as far as the page goes back; the trades that were live between count for the first."""
    recorder = lost()
    come(recorder.at(32), (32, 32), (33, 32))
    recorder.at(38).lose(33)
    recorder.at(40).carry()
    come(recorder.at(42), (42, 42))
    kept, _ = page(recorder.at(43), *span(15, 31), (32, 32), (33, 32), *span(34, 42))
    assert kept == [*range(21, 32), *range(34, 42)]
    assert recorder.log.states([*AT, 32.5, 39.9, 41]) == "LLBBBLBBL"
