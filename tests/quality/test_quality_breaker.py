"""Circuit breakers: a symbol's table that is mostly wrong is set aside while it is, and no other."""

from __future__ import annotations

import numpy as np
from structlog.testing import capture_logs

from multilogger.batch import SymbolTable
from multilogger.config import ExchangeConfig
from multilogger.quality.breaker import MOST_SECS, ROWS_NEEDED, WINDOW_ROWS, Breakers
from multilogger.quality.validation import Doubt
from multilogger.records import ExchangeId, Flag
from multilogger.stats import BreakerStats, ExchangeStats
from multilogger.tables import MD, NANOS_PER_SECOND, TRADES, Array, Table

SECS = 60.0
EPOCH_NS = 1_700_000_000 * NANOS_PER_SECOND


class Rig:
    """Breakers of three symbols, with a clock."""

    def __init__(self, share: float = 0.5, secs: float = SECS) -> None:
        self.stats = ExchangeStats("binance")
        self.now = 0.0
        symbols = SymbolTable(ExchangeId.BINANCE)
        for name in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
            symbols.number(name)
        config = ExchangeConfig(
            ws_endpoint="wss://x", rest_endpoint="https://x", breaker_share=share, breaker_secs=secs
        )
        self.breakers = Breakers(symbols, config, self.stats)

    def judge(
        self, *doubts: int, symbol: int = 0, table: Table = TRADES, flags: int = 0, secs: float = 0.1
    ) -> int:
        """Judge rows of a symbol with these doubts; return how many pass."""
        self.now += secs
        rows = np.zeros(len(doubts), table.row)
        rows["symbol"], rows["flags"] = symbol, flags
        return len(
            self.pass_on({table.number: rows}, {table.number: np.array(doubts, np.uint8)})[table.number]
        )

    def pass_on(self, rows: dict[int, Array], doubts: dict[int, Array]) -> dict[int, Array]:
        """Judge tables of rows now."""
        wrong = {number: of_table for number, of_table in doubts.items() if of_table.any()}
        return self.breakers.judge(rows, wrong, self.now, self.now_ns)

    @property
    def now_ns(self) -> int:
        """The time that the counters show."""
        return EPOCH_NS + round(self.now * NANOS_PER_SECOND)

    def open(self) -> None:
        """Make the first symbol's trades break."""
        assert self.judge(*[Doubt.PRICE] * ROWS_NEEDED) == ROWS_NEEDED
        assert self.state == "open"

    @property
    def state(self) -> str:
        """That of the first symbol's trades, as the counters show it."""
        shown = self.stats.breakers.get("BTCUSDT/TRADES")
        return "none" if shown is None else shown.state


def test_good_rows_pass_as_they_are() -> None:
    """While nothing is suspect, the same dictionary is returned, and nothing is kept."""
    rig = Rig()
    rows = {TRADES.number: np.zeros(1000, TRADES.row)}
    assert rig.pass_on(rows, {}) is rows
    assert (rig.breakers._breakers, rig.stats.breakers) == ({}, {})


def test_garbage_opens_at_the_twentieth_row() -> None:
    """After thousands of good rows, twenty bad ones are enough; they were recorded, and no others are."""
    rig = Rig()
    for _ in range(50):
        rig.judge(*[0] * 100)
    for row in range(ROWS_NEEDED):
        assert rig.state == "none"
        assert rig.judge(Doubt.PRICE) == 1, row
    assert rig.state == "open"
    assert rig.breakers.open_symbols == {"BTCUSDT"}
    assert rig.judge(Doubt.PRICE, 0, 0) == 0
    assert rig.stats.broken_rows == len(rig.breakers.removed[TRADES.number]) == 3
    assert rig.judge(0, 0, symbol=1) == 2
    assert rig.judge(0, 0, table=MD) == 2
    assert rig.breakers.removed == {}


def test_a_share_is_needed_and_not_a_number() -> None:
    """One row of three may be suspect for ever; with two of three, it opens."""
    rig = Rig()
    for _ in range(500):
        rig.judge(Doubt.QUOTES, 0, 0, secs=0.01)
    assert rig.state == "none"
    for _ in range(WINDOW_ROWS):
        rig.judge(Doubt.QUOTES, Doubt.QUOTES, 0, secs=0.01)
    assert rig.state == "open"


