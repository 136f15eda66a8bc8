"""The quality checks of one exchange, in the order in which every hand-over passes them.

::

    validation    marks what looks wrong
    breakers      set aside what mostly does
    trades        drop repetitions, find what is missing
    tickers       drop repetitions
    liveness      hears that there were rows, whatever became of them
    coverage      notes what that means for the ledger
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from multilogger.batch import SymbolTable
from multilogger.notes import Note
from multilogger.quality.coverage import CoverageBook
from multilogger.quality.recent_ids import RecentIds, RisingIds
from multilogger.quality.replays import TickerReplays
from multilogger.quality.sequence import TradeSequence
from multilogger.records import Flag
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES, Array, Table

CONTIGUOUS: Final = "contiguous"
RISING: Final = "rising"
UNORDERED: Final = "unordered"
_CLOSED: Final = "closed"
_NONE: Final = frozenset[str]()
_FAR: Final = 10_000
"""The newest trade on disk has about the highest id; one so far below it has an id of another numbering."""


class Validation(Protocol):
    """Marks rows; see :mod:`multilogger.quality.validation`."""

    doubts: dict[int, Array]

    def check(self, rows: dict[int, Array], now_ns: int) -> dict[int, Array]:
        """Return the rows, those flagged that look wrong."""
        ...


class Change(Protocol):
    """A breaker went to another state."""

    @property
    def symbol(self) -> str:
        """In the exchange's spelling."""
        ...

    @property
    def table(self) -> Table:
        """The table that it guards."""
        ...

    @property
    def state(self) -> str:
        """The new one."""
        ...


class Breakers(Protocol):
    """Set rows aside; see :mod:`multilogger.quality.breaker`."""

    open_symbols: frozenset[str]

    @property
    def changes(self) -> Sequence[Change]:
        """What the last :meth:`judge` changed."""
        ...

    def judge(
        self, rows: dict[int, Array], doubts: dict[int, Array], now: float, now_ns: int
    ) -> dict[int, Array]:
        """Return the rows without those of open breakers."""
        ...


class Liveness(Protocol):
    """Knows who is silent; see :mod:`multilogger.quality.liveness`."""

    def note(self, rows: dict[int, Array], now: float) -> None:
        """Take note of rows as they came."""
        ...

    def began(self, numbers: Array, now: float) -> None:
        """Take note that symbols are carried from now on."""
        ...

    def silent(self, numbers: Array, table: Table, now: float) -> Array:
        """Return those of ``numbers`` that are silent for too long."""
        ...

    def lagging(self, numbers: Array, table: Table, now: float, *, ahead: Array | None = None) -> Array:
        """Return those of ``numbers`` that bring nothing, although something shows that they should."""
        ...

    def excused(self, numbers: Array, table: Table, now: float) -> None:
        """Take note that a silence was true."""
        ...

    def rates(self, numbers: Array) -> Array:
        """Return the rows a second of each symbol."""
        ...


