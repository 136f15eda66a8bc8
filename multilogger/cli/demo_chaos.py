"""The demo's chaos: what strikes which exchange, and how it is told in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import attrs
import trio
from rich.markup import escape

from multilogger.archive.coverage import TableCoverage, coverage_of
from multilogger.cli.coverage_tables import print_coverage
from multilogger.cli.verdict import ExchangeVerdict, mark
from multilogger.config import ExchangeConfig
from multilogger.exchanges.base import TradeIds
from multilogger.exchanges.catalog import exchange_types
from multilogger.notes import CoverageState
from multilogger.simulator.chaos import Strike, strikes
from multilogger.simulator.feed_faults import WrongClock
from multilogger.simulator.venues import AnyVenue
from multilogger.stats import ExchangeStats, Stats
from multilogger.tables import NANOS_PER_SECOND

MEMORY_TRADES: Final = 100_000
"""That each instrument remembers: more than can be missed between two looks of the logger."""
SETTINGS: Final = {"SILENCE_SECS": "5", "QUIET_SECS": "5", "CONFIRM_SECS": "3"}
"""Of each exchange: what takes the logger half a minute to notice would take half of a demo."""
_CALM_SECS: Final = 15.0
"""After the last fault the markets go on for so long, so that what was missed shows."""
_REPAIR_SECS: Final = 60.0
"""For the logger to fetch what it knows to be missing, once the markets rest."""
_LOOK_SECS: Final = 0.1
_QUIET_LOOKS: Final = 10
"""So many looks in a row without a new message tell that the logger has read all there was."""
_NAMED: Final = 5
"""Violations that are told in words."""
_STALLS: Final = frozenset({"stall", "stall-symbol"})
"""Kinds of faults by which data are lost while a connection stands."""
_WORST: Final = 5
"""Symbols and gaps of the coverage that are listed."""


@attrs.define
class Chaos:
    """All faults of a demo, dealt to the exchanges in turn."""

    planned: list[Strike]
    untold: frozenset[str] = frozenset()
    """Exchanges whose ids don't tell losses: a stall too short to be noticed would leave no trace there."""
    struck: Counter[str] = attrs.field(factory=Counter)
    """By kind."""
    clock_errors: set[float] = attrs.field(factory=set)
    """By which clocks were put wrong, in seconds."""
    over_at: float = 0.0
    """When all that has struck is over, on Trio's clock."""

    async def run(self, venues: Sequence[AnyVenue]) -> None:
        """Let each strike at its time; return after the last."""
        start = trio.current_time()
        turns = cycle(venues)
        for planned in self.planned:
            await trio.sleep_until(start + planned.at)
            venue = self._next(planned, turns, len(venues))
            if venue is None:
                continue
            self.struck[planned.kind] += 1
            self.over_at = max(self.over_at, trio.current_time() + planned.lasts)
            if isinstance(planned.fault, WrongClock):
                self.clock_errors.add(planned.fault.offset)
            venue.inject(planned.fault)

    def _next(self, planned: Strike, turns: Iterator[AnyVenue], count: int) -> AnyVenue | None:
        """Return whom a fault strikes; None if there is nobody for it."""
        for venue in islice(turns, count):
            if planned.kind not in _STALLS or venue.name not in self.untold:
                return venue
        return None

    async def settle(self, venues: Sequence[AnyVenue], stats: Stats) -> None:
        """Wait for the end of the last fault, let the markets rest, and let the logger repair what it can."""
        await trio.sleep_until(self.over_at + _CALM_SECS)
        for venue in venues:
            venue.pause()
        with trio.move_on_after(_REPAIR_SECS):
            for venue in venues:
                await venue.drained()
            quiet, before = 0, -1
            while quiet < _QUIET_LOOKS:
                await trio.sleep(_LOOK_SECS)
                exchanges = stats.exchanges.values()
                now = sum(exchange.messages for exchange in exchanges)
                whole = now == before and all(map(_is_whole, exchanges))
                quiet, before = (quiet + 1 if whole else 0), now


def _is_whole(exchange: ExchangeStats) -> bool:
    return not (exchange.missing or exchange.deaf)


def make_chaos(seed: int, secs: float, every: float) -> Chaos:
    """Return the faults of a demo that lasts for ``secs``, one each ``every`` seconds."""
    unordered = (name for name, kind in exchange_types().items() if kind.trade_ids is TradeIds.UNORDERED)
    return Chaos(strikes(seed, secs, every), frozenset(unordered))


def may_miss(name: str, config: ExchangeConfig) -> frozenset[str]:
    """Return the tables of an exchange whose rows may be lost with a connection, if they lie in gaps then."""
    history = exchange_types()[name](config).history
    # Nobody can be asked for tickers, and some exchanges only for the newest trades.
    return frozenset({"MD"}) if history and history.by_id else frozenset({"MD", "TRADES"})


@attrs.frozen
class Findings:
    """What a demo with faults came to, beside what is on disk."""

    lines: list[str]
    """In rich's markup."""
    good: bool


def judge_chaos(
    chaos: Chaos,
    venues: Sequence[AnyVenue],
    stats: Stats,
    verdicts: Sequence[ExchangeVerdict],
    coverage: Sequence[TableCoverage],
) -> Findings:
    """Tell what struck, what the logger did about it, whose rules it broke, and what it lost unawares."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(chaos.struck.items()))
    lines = [f"     {chaos.struck.total()} faults struck: {kinds or 'none'}"]
    good = True
    for venue, verdict in zip(venues, verdicts, strict=True):
        exchange, broken = stats.exchange(venue.name), venue.violations
        unaware = unknown_losses(verdict, coverage, chaos.clock_errors)
        lines.append(
            f"{mark(not (broken or unaware))} {venue.name:<15}{exchange.reconnects:,} connections replaced, "
            f"{exchange.backfilled:,} trades fetched afterwards, {unaware:,} rows lost outside of gaps, "
            f"{len(broken):,} rules broken"
        )
        lines += [f"     {escape(words)}" for words in broken[:_NAMED]]
        good = good and not (broken or unaware)
    return Findings(lines, good)


def unknown_losses(
    verdict: ExchangeVerdict, coverage: Sequence[TableCoverage], clock_errors: Iterable[float]
) -> int:
    """Return how many rows are missing at times that the logger says it recorded.

    Args:
        verdict: of an exchange.
        coverage: what the logger says.
        clock_errors: by which the exchange's clock was wrong at times, in seconds; the logger has its own.
    """
    shifts = {0, *(round(sign * error * NANOS_PER_SECOND) for error in clock_errors for sign in (-1, 1))}
    lines = {(it.symbol, it.table): it.timeline for it in coverage if it.exchange == verdict.exchange}
    return sum(
        (key := (symbol, table.result.table)) not in lines
        or not any(lines[key].state_at(time + shift) is CoverageState.GAP for shift in shifts)
        for table in verdict.tables
        for symbol, times in table.result.missing_times.items()
        for time in times.tolist()
    )


def tell_coverage(data: Path) -> list[TableCoverage]:
    """Print what the logger itself says about what it recorded, and return it."""
    coverage = coverage_of(data)
    print_coverage(coverage, _WORST, running=False)
    return coverage
