"""Rows that stand for several merged fills: what they cover is not missing, and nothing is stored twice."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from quality_rows import make_filter, trades

from multilogger.quality.missing import Filled, Hole, Opened
from multilogger.quality.sequence import TradeSequence
from multilogger.records import MERGED_SHIFT, Flag
from multilogger.tables import Array


def make_sequence() -> TradeSequence:
    """Return a sequence of two symbols that knows nothing."""
    _, stats, symbols = make_filter()
    symbols.number("BTC-USDT")
    symbols.number("ETH-USDT")
    return TradeSequence(symbols, stats, {})


def merged(*rows: tuple[int, int, int], flags: int = 0) -> Array:
    """Return trade rows of (symbol number, first id, last id); the last is also the time."""
    made = trades(*((number, last) for number, _, last in rows)).copy()
    made["flags"] = [flags | (last - first) << MERGED_SHIFT for _, first, last in rows]
    return made


def ids(rows: Array) -> list[int]:
    """Return the trade ids."""
    found: list[int] = rows["trade_id"].tolist()
    return found


def holes(sequence: TradeSequence) -> list[tuple[int, int]]:
    """Return the holes of symbol 0."""
    return [(hole.first, hole.last) for hole in sequence.holes_of(0)]


def test_merged_fills_are_not_missing() -> None:
    """A row covers the ids down to its first; what is below that was skipped."""
    sequence = make_sequence()
    rows = merged((0, 1, 3), (1, 10, 10), (0, 4, 4), (0, 7, 9), (1, 11, 20))
    assert ids(sequence.fresh(rows)) == [3, 10, 4, 9, 20]
    assert holes(sequence) == [(5, 6)]
    assert sequence.holes_of(1) == []
    assert ids(sequence.fresh(merged((0, 10, 12)))) == [12]
    assert holes(sequence) == [(5, 6)]


def test_a_late_row_fills_all_its_ids() -> None:
    """Merged fills that come late are taken, once, and fill what they cover."""
    sequence = make_sequence()
    sequence.fresh(merged((0, 1, 1), (0, 9, 9)))
    sequence.take_news()
    assert ids(sequence.fresh(merged((0, 3, 6)))) == [6]
    assert holes(sequence) == [(2, 2), (7, 8)]
    assert ids(sequence.fresh(merged((0, 3, 6)))) == []
    (filled,) = sequence.take_news()
    assert isinstance(filled, Filled)


def test_fills_of_the_history_stand_for_the_row() -> None:
    """Where the history has given some of the fills, the row that merges them would repeat these."""
    sequence = make_sequence()
    sequence.fresh(merged((0, 1, 1), (0, 9, 9)))
    assert ids(sequence.fresh(trades((0, 4), flags=Flag.BACKFILLED))) == [4]
    assert ids(sequence.fresh(merged((0, 3, 6)))) == []
    assert holes(sequence) == [(2, 3), (5, 8)]


def test_the_history_does_not_repeat_a_row() -> None:
    """Fills that a row has merged are known."""
    sequence = make_sequence()
    sequence.fresh(merged((0, 1, 1), (0, 5, 9)))
    page = trades(*((0, trade_id) for trade_id in range(1, 10)), flags=Flag.BACKFILLED)
    assert ids(sequence.fresh(page)) == [2, 3, 4]
    assert holes(sequence) == []


def test_a_row_whose_first_fills_were_awaited() -> None:
    """The newest trade that was named may be in the midst of merged fills: they are taken whole."""
    sequence = make_sequence()
    sequence.fresh(merged((0, 1, 1)))
    sequence.reach(0, 4, 100)
    assert holes(sequence) == [(2, 4)]
    assert ids(sequence.fresh(merged((0, 3, 6)))) == [6]
    assert holes(sequence) == [(2, 2)]
    assert sequence.last_id(0) == 6


def test_a_row_whose_first_fills_are_there() -> None:
    """If the history has given the first of them, the others are missing: the row would repeat the first."""
    sequence = make_sequence()
    sequence.fresh(merged((0, 1, 1)))
    sequence.reach(0, 4, 100)
    sequence.fresh(trades((0, 2), (0, 3), (0, 4), flags=Flag.BACKFILLED))
    assert ids(sequence.fresh(merged((0, 3, 6)))) == []
    assert holes(sequence) == [(5, 6)]
    assert ids(sequence.fresh(trades((0, 5), (0, 6), flags=Flag.BACKFILLED))) == [5, 6]


def test_ids_that_no_trade_has() -> None:
    """A hole that is dismissed was none: nothing is missing, and nothing was given up."""
    _, stats, symbols = make_filter()
    symbols.number("BTC-USDT")
    sequence = TradeSequence(symbols, stats, {})
    sequence.fresh(trades((0, 1), (0, 5)))
    (hole,) = sequence.holes()
    assert sequence.take_news() == [Opened(hole)]
    sequence.dismiss(hole)
    assert sequence.take_news() == [Filled(hole)]
    assert (sequence.holes(), stats.missing, stats.gaps, stats.given_up) == ([], 0, 0, 0)
    assert ids(sequence.fresh(trades((0, 3), (0, 6)))) == [6]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_each_fill_is_stored_once(counts: list[int], chance: object) -> None:
    """Whatever comes late, twice or from the history, what is kept covers each id once at most."""
    shuffle = chance.shuffle  # type: ignore[attr-defined] # hypothesis's random.Random
    ends = np.cumsum(counts).tolist()
    runs = [(0, end - count + 1, end) for end, count in zip(ends, counts, strict=True)]
    fills = [(0, trade_id, trade_id) for trade_id in range(1, ends[-1] + 1)]
    coming = [*((run, 0) for run in runs), *((run, 0) for run in runs), *((it, 1) for it in fills)]
    shuffle(coming)
    # The first row says where the ids begin.
    sequence, covered = make_sequence(), []
    for (number, first, last), flags in [((0, 0, 0), 0), *coming]:
        kept = sequence.fresh(merged((number, first, last), flags=flags))
        covered += list(range(first, last + 1)) * len(kept)
    left = [trade_id for hole in sequence.holes_of(0) for trade_id in range(hole.first, hole.last + 1)]
    assert sorted([*covered, *left]) == list(range(ends[-1] + 1))
    assert left == []


def test_holes_know_what_they_lack() -> None:
    """Only ids that are all in one hole are lacking."""
    sequence = make_sequence()
    sequence.fresh(trades((0, 1), (0, 5), (0, 9)))
    assert sequence.holes_of(0) == [
        Hole(0, 2, 4, 1, 5, "ids missing"),
        Hole(0, 6, 8, 5, 9, "ids missing"),
    ]
    assert ids(sequence.fresh(merged((0, 4, 6)))) == []
    assert ids(sequence.fresh(merged((0, 6, 8)))) == [8]
