"""How much of the time was recorded: what the catalog's coverage intervals come to.

Only reads, and works beside a running logger. What the logger noted since its last checkpoint, half a minute
ago at most, is not in the catalog yet.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from multilogger.archive.coverage_report import (
    ExchangeCoverage,
    Gap,
    Sums,
    TableCoverage,
    by_exchange,
    total,
    worst_gaps,
    worst_symbols,
)
from multilogger.archive.instants import BEGINNING, END, describe
from multilogger.archive.intervals import Said, missing_ids, timeline_of
from multilogger.archive.running import last_written_ns, logger_runs
from multilogger.errors import ArchiveError
from multilogger.notes import ANY, OFFLINE, CoverageState
from multilogger.storage.catalog import CatalogError, CoverageInterval, open_catalog
from multilogger.storage.layout import Paths, symbol_directory
from multilogger.tables import TABLES

__all__ = [
    "NOT_RECORDED",
    "ExchangeCoverage",
    "Gap",
    "Progress",
    "Sums",
    "TableCoverage",
    "by_exchange",
    "coverage_of",
    "total",
    "worst_gaps",
    "worst_symbols",
]

NOT_RECORDED: Final = "not recorded"
"""Cause of a gap that no note tells of: between two times of a symbol that were recorded."""

Progress = Callable[[int, int, str], None]
"""Called with how many tables of symbols are reckoned, how many there are, and the next one."""
_Key = tuple[str, str, str]
"""Exchange, symbol and table."""


def coverage_of(
    data_path: Path | str,
    exchange: str | None = None,
    symbol: str | None = None,
    table: str | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
    *,
    journal_alternate: Path | None = None,
    clock: Callable[[], int] = time.time_ns,
    progress: Progress | None = None,
) -> list[TableCoverage]:
    """Return what was recorded of each table of each symbol, by exchange, symbol and table.

    What lies before a symbol's first live time doesn't count. What is still going on lasts until now while a
    logger runs, otherwise until the journal was last written. A time between two live ones that no note tells
    of is a gap.

    Args:
        data_path: the data path.
        exchange: only this one.
        symbol: only this one, in the exchange's spelling or as its directory is named.
        table: only ``MD`` or ``TRADES``.
        start_ns: what is before it is left out; nanoseconds since the epoch, as all times here.
        end_ns: so is what is not before it.
        journal_alternate: where else segments of the journal may be.
        clock: what time it is.
        progress: told how far it is.

    Raises:
        ArchiveError: nothing is known of what was asked for; or the catalog can't be read.
    """
    data = Path(data_path)
    low, high = BEGINNING if start_ns is None else start_ns, END if end_ns is None else end_ns
    if low > high:
        raise ArchiveError(f"the range ends at {describe(high)}, before it starts at {describe(low)}")
    ledger = _Ledger(_read(data, exchange, symbol, table))
    places = ledger.places(symbol, table)
    if not places:
        asked = " ".join(word for word in (exchange, symbol, table) if word is not None)
        raise ArchiveError(f"nothing is known of the coverage{f' of {asked}' if asked else ''} in {data}")
    running = logger_runs(data)
    high = min(high, _known_until(data, journal_alternate, clock() if running else None, ledger))
    found = []
    for index, key in enumerate(places):
        if progress is not None:
            progress(index, len(places), " ".join(key))
        intervals = ledger.of(key)
        found.append(_reckon(key, intervals, low, high if running else min(high, _stop_of(intervals))))
    return found


class _Ledger:
    """The catalog's intervals by what they are of."""

    def __init__(self, intervals: Iterable[CoverageInterval]) -> None:
        self._by_key: dict[_Key, list[CoverageInterval]] = defaultdict(list)
        for it in intervals:
            self._by_key[it.exchange, it.symbol, it.table].append(it)

    def places(self, symbol: str | None, table: str | None) -> list[_Key]:
        """Return the tables of symbols that were live at some time, sorted."""
        found = set()
        for (exchange, name, kind), intervals in self._by_key.items():
            if ANY in (exchange, name) or symbol not in (None, name, symbol_directory(name)):
                continue
            if any(it.state is CoverageState.LIVE for it in intervals):
                kinds = [known.name for known in TABLES] if kind == ANY else [kind]
                found |= {(exchange, name, one) for one in kinds if table in (None, one)}
        return sorted(found)

    def of(self, key: _Key) -> list[CoverageInterval]:
        """Return the intervals of one table of a symbol, those of all among them."""
        exchange, symbol, table = key
        keys = [
            (one, two, three) for one in (exchange, ANY) for two in (symbol, ANY) for three in (table, ANY)
        ]
        return [it for key in keys for it in self._by_key.get(key, ())]

    def newest_ns(self) -> int:
        """Return the latest time that any interval names."""
        return max(
            max(it.start_ns, it.start_ns if it.end_ns is None else it.end_ns)
            for intervals in self._by_key.values()
            for it in intervals
        )


