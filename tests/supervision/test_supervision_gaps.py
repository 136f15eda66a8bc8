"""A restart where ids have no order: nothing is recorded twice, and earlier gaps are filled, too."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs
import numpy as np
from structlog.testing import capture_logs
from supervision_repairs import NOON

from multilogger.archive.reader import open_archive
from multilogger.batch import Batch, RowBuffer, SymbolTable
from multilogger.config import StorageConfig
from multilogger.notes import ANY, CoverageNote, CoverageState
from multilogger.quality.coverage import CoverageBook
from multilogger.quality.filter import QualityFilter
from multilogger.quality.pages import Page
from multilogger.records import ExchangeId, Flag
from multilogger.stats import ExchangeStats, WriterStats
from multilogger.storage.catalog import open_catalog
from multilogger.storage.layout import Paths
from multilogger.storage.store import Store
from multilogger.supervision.gaps import CLOCKS_NS, adopt_gaps
from multilogger.tables import NANOS_PER_SECOND, TRADES

NAME = "bybit"
HOUR_NS = 3600 * NANOS_PER_SECOND


def time_of(number: int) -> int:
    """Return when a trade happened: a second after the one before."""
    return NOON + number * NANOS_PER_SECOND


def uid(number: int) -> int:
    """Return its id."""
    return 2**64 - 1 - number * 0x9E3779B97F4A7C15 % 2**63


@attrs.define
class Run:
    """One run of the recorder."""

    path: Path
    secs: int
    store: Store = attrs.field(init=False)
    symbols: SymbolTable = attrs.field(factory=lambda: SymbolTable(ExchangeId(NAME)))
    stats: ExchangeStats = attrs.field(factory=lambda: ExchangeStats(NAME))
    book: CoverageBook = attrs.field(init=False)
    quality: QualityFilter = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start as the program does."""
        settings = StorageConfig(journal_segment_bytes=64 * 1024)
        self.store = Store.open(self.path, settings, WriterStats(), self.clock)
        recent = self.store.recent_trades(NAME)
        self.book = CoverageBook(
            NAME,
            self.symbols,
            self.store.add_notes,
            self.clock,
            contiguous=False,
            pages=True,
            stopped_ns=self.store.stopped_ns,
        )
        self.quality = QualityFilter(
            self.symbols,
            self.stats,
            last_trade_ids=self.store.last_trade_ids(NAME),
            last_md={},
            last_trade_rows=self.store.last_rows(NAME, TRADES),
            recent_trades=recent,
            trade_ids="unordered",
            coverage=self.book,
            clock=self.clock,
        )
        adopt_gaps(Paths(self.path), self.symbols, recent, self.book.overlaps, self.clock() - HOUR_NS)

    def clock(self) -> int:
        """Return the time."""
        return time_of(self.secs)

    def record(self, numbers: Iterable[int], flags: Flag = Flag.LIVE) -> None:
        """Receive trades, and make them durable with what they make true."""
        rows = RowBuffer()
        for number in numbers:
            rows.add_trade(
                symbol=self.symbols.number("A"),
                time_ns=time_of(number),
                recv_ns=NOON,
                trade_id=uid(number),
                price=1.0,
                size=1.0,
                side=1,
                flags=flags,
            )
        checked = self.quality.apply(rows.take())
        self.store.commit([Batch(self.symbols, checked, self.quality.take_notes())])

    def page(self, numbers: range) -> None:
        """Take a page of the newest trades."""
        ids = np.array([uid(it) for it in numbers], np.uint64)
        times = np.array([time_of(it) for it in numbers], np.int64)
        asked = self.clock() / NANOS_PER_SECOND
        page = Page(ids, times, asked, cut=True)
        wanted = self.book.overlaps.judge(self.symbols.number("A"), page)
        self.record([it for it, want in zip(numbers, wanted.tolist(), strict=True) if want], Flag.BACKFILLED)

    def kill(self) -> None:
        """Let go of everything as a killed process does."""
        self.store._held.close()

    def pending(self) -> list[tuple[int, int]]:
        """Return the gaps that a page may fill, in seconds."""
        gaps = self.book.overlaps._missed.get(self.symbols.number("A"), [])
        return [
            ((it.note.start_ns - NOON) // NANOS_PER_SECOND, (it.end_ns - NOON) // NANOS_PER_SECOND)
            for it in gaps
        ]


def state_at(path: Path, number: int) -> CoverageState | None:
    """Return what the catalog says of a second."""
    with open_catalog(Paths(path).catalog) as catalog:
        intervals = sorted(catalog.coverage(NAME, "A", TRADES.name), key=lambda it: it.position)
    time_ns = time_of(number) + 5
    for it in reversed(intervals):
        if it.start_ns <= time_ns and (it.end_ns is None or time_ns < it.end_ns):
            return it.state
    return None


def ids_on_disk(path: Path) -> list[int]:
    """Return the ids that files have, every row counted."""
    place = open_archive(path).place(NAME, "A", TRADES.name)
    files = [*place.live.glob("trade_id.*.bin"), *place.late.glob("trade_id.*.bin")]
    return sorted(int(it) for file in files for it in np.fromfile(file, np.uint64))


def killed_in_a_gap(path: Path) -> None:
    """Record until second 100, lose the connection until 130, record on until 140, and be killed then."""
    run = Run(path, 0)
    run.book.carried(["A"])
    run.record(range(1, 101))
    run.secs = 101
    run.book.lost(["A"], time_of(101), "connection lost")
    run.secs = 130
    run.book.carried(["A"])
    run.secs = 140
    run.record(range(131, 141))
    run.kill()


def left(path: Path) -> list[tuple[int, int]]:
    """Return the gaps that the next run finds, in seconds."""
    run = Run(path, 200)
    run.kill()
    return run.pending()


def test_a_gap_that_a_kill_left(tmp_path: Path) -> None:
    """The page that the restart asks for fills it, and what was missed since; each trade is there once."""
    killed_in_a_gap(tmp_path)
    run = Run(tmp_path, 150)
    assert run.pending() == [(100, 130)]
    run.book.carried(["A"])
    assert [end for _, end in run.pending()] == [130, 150]
    run.record(range(91, 101), Flag.REPLAYED)
    assert run.stats.duplicates == 10
    run.secs = 153
    run.record(range(151, 154))
    run.page(range(30, 154))
    assert run.pending() == []
    run.store.close()
    assert ids_on_disk(tmp_path) == sorted(map(uid, range(1, 154)))
    states = {number: state_at(tmp_path, number) for number in (50, 99, 110, 129, 135, 145, 151)}
    assert states.pop(50) is CoverageState.LIVE
    assert {*states.values()} <= {CoverageState.LIVE, CoverageState.BACKFILLED}
    assert states[110] is states[145] is CoverageState.BACKFILLED
    assert left(tmp_path) == []


def test_a_gap_that_the_page_does_not_reach(tmp_path: Path) -> None:
    """It stays, and what the restart has missed is filled all the same."""
    killed_in_a_gap(tmp_path)
    run = Run(tmp_path, 150)
    run.book.carried(["A"])
    run.secs = 153
    run.record(range(151, 154))
    run.page(range(120, 154))
    run.store.close()
    assert state_at(tmp_path, 110) is CoverageState.GAP
    assert state_at(tmp_path, 125) is state_at(tmp_path, 145) is CoverageState.BACKFILLED
    assert set(map(uid, range(120, 151))) <= {*ids_on_disk(tmp_path)}
    # What is left is looked at again by the next run, and found to be out of reach.
    assert left(tmp_path) == [(100, 120)]


def test_trades_near_the_gap_prove_nothing(tmp_path: Path) -> None:
    """They were by the exchange's clock, and the gap is by ours."""
    killed_in_a_gap(tmp_path)
    run = Run(tmp_path, 150)
    (missed,) = run.book.overlaps._missed[run.symbols.number("A")]
    assert missed.linked is not None
    last = 100 - CLOCKS_NS // NANOS_PER_SECOND
    assert sorted(missed.linked.tolist()) == sorted(uid(it) for it in range(1, last + 1))


def test_what_is_not_taken_over(tmp_path: Path) -> None:
    """Gaps of tickers, of ids, of all symbols, those that last, and those from long ago."""
    killed_in_a_gap(tmp_path)
    run = Run(tmp_path, 150)
    values = ("A", TRADES.name, CoverageState.GAP, "x")
    run.store.add_notes(
        [
            CoverageNote(NAME, "A", "MD", CoverageState.GAP, "x", time_of(1), time_of(2)),
            CoverageNote(NAME, ANY, ANY, CoverageState.GAP, "x", time_of(3), time_of(4)),
            CoverageNote(NAME, *values, time_of(5), time_of(6), 7, 8),
            CoverageNote(NAME, *values, time_of(9), None),
            CoverageNote(NAME, *values, time_of(-9000), time_of(-8000)),
            CoverageNote(NAME, "NEVER", *values[1:], time_of(1), time_of(2)),
        ]
    )
    run.store.close()
    assert left(tmp_path) == [(100, 130)]


def test_a_catalog_that_cannot_be_read(tmp_path: Path) -> None:
    """The gaps stay as they are, and that is said."""
    killed_in_a_gap(tmp_path)
    run = Run(tmp_path, 150)
    run.book.overlaps.forget(run.symbols.number("A"))
    Paths(tmp_path).catalog.unlink()
    Paths(tmp_path).catalog.mkdir()
    with capture_logs() as logs:
        recent = run.store.recent_trades(NAME)
        adopt_gaps(Paths(tmp_path), run.symbols, recent, run.book.overlaps, 0)
    assert [line["event"] for line in logs] == ["gaps of earlier runs stay as they are"]
    assert run.pending() == []