def test_rows_of_long_ago_do_not_count() -> None:
    """Twenty suspect rows, too far apart for a minute to hold them, open nothing."""
    rig = Rig()
    for _ in range(100):
        assert rig.judge(Doubt.PRICE, secs=60.0 / (ROWS_NEEDED - 2)) == 1
    assert rig.state == "none"
    rig.judge(0, secs=61.0)
    assert rig.breakers._breakers == {}


def test_a_suspect_row_is_forgotten_after_enough_good_ones() -> None:
    """Once 200 good rows have followed, the symbol costs nothing again."""
    rig = Rig()
    rig.judge(0, Doubt.PRICE, 0)
    rig.judge(*[0] * (WINDOW_ROWS - 2))
    assert len(rig.breakers._breakers) == 1
    rig.judge(0)
    assert rig.breakers._breakers == {}


def test_suspect_clocks_break_nothing() -> None:
    """A wrong clock makes every row suspect; the rows are recorded all the same."""
    rig = Rig()
    assert rig.judge(*[Doubt.CLOCK] * 500) == 500
    assert rig.state == "none"
    assert rig.breakers._breakers == {}


def test_backfilled_rows_are_never_set_aside() -> None:
    """What REST gave is neither judged nor set aside, whatever the breaker's state."""
    rig = Rig()
    assert rig.judge(*[Doubt.PRICE] * 100, flags=Flag.BACKFILLED) == 100
    assert rig.state == "none"
    rig.open()
    assert rig.judge(Doubt.PRICE, 0, flags=Flag.BACKFILLED | Flag.SUSPECT) == 2
    assert rig.stats.broken_rows == 0


def test_it_closes_when_all_is_well() -> None:
    """After its time the good rows pass at once; the twentieth closes it, and all is forgotten."""
    rig = Rig()
    rig.open()
    assert rig.judge(0, secs=SECS - 0.2) == 0
    assert rig.judge(*[0] * 10, Doubt.PRICE, secs=0.3) == 10
    assert rig.state == "half-open"
    assert rig.breakers.open_symbols == {"BTCUSDT"}
    assert rig.judge(*[0] * 8, Doubt.PRICE) == 9
    assert rig.state == "closed"
    assert rig.breakers.open_symbols == frozenset()
    assert rig.judge(0) == 1
    assert rig.breakers._breakers == {}
    assert rig.stats.broken_rows == 2


def test_it_opens_for_twice_as_long_each_time() -> None:
    """Rows that are still wrong after its time double it, to an hour at most; closing ends that."""
    rig = Rig()
    rig.open()
    for secs in (60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, MOST_SECS, MOST_SECS):
        shown = rig.stats.breakers["BTCUSDT/TRADES"]
        assert shown.retry_ns - shown.changed_ns == secs * NANOS_PER_SECOND
        assert rig.judge(0, secs=secs - 1.0) == 0
        assert rig.judge(*[Doubt.PRICE] * 19, secs=2.0) == 0
        assert rig.state == "half-open"
        assert rig.judge(Doubt.PRICE, 0, 0) == 0
        assert rig.state == "open"
    rig.judge(*[0] * ROWS_NEEDED, secs=MOST_SECS)
    assert rig.state == "closed"
    rig.open()
    shown = rig.stats.breakers["BTCUSDT/TRADES"]
    assert shown.retry_ns - shown.changed_ns == SECS * NANOS_PER_SECOND
    assert shown.opened == 10


def test_a_configured_time_over_an_hour_is_kept() -> None:
    """``breaker_secs`` of two hours stays two hours."""
    rig = Rig(secs=7200.0)
    rig.open()
    rig.judge(*[Doubt.PRICE] * ROWS_NEEDED, secs=7200.0)
    shown = rig.stats.breakers["BTCUSDT/TRADES"]
    assert (shown.state, shown.retry_ns - shown.changed_ns) == ("open", 7200 * NANOS_PER_SECOND)


