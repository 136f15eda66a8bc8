"""What looks wrong is flagged and counted, and nothing else is changed."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilogger.config import ExchangeConfig
from multilogger.quality.validation import KEPT_PRICES, PRICES_NEEDED, Doubt, Validation
from multilogger.records import Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, NANOS_PER_SECOND, TRADES, Array

NOW = 1_700_000_000 * NANOS_PER_SECOND


def make(
    *, max_price_jump: float = 0.0, max_clock_skew_secs: float = 0.0, max_trade_size: float = 0.0
) -> tuple[Validation, ExchangeStats]:
    """A validation with only the checks that are asked for, and those that are always on."""
    config = ExchangeConfig(
        ws_endpoint="wss://x",
        rest_endpoint="https://x",
        max_price_jump=max_price_jump,
        max_clock_skew_secs=max_clock_skew_secs,
        max_trade_size=max_trade_size,
    )
    stats = ExchangeStats("binance")
    return Validation(config, stats), stats


def trades(*prices: float, symbol: int = 0, size: float = 1.0, time_ns: int = NOW, flags: int = 0) -> Array:
    """Trades of one symbol at some prices."""
    rows = np.zeros(len(prices), TRADES.row)
    rows["price"] = prices
    rows["symbol"], rows["size"], rows["time_ns"], rows["flags"] = symbol, size, time_ns, flags
    return rows


def tickers(*quotes: tuple[float, float], price: float = 1.5) -> Array:
    """Tickers of one symbol with some quotes."""
    rows = np.zeros(len(quotes), MD.row)
    rows["best_bid"], rows["best_ask"] = np.transpose(quotes)
    rows["price"], rows["time_ns"] = price, NOW
    return rows


def suspects(validation: Validation, rows: Array, table: int = TRADES.number) -> list[bool]:
    """Which rows are flagged after a check."""
    checked = validation.check({table: rows}, NOW)[table]
    return [bool(flags & Flag.SUSPECT) for flags in checked["flags"]]


def test_a_price_far_from_the_median_is_suspect() -> None:
    """Half as much again is the limit, up and down; the row stays otherwise as it came."""
    validation, stats = make(max_price_jump=0.5)
    for price in (99.0, 100.0, 101.0, 100.0, 100.0):
        assert suspects(validation, trades(price)) == [False]
    rows = trades(150.0, 151.0, 50.0, 49.0)
    before = rows.copy()
    assert suspects(validation, rows) == [False, True, False, True]
    assert validation.doubts[TRADES.number].tolist() == [0, Doubt.PRICE, 0, Doubt.PRICE]
    rows["flags"] = 0
    assert (rows == before).all()
    assert stats.suspect == {"price jump": 2}


def test_no_reference_without_five_prices() -> None:
    """The first prices can't be judged, whatever they are."""
    validation, stats = make(max_price_jump=0.5)
    for power in range(PRICES_NEEDED):
        assert suspects(validation, trades(10.0**power)) == [False]
    assert suspects(validation, trades(1000.0)) == [True]
    assert suspects(validation, trades(1.0, symbol=700)) == [False]
    assert stats.suspect.total() == 1


