"""Rows for the quality checks, and a ledger to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from multilogger.batch import RowBuffer, SymbolTable
from multilogger.notes import ANY, CoverageNote, CoverageState, Note
from multilogger.quality.coverage import CoverageBook
from multilogger.quality.filter import QualityFilter
from multilogger.records import ExchangeId, Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, NANOS_PER_SECOND, TRADES, Array

SECOND = NANOS_PER_SECOND
SYMBOL = "BTCUSDT"
LIVE, GAP, BACKFILLED = CoverageState.LIVE, CoverageState.GAP, CoverageState.BACKFILLED


def make_filter(
    last: Mapping[str, int] | None = None, trade_ids: str = "contiguous"
) -> tuple[QualityFilter, ExchangeStats, SymbolTable]:
    """Return a filter without a ledger, its counters and symbols."""
    stats = ExchangeStats("binance")
    symbols = SymbolTable(ExchangeId.BINANCE)
    quality = QualityFilter(symbols, stats, last_trade_ids=last or {}, last_md={}, trade_ids=trade_ids)
    return quality, stats, symbols


def trades(*rows: tuple[int, ...], flags: int = 0) -> Array:
    """Return trade rows of (symbol number, trade id) and, unless it is the id, the time in nanoseconds."""
    buffer = RowBuffer()
    for symbol, trade_id, *time_ns in rows:
        buffer.add_trade(
            symbol=symbol,
            time_ns=time_ns[0] if time_ns else trade_id,
            recv_ns=0,
            trade_id=trade_id,
            price=1.0,
            size=1.0,
            side=1,
            flags=flags,
        )
    return buffer.take()[TRADES.number]


def ticker(time_ns: int, price: float, flags: int = 0, symbol: int = 0) -> Array:
    """Return one MD row."""
    buffer = RowBuffer()
    buffer.add_md(
        symbol=symbol,
        time_ns=time_ns,
        recv_ns=0,
        price=price,
        volume=1.0,
        side=0,
        best_bid=1.0,
        best_ask=2.0,
        flags=flags,
    )
    return buffer.take()[MD.number]


def passed(quality: QualityFilter, rows: Array) -> list[tuple[int, int]]:
    """Return what of some trade rows passes, as (symbol number, trade id)."""
    kept = quality.apply({TRADES.number: rows}).get(TRADES.number)
    return [] if kept is None else [(int(row["symbol"]), int(row["trade_id"])) for row in kept]


@attrs.define(eq=False)
class Log:
    """What has been said, in the order in which it is durable."""

    notes: list[CoverageNote] = attrs.field(factory=list)

    def add(self, notes: Iterable[Note]) -> None:
        """Take notes."""
        self.notes += [note for note in notes if isinstance(note, CoverageNote)]

    def standing(self) -> list[CoverageNote]:
        """Return the intervals that stand, the latest word last; as the catalog has them."""
        found: dict[Any, CoverageNote] = {}
        for note in self.notes:
            key = (note.exchange, note.symbol, note.table, note.state, note.start_ns, note.first_id)
            found.pop(key, None)
            found[key] = note
        return [note for note in found.values() if note.end_ns is None or note.end_ns > note.start_ns]

    def state_at(self, time_ns: int, table: str = "TRADES", symbol: str = SYMBOL) -> CoverageState | None:
        """Return what is true at a time."""
        for note in reversed(self.standing()):
            ours = note.symbol in (symbol, ANY) and note.table in (table, ANY)
            if ours and note.start_ns <= time_ns and (note.end_ns is None or time_ns < note.end_ns):
                return note.state
        return None

    def states(self, seconds: Sequence[float], table: str = "TRADES") -> str:
        """Return the states right after some times, a letter each: L(ive), G(ap), B(ackfilled), ... or -."""
        found = [self.state_at(round(at * SECOND) + 2, table) for at in seconds]
        return "".join("-" if state is None else state.value[0].upper() for state in found)

    def holes(self) -> set[tuple[int, int]]:
        """Return the ids that are said to be missing, and may yet be had."""
        return {(note.first_id, note.last_id) for note in self.standing() if note.first_id >= 0}


@attrs.define(eq=False)
class Recorder:
    """A filter with its ledger, and a clock that is moved by hand."""

    stopped_ns: int = 0
    last: Mapping[str, tuple[int, int]] = attrs.field(factory=dict)
    """Last trade on disk by symbol: id, and time in nanoseconds."""
    contiguous: bool = True
    recent: Array | None = None
    """The newest trades of the symbol on disk, where ids have no order and pages are asked for."""
    doubted: Mapping[str, int] = attrs.field(factory=dict)
    now_ns: int = 0
    log: Log = attrs.field(factory=Log)
    """All that was said."""
    at_once: list[CoverageNote] = attrs.field(factory=list)
    """What was said by ``add_notes``."""
    stats: ExchangeStats = attrs.field(factory=lambda: ExchangeStats("binance"))
    symbols: SymbolTable = attrs.field(factory=lambda: SymbolTable(ExchangeId.BINANCE))
    book: CoverageBook = attrs.field(init=False)
    quality: QualityFilter = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Make book and filter."""
        rows = {}
        for symbol, (trade_id, time_ns) in self.last.items():
            rows[symbol] = trades((self.symbols.number(symbol), trade_id, time_ns))
        self.book = CoverageBook(
            "binance",
            self.symbols,
            self._add_notes,
            lambda: self.now_ns,
            contiguous=self.contiguous and self.recent is None,
            pages=self.recent is not None,
            doubted_ns=self.doubted,
            stopped_ns=self.stopped_ns,
        )
        self.quality = QualityFilter(
            self.symbols,
            self.stats,
            last_trade_ids={symbol: trade_id for symbol, (trade_id, _) in self.last.items()},
            last_md={},
            last_trade_rows=rows,
            recent_trades={} if self.recent is None or not len(self.recent) else {SYMBOL: self.recent},
            trade_ids=self._kind,
            coverage=self.book,
            clock=lambda: self.now_ns,
        )

    @property
    def _kind(self) -> str:
        if self.recent is not None:
            return "unordered"
        return "contiguous" if self.contiguous else "rising"

    def _add_notes(self, notes: list[Note]) -> None:
        self.at_once += [note for note in notes if isinstance(note, CoverageNote)]
        self.log.add(notes)

    def at(self, secs: float) -> Recorder:
        """Let it be so late."""
        self.now_ns = round(secs * SECOND)
        return self

    def trades(self, *rows: tuple[int, float], flags: int = 0) -> tuple[list[int], list[CoverageNote]]:
        """Let trades (id, seconds) of the symbol come; return ids that are kept, and the batch's notes."""
        number = self.symbols.number(SYMBOL)
        made = [(number, trade_id, round(secs * SECOND)) for trade_id, secs in rows]
        kept = passed(self.quality, trades(*made, flags=flags)) if made else []
        return [trade_id for _, trade_id in kept], self.take()

    def backfill(self, *rows: tuple[int, float]) -> tuple[list[int], list[CoverageNote]]:
        """Let trades come from the history."""
        return self.trades(*rows, flags=Flag.BACKFILLED)

    def take(self) -> list[CoverageNote]:
        """Take the notes that go with a batch, and write them down."""
        self.quality.apply({})
        taken = [note for note in self.quality.take_notes() if isinstance(note, CoverageNote)]
        self.log.add(taken)
        return taken

    def carry(self) -> None:
        """Let a connection carry the symbol."""
        self.book.carried([SYMBOL])

    def lose(self, heard_secs: float, cause: str = "connection lost") -> None:
        """Let the connection be lost."""
        self.book.lost([SYMBOL], round(heard_secs * SECOND), cause)


def restarted(before: Recorder, stopped_secs: float, last: tuple[int, float]) -> Recorder:
    """Return the recorder of the next run, which found ``last`` on disk; the ledger goes on."""
    trade_id, secs = last
    after = Recorder(
        stopped_ns=round(stopped_secs * SECOND),
        last={SYMBOL: (trade_id, round(secs * SECOND))},
        log=before.log,
    )
    after.now_ns = before.now_ns
    return after