def _read(data: Path, exchange: str | None, symbol: str | None, table: str | None) -> list[CoverageInterval]:
    if not data.is_dir():
        raise ArchiveError(f"no data in {data}: there is no such directory")
    try:
        with open_catalog(Paths(data).catalog) as reader:
            found = reader.coverage(exchange, symbol, table)
            if symbol is not None and not any(it.symbol == symbol for it in found):
                # It may be named as its directory is; which that is of, its name alone tells.
                found = reader.coverage(exchange, None, table)
    except CatalogError as error:
        raise ArchiveError(f"the coverage can't be told: {error}") from error
    return found


def _known_until(data: Path, alternate: Path | None, now_ns: int | None, ledger: _Ledger) -> int:
    """Return until when the intervals that have no end yet are known to last.

    Args:
        data: the data path.
        alternate: where else segments of the journal may be.
        now_ns: what time it is, if a logger runs.
        ledger: what is known.
    """
    written = last_written_ns([Paths(data).journal, *([] if alternate is None else [alternate])])
    if now_ns is not None:
        # A demo's clock may be ahead of this one.
        return max(now_ns, written or 0)
    return ledger.newest_ns() if written is None else written


def _stop_of(intervals: Sequence[CoverageInterval]) -> int:
    """Return when the logger was stopped, where none runs and the last one was stopped in order.

    It notes then that it is off-line from now on; what is written after that, to the very end, is no gap.
    """
    last = max((it.start_ns for it in intervals if it.state is CoverageState.LIVE), default=END)
    stops = [
        it.start_ns for it in intervals if it.cause == OFFLINE and it.symbol == ANY and it.end_ns is None
    ]
    return min((stop for stop in stops if stop >= last), default=END)


def _reckon(key: _Key, intervals: Sequence[CoverageInterval], low: int, high: int) -> TableCoverage:
    live = [it.start_ns for it in intervals if it.state is CoverageState.LIVE and it.symbol != ANY]
    first, last = min(live), max(live)
    # The earliest word of all: whatever is noted counts instead.
    silence = CoverageInterval(*key, CoverageState.GAP, NOT_RECORDED, first, last, position=-1)
    low = max(low, first)
    within = [it for it in intervals if it.start_ns < high and (it.end_ns is None or it.end_ns > low)]
    timeline = timeline_of([silence, *within], low, high)
    return TableCoverage(*key, timeline, _sums(timeline.totals(), sum(map(missing_ids, within))))


def _sums(totals: Mapping[Said, int], ids: int) -> Sums:
    lengths: dict[CoverageState | None, int] = defaultdict(int)
    for (state, _), length in totals.items():
        lengths[state] += length
    return Sums(
        live_ns=lengths[CoverageState.LIVE],
        backfilled_ns=lengths[CoverageState.BACKFILLED],
        gap_ns={cause: it for (state, cause), it in totals.items() if state is CoverageState.GAP},
        halted_ns=lengths[CoverageState.HALTED],
        not_listed_ns=lengths[CoverageState.NOT_LISTED],
        unknown_ns=lengths[None],
        missing_ids=ids,
    )
