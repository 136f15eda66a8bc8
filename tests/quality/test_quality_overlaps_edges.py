"""Gaps and pages at the edges: what was never traded, other clocks, restarts, and what nobody wants."""

from __future__ import annotations

import pytest
from quality_pages import AT, come, lost, on_disk, overlaps, page, span, states, streaming, uid, unordered
from quality_rows import GAP, LIVE, SECOND, SYMBOL, Recorder

from multilogger.notes import ANY, CoverageState
from multilogger.quality.pages import CLOCKS_NS
from multilogger.quality.recorded import STALE_SECS
from multilogger.records import Flag
from multilogger.supervision.feeds import note_offline
from multilogger.tables import MD, TRADES


def test_a_symbol_that_never_traded() -> None:
    """An exchange that has no trades has none that were missed."""
    recorder = unordered().at(10)
    recorder.carry()
    recorder.at(25).lose(20.5)
    recorder.at(30).carry()
    page(recorder.at(41))
    assert states(recorder) == "LLLLLL"


def test_an_empty_page_of_a_symbol_that_has_traded() -> None:
    """It is an answer to nothing."""
    recorder = lost()
    page(recorder.at(41))
    assert states(recorder) == "LLGGGL"
    assert overlaps(recorder).newest


@pytest.mark.parametrize(("oldest", "found"), [(-CLOCKS_NS / SECOND, "LLLLLL"), (15.0, "LLGLLL")])
def test_nothing_is_known_of_a_symbol(oldest: float, found: str) -> None:
    """Then time alone decides, with room for clocks that differ; trades from long before are not recorded."""
    recorder = unordered().at(10)
    recorder.carry()
    recorder.at(25).lose(20.5)
    recorder.at(30).carry()
    kept, _ = page(recorder.at(41), (1, oldest), (2, 15.0))
    assert kept == ([2] if oldest < 0 else [1, 2])
    assert states(recorder).replace("B", "L") == found


def test_trades_from_long_before_are_not_recorded() -> None:
    """A page may go back to when nobody recorded; the days then are not begun."""
    recorder = lost()
    come(recorder.at(32), (32, 32))
    kept, _ = page(recorder.at(33), (1, -700), (2, -500), *span(15, 33))
    assert kept == [2, *range(21, 32), 33]


@pytest.mark.parametrize("skew", [-8.0, 300.0])
def test_a_clock_that_is_wrong(skew: float) -> None:
    """Trades are compared by ids: a page that does not reach what was known does not fill the gap's begin."""
    recorder = unordered().at(10)
    recorder.carry()
    for secs in range(11, 21):
        come(recorder.at(secs), (secs, secs + skew))
    recorder.at(25).lose(20.5)
    recorder.at(30).carry()
    come(recorder.at(32), (32, 32 + skew))
    page(recorder.at(33), *((it, it + skew) for it in range(24, 33)))
    gaps = [note for note in recorder.log.standing() if note.table == TRADES.name and note.state is GAP]
    assert len(gaps) == 1
    if skew < 0:
        assert (gaps[0].start_ns, gaps[0].end_ns) == ((20 + skew) * SECOND, (24 + skew) * SECOND + 1)
    else:
        assert (gaps[0].start_ns, gaps[0].end_ns) == (19.5 * SECOND, 30 * SECOND)


def test_without_pages_nothing_is_asked_for() -> None:
    """Where ids rise, or the exchange has no history, gaps stay."""
    recorder = Recorder(contiguous=False).at(10)
    recorder.carry()
    recorder.at(25).lose(20.5)
    recorder.at(30).carry()
    assert overlaps(recorder).newest == {}


def test_a_released_symbol_is_not_asked_about() -> None:
    """Nobody wants it."""
    recorder = lost()
    recorder.book.released([SYMBOL])
    assert overlaps(recorder).newest == {}
    recorder.at(50).carry()
    assert overlaps(recorder).newest == {}
    come(recorder.at(51), (51, 51))
    recorder.at(60).lose(59)
    recorder.at(62).carry()
    come(recorder.at(64), (64, 64))
    page(recorder.at(65), *span(40, 64))
    # It is the second loss that counts: what was known when that was noticed.
    assert recorder.log.states([57.9, 58.1, 61.9, 63]) == "LBBL"


def test_what_a_breaker_sets_aside_is_filled_too() -> None:
    """Its trades did not come, as far as the ledger goes."""
    recorder = streaming()
    recorder.at(21).book.set_aside([SYMBOL], TRADES, on=True)
    recorder.at(30).book.set_aside([SYMBOL], TRADES, on=False)
    assert states(recorder) == "LLGGGL".replace("GGG", "LGG")
    come(recorder.at(32), (32, 32))
    assert page(recorder.at(33), *span(15, 33))[0] == [*range(21, 32), 33]
    assert states(recorder) == "LLLBBL"