class QualityFilter:
    """What all connections of one exchange share: a row passes here before it counts as accepted once.

    Args:
        symbols: numbers the rows' symbols.
        stats: where duplicates and gaps are counted.
        last_trade_ids: last trade id on disk by venue symbol.
        last_md: last MD row on disk by venue symbol, structured arrays of ``MD.row``.
        last_trade_rows: the same of ``TRADES.row``.
        recent_trades: the newest trades on disk by venue symbol, arrays of ``trade_id`` and ``time_ns``, the
            oldest first; for ids that are unordered.
        trade_ids: what trade ids tell: ``contiguous``, ``rising`` or ``unordered``.
        coverage: keeps the ledger.
        clock: the time on the scale of event times, nanoseconds since the epoch.
        monotonic: seconds, for durations.
        validation: marks what looks wrong.
        breakers: set aside what mostly does.
        liveness: is told of all rows.
    """

    def __init__(
        self,
        symbols: SymbolTable,
        stats: ExchangeStats,
        *,
        last_trade_ids: Mapping[str, int],
        last_md: Mapping[str, Array],
        last_trade_rows: Mapping[str, Array] | None = None,
        recent_trades: Mapping[str, Array] | None = None,
        trade_ids: str = CONTIGUOUS,
        coverage: CoverageBook | None = None,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        validation: Validation | None = None,
        breakers: Breakers | None = None,
        liveness: Liveness | None = None,
    ) -> None:
        self._symbols = symbols
        self._stats = stats
        self._coverage = coverage
        self._clock = clock
        self._monotonic = monotonic
        self._validation = validation
        self._breakers = breakers
        self._liveness = liveness
        rows = last_trade_rows or {}
        last_ids = _newest_ids(last_trade_ids, rows)
        self.trades: TradeSequence | RisingIds | RecentIds
        """The ids of the trades; for backfilling, their holes."""
        if trade_ids == RISING:
            self.trades = RisingIds(symbols, stats, last_ids)
        elif trade_ids == UNORDERED:
            self.trades = RecentIds(symbols, stats, last_ids, recent_trades, clock)
        else:
            times = {symbol: int(row["time_ns"][0]) for symbol, row in rows.items()}
            self.trades = TradeSequence(symbols, stats, last_ids, times)
        self.tickers = TickerReplays(symbols, stats, last_md)
        if coverage is not None:
            if isinstance(self.trades, TradeSequence):
                self.trades.cause_of = coverage.cause_of
            coverage.follow(self.trades, {*last_ids, *last_md})

    @property
    def found_holes(self) -> bool:
        """Whether the last :meth:`apply` found that trades are missing."""
        return bool(self.trades.new_holes)

    @property
    def open_symbols(self) -> frozenset[str]:
        """The symbols whose rows are set aside: their frames are to be kept."""
        return _NONE if self._breakers is None else self._breakers.open_symbols

    def apply(self, rows: dict[int, Array]) -> dict[int, Array]:
        """Return the rows to record, by table number; tables left without rows are left out.

        Args:
            rows: of one hand-over, all of them received live or all of them backfilled; may be none.
        """
        checked = dict(rows)
        if self._validation is not None:
            checked = self._validated(checked, self._validation)
        self.trades.new_holes = []
        if len(checked.get(TRADES.number, ())):
            kept = checked[TRADES.number] = self.trades.fresh(checked[TRADES.number])
            if len(kept) and kept["flags"][0] & Flag.BACKFILLED:
                self._stats.backfilled += len(kept)
        if len(checked.get(MD.number, ())):
            checked[MD.number] = self.tickers.fresh(checked[MD.number])
        if self._liveness is not None and rows:
            self._liveness.note(rows, self._monotonic())
        if self._coverage is not None:
            self._coverage.note(checked.get(TRADES.number))
        else:
            self.trades.take_news()
        return {number: table for number, table in checked.items() if len(table)}

    def take_notes(self) -> tuple[Note, ...]:
        """Return what the rows checked so far make true; it goes with their batch."""
        if self._coverage is None:
            return ()
        return self._coverage.take_notes()

    def overlap(self, symbols: Iterable[str], on: bool) -> None:
        """Take note that two connections carry these symbols, or no longer do: what comes twice is kept once.

        Args:
            symbols: in the exchange's spelling.
            on: before the second one streams True, and once the first one's last rows were here False.
        """
        self.tickers.overlap(map(self._symbols.number, symbols), on)

    def began(self, numbers: Array) -> None:
        """Take note that symbols are carried from now on: their silence begins to count."""
        if self._liveness is not None:
            self._liveness.began(numbers, self._monotonic())

    def silent(self, numbers: Array, table: Table) -> Array:
        """Return those of ``numbers`` whose table has been silent for much longer than is usual for it."""
        if self._liveness is None:
            return numbers[:0]
        return self._liveness.silent(numbers, table, self._monotonic())

    def lagging(self, numbers: Array, table: Table, *, ahead: Array) -> Array:
        """Return those of ``numbers`` whose table brings nothing, although something else shows it should.

        Args:
            numbers: of carried symbols.
            table: the one that may lag.
            ahead: those of which the exchange has named a newer trade than the last one that came.
        """
        if self._liveness is None:
            return numbers[:0]
        return self._liveness.lagging(numbers, table, self._monotonic(), ahead=ahead)

    def excused(self, numbers: Array, table: Table) -> None:
        """Take note that a silence was true: the exchange has nothing newer."""
        if self._liveness is not None:
            self._liveness.excused(numbers, table, self._monotonic())

    def rates(self, numbers: Array) -> Array:
        """Return the rows a second of each symbol of late, over all tables."""
        if self._liveness is None:
            return np.zeros(len(numbers))
        return self._liveness.rates(numbers)

    def last_trade_id(self, number: int) -> int | None:
        """Return the newest trade id of a symbol that is known, None where there is none."""
        return self.trades.last_id(number)

    def knows_trades(self, number: int, trade_ids: Sequence[int]) -> list[bool]:
        """Return which trades of a symbol are known to have come, where ids have no order; else none are."""
        if not isinstance(self.trades, RecentIds):
            return [False] * len(trade_ids)
        known: list[bool] = self.trades.knows(number, np.array(trade_ids, np.uint64)).tolist()
        return known

    def _validated(self, rows: dict[int, Array], validation: Validation) -> dict[int, Array]:
        now_ns = self._clock()
        checked = validation.check(rows, now_ns)
        if self._breakers is None:
            return checked
        checked = self._breakers.judge(checked, validation.doubts, self._monotonic(), now_ns)
        if self._coverage is not None:
            for change in self._breakers.changes:
                self._coverage.set_aside([change.symbol], change.table, on=change.state != _CLOSED)
        return checked


def _newest_ids(last_ids: Mapping[str, int], rows: Mapping[str, Array]) -> dict[str, int]:
    """Return the ids to go on from: the highest on disk, unless ids have begun anew since."""
    newest = dict(last_ids)
    for symbol, row in rows.items():
        trade_id = int(row["trade_id"][0])
        if newest.get(symbol, trade_id) - trade_id > _FAR:
            newest[symbol] = trade_id
    return newest
