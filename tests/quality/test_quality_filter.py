"""Duplicates, gaps and replays, judged a batch at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from quality_rows import make_filter, passed, ticker, trades

from multilogger.batch import SymbolTable
from multilogger.quality.sequence import TradeSequence
from multilogger.records import ExchangeId, Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES, Array


def test_rising_ids_pass_untouched() -> None:
    """Contiguous ids of two symbols pass, without a gap or a copy."""
    quality, stats, _ = make_filter()
    first = trades((0, 7), (1, 100), (0, 8), (1, 101))
    assert quality.apply({TRADES.number: first})[TRADES.number] is not None
    again = trades((0, 9), (1, 102))
    assert quality.apply({TRADES.number: again})[TRADES.number] is again
    assert (stats.duplicates, stats.gaps) == (0, 0)


def test_repeats_are_dropped_within_and_across_batches() -> None:
    """An id counts once, wherever its repeat stands."""
    quality, stats, _ = make_filter()
    assert passed(quality, trades((0, 5), (0, 5), (1, 5), (0, 6))) == [(0, 5), (1, 5), (0, 6)]
    assert passed(quality, trades((0, 6), (1, 5), (1, 6))) == [(1, 6)]
    assert stats.duplicates == 3


def test_restart_goes_on_from_the_last_id_on_disk() -> None:
    """What is on disk is a duplicate, what was missed while off-line is a gap."""
    quality, stats, symbols = make_filter({"BTCUSDT": 41})
    number = symbols.number("BTCUSDT")
    assert passed(quality, trades((number, 41), (number, 45))) == [(number, 45)]
    assert (stats.duplicates, stats.gaps) == (1, 3)


def test_a_late_missing_id_is_taken_once() -> None:
    """Disorder closes the gap it had opened."""
    quality, stats, _ = make_filter()
    assert passed(quality, trades((0, 1), (0, 4), (0, 3), (0, 3))) == [(0, 1), (0, 4), (0, 3)]
    assert (stats.duplicates, stats.gaps) == (1, 1)
    assert passed(quality, trades((0, 2), (0, 5))) == [(0, 2), (0, 5)]
    assert stats.gaps == 0


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1), min_size=1))
def test_every_id_passes_once_however_it_comes(batches: list[list[tuple[int, int]]]) -> None:
    """Beyond ids below a symbol's first one, exactly the distinct ids pass, in order of first arrival."""
    quality, stats, _ = make_filter()
    first: dict[int, int] = {}
    expected: list[tuple[int, int]] = []
    for symbol, trade_id in (row for batch in batches for row in batch):
        if trade_id >= first.setdefault(symbol, trade_id) and (symbol, trade_id) not in expected:
            expected.append((symbol, trade_id))
    kept = [row for batch in batches for row in passed(quality, trades(*batch))]
    assert kept == expected
    seen = {symbol: [i for s, i in expected if s == symbol] for symbol in first}
    assert stats.gaps == sum(max(ids) - min(ids) + 1 - len(ids) for ids in seen.values())
    assert stats.duplicates == sum(map(len, batches)) - len(kept)


def test_a_replayed_ticker_is_kept_once() -> None:
    """The ticker at subscribe is dropped when it is the last one recorded or older, kept when it is news."""
    quality, stats, _ = make_filter()

    def rows(md: Array) -> int:
        return len(quality.apply({MD.number: md}).get(MD.number, ()))

    assert rows(ticker(1000, 5.0, Flag.REPLAYED)) == 1
    assert rows(ticker(1000, 5.0, Flag.REPLAYED)) == 0
    assert rows(ticker(999, 4.0, Flag.REPLAYED)) == 0
    assert rows(ticker(1000, 6.0, Flag.REPLAYED)) == 1
    assert rows(ticker(1001, 6.0)) == 1
    assert rows(ticker(1001, 6.0)) == 1
    assert stats.duplicates == 2


def test_a_late_ticker_is_not_taken_for_the_newest() -> None:
    """After a ticker that comes late, alone or among others, the replay of the newest is still known."""
    quality, stats, _ = make_filter()
    for batch in (
        [ticker(2000, 5.0), ticker(1000, 4.0)],
        [ticker(1500, 4.5)],
        [ticker(2000, 5.0, Flag.REPLAYED)],
    ):
        quality.apply({MD.number: np.concatenate(batch)})
    assert stats.duplicates == 1


def test_many_symbols_grow_the_state() -> None:
    """Symbols beyond the first allocation are remembered like the first."""
    quality, stats, _ = make_filter()
    rows = trades(*((number, 1) for number in range(500)))
    assert len(passed(quality, rows)) == 500
    assert passed(quality, rows) == []
    assert stats.duplicates == 500
    md = np.repeat(ticker(5, 1.0, Flag.REPLAYED), 500)
    md["symbol"] = np.arange(500)
    assert len(quality.apply({MD.number: md})[MD.number]) == 500
    assert quality.apply({MD.number: md}) == {}


def test_a_trade_that_comes_after_it_was_given_up_is_taken_once() -> None:
    """Nobody asks for it any more, but it was never recorded."""
    stats = ExchangeStats("binance")
    sequence = TradeSequence(SymbolTable(ExchangeId("binance")), stats, {})
    sequence.fresh(trades((0, 1), (0, 2), (0, 6)))
    (hole,) = sequence.holes()
    sequence.give_up(hole, "no history")
    assert (stats.gaps, stats.missing, stats.given_up) == (3, 0, 3)
    assert len(sequence.fresh(trades((0, 4), (0, 7)))) == 2
    assert len(sequence.fresh(trades((0, 4)))) == 0
    assert len(sequence.fresh(trades((0, 3), (0, 5), (0, 6)))) == 2
    assert (stats.gaps, stats.missing, stats.given_up, stats.duplicates) == (0, 0, 0, 2)
    assert sequence.holes() == []