def test_a_restart() -> None:
    """The newest trades on disk are from before; the page outdoes the gap of all symbols."""
    before = streaming()
    before.at(20.4).book.close()
    still_open = [note for note in before.log.standing() if note.end_ns is None]
    recorder = unordered(on_disk(*span(11, 20)), 21.5, before, {ANY: round(19.4 * SECOND)})
    note_offline(["binance"], recorder.stopped_ns, 29 * SECOND, recorder.log.add, still_open)
    recorder.at(30).carry()
    assert recorder.log.states([20.3, 20.5, 24, 29.9, 31]) == "LGGGL"
    assert come(recorder, *span(15, 20), flags=Flag.REPLAYED) == []
    come(recorder.at(32), (32, 32))
    assert page(recorder.at(33), *span(15, 33))[0] == [*range(21, 32), 33]
    assert recorder.log.states([19.3, 20.3, 20.5, 24, 29.9, 31]) == "LBBBBL"
    assert recorder.log.states([20.3, 20.5, 24, 29.9, 31], MD.name) == "LGGGL"


def test_a_restart_and_the_page_does_not_go_back() -> None:
    """What is missed begins with the last trade on disk: nobody noticed how the last run ended."""
    recorder = unordered(on_disk(*span(11, 20)), 21.5).at(30)
    recorder.carry()
    come(recorder.at(32), (32, 32))
    page(recorder.at(33), *span(24, 33))
    assert recorder.log.states([19.9, 20.1, 23.9, 24.1, 31]) == "-GGBL"


def test_a_gap_of_the_run_before() -> None:
    """It is filled by the page that the restart asks for, if that goes back to what was known before it."""
    recorder = unordered(on_disk(*span(11, 20), *span(31, 40)), 40.5).at(50)
    gap = lost().log.standing()[-2]
    assert (gap.state, gap.table) == (GAP, TRADES.name)
    recorder.log.add([gap])
    number = recorder.symbols.number(SYMBOL)
    ids = [uid(it) for it in range(11, 16)]
    overlaps(recorder).adopt(number, gap, on_disk(*span(11, 15))["trade_id"])
    assert on_disk(*span(11, 15))["trade_id"].tolist() == ids
    recorder.carry()
    come(recorder.at(52), (52, 52))
    page(recorder.at(53), *span(13, 20), *span(24, 52))
    assert recorder.log.states([19.6, 24, 29, 41, 49, 51]) == "BBBBBL"
    assert CoverageState.GAP not in {it.state for it in recorder.log.standing() if it.table == TRADES.name}


def test_pages_without_a_gap_change_nothing() -> None:
    """Two may have been asked for at once."""
    recorder = lost()
    come(recorder.at(32), (32, 32))
    page(recorder.at(33), *span(15, 33))
    ahead = len(recorder.log.notes)
    assert page(recorder.at(34), *span(15, 34)) == ([], [])
    assert (len(recorder.log.notes), recorder.log.state_at(25 * SECOND)) == (ahead, CoverageState.BACKFILLED)
    assert recorder.log.state_at(12 * SECOND) is LIVE


def half_open() -> Recorder:
    """Return a recorder whose connection brought nothing since 30 s, which was not noticed before 60 s."""
    recorder = lost()
    page(recorder.at(41), *span(15, 40), asked=30 + STALE_SECS)
    assert states(recorder) == "LLBBBL"
    recorder.at(60).lose(30)
    recorder.at(62).carry()
    return recorder


def test_a_page_from_behind_the_last_sign_of_life() -> None:
    """What it had is known though the connection brought nothing; the next page need go back no further."""
    recorder = half_open()
    come(recorder.at(64), (64, 64))
    page(recorder.at(65), *span(38, 64))
    assert recorder.log.states([*AT, 40.5, 61, 63]) == "LLBBBBBBL"


def test_a_page_that_tells_of_the_whole_gap() -> None:
    """Whatever an earlier one did not have."""
    recorder = lost()
    come(recorder.at(32), (32, 32))
    page(recorder.at(33), *span(24, 28))
    page(recorder.at(36), *span(15, 33))
    assert recorder.log.states([*AT, 22]) == "LLBBBLB"


def test_a_page_that_was_never_recorded_joins_nothing() -> None:
    """What seemed to be under way was lost with the connection, and is missed."""
    recorder = streaming()
    assert page(recorder.at(22), *span(15, 22)) == ([], [])
    recorder.at(25).lose(20.5)
    recorder.at(30).carry()
    come(recorder.at(32), (32, 32))
    page(recorder.at(33), *span(22, 32))
    assert recorder.log.states([19.6, 20.9, 21.9, 22.1, 29]) == "BGGBB"