def test_a_lasting_move_becomes_normal() -> None:
    """A real jump is suspect until most of the kept prices are from after it, and not for longer."""
    validation, stats = make(max_price_jump=0.5)
    for _ in range(100):
        suspects(validation, trades(100.0))
    flagged = [suspects(validation, trades(300.0))[0] for _ in range(100)]
    assert flagged == [True] * (KEPT_PRICES // 2 + 1) + [False] * (100 - KEPT_PRICES // 2 - 1)
    assert suspects(validation, trades(100.0)) == [True]
    assert stats.suspect["price jump"] == KEPT_PRICES // 2 + 2


def test_a_few_wrong_prices_move_nothing() -> None:
    """The median stands while fewer than half of the prices are wrong."""
    validation, _ = make(max_price_jump=0.5)
    chance = random.Random(7)
    for step in range(500):
        wrong = step % 3 == 2
        price = 10.0 ** chance.uniform(4, 9) if wrong else chance.uniform(90, 110)
        assert suspects(validation, trades(price)) == [wrong and step >= PRICES_NEEDED]


def test_symbols_and_tables_have_their_own_references() -> None:
    """A coin at 0.01 beside one at 60,000, and quotes that drift from trades, are judged by themselves."""
    validation, stats = make(max_price_jump=0.5)
    both = np.concatenate([trades(60_000.0), trades(0.01, symbol=1)])
    for _ in range(10):
        assert suspects(validation, both.copy()) == [False, False]
        assert suspects(validation, tickers((1.0, 2.0)), MD.number) == [False]
    swapped = np.concatenate([trades(60_000.0, symbol=1), trades(0.01)])
    assert suspects(validation, swapped) == [True, True]
    assert stats.suspect == {"price jump": 2}


def test_missing_prices_and_old_trades_are_no_reference() -> None:
    """A ticker without a price is not suspect for it; backfilled trades are judged, and teach nothing."""
    validation, _ = make(max_price_jump=0.5)
    for price in (0.0, math.nan):
        for _ in range(KEPT_PRICES):
            assert suspects(validation, trades(price)) == [False]
    for _ in range(PRICES_NEEDED):
        suspects(validation, trades(100.0))
    for _ in range(KEPT_PRICES):
        assert suspects(validation, trades(500.0, flags=Flag.BACKFILLED)) == [True]
    assert suspects(validation, trades(0.0, 100.0)) == [False, False]


@pytest.mark.parametrize(
    ("quotes", "suspect"),
    [
        ((1.0, 2.0), False),
        ((2.0, 2.0), False),
        ((2.0, 1.999), True),
        ((0.0, 2.0), True),
        ((2.0, 0.0), True),
        ((0.0, 0.0), True),
        ((math.nan, 2.0), True),
        ((1.0, math.nan), True),
    ],
)
def test_crossed_and_absent_quotes_are_suspect(quotes: tuple[float, float], suspect: bool) -> None:
    """A bid above the ask is; so is a quote that is no price. Equal quotes are a locked market, and fine."""
    validation, stats = make()
    assert suspects(validation, tickers((1.0, 2.0), quotes), MD.number) == [False, suspect]
    assert stats.suspect.total() == suspect


@pytest.mark.parametrize("flag", [Flag.LIVE, Flag.REPLAYED, Flag.BACKFILLED])
@pytest.mark.parametrize("secs", [-61, -60, 60, 61])
def test_clocks_far_apart_are_suspect(secs: int, flag: Flag) -> None:
    """A time more than a minute off is suspect, unless the row says that it is of the past."""
    validation, stats = make(max_clock_skew_secs=60.0)
    expected = abs(secs) > 60 and flag == Flag.LIVE
    rows = trades(1.0, time_ns=NOW + secs * NANOS_PER_SECOND, flags=flag)
    assert suspects(validation, rows) == [expected]
    assert stats.suspect == ({"clock skew": 1} if expected else {})


def test_a_large_trade_is_suspect() -> None:
    """A trade above the limit is; several faults of a row count each, and set one flag."""
    validation, stats = make(max_trade_size=10.0, max_clock_skew_secs=1.0)
    assert suspects(validation, trades(1.0, size=10.0)) == [False]
    assert suspects(validation, trades(1.0, size=10.5, time_ns=0)) == [True]
    assert validation.doubts[TRADES.number].tolist() == [Doubt.SIZE | Doubt.CLOCK]
    assert stats.suspect == {"trade size": 1, "clock skew": 1}


def test_checks_that_are_off_cost_and_find_nothing() -> None:
    """With the thresholds at 0, absurd trades pass as the same object."""
    validation, stats = make()
    rows = trades(1.0, 1e14, size=1e14, time_ns=0)
    assert validation.check({TRADES.number: rows}, NOW)[TRADES.number] is rows
    assert (validation.doubts, stats.suspect) == ({}, {})


def test_rows_that_can_not_be_changed_are_copied() -> None:
    """Rows over bytes get their flag in a copy."""
    validation, _ = make(max_trade_size=1.0)
    rows = np.frombuffer(trades(1.0, size=2.0).tobytes(), TRADES.row)
    checked = validation.check({TRADES.number: rows}, NOW)[TRADES.number]
    assert (int(checked["flags"][0]), int(rows["flags"][0])) == (Flag.SUSPECT, 0)


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 70), st.floats(0.01, 1e6)), min_size=1, max_size=20), max_size=60
    )
)
def test_the_reference_is_the_median_of_the_last_prices(batches: list[list[tuple[int, float]]]) -> None:
    """Row for row, the result is that of a plain reckoning with lists."""
    validation, _ = make(max_price_jump=0.5)
    kept: dict[int, list[float]] = {}
    for batch in batches:
        rows = np.concatenate([trades(price, symbol=symbol) for symbol, price in batch])
        expected = []
        for symbol, price in batch:
            known = sorted(kept.get(symbol, [])[-KEPT_PRICES:])
            median = known[(len(known) - 1) // 2] if len(known) >= PRICES_NEEDED else math.nan
            expected.append(abs(price - median) > 0.5 * median)
        for symbol, price in dict(batch).items():
            kept.setdefault(symbol, []).append(price)
        assert suspects(validation, rows) == expected
