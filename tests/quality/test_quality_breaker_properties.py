"""What holds for breakers whatever comes: nothing is lost silently, and good streams are let alone."""

from __future__ import annotations

import random

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multilogger.batch import SymbolTable
from multilogger.config import ExchangeConfig
from multilogger.quality.breaker import ROWS_NEEDED, Breakers
from multilogger.quality.validation import KEPT_PRICES, PRICES_NEEDED, Validation
from multilogger.records import ExchangeId, Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, NANOS_PER_SECOND, TRADES, Array, Table

CONFIG = ExchangeConfig(ws_endpoint="wss://x", rest_endpoint="https://x", max_trade_size=1000.0)
SYMBOLS = 4


class Checks:
    """Validation and breakers behind one another, as a hand-over passes them."""

    def __init__(self) -> None:
        self.stats = ExchangeStats("binance")
        symbols = SymbolTable(ExchangeId.BINANCE)
        for number in range(SYMBOLS):
            symbols.number(f"S{number}")
        self.validation = Validation(CONFIG, self.stats)
        self.breakers = Breakers(symbols, CONFIG, self.stats)

    def apply(self, rows: dict[int, Array], now: float) -> dict[int, Array]:
        """Check a hand-over."""
        checked = self.validation.check(rows, round(now * NANOS_PER_SECOND))
        return self.breakers.judge(checked, self.validation.doubts, now, round(now * NANOS_PER_SECOND))

    def trade(self, price: float, now: float, symbol: int = 0) -> bool:
        """Check one trade; return whether it is recorded."""
        rows = np.zeros(1, TRADES.row)
        rows["symbol"], rows["price"], rows["time_ns"] = symbol, price, round(now * NANOS_PER_SECOND)
        return len(self.apply({TRADES.number: rows}, now)[TRADES.number]) == 1


@attrs.frozen
class Row:
    """What the checks look at."""

    symbol: int
    price: float
    size: float
    spread: float
    flags: int


ROWS = st.builds(
    Row,
    symbol=st.integers(0, SYMBOLS - 1),
    price=st.sampled_from([100.0, 101.0, 1e9, 1e-3]),
    size=st.sampled_from([1.0, 1e6]),
    spread=st.sampled_from([1.0, -1.0]),
    flags=st.sampled_from([0, 0, 0, Flag.BACKFILLED, Flag.REPLAYED]),
)
HAND_OVERS = st.lists(
    st.tuples(st.sampled_from([MD, TRADES]), st.floats(0.01, 120.0), st.lists(ROWS, min_size=1, max_size=60)),
    max_size=20,
)


def packed(table: Table, given_rows: list[Row], now: float, first: int) -> Array:
    """Rows of a table, numbered in their receive times."""
    rows = np.zeros(len(given_rows), table.row)
    rows["recv_ns"] = np.arange(first, first + len(rows))
    rows["time_ns"] = round(now * NANOS_PER_SECOND)
    for name in ("symbol", "price", "flags"):
        rows[name] = [getattr(row, name) for row in given_rows]
    if table is MD:
        rows["best_bid"] = rows["price"]
        rows["best_ask"] = rows["price"] * (1 + 0.1 * np.array([row.spread for row in given_rows]))
    else:
        rows["size"] = [row.size for row in given_rows]
    return rows


@settings(deadline=None)
@given(HAND_OVERS)
def test_nothing_is_lost_silently(hand_overs: list[tuple[Table, float, list[Row]]]) -> None:
    """What goes in comes out or is counted as set aside, in order, changed in no more than one flag.

    Backfilled rows always come out, and what is set aside is of symbols whose frames were being kept.
    """
    checks, now, rows_in, rows_out = Checks(), 0.0, 0, 0
    for table, secs, given_rows in hand_overs:
        now += secs
        rows = packed(table, given_rows, now, rows_in)
        kept_before = checks.breakers.open_symbols
        kept = checks.apply({table.number: rows.copy()}, now)[table.number]
        removed = checks.breakers.removed.get(table.number, kept[:0])
        together = np.sort(np.concatenate([kept, removed]), order="recv_ns")
        together["flags"] &= ~np.uint32(Flag.SUSPECT)
        assert (together == rows).all()
        assert (np.diff(kept["recv_ns"]) > 0).all()
        assert not (removed["flags"] & Flag.BACKFILLED).any()
        assert {f"S{number}" for number in removed["symbol"]} <= kept_before
        rows_in, rows_out = rows_in + len(rows), rows_out + len(kept)
    assert rows_in == rows_out + checks.stats.broken_rows


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.floats(0.001, 30.0))
def test_a_good_stream_is_never_set_aside(seed: int, secs: float) -> None:
    """A price that walks at random by a few percent a trade, at any pace, is never even suspect."""
    chance, checks, price = random.Random(seed), Checks(), 100.0
    for step in range(300):
        price *= chance.uniform(0.98, 1.02)
        assert checks.trade(price, 1.0 + step * secs)
    assert (checks.stats.broken_rows, checks.stats.suspect.total()) == (0, 0)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(PRICES_NEEDED, 400))
def test_garbage_after_any_good_stream_is_set_aside_within_twenty_rows(seed: int, good: int) -> None:
    """At most twenty rows of garbage are recorded; then none is, and other symbols go on."""
    chance, checks = random.Random(seed), Checks()
    for step in range(good):
        assert checks.trade(chance.uniform(90, 110), 1.0 + step / 10)
    start = 1.0 + good / 10
    recorded = [
        checks.trade(10.0 ** (chance.choice((-1, 1)) * chance.uniform(4, 12)), start + step / 10)
        for step in range(100)
    ]
    # Until the garbage is half of the kept prices, each of them is suspect; by then the breaker may be open.
    assert recorded[:ROWS_NEEDED] == [True] * ROWS_NEEDED
    assert not any(recorded[ROWS_NEEDED:])
    assert checks.breakers.open_symbols == {"S0"}
    assert checks.trade(1.0, start + 10, symbol=1)


@pytest.mark.parametrize("level", [100.0, 1e7])
def test_a_stream_that_is_good_again_is_recorded_again(level: float) -> None:
    """After garbage, and after a move of the price that lasts, the breaker closes and every row is kept."""
    chance, checks, now = random.Random(3), Checks(), 1.0
    for _ in range(50):
        checks.trade(100.0, now := now + 0.1)
    for _ in range(40):
        checks.trade(10.0 ** chance.uniform(4, 12), now := now + 0.1)
    assert checks.breakers.open_symbols == {"S0"}
    for _ in range(KEPT_PRICES):
        checks.trade(level, now := now + 0.1)
    later = [checks.trade(level * chance.uniform(0.95, 1.05), now := now + 1.0) for _ in range(120)]
    assert later == sorted(later)
    assert later[60:] == [True] * 60
    assert checks.stats.breakers["S0/TRADES"].state == "closed"
    assert checks.breakers.open_symbols == frozenset()
