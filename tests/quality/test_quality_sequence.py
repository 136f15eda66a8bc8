"""Trade ids in sequence: holes, and what is no ordinary disorder."""

from __future__ import annotations

import numpy as np
import pytest
from quality_rows import SECOND, make_filter, passed, trades

from multilogger.quality.missing import Filled, GivenUp, Hole, Opened, Unknown
from multilogger.quality.sequence import ABSURD, ANEW_ROWS, BEGAN_ANEW, LEAPT, TradeSequence
from multilogger.records import Flag


def make_sequence(last: tuple[int, int] | None = None) -> TradeSequence:
    """Return a sequence, with the last id and time of symbol 0 on disk."""
    _, stats, symbols = make_filter()
    symbols.number("BTCUSDT")
    symbols.number("ETHUSDT")
    known = {} if last is None else {"BTCUSDT": last[0]}
    return TradeSequence(symbols, stats, known, {} if last is None else {"BTCUSDT": last[1]})


def spans(sequence: TradeSequence) -> list[tuple[int, int, int, int]]:
    """Return the holes of symbol 0: ids, and times of the trades around them."""
    return [(hole.first, hole.last, hole.before_ns, hole.after_ns) for hole in sequence.holes_of(0)]


def test_a_hole_has_the_times_of_the_trades_around_it() -> None:
    """They are from the batch itself, an earlier one, or the disk."""
    sequence = make_sequence((4, 40))
    sequence.fresh(trades((0, 7, 70), (1, 100, 50), (0, 8, 80), (0, 10, 100), (1, 102, 90)))
    sequence.fresh(trades((0, 12, 120)))
    assert spans(sequence) == [(5, 6, 40, 70), (9, 9, 80, 100), (11, 11, 100, 120)]
    assert sequence.holes_of(1) == [Hole(1, 101, 101, 50, 90, "ids missing")]
    assert [hole.first for hole in sequence.holes()] == [11, 9, 101, 5]
    assert sequence.new_holes == [Hole(0, 11, 11, 100, 120, "ids missing")]
    sequence.fresh(trades((0, 13)))
    assert sequence.new_holes == []


def test_ids_come_in_any_order_within_a_batch() -> None:
    """What is behind was missed before or comes again; what was skipped in the same batch is taken."""
    sequence = make_sequence()
    kept = sequence.fresh(trades((0, 5), (0, 9), (1, 3), (0, 7), (0, 6), (0, 7), (1, 2), (0, 10), (0, 4)))
    assert [int(trade_id) for trade_id in kept["trade_id"]] == [5, 9, 3, 7, 6, 10]
    assert spans(sequence) == [(8, 8, 7, 9)]
    assert sequence.take_news() == [Opened(Hole(0, 8, 8, 7, 9, "ids missing"))]


def test_what_fills_a_hole() -> None:
    """Each filled run has its interval, from the trade before it to the trade behind; the rest is left."""
    sequence = make_sequence()
    sequence.fresh(trades((0, 10, 100), (0, 20, 200)))
    (hole,) = sequence.holes()
    sequence.take_news()
    page = trades((0, 12, 120), (0, 11, 110), (0, 15, 150), (0, 19, 190), (0, 19, 190), flags=Flag.BACKFILLED)
    assert [int(trade_id) for trade_id in sequence.fresh(page)["trade_id"]] == [12, 11, 15, 19]
    (filled,) = sequence.take_news()
    assert isinstance(filled, Filled)
    assert filled.hole == hole
    assert [(it.first, it.last, it.before_ns, it.after_ns) for it in filled.rest] == [
        (13, 14, 120, 150),
        (16, 18, 150, 190),
    ]
    assert filled.backfilled == ((100, 120), (150, 150), (190, 200))


def test_holes_are_bounded_and_none_is_forgotten_silently() -> None:
    """Of more holes than are remembered, the oldest are given up, which is news."""
    sequence = make_sequence()
    sequence.fresh(trades(*((0, 10 * at) for at in range(1, 201))))
    assert len(sequence.holes_of(0)) == 199
    assert len(sequence.take_news()) == 199
    sequence.fresh(trades(*((0, 10 * at) for at in range(201, 301))))
    assert len(sequence.holes_of(0)) == 256
    given_up = [news for news in sequence.take_news() if isinstance(news, GivenUp)]
    assert [news.hole.first for news in given_up] == [10 * at + 1 for at in range(1, 44)]
    assert {news.cause for news in given_up} == {"too many gaps"}
    sequence.fresh(trades(*((0, 10 * at) for at in range(301, 601))))
    news = sequence.take_news()
    assert [it.start_ns for it in news if isinstance(it, Unknown)] == [10 * at for at in range(300, 344)]


def test_a_hole_of_an_earlier_run() -> None:
    """It is filled like any other; ids between the last on disk and the hole are missing, too."""
    sequence = make_sequence((50, 500))
    sequence.add_hole(Hole(0, 20, 25, 200, 260, "offline"))
    sequence.add_hole(Hole(0, 61, 70, 600, 710, "offline"))
    assert spans(sequence) == [(20, 25, 200, 260), (51, 60, 500, 600), (61, 70, 600, 710)]
    assert sequence.take_news() == [Opened(Hole(0, 51, 60, 500, 600, "ids missing"))]
    kept = sequence.fresh(trades((0, 71), (0, 22), (0, 26), flags=Flag.BACKFILLED))
    assert [int(trade_id) for trade_id in kept["trade_id"]] == [71, 22]


