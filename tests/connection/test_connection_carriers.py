from __future__ import annotations

from math import inf

import attrs
import numpy as np
import pytest
import trio
from connection_fakes import FakeCoverage, FakeQuality
from connection_peer import calendar
from connection_words import WordAdapter
from trio.testing import MockClock

from multilogger.batch import RowBuffer, SymbolTable
from multilogger.connection.arrivals import Arrivals
from multilogger.connection.carriers import OVERLAP_AFTER_SECS, Carriers
from multilogger.connection.catching_up import behind
from multilogger.errors import FeedError
from multilogger.records import ExchangeId, Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES

TABLE = SymbolTable(ExchangeId("words"))


@attrs.define(eq=False)
class Connection:
    """A connection without a wire."""

    heard: float = 0.0
    heard_ns: int = 0
    busy: bool = False
    md_has_time: bool = True
    arrivals: Arrivals = attrs.field(factory=Arrivals)
    muted: set[int] = attrs.field(factory=set)
    adapter: WordAdapter = attrs.field(factory=lambda: WordAdapter(TABLE, ExchangeStats("words")))

    def hear(self, symbol: str, *, flags: int = 0) -> None:
        """Let a trade of a symbol come."""
        self.heard, self.heard_ns = trio.current_time(), calendar()
        rows = RowBuffer()
        rows.add_trade(
            symbol=TABLE.number(symbol),
            time_ns=self.heard_ns,
            recv_ns=self.heard_ns,
            trade_id=1,
            price=1.0,
            size=1.0,
            side=1,
            flags=flags,
        )
        self.arrivals.note(rows.take(), self.heard)

    def quote(self, symbol: str) -> None:
        """Let a ticker of a symbol come."""
        self.heard, self.heard_ns = trio.current_time(), calendar()
        rows = RowBuffer()
        rows.add_md(
            symbol=TABLE.number(symbol),
            time_ns=self.heard_ns,
            recv_ns=self.heard_ns,
            price=1.0,
            volume=1.0,
            side=1,
            best_bid=1.0,
            best_ask=2.0,
        )
        self.arrivals.note(rows.take(), self.heard)

    def ask_again(self, symbols: object) -> None:
        """Nobody does."""

    def replace(self, why: FeedError) -> None:
        """Nobody does."""


class Bench:
    """Carriers that tell fakes."""

    def __init__(self) -> None:
        self.quality, self.coverage = FakeQuality(), FakeCoverage()
        self.carriers = Carriers(TABLE, self.quality, self.coverage, calendar)

    def carried(self, connection: Connection, *symbols: str) -> None:
        """Let a connection ask for symbols, and have them confirmed at once."""
        self.carriers.asked(connection, symbols)
        self.carriers.confirmed(connection, symbols)


async def test_the_first_and_the_last_carrier_are_told(autojump_clock: MockClock) -> None:
    """A symbol is carried from its first confirmation on, and lost when its last connection fails."""
    bench, one, two = Bench(), Connection(), Connection()
    bench.carriers.asked(one, ("A", "B"))
    assert bench.coverage.told == []
    bench.carriers.confirmed(one, ("A",))
    bench.carriers.confirmed(one, ("B",))
    await trio.sleep(1)
    bench.carried(two, "A")
    assert bench.carriers.of("A") == [one, two]
    await trio.sleep(1)
    one.hear("A")
    two.hear("A")
    bench.carriers.left(one, cause="cut")
    bench.carriers.left(two, cause="cut, too")
    assert bench.coverage.told == [
        ("carried", "A"),
        ("carried", "B"),
        ("lost: cut", "B"),
        ("lost: cut, too", "A"),
    ]
    assert bench.coverage.heard_ns == [calendar(), calendar()]
    assert bench.carriers.carried == []
    assert not bench.carriers.is_asked("A")
    assert autojump_clock.current_time() == pytest.approx(2)


async def test_what_leaves_is_not_lost(autojump_clock: MockClock) -> None:
    """A symbol that nobody wants any more, and one that was never confirmed, leave no gap; nor a stop."""
    bench, one = Bench(), Connection()
    bench.carried(one, "A")
    bench.carriers.asked(one, ("B",))
    bench.carriers.left(one, ["A", "C"])
    bench.carriers.left(one, cause="cut")
    bench.carriers.left(one, cause="cut again")
    await trio.lowlevel.checkpoint()
    assert bench.coverage.told == [("carried", "A"), ("released", "A")]
    bench.carried(one, "D")
    bench.carriers.forget(one)
    assert bench.coverage.told[2:] == [("carried", "D")]
    assert bench.carriers.carried == []


@pytest.mark.parametrize(
    ("old_spoke", "new_spoke", "failed", "gap"),
    [
        (True, True, True, False),
        (False, True, True, True),
        (False, False, True, True),
        (True, True, False, False),
        (False, True, False, True),
        (False, False, False, False),
    ],
)
async def test_what_may_be_missing_at_a_change(
    autojump_clock: MockClock, old_spoke: bool, new_spoke: bool, failed: bool, gap: bool
) -> None:
    """A connection that was dead before its successor was confirmed leaves a gap."""
    bench, old, new = Bench(), Connection(), Connection()
    bench.carried(old, "A")
    old.hear("A")
    await trio.sleep(1)
    bench.carried(new, "A")
    await trio.sleep(1)
    if old_spoke:
        old.hear("OTHER")
    if new_spoke:
        new.hear("A")
    bench.carriers.left(old, cause="cut" if failed else "")
    told = bench.coverage.told[1:]
    cause = "cut" if failed else "silent"
    assert told == ([(f"lost: {cause}", "A"), ("carried", "A")] if gap else [])
    assert autojump_clock.current_time() == pytest.approx(2)


