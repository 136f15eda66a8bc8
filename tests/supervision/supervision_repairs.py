"""A recorder with a hole in its trades, whose process may be killed at any time; without any task."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs
import numpy as np

from multilogger.archive.reader import open_archive
from multilogger.batch import Batch, RowBuffer, SymbolTable
from multilogger.config import StorageConfig
from multilogger.quality.coverage import CoverageBook
from multilogger.quality.filter import QualityFilter
from multilogger.records import ExchangeId, Flag
from multilogger.stats import ExchangeStats, WriterStats
from multilogger.storage.catalog import CoverageInterval, open_catalog
from multilogger.storage.layout import Paths
from multilogger.storage.store import Store
from multilogger.supervision.holes import open_holes, take_over
from multilogger.tables import NANOS_PER_SECOND, TRADES

DAY = 20_300
NOON = (DAY * 86_400 + 43_200) * NANOS_PER_SECOND
NAME = "coinbase"


def time_of(trade_id: int) -> int:
    """Return when a trade happened: a second after the one before."""
    return NOON + trade_id * NANOS_PER_SECOND


def packed(symbols: SymbolTable, symbol: str, ids: Iterable[int], flags: Flag = Flag.LIVE) -> RowBuffer:
    """Return trades."""
    rows = RowBuffer()
    for trade_id in ids:
        rows.add_trade(
            symbol=symbols.number(symbol),
            time_ns=time_of(trade_id),
            recv_ns=NOON,
            trade_id=trade_id,
            price=1.0,
            size=1.0,
            side=1,
            flags=flags,
        )
    return rows


@attrs.define
class Run:
    """One run of the recorder; see :func:`started`."""

    store: Store
    symbols: SymbolTable
    stats: ExchangeStats
    quality: QualityFilter

    def stage(self, symbol: str, ids: Iterable[int], flags: Flag = Flag.LIVE) -> Batch:
        """Check trades, and return what is to be sent of them."""
        checked = self.quality.apply(packed(self.symbols, symbol, ids, flags).take())
        return Batch(self.symbols, checked, self.quality.take_notes())

    def record(self, symbol: str, *ids: int) -> None:
        """Receive trades, and make them durable."""
        self.store.commit([self.stage(symbol, ids)])

    def fill(self, symbol: str, *ids: int) -> None:
        """Make trades from the history durable, with the notes that say so."""
        self.store.commit([self.stage(symbol, ids, Flag.BACKFILLED)])

    def fill_torn(self, symbol: str, *ids: int) -> None:
        """Do the same, but for the notes: the process was killed while it wrote."""
        self.store.commit([attrs.evolve(self.stage(symbol, ids, Flag.BACKFILLED), notes=())])

    def note(self) -> None:
        """Make durable what there is to say."""
        self.store.commit([self.stage("", ())])

    def kill(self) -> None:
        """Let go of everything as a killed process does."""
        self.store._held.close()

    def holes(self, symbol: str = "A") -> list[tuple[int, int]]:
        """Return what is missing of a symbol, ascending."""
        number = self.symbols.number(symbol)
        return sorted(
            (hole.first, hole.last) for hole in self.quality.trades.holes() if hole.symbol == number
        )


def started(path: Path, *, exact: bool = True) -> Run:
    """Start the recorder as the program does: recovered, and with the holes of the runs before."""
    settings = StorageConfig(journal_segment_bytes=64 * 1024, exact_columns=exact)
    store = Store.open(path, settings, WriterStats(), lambda: NOON)
    symbols, stats = SymbolTable(ExchangeId(NAME)), ExchangeStats(NAME)
    coverage = CoverageBook(
        NAME, symbols, store.add_notes, lambda: NOON, contiguous=True, stopped_ns=store.stopped_ns
    )
    quality = QualityFilter(
        symbols,
        stats,
        last_trade_ids=store.last_trade_ids(NAME),
        last_md={},
        last_trade_rows=store.last_rows(NAME, TRADES),
        coverage=coverage,
        clock=lambda: NOON,
    )
    take_over(open_holes(path, symbols), quality.trades)
    return Run(store, symbols, stats, quality)


def on_disk(path: Path, symbol: str = "A") -> list[int]:
    """Return the ids that files have, every row counted."""
    place = open_archive(path).place(NAME, symbol, TRADES.name)
    files = [*place.live.glob("trade_id.*.bin"), *place.late.glob("trade_id.*.bin")]
    return sorted(int(it) for file in files for it in np.fromfile(file, np.uint64))


def intervals(path: Path, symbol: str = "A") -> list[CoverageInterval]:
    """Return what the catalog says of a symbol's trades."""
    with open_catalog(Paths(path).catalog) as catalog:
        return catalog.coverage(NAME, symbol, TRADES.name)
