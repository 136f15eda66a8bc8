"""How much of a day is known to be missing, told from its coverage intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Final, Self

import structlog

from multilogger.notes import ANY, CoverageNote, CoverageState, Note
from multilogger.storage.catalog import CatalogError, CatalogReader, CoverageInterval, open_catalog
from multilogger.storage.layout import NANOS_PER_DAY
from multilogger.storage.manifest import CoverageSummary
from multilogger.tables import NANOS_PER_SECOND

log = structlog.get_logger()

_LATEST: Final = 1 << 62
"""A place in the notes log behind all that are there."""


class Coverage:
    """What is known of the coverage of days; each day of an exchange is looked up once.

    A context manager, which lets go of the catalog.

    Args:
        path: of the catalog.
        waiting: notes that are not in it yet.
    """

    def __init__(self, path: Path, waiting: Iterable[Note]) -> None:
        notes = [note for note in waiting if isinstance(note, CoverageNote)]
        self._waiting = [
            CoverageInterval(
                it.exchange,
                it.symbol,
                it.table,
                it.state,
                it.cause,
                it.start_ns,
                it.end_ns,
                _LATEST + index,
                it.first_id,
                it.last_id,
            )
            for index, it in enumerate(notes)
        ]
        self._found: dict[tuple[str, int], list[CoverageInterval]] = {}
        self._held = ExitStack()
        self._reader: CatalogReader | None = None
        try:
            self._reader = self._held.enter_context(open_catalog(path))
        except CatalogError as error:
            self._do_without(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def summary(self, exchange: str, symbol: str, table: str, day: int) -> CoverageSummary | None:
        """Return what is missing of a day of a symbol's table, None if the catalog doesn't tell."""
        if (exchange, day) not in self._found:
            self._found[exchange, day] = self._look_up(exchange, day)
        if self._reader is None:
            return None
        intervals = self._found[exchange, day]
        return summarize(
            [it for it in intervals if it.symbol in (ANY, symbol) and it.table in (ANY, table)], day
        )

    def _look_up(self, exchange: str, day: int) -> list[CoverageInterval]:
        if self._reader is None:
            return []
        try:
            known = self._reader.coverage(
                exchange, start_ns=day * NANOS_PER_DAY, end_ns=(day + 1) * NANOS_PER_DAY
            )
        except CatalogError as error:
            self._do_without(error)
            return []
        newer = [it for it in self._waiting if it.exchange in (ANY, exchange)]
        # A later note of the same interval says how it ended.
        found = {
            (it.exchange, it.symbol, it.table, it.state, it.start_ns, it.first_id): it
            for it in [*known, *newer]
        }
        return list(found.values())

    def _do_without(self, error: CatalogError) -> None:
        log.warning("days are sealed without a word on what is missing", why=str(error))
        self._reader = None


def summarize(intervals: Iterable[CoverageInterval], day: int) -> CoverageSummary:
    """Return how many gaps a day has and how long they are; where intervals overlap, the latest word counts.

    Args:
        intervals: of the day's exchange, symbol and table.
        day: UTC, in days since the epoch.
    """
    start, end = day * NANOS_PER_DAY, (day + 1) * NANOS_PER_DAY
    spans = [
        (max(it.start_ns, start), min(end if it.end_ns is None else it.end_ns, end), it.state)
        for it in sorted(intervals, key=attrgetter("position"), reverse=True)
    ]
    bounds = sorted({bound for first, last, _ in spans if first < last for bound in (first, last)})
    gaps = [(low, high) for low, high in pairwise(bounds) if _state_at(spans, low) is CoverageState.GAP]
    beginnings = {low for low, _ in gaps} - {high for _, high in gaps}
    return CoverageSummary(
        gaps=len(beginnings), gap_seconds=sum(high - low for low, high in gaps) / NANOS_PER_SECOND
    )


def _state_at(spans: Sequence[tuple[int, int, CoverageState]], at: int) -> CoverageState | None:
    return next((state for first, last, state in spans if first <= at < last), None)