async def test_overlaps_end_late(autojump_clock: MockClock) -> None:
    """The checks hear of an overlap at the request, and of its end some seconds after it."""
    bench, old, new = Bench(), Connection(), Connection()
    bench.carried(old, "A", "B")
    bench.quality.told.clear()
    bench.carriers.asked(new, ("A", "C"))
    assert bench.quality.told == [("overlap", ("A",))]
    bench.carriers.confirmed(new, ("A",))
    bench.carriers.settle()
    bench.carriers.left(old)
    await trio.sleep(OVERLAP_AFTER_SECS - 0.1)
    bench.carriers.settle()
    assert bench.quality.told == [("overlap", ("A",))]
    await trio.sleep(0.1)
    bench.carriers.settle()
    bench.carriers.settle()
    assert bench.quality.told == [("overlap", ("A",)), ("single", ("A",))]
    assert autojump_clock.current_time() == pytest.approx(OVERLAP_AFTER_SECS)


async def test_one_of_several_is_heard(autojump_clock: MockClock) -> None:
    """Where MD has no time of its own, one connection brings it, whoever of the others goes."""
    bench = Bench()
    one, two, three = (Connection(md_has_time=False) for _ in range(3))
    number = TABLE.number("A")
    for each in (one, two, three):
        bench.carried(each, "A")
    assert [number in each.muted for each in (one, two, three)] == [False, True, True]
    bench.carriers.left(two, cause="cut")
    assert [number in each.muted for each in (one, three)] == [False, True]
    bench.carriers.left(one)
    assert number not in three.muted
    await trio.lowlevel.checkpoint()
    assert autojump_clock.current_time() == 0


async def test_asked_again(autojump_clock: MockClock) -> None:
    """A connection that asks anew for what it carries does not carry it until that is confirmed."""
    bench, one = Bench(), Connection()
    bench.carried(one, "A")
    bench.carriers.left(one, ["A"], cause="resubscribed")
    bench.carriers.asked(one, ["A"])
    assert bench.carriers.since("A", one) == inf
    assert (bench.carriers.of("A"), bench.carriers.is_asked("A")) == ([], True)
    await trio.sleep(1)
    bench.carriers.confirmed(one, ["A", "STRANGER"])
    assert bench.carriers.since("A", one) == 1
    assert bench.carriers.since_ns("A") == calendar()
    assert bench.coverage.told == [("carried", "A"), ("lost: resubscribed", "A"), ("carried", "A")]
    assert autojump_clock.current_time() == 1


async def test_behind(autojump_clock: MockClock) -> None:
    """A symbol is waited for while it is not confirmed, settles, or comes by the old connection alone."""
    bench, old, new = Bench(), Connection(), Connection()
    names = {name: TABLE.number(name) for name in ("BOTH", "OLD", "NEITHER", "REPEATED", "OPEN")}
    bench.carried(old, *names)
    await trio.sleep(1)
    bench.carried(new, "BOTH", "OLD", "NEITHER", "REPEATED")
    await trio.sleep(1)
    for name in ("BOTH", "OLD", "REPEATED"):
        old.hear(name)
    new.hear("BOTH")
    new.hear("REPEATED", flags=Flag.REPLAYED)
    late = {"OLD": 1.0, "NEITHER": 1.0, "REPEATED": 1.0, "OPEN": 0.0}
    assert behind(bench.carriers, names, new, [old]) == late
    await trio.sleep(5)
    assert behind(bench.carriers, names, new, [old]) == {"OLD": 6.0, "REPEATED": 6.0, "OPEN": 0.0}
    assert autojump_clock.current_time() == pytest.approx(7)


def test_arrivals_of_many_symbols() -> None:
    """Each symbol has its own times by table, however large its number; a late row is not the newest."""
    arrivals = Arrivals()
    rows = np.zeros(3, TRADES.row)
    rows["symbol"], rows["time_ns"] = [5, 700, 5], [30, 10, 20]
    arrivals.note({TRADES.number: rows}, 1.0)
    assert [arrivals.last(number, TRADES) for number in (5, 6, 700, 9999)] == [1.0, -inf, 1.0, -inf]
    assert [arrivals.event_ns(number, TRADES) for number in (5, 6, 700, 9999)] == [30, 0, 10, 0]
    assert (arrivals.last(5, MD), arrivals.last_of_any(5)) == (-inf, 1.0)


async def test_tickers_that_were_kept_back_in_vain(autojump_clock: MockClock) -> None:
    """If the connection that is waited for is deaf to a symbol, what the other kept back since is a gap."""
    bench, one, two = Bench(), Connection(md_has_time=False), Connection(md_has_time=False)
    bench.carried(one, "A", "B")
    await trio.sleep(10)
    for symbol in ("A", "B"):
        one.quote(symbol)
    last_ns = calendar()
    bench.carried(two, "A", "B")
    await trio.sleep(5)
    for connection, symbol in ((one, "B"), (two, "A"), (two, "B")):
        connection.quote(symbol)
    bench.coverage.told.clear()
    bench.carriers.left(one)
    assert bench.coverage.told == [("lost MD: silent", "A"), ("carried", "A")]
    assert bench.coverage.heard_ns == [last_ns]
    assert two.muted == set()