def test_a_rare_market_is_not_tried_for_hours() -> None:
    """A minute after its trial began, a half-open breaker is judged by the rows that there are."""
    rig = Rig()
    rig.open()
    assert rig.judge(0, secs=SECS) == 1
    assert rig.judge(0, secs=61.0) == 1
    assert rig.state == "closed"


def test_it_is_tried_even_if_its_symbol_is_silent() -> None:
    """Rows of another symbol let its time pass."""
    rig = Rig()
    rig.open()
    rig.judge(0, symbol=1, secs=SECS)
    assert rig.state == "half-open"


def test_a_new_start_begins_closed() -> None:
    """Breakers of an exchange that is started again are closed, and the counters say so."""
    rig = Rig()
    rig.open()
    Breakers(rig.breakers._symbols, rig.breakers._config, rig.stats)
    shown = rig.stats.breakers["BTCUSDT/TRADES"]
    assert (shown.state, shown.retry_ns, shown.opened) == ("closed", 0, 1)


def test_a_table_without_rows_is_no_trouble() -> None:
    """While something is watched, an empty table passes like any other."""
    rig = Rig()
    rig.judge(Doubt.PRICE)
    assert rig.judge(table=MD) == 0
    assert rig.breakers.removed == {}


def test_zero_turns_it_off() -> None:
    """With a share of 0 nothing is ever set aside."""
    rig = Rig(share=0.0)
    for _ in range(10):
        assert rig.judge(*[Doubt.PRICE] * 100) == 100
    assert rig.stats.breakers == {}


def test_changes_are_told_and_logged() -> None:
    """Each change is in the counters, in ``changes`` of that judgement alone, and in the log."""
    rig = Rig()
    with capture_logs() as lines:
        rig.judge(*[Doubt.PRICE, Doubt.QUOTES] * 9, Doubt.SIZE, 0)
        opened = rig.breakers.changes[0]
        opened_ns = rig.now_ns
        assert (opened.symbol, opened.table, opened.state) == ("BTCUSDT", TRADES, "open")
        assert opened.reason == "19 of 20 rows suspect: price jump, crossed quotes, trade size"
        expected = BreakerStats("open", opened.reason, 1, opened_ns, opened_ns + 60 * NANOS_PER_SECOND)
        assert vars_of(rig.stats.breakers[opened.name]) == vars_of(expected)
        rig.judge(0)
        assert list(rig.breakers.changes) == []
        rig.judge(*[0] * ROWS_NEEDED, secs=SECS)
        assert [change.state for change in rig.breakers.changes] == ["half-open", "closed"]
    shown = rig.stats.breakers[opened.name]
    assert vars_of(shown) == ("closed", "0 of 20 rows suspect", 1, rig.now_ns, 0)
    assert [(line["event"], line["log_level"], line["exchange"]) for line in lines] == [
        ("breakers open", "warning", "binance"),
        ("breakers half-open", "info", "binance"),
        ("breakers closed", "info", "binance"),
    ]
    assert lines[0]["which"] == f"BTCUSDT/TRADES ({opened.reason})"


def test_many_changes_are_one_line() -> None:
    """An exchange that breaks as a whole is one line in the log, which names a few."""
    stats, symbols = ExchangeStats("binance"), SymbolTable(ExchangeId.BINANCE)
    for number in range(100):
        symbols.number(f"S{number}")
    breakers = Breakers(symbols, ExchangeConfig(ws_endpoint="wss://x", rest_endpoint="https://x"), stats)
    rows = np.zeros(100 * ROWS_NEEDED, TRADES.row)
    rows["symbol"] = np.arange(len(rows)) % 100
    with capture_logs() as lines:
        kept = breakers.judge({TRADES.number: rows}, {TRADES.number: np.ones(len(rows), np.uint8)}, 1.0, 1)
    assert len(kept[TRADES.number]) == len(rows)
    assert len(breakers.open_symbols) == len(stats.breakers) == len(breakers.changes) == 100
    assert [line["count"] for line in lines] == [100]
    assert len(str(lines[0]["which"])) < 400


def vars_of(shown: BreakerStats) -> tuple[object, ...]:
    """What a breaker's counters say; they compare by identity."""
    return (shown.state, shown.reason, shown.opened, shown.changed_ns, shown.retry_ns)
