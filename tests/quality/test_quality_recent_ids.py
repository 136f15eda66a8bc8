"""Ids that only tell repetitions, and tickers that two connections bring."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quality_pages import on_disk, uid
from quality_rows import SECOND, make_filter, passed, ticker, trades

from multilogger.batch import SymbolTable
from multilogger.quality.filter import QualityFilter
from multilogger.quality.recent_ids import REMEMBERED, TICK_NS, RecentIds
from multilogger.records import ExchangeId, Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, Array


def restarted(recent: Array) -> tuple[QualityFilter, ExchangeStats, SymbolTable]:
    """Return a filter that found trades on disk, its counters and symbols."""
    stats, symbols = ExchangeStats("binance"), SymbolTable(ExchangeId.BINANCE)
    quality = QualityFilter(
        symbols,
        stats,
        last_trade_ids={"BTCUSDT": int(recent["trade_id"].max())},
        last_md={},
        recent_trades={"BTCUSDT": recent},
        trade_ids="unordered",
    )
    return quality, stats, symbols


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


def test_ids_on_disk_are_known_after_a_restart() -> None:
    """What an exchange sends again at a subscription, or tells of its history, is not recorded twice."""
    quality, stats, symbols = restarted(on_disk((1, 10), (2, 20), (3, 30)))
    number = symbols.number("BTCUSDT")
    told = trades((number, uid(4), 25), (number, uid(2), 20), (number, uid(1), 10), flags=Flag.REPLAYED)
    told["time_ns"] *= SECOND
    assert passed(quality, told) == [(number, uid(4))]
    assert stats.duplicates == 2


@pytest.mark.parametrize("flags", [Flag.REPLAYED, Flag.BACKFILLED])
def test_what_is_older_than_what_was_read_may_be_on_disk(flags: Flag) -> None:
    """It is taken for a repetition if it is told of the past; a live trade is new whatever its time says."""
    quality, _, symbols = restarted(on_disk((1, 10), (2, 20)))
    number, other = symbols.number("BTCUSDT"), symbols.number("ETHUSDT")
    old = trades((number, uid(3), 9 * SECOND), (other, uid(3), 9 * SECOND), flags=flags)
    assert passed(quality, old) == [(other, uid(3))]
    assert passed(quality, trades((number, uid(4), 9 * SECOND))) == [(number, uid(4))]


def test_known_by_a_time() -> None:
    """Trades on disk always were; others from a hundredth second after they came, and never too soon."""
    now = [1000 * SECOND]
    stats, symbols = ExchangeStats("binance"), SymbolTable(ExchangeId.BINANCE)
    ids = RecentIds(symbols, stats, {}, {"BTCUSDT": on_disk((0, 1))}, lambda: now[0])
    for number in range(1, 4):
        now[0] += SECOND
        ids.fresh(trades((0, uid(number), 5)))
    asked = np.array([uid(number) for number in range(5)], np.uint64)

    def known_by(time_ns: int) -> str:
        return "".join("x" if it else "-" for it in ids.known_by(0, asked, time_ns).tolist())

    assert known_by(0) == known_by(1001 * SECOND - 1) == known_by(1001 * SECOND) == "x----"
    assert known_by(1001 * SECOND + 2 * TICK_NS) == "xx---"
    assert known_by(1002 * SECOND - TICK_NS) == "xx---"
    assert known_by(5000 * SECOND) == "xxxx-"
    assert ids.knows(0, asked).tolist() == [True] * 4 + [False]
    assert ids.knows(7, asked).tolist() == [False] * 5
    assert (ids.last_ns(0), ids.last_ns(99)) == (SECOND, 0)


def test_known_by_a_time_that_is_too_far() -> None:
    """After more than a year, what comes is never taken for known before."""
    now = [0]
    ids = RecentIds(SymbolTable(ExchangeId.BINANCE), ExchangeStats("binance"), {}, None, lambda: now[0])
    now[0] = 3 * 366 * 86_400 * SECOND
    ids.fresh(trades((0, uid(1), 5)))
    asked = np.array([uid(1)], np.uint64)
    assert ids.knows(0, asked).tolist() == [True]
    assert ids.known_by(0, asked, 2 * now[0]).tolist() == [False]


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 3)), max_size=1200), st.integers(1, 300))
def test_known_by_is_when_each_came(rows: list[tuple[int, int]], size: int) -> None:
    """However many ids there are, and in whatever order."""
    now = [0]
    ids = RecentIds(SymbolTable(ExchangeId.BINANCE), ExchangeStats("binance"), {}, None, lambda: now[0])
    came: dict[int, int] = {}
    for at in range(0, len(rows), size):
        part = rows[at : at + size]
        now[0] += part[0][1] * SECOND
        ids.fresh(trades(*((0, trade_id, 5) for trade_id, _ in part)))
        for trade_id, _ in part:
            came.setdefault(trade_id, now[0])
    asked = np.array(list(came), np.uint64)
    for time_ns in {*came.values()}:
        expected = [at < time_ns for at in came.values()]
        assert ids.known_by(0, asked, time_ns).tolist() == expected
