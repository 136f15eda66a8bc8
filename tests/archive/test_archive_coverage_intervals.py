"""Intervals become one line of time in which the latest word counts."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from archive_ledger import BACKFILLED, GAP, HALTED, LIVE, NOT_LISTED
from hypothesis import given, settings
from hypothesis import strategies as st

from multilogger.archive.intervals import Kind, Timeline, timeline_of
from multilogger.notes import CoverageState
from multilogger.storage.catalog import CoverageInterval
from multilogger.storage.layout import NANOS_PER_DAY

LONGEST = 24
STEP = NANOS_PER_DAY // 3
"""So that a day has several and a span may cross midnights."""
KINDS = {
    LIVE: Kind.RECORDED,
    BACKFILLED: Kind.RECORDED,
    GAP: Kind.GAP,
    HALTED: Kind.IDLE,
    NOT_LISTED: Kind.IDLE,
    None: Kind.UNKNOWN,
}
Word = tuple[CoverageState, str, int, int | None]
TIMES = st.integers(-3, LONGEST + 3)
WORDS: st.SearchStrategy[list[Word]] = st.lists(
    st.tuples(st.sampled_from(CoverageState), st.sampled_from(["", "a", "b"]), TIMES, st.none() | TIMES),
    max_size=12,
)


def interval(place: int, word: Word, step: int = 1) -> CoverageInterval:
    """Return an interval of a word; its place in the log is ``place``."""
    state, cause, start, end = word
    until = None if end is None else end * step
    return CoverageInterval("x", "S", "MD", state, cause, start * step, until, position=place)


def model(words: list[Word], at: int) -> tuple[CoverageState | None, str]:
    """Return what is true at a time, told one word after the other."""
    true: tuple[CoverageState | None, str] = (None, "")
    for state, cause, start, end in words:
        if start <= at and (end is None or at < end):
            true = (state, cause)
    return true


def line_of(words: list[Word], low: int, high: int, order: list[int], step: int = 1) -> Timeline:
    """Return the line of words that are given in another order than that of the log."""
    intervals = [interval(place, word, step) for place, word in enumerate(words)]
    shuffled = sorted(intervals, key=lambda it: (order[it.position % len(order)], it.position))
    return timeline_of(shuffled, low * step, high * step)


@settings(deadline=None)
@given(WORDS, TIMES, TIMES, st.permutations(list(range(5))))
def test_the_latest_word_counts(words: list[Word], low: int, high: int, order: list[int]) -> None:
    """At every time of a window the line says what the last word about it says; outside it says nothing."""
    line = line_of(words, low, high, order)
    for time in range(-5, LONGEST + 5):
        inside = low <= time < high
        assert line.state_at(time) is (model(words, time)[0] if inside else None)


@settings(deadline=None)
@given(WORDS, TIMES, TIMES, st.permutations(list(range(5))))
def test_totals_and_gaps(words: list[Word], low: int, high: int, order: list[int]) -> None:
    """The totals are the times counted one by one; so are the gaps, each as long as it can be."""
    line = line_of(words, low, high, order)
    truth = [model(words, time) for time in range(low, high)]
    assert line.totals() == Counter(truth)
    gaps = line.gaps
    told = {
        time: cause
        for start, end, cause in zip(gaps.start_ns.tolist(), gaps.end_ns.tolist(), gaps.causes, strict=True)
        for time in range(start, end)
    }
    assert told == {low + place: cause for place, (state, cause) in enumerate(truth) if state is GAP}
    touching = (gaps.end_ns[:-1] == gaps.start_ns[1:]).tolist()
    assert not any(
        touch and one == two for touch, (one, two) in zip(touching, pairwise(gaps.causes), strict=True)
    )


@settings(deadline=None)
@given(WORDS, TIMES, TIMES, st.integers(-2, 3), st.integers(0, 8))
def test_days(words: list[Word], low: int, high: int, first: int, days: int) -> None:
    """A day's lengths are those of its times; days that are not asked for are left out."""
    line = line_of(words, low, high, [0], STEP)
    expected = np.zeros((days, len(Kind)), np.int64)
    for time in range(low, high):
        if 0 <= time // 3 - first < days:
            expected[time // 3 - first, KINDS[model(words, time)[0]]] += STEP
    assert line.by_day(first, days).tolist() == expected.tolist()
    assert list(line.days()) == sorted({time // 3 for time in range(low, high)})


def test_real_times() -> None:
    """Lengths are exact to the nanosecond over centuries, and the bounds of what a note can say are none."""
    lowest, highest = -(2**63), 2**63 - 1
    words: list[Word] = [(LIVE, "", lowest, highest), (GAP, "lost", 1_700_000_000_000_000_001, None)]
    now = 1_800_000_000_000_000_004
    line = line_of(words, 0, now, [0])
    assert line.totals() == {(LIVE, ""): 1_700_000_000_000_000_001, (GAP, "lost"): 100_000_000_000_000_003}


@pytest.mark.parametrize("high", [5, 4])
def test_an_empty_window(high: int) -> None:
    """A window without extent, or that ends before it starts, has nothing."""
    line = line_of([(LIVE, "", 0, None)], 5, high, [0])
    assert (line.totals(), len(line.gaps), line.state_at(5)) == ({}, 0, None)
    assert (list(line.days()), line.by_day(0, 1).sum()) == ([], 0)
