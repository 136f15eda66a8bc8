"""How long each table of each symbol is usually silent, and when a silence is too long."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multilogger.quality.liveness import KNOWN_FROM, MOST_SECS, UNKNOWN_SECS, Liveness
from multilogger.records import Flag
from multilogger.tables import MD, TRADES, Array, Table

QUIET = 30.0


def numbers(*symbols: int) -> Array:
    """Symbol numbers as the pool passes them."""
    return np.array(symbols, np.intp)


def rows(table: Table, *symbols: int, flags: int = 0) -> dict[int, Array]:
    """Rows of a table, one for each number; their values don't matter here."""
    packed = np.zeros(len(symbols), table.row)
    packed["symbol"] = symbols
    packed["flags"] = flags
    return {table.number: packed}


def carried(*symbols: int, now: float = 0.0) -> Liveness:
    """A liveness of symbols that are carried from ``now`` on."""
    liveness = Liveness(QUIET)
    liveness.began(numbers(*symbols), now)
    return liveness


def every(
    liveness: Liveness, table: Table, symbol: int, secs: float, until: float, start: float = 0.0
) -> None:
    """Note a row of a symbol every so many seconds."""
    for at in np.arange(start + secs, until + secs / 2, secs):
        liveness.note(rows(table, symbol), float(at))


def silent(liveness: Liveness, symbol: int, table: Table, now: float) -> bool:
    """Whether a symbol's table is found silent."""
    return bool(liveness.silent(numbers(symbol), table, now).tolist() == [symbol])


def test_a_busy_table_is_silent_after_quiet_secs() -> None:
    """Where something comes every second, half a minute without is too long; each table counts by itself."""
    liveness = carried(3)
    for at in range(1, 121):
        liveness.note(rows(TRADES, 3) | rows(MD, 3), float(at))
    for at in range(121, 152):
        liveness.note(rows(MD, 3), float(at))
    assert not silent(liveness, 3, TRADES, 120.0 + QUIET)
    assert silent(liveness, 3, TRADES, 121.0 + QUIET)
    assert not silent(liveness, 3, MD, 121.0 + QUIET)


@pytest.mark.parametrize(("secs", "threshold"), [(10.0, 200.0), (60.0, 1200.0), (600.0, MOST_SECS)])
def test_rare_rows_may_be_rare(secs: float, threshold: float) -> None:
    """The threshold is twenty usual intervals, but never more than an hour."""
    liveness = carried(0)
    until = 40 * secs
    every(liveness, TRADES, 0, secs, until)
    assert liveness.usual_secs(numbers(0), TRADES) == pytest.approx([secs], rel=0.1)
    assert not silent(liveness, 0, TRADES, until + 0.9 * threshold)
    assert silent(liveness, 0, TRADES, until + 1.1 * threshold)


def test_bursts_count_once() -> None:
    """A market that trades many times at once, and then rests for a minute, usually rests for a minute."""
    liveness = carried(0)
    for burst in range(1, 31):
        for row in range(20):
            liveness.note(rows(TRADES, 0, 0, 0), 60.0 * burst + row / 1000)
    assert not silent(liveness, 0, TRADES, 1800.0 + 1000.0)
    assert silent(liveness, 0, TRADES, 1800.0 + 1300.0)


def test_little_is_concluded_from_few_rows() -> None:
    """Until ten seconds had data, ten minutes are given, from the moment it is carried."""
    liveness = carried(0, 1)
    every(liveness, TRADES, 0, 1.0, KNOWN_FROM - 2.0)
    end = KNOWN_FROM - 2.0
    assert not silent(liveness, 0, TRADES, end + UNKNOWN_SECS)
    assert silent(liveness, 0, TRADES, end + UNKNOWN_SECS + 1.0)
    assert not silent(liveness, 1, TRADES, UNKNOWN_SECS)
    assert silent(liveness, 1, TRADES, UNKNOWN_SECS + 1.0)


