"""Ids that only tell repetitions, and tickers that two connections bring."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quality_rows import make_filter, passed, ticker, trades

from multilogger.quality.recent_ids import REMEMBERED
from multilogger.records import Flag
from multilogger.tables import MD


def test_rising_ids_leave_no_holes() -> None:
    """What is not above the last id is a repetition; what was skipped is not missed."""
    quality, stats, symbols = make_filter({"BTCUSDT": 100}, "rising")
    number = symbols.number("BTCUSDT")
    assert passed(quality, trades((number, 100), (number, 170), (number, 130), (number, 171))) == [
        (number, 170),
        (number, 171),
    ]
    assert (stats.duplicates, stats.gaps, quality.found_holes) == (2, 0, False)
    assert quality.last_trade_id(number) == 171
    assert quality.trades.holes() == []


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1), min_size=1))
def test_unordered_ids_pass_once(batches: list[list[tuple[int, int]]]) -> None:
    """Each id of a symbol passes at its first arrival, in whatever order they come."""
    quality, stats, _ = make_filter(trade_ids="unordered")
    rows = [row for batch in batches for row in batch]
    kept = [row for batch in batches for row in passed(quality, trades(*batch))]
    assert kept == list(dict.fromkeys(rows))
    assert stats.duplicates == len(rows) - len(kept)


def test_the_newest_unordered_ids_are_remembered() -> None:
    """At least half as many as there is room for; and not for ever."""
    quality, _, _ = make_filter(trade_ids="unordered")
    ids = random.Random(5).sample(range(2**63, 2**64 - 1), 3 * REMEMBERED)
    for at in range(0, len(ids), 100):
        assert len(passed(quality, trades(*((0, it, 0) for it in ids[at : at + 100])))) == 100
    assert passed(quality, trades(*((0, it, 0) for it in ids[-REMEMBERED // 2 :]))) == []
    assert len(passed(quality, trades(*((0, it, 0) for it in ids[:100])))) == 100


def test_the_last_id_on_disk_is_known_after_a_restart() -> None:
    """An exchange that sends its last trade again after a restart is not recorded twice."""
    quality, _, symbols = make_filter({"BTCUSDT": 2**64 - 7}, "unordered")
    number = symbols.number("BTCUSDT")
    assert passed(quality, trades((number, 2**64 - 7, 0), (number, 3, 0))) == [(number, 3)]


def test_two_connections_bring_the_same_tickers() -> None:
    """While they overlap each row is kept once, whichever is first; others are left alone."""
    quality, stats, symbols = make_filter()
    symbol, other = symbols.number("BTCUSDT"), symbols.number("ETHUSDT")

    def kept(*rows: tuple[int, float, int]) -> int:
        made = np.concatenate([ticker(at, price, symbol=number) for at, price, number in rows])
        return len(quality.apply({MD.number: made}).get(MD.number, ()))

    assert kept((1, 5.0, symbol), (1, 5.0, symbol)) == 2
    quality.overlap(["BTCUSDT"], on=True)
    assert kept((1, 5.0, symbol), (2, 5.0, symbol), (3, 5.0, symbol), (2, 5.0, symbol)) == 2
    assert kept((3, 5.0, symbol), (3, 6.0, symbol), (4, 5.0, symbol), (3, 6.0, symbol)) == 2
    assert kept((3, 5.0, other), (3, 5.0, other)) == 2
    assert stats.duplicates == 4
    quality.overlap(["BTCUSDT"], on=False)
    assert kept((4, 5.0, symbol)) == 1


@pytest.mark.parametrize("behind", [1, 63])
def test_the_slower_connection_may_be_some_rows_behind(behind: int) -> None:
    """Its rows are known so long as not too many newer ones have come."""
    quality, _, symbols = make_filter()
    quality.overlap([symbols.names[symbols.number("BTCUSDT")]], on=True)
    rows = [ticker(at, 1.0) for at in range(1, 200)]
    kept = 0
    for at, row in enumerate(rows):
        late = rows[max(0, at - behind)]
        kept += len(quality.apply({MD.number: np.concatenate([row, late])}).get(MD.number, ()))
    assert kept == len(rows)


def test_a_replayed_ticker_during_an_overlap() -> None:
    """The ticker at subscribe of the second connection is the last one of the first."""
    quality, stats, symbols = make_filter()
    symbols.number("BTCUSDT")
    quality.apply({MD.number: ticker(5, 1.0)})
    quality.overlap(["BTCUSDT"], on=True)
    assert quality.apply({MD.number: ticker(5, 1.0, Flag.REPLAYED)}) == {}
    assert stats.duplicates == 1