def test_a_hole_of_an_earlier_run_that_is_known_by_now() -> None:
    """Ids that the first trades of this run have shown to be missing stay in that hole."""
    sequence = make_sequence((50, 500))
    sequence.fresh(trades((0, 60, 600)))
    sequence.take_news()
    old = Hole(0, 45, 55, 440, 560, "offline")
    sequence.add_hole(old)
    assert spans(sequence) == [(45, 50, 440, 500), (51, 59, 500, 600)]
    (news,) = sequence.take_news()
    assert isinstance(news, Filled)
    assert (news.hole, [(it.first, it.last) for it in news.rest]) == (old, [(45, 50)])


def test_an_id_leaps_ahead() -> None:
    """More ids than anybody could ask for are no hole, but a gap; the sequence goes on from there."""
    sequence = make_sequence()
    leap = 5 + ABSURD + 2
    sequence.fresh(trades((0, 5, 50)))
    sequence.fresh(trades((0, leap, 60), (0, leap + 1, 70)))
    assert sequence.take_news() == [Unknown(0, 50, 60, LEAPT)]
    assert (sequence.last_id(0), sequence.holes()) == (leap + 1, [])
    assert len(sequence.fresh(trades((0, 6, 55), (0, leap + 2, 80)))) == 1


@pytest.mark.parametrize("together", [True, False])
def test_one_odd_id_does_no_harm(*, together: bool) -> None:
    """After a leap that no other trade confirms, the ids go on where they were."""
    sequence = make_sequence()
    odd, then = trades((0, 10**18, 10**18)), trades((0, 6, 60), (0, 8, 80))
    sequence.fresh(trades((0, 5, 50)))
    batches = [np.concatenate([odd, then])] if together else [odd, then]
    kept = [int(trade_id) for batch in batches for trade_id in sequence.fresh(batch)["trade_id"]]
    assert kept == [10**18, 6, 8]
    assert spans(sequence) == [(7, 7, 60, 80)]
    assert sequence.last_id(0) == 8


def test_ids_begin_anew() -> None:
    """Ids that fell back are believed once enough newer trades have come with them; the rest is a gap."""
    sequence = make_sequence()
    sequence.fresh(trades((0, 100_000, SECOND), (0, 100_002, 2 * SECOND)))
    sequence.take_news()
    rows = [(0, 1 + at, (4 + at) * SECOND) for at in range(ANEW_ROWS + 2)]
    kept = [int(it) for row in rows for it in sequence.fresh(trades(row))["trade_id"]]
    assert kept == [ANEW_ROWS, ANEW_ROWS + 1, ANEW_ROWS + 2]
    unknown, given_up = sequence.take_news()
    assert unknown == Unknown(0, 2 * SECOND, (3 + ANEW_ROWS) * SECOND, BEGAN_ANEW)
    assert isinstance(given_up, GivenUp)
    assert given_up.hole.first == 100_001
    assert (sequence.last_id(0), sequence.holes()) == (ANEW_ROWS + 2, [])


def test_ids_begin_anew_within_a_batch() -> None:
    """The rows behind the one that decides are judged by the new sequence."""
    sequence = make_sequence()
    sequence.fresh(trades((0, 100_000, SECOND)))
    rows = [(0, 1 + at, (4 + at) * SECOND) for at in range(ANEW_ROWS)]
    kept = sequence.fresh(trades(*rows, (0, ANEW_ROWS + 2, 900 * SECOND), (0, ANEW_ROWS + 1, 899 * SECOND)))
    assert [int(it) for it in kept["trade_id"]][:2] == [ANEW_ROWS, ANEW_ROWS + 2]
    assert sequence.last_id(0) == ANEW_ROWS + 2


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([(0, 1 + at % 50, (4 + at) * SECOND) for at in range(500)], id="again and again"),
        pytest.param([(0, 1 + at, SECOND + at) for at in range(500)], id="not newer"),
        pytest.param([(0, 1 + at, 0) for at in range(500)], id="old"),
    ],
)
def test_repetitions_are_no_new_beginning(rows: list[tuple[int, int, int]]) -> None:
    """Ids far below the last one that do not rise, or are of old trades, are repetitions for ever."""
    sequence = make_sequence()
    sequence.fresh(trades((0, 100_000, SECOND)))
    assert not len(sequence.fresh(trades(*rows)))
    assert sequence.last_id(0) == 100_000


def test_a_trade_that_goes_on_ends_a_run_of_low_ids() -> None:
    """Two numberings side by side are no new beginning."""
    sequence = make_sequence()
    sequence.fresh(trades((0, 100_000, SECOND)))
    for at in range(2 * ANEW_ROWS):
        kept = sequence.fresh(trades((0, 1 + at, (4 + at) * SECOND), (0, 100_001 + at, (4 + at) * SECOND)))
        assert [int(it) for it in kept["trade_id"]] == [100_001 + at]


def test_restart_after_ids_began_anew() -> None:
    """The newest trade on disk tells where its ids are, not the highest id."""
    quality, stats, _ = make_filter({"BTCUSDT": 100_000})
    again = type(quality)(
        quality._symbols,
        stats,
        last_trade_ids={"BTCUSDT": 100_000},
        last_md={},
        last_trade_rows={"BTCUSDT": trades((0, 70, 7 * SECOND))},
    )
    assert passed(again, trades((0, 71, 8 * SECOND), (0, 70, 7 * SECOND))) == [(0, 71)]