def test_what_was_never_carried_is_not_silent() -> None:
    """A number that no connection has carried has no silence, no interval and no rate."""
    liveness = carried(1)
    assert liveness.silent(numbers(0, 500), MD, 1e6).tolist() == []
    assert liveness.lagging(numbers(0, 500), MD, 1e6).tolist() == []
    assert np.isnan(liveness.usual_secs(numbers(0, 700), MD)).all()
    assert liveness.rates(numbers(0, 900)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("flag", [Flag.REPLAYED, Flag.BACKFILLED, Flag.REPLAYED | Flag.SUSPECT])
def test_what_is_sent_again_is_no_sign_of_life(flag: Flag) -> None:
    """A ticker that repeats itself at each subscription, and what REST gave, end no silence."""
    liveness = carried(0)
    every(liveness, MD, 0, 1.0, 60.0)
    liveness.note(rows(MD, 0, flags=flag), 90.0)
    assert silent(liveness, 0, MD, 91.0)
    liveness.note(rows(MD, 0, flags=Flag.SUSPECT), 91.0)
    assert not silent(liveness, 0, MD, 91.5)


def test_a_new_connection_starts_the_clock_and_keeps_what_is_known() -> None:
    """After an outage of hours the usual interval is that of before, not one with the outage in it."""
    liveness = carried(0)
    every(liveness, TRADES, 0, 2.0, 1800.0)
    liveness.began(numbers(0), 10_000.0)
    assert not silent(liveness, 0, TRADES, 10_000.0 + 39.0)
    assert silent(liveness, 0, TRADES, 10_000.0 + 42.0)
    every(liveness, TRADES, 0, 2.0, 10_200.0, start=10_050.0)
    assert liveness.usual_secs(numbers(0), TRADES) == pytest.approx([2.0], rel=0.2)


def test_a_silence_that_was_true_is_looked_at_ever_less() -> None:
    """Each look that finds nothing newer doubles the time to the next, up to an hour; data ends that."""
    liveness = carried(0)
    every(liveness, TRADES, 0, 1.0, 300.0)
    now, looks = 300.0, []
    for second in [*range(301, 900), *range(900, 300 + 6 * 3600, 20)]:
        if silent(liveness, 0, TRADES, float(second)):
            looks.append(second - now)
            now = second
            liveness.excused(numbers(0), TRADES, now)
    assert looks[:4] == [31.0, 61.0, 121.0, 241.0]
    assert looks[-1] == pytest.approx(MOST_SECS, abs=20.0)
    end = 300.0 + 6 * 3600
    every(liveness, TRADES, 0, 1.0, end + 7200.0, start=end)
    assert silent(liveness, 0, TRADES, end + 7200.0 + 35.0)


def test_weeks_of_silence_end_in_an_answer() -> None:
    """However long nothing comes, the averages stay numbers."""
    liveness = carried(0, 1)
    every(liveness, TRADES, 0, 1.0, 60.0)
    for day in range(1, 60):
        liveness.note(rows(TRADES, 1), 86_400.0 * day)
    assert silent(liveness, 0, TRADES, 86_400.0 * 60)
    assert liveness.rates(numbers(0)).tolist() == [0.0]


def test_trades_lag_when_newer_ids_are_named() -> None:
    """An id that the trades have not reached for five seconds is proof; one that they then reach is not."""
    liveness = carried(0, 1)
    every(liveness, TRADES, 0, 1.0, 20.0)
    both = numbers(0, 1)

    def lagging(now: float, *ahead: int) -> list[int]:
        found: list[int] = liveness.lagging(both, TRADES, now, ahead=numbers(*ahead)).tolist()
        return found

    assert lagging(30.0, 0) == []
    assert lagging(33.0) == []
    assert lagging(34.0, 0, 1) == []
    assert lagging(38.0, 0, 1) == []
    assert lagging(39.0, 0, 1) == [0, 1]
    liveness.note(rows(TRADES, 1), 40.0)
    assert lagging(41.0, 0, 1) == [0]
    liveness.began(numbers(0), 42.0)
    assert lagging(43.0, 0) == []
    assert lagging(48.0, 0) == [0]


def test_market_data_lags_when_trades_flow() -> None:
    """Trades that come long after the last ticker prove that tickers are missing; a quiet market doesn't."""
    liveness = carried(0, 1, 2)
    for at in range(1, 61):
        liveness.note(rows(TRADES, 0, 1, 2) | rows(MD, 0, 1), float(at))
    assert liveness.lagging(numbers(0, 1, 2), MD, 61.0).tolist() == [2]
    for at in range(61, 100):
        liveness.note(rows(TRADES, 0) | rows(MD, 2), float(at))
    assert liveness.lagging(numbers(0, 1, 2), MD, 100.0).tolist() == [0]
    liveness.began(numbers(0), 100.0)
    assert liveness.lagging(numbers(0, 1, 2), MD, 101.0).tolist() == []


def test_an_excuse_is_no_data() -> None:
    """That the exchange has no newer trade doesn't count as a trade that came."""
    liveness = carried(0)
    every(liveness, MD, 0, 1.0, 60.0)
    liveness.excused(numbers(0), TRADES, 700.0)
    assert liveness.lagging(numbers(0), MD, 701.0).tolist() == []


def test_rates_are_rows_a_second_of_all_tables() -> None:
    """A steady stream has its rate, young or old; a stream that ends fades within minutes."""
    liveness = carried(0, 1)
    for tick in range(1, 1201):
        liveness.note(rows(MD, 0, 0, 0) | rows(TRADES, 0, 1), tick / 10)
        if tick in (150, 600, 1200):
            assert liveness.rates(numbers(0, 1)) == pytest.approx([40.0, 10.0], rel=0.12)
    liveness.note(rows(MD, 1), 420.0)
    liveness.note(rows(MD, 1), 421.0)
    assert liveness.rates(numbers(0))[0] < 0.5


def test_the_first_rows_are_no_rate() -> None:
    """What comes at once with a subscription is taken over ten seconds."""
    liveness = Liveness(QUIET)
    liveness.note(rows(MD, *([0] * 50)), 5.0)
    liveness.note(rows(MD, 1), 6.0)
    assert liveness.rates(numbers(0))[0] == pytest.approx(5.0, rel=0.1)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.floats(0.02, 1.5))
def test_steady_streams_are_never_silent(seed: int, secs: float) -> None:
    """Markets of random pace that go on are never found silent, whoever asks whenever."""
    chance = random.Random(seed)
    liveness = carried(*range(4))
    now = 0.0
    for step in range(300):
        now += chance.expovariate(1 / secs)
        liveness.note(rows(chance.choice((MD, TRADES)), chance.randrange(4)), now)
        if step % 7:
            continue
        assert liveness.silent(np.arange(4), MD, now).tolist() == []
        assert liveness.silent(np.arange(4), TRADES, now).tolist() == []
