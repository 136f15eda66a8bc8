"""What must be true after a scenario: of the bytes on disk, of the coverage, of how the logger behaved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from chaos_rows import FILLS, TABLES, Missing, missing_rows
from chaos_world import World

from multilogger.archive.coverage import Gap, TableCoverage, coverage_of
from multilogger.errors import ArchiveError
from multilogger.notes import ANY, CoverageState
from multilogger.simulator.compare import TableComparison, compare
from multilogger.storage.catalog import CoverageInterval, open_catalog
from multilogger.storage.layout import Paths

Array = npt.NDArray[Any]
_SHOWN: Final = 3


def check(world: World) -> list[str]:
    """Return what is wrong, each line beginning with the invariant that does not hold."""
    found: list[str] = []
    for exchange in world.scenario.exchanges:
        lines = [
            *_rows(world, exchange),
            *_missing(world, exchange),
            *_gaps(world, exchange),
            *_behaviour(world, exchange),
        ]
        found += [f"{line} [{exchange}]" for line in lines]
    return found


def _rows(world: World, exchange: str) -> Iterator[str]:
    result = compare(world.ledger, world.data, exchange, missing_ok=True)
    for name, table in result.tables.items():
        for kind in ("duplicates", "extra", "skew", "time_decreasing", "unclean"):
            if count := getattr(table, kind):
                yield f"{kind.replace('_', ' ')}: {count} in {name}: {_samples(table)}"
        if not table.on_disk:
            yield f"nothing recorded: {name}"


def _samples(table: TableComparison) -> str:
    return "; ".join(it for it in table.samples if " missing " not in it)


def _missing(world: World, exchange: str) -> Iterator[str]:
    """Everything that is missing is known to be, and where the exchange has a history no trade is."""
    with open_catalog(Paths(world.data).catalog) as catalog:
        intervals = catalog.coverage(exchange)
    ledger = world.venues[exchange].ledger
    for missing in missing_rows(
        {table: ledger.rows(table) for table in (*TABLES, FILLS)}, world.data, exchange
    ):
        trades = missing.table == "TRADES"
        if trades and len(missing.ids) and world.has_history(exchange):
            yield f"missing trades: {len(missing.ids)} of {missing.symbol}: {_some(missing.ids)}"
        unknown = missing.times[
            ~_in_gap(missing, intervals, world.tolerance_ns(exchange), world.ahead_ns(exchange))
        ]
        if len(unknown):
            what = "trades" if trades else "tickers"
            yield f"unknown loss: {len(unknown)} {what} of {missing.symbol} at {_some(world.secs(unknown))}"
        if exchange not in world.scenario.struck and not world.scenario.kills and len(missing.times):
            yield f"cross-talk: {len(missing.times)} rows of {missing.symbol} {missing.table} missing"


def _some(values: Array) -> str:
    return ", ".join(map(str, values[:_SHOWN].tolist())) + (", ..." if len(values) > _SHOWN else "")


def _in_gap(
    missing: Missing, intervals: Sequence[CoverageInterval], tolerance_ns: int, ahead_ns: int
) -> Array:
    """Return which of the rows lie where the coverage has a gap: the latest word counts.

    Where the exchange's clock was wrong at times, no time of the logger's is more certain than that. What is
    ahead of the clock may have been lost that much earlier than it says, and never later.
    """
    inside = np.zeros(len(missing.times), bool)
    wrong = np.linspace(-tolerance_ns, tolerance_ns, 33).astype(np.int64)
    ahead = np.linspace(-ahead_ns, 0, 33).astype(np.int64)
    for shift in np.unique(np.append(wrong, ahead)):
        inside |= _gap_at(missing.times + shift, missing, intervals)
    return inside


def _gap_at(times: Array, missing: Missing, intervals: Sequence[CoverageInterval]) -> Array:
    gap = np.zeros(len(times), bool)
    for it in sorted(intervals, key=lambda it: it.position):
        if it.symbol in (ANY, missing.symbol) and it.table in (ANY, missing.table):
            held = (times >= it.start_ns) & ((times < it.end_ns) if it.end_ns is not None else True)
            gap[held] = it.state is CoverageState.GAP
    return gap


def _gaps(world: World, exchange: str) -> Iterator[str]:
    """Where an exchange has a history all gaps in trades are closed; who was not struck has no gap at all."""
    scenario = world.scenario
    try:
        tables = coverage_of(world.data, exchange, clock=lambda: world.ended_ns)
    except ArchiveError as error:
        yield f"no coverage: {error}"
        return
    for table in tables:
        if table.table == "TRADES" and world.has_history(exchange) and table.gaps:
            yield f"gap left: {_gap_words(world, table, table.gaps)}"
        elif table.gaps and exchange not in scenario.struck and not scenario.kills:
            yield f"cross-talk: {_gap_words(world, table, table.gaps)}"


def _gap_words(world: World, table: TableCoverage, gaps: Sequence[Gap]) -> str:
    first = gaps[0]
    start, end = world.secs(np.array([first.start_ns, first.end_ns])).tolist()
    words = f"{first.cause}, {first.missing_ids} ids" if first.missing_ids else first.cause
    return f"{len(gaps)} of {table.symbol} {table.table}, first {start} s to {end} s ({words})"


def _behaviour(world: World, exchange: str) -> Iterator[str]:
    for violation in world.venues[exchange].rules.violations[:_SHOWN]:
        yield f"violation: {violation}"
    for number, stats in enumerate(world.lives):
        counters = stats.exchange(exchange)
        if counters.restarts:
            yield f"bug: the exchange failed {counters.restarts} times in run {number}: {counters.detail}"
        if exchange not in world.scenario.struck and counters.reconnects > counters.renewals:
            yield f"cross-talk: {counters.reconnects} reconnects in run {number}"
