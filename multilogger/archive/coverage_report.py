"""What reckoning the coverage gives: lengths of time, gaps, and the worst of them."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence

import attrs
import numpy as np

from multilogger.archive.intervals import Timeline
from multilogger.tables import NANOS_PER_SECOND


@attrs.define
class Sums:
    """How long what is true, in nanoseconds; of several tables, all of them added up."""

    live_ns: int = 0
    backfilled_ns: int = 0
    gap_ns: dict[str, int] = attrs.field(factory=dict)
    """By cause."""
    halted_ns: int = 0
    not_listed_ns: int = 0
    unknown_ns: int = 0
    """Behind the last word: the symbol is not, or not yet again, among those that are recorded."""
    missing_ids: int = 0
    """Trades that are missing by their ids and may yet be had."""

    @property
    def recorded_ns(self) -> int:
        """Live or afterwards."""
        return self.live_ns + self.backfilled_ns

    @property
    def lost_ns(self) -> int:
        """All gaps, whatever their cause."""
        return sum(self.gap_ns.values())

    @property
    def expected_ns(self) -> int:
        """What should have been recorded: halts, and times without a listing or a word, don't count."""
        return self.recorded_ns + self.lost_ns

    @property
    def expected_secs(self) -> float:
        """The same in seconds."""
        return self.expected_ns / NANOS_PER_SECOND

    @property
    def percentage(self) -> float | None:
        """How much of it was recorded; None where nothing was to be."""
        return 100 * self.recorded_ns / self.expected_ns if self.expected_ns else None

    def add(self, other: Sums) -> None:
        """Add another's times to these."""
        self.live_ns += other.live_ns
        self.backfilled_ns += other.backfilled_ns
        self.halted_ns += other.halted_ns
        self.not_listed_ns += other.not_listed_ns
        self.unknown_ns += other.unknown_ns
        self.missing_ids += other.missing_ids
        for cause, length in other.gap_ns.items():
            self.gap_ns[cause] = self.gap_ns.get(cause, 0) + length


@attrs.frozen
class Gap:
    """A time that should have been recorded and was not."""

    exchange: str
    symbols: tuple[str, ...]
    """More than one where gaps of the same cause and times are told as one, as of a connection's symbols."""
    tables: tuple[str, ...]
    cause: str
    start_ns: int
    end_ns: int
    """Not part of it."""
    missing_ids: int = 0
    """As in :class:`Sums`; of those whose interval begins in this gap."""

    @property
    def secs(self) -> float:
        """Its length."""
        return (self.end_ns - self.start_ns) / NANOS_PER_SECOND


@attrs.frozen(eq=False)
class TableCoverage:
    """What was recorded of one table of one symbol, from its first live time on."""

    exchange: str
    symbol: str
    table: str
    timeline: Timeline
    sums: Sums

    @property
    def gaps(self) -> list[Gap]:
        """In order of time; each of this symbol and table alone. They are made anew each time."""
        return self.some_gaps(range(len(self.timeline.gaps)))

    def longest_gaps(self, count: int) -> list[Gap]:
        """Return the longest ones, the longest first; of equally long ones the earliest."""
        spans = self.timeline.gaps
        order = np.lexsort((spans.start_ns, spans.start_ns - spans.end_ns))
        return self.some_gaps(order[:count].tolist())

    def some_gaps(self, places: Iterable[int]) -> list[Gap]:
        """Return those at some places in the order of time."""
        spans = self.timeline.gaps
        symbols, tables = (self.symbol,), (self.table,)
        return [
            Gap(
                self.exchange,
                symbols,
                tables,
                spans.causes[place],
                int(spans.start_ns[place]),
                int(spans.end_ns[place]),
                int(spans.missing_ids[place]),
            )
            for place in places
        ]

    @property
    def percentage(self) -> float | None:
        """As :attr:`Sums.percentage`."""
        return self.sums.percentage


@attrs.frozen(eq=False)
class ExchangeCoverage:
    """What was recorded of a table of an exchange, all symbols together."""

    exchange: str
    table: str
    symbols: int
    sums: Sums


def by_exchange(coverages: Iterable[TableCoverage]) -> list[ExchangeCoverage]:
    """Return the sums of each exchange and table, in the order in which they come."""
    groups: dict[tuple[str, str], list[Sums]] = defaultdict(list)
    for it in coverages:
        groups[it.exchange, it.table].append(it.sums)
    return [ExchangeCoverage(*key, len(sums), total(sums)) for key, sums in groups.items()]


def total(sums: Iterable[Sums]) -> Sums:
    """Return all of them added up."""
    result = Sums()
    for one in sums:
        result.add(one)
    return result


def worst_symbols(coverages: Iterable[TableCoverage], count: int) -> list[TableCoverage]:
    """Return those of which most time is missing, the worst first; none that has no gap."""
    lacking = [it for it in coverages if it.sums.lost_ns]
    return heapq.nsmallest(
        count, lacking, key=lambda it: (-it.sums.lost_ns, it.exchange, it.symbol, it.table)
    )


def worst_gaps(coverages: Iterable[TableCoverage], count: int) -> list[Gap]:
    """Return the longest gaps, the longest first; those of the same exchange, cause and times as one."""
    groups: dict[tuple[str, str, int, int], list[Gap]] = defaultdict(list)
    for it in coverages:
        # No gap is among the longest of all that is not among its own table's.
        for gap in it.longest_gaps(count):
            groups[gap.exchange, gap.cause, gap.start_ns, gap.end_ns].append(gap)
    worst = heapq.nsmallest(
        count,
        groups.values(),
        key=lambda gaps: (gaps[0].start_ns - gaps[0].end_ns, gaps[0].start_ns, gaps[0].exchange),
    )
    return [_as_one(gaps) for gaps in worst]


def _as_one(gaps: Sequence[Gap]) -> Gap:
    return attrs.evolve(
        gaps[0],
        symbols=tuple(sorted({symbol for gap in gaps for symbol in gap.symbols})),
        tables=tuple(sorted({table for gap in gaps for table in gap.tables})),
        missing_ids=sum(gap.missing_ids for gap in gaps),
    )
