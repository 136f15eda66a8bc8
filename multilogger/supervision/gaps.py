"""Gaps in trades whose ids have no order, which an earlier run noted and did not live to fill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog

from multilogger.batch import SymbolTable
from multilogger.notes import ANY, CoverageNote, CoverageState
from multilogger.quality.overlaps import Overlaps
from multilogger.storage.catalog import CatalogError, open_catalog
from multilogger.storage.layout import Paths
from multilogger.tables import NANOS_PER_SECOND, TRADES, Array

log = structlog.get_logger(__name__)

CLOCKS_NS: Final = 60 * NANOS_PER_SECOND
"""A gap begins by our clock, and trades happen by the exchange's: so much they may differ."""


def adopt_gaps(
    paths: Paths, symbols: SymbolTable, recent: Mapping[str, Array], overlaps: Overlaps, since_ns: int
) -> None:
    """Have pages of the newest trades fill what they can of earlier gaps, too; blocks.

    Args:
        paths: recovered.
        symbols: numbers the exchange's symbols.
        recent: the newest trades on disk by venue symbol: arrays of ``trade_id`` and ``time_ns``.
        overlaps: of the exchange.
        since_ns: gaps that ended before are left as they are.
    """
    for note in _noted(paths, str(symbols.exchange), since_ns):
        rows = recent.get(note.symbol)
        if rows is not None:
            before = rows["trade_id"][rows["time_ns"] <= note.start_ns - CLOCKS_NS]
            overlaps.adopt(symbols.number(note.symbol), note, before)


def _noted(paths: Paths, exchange: str, since_ns: int) -> list[CoverageNote]:
    try:
        with open_catalog(paths.catalog) as reader:
            intervals = reader.coverage(exchange, table=TRADES.name, start_ns=since_ns)
    except CatalogError as error:
        log.warning("gaps of earlier runs stay as they are", exchange=exchange, why=str(error))
        return []
    return [
        CoverageNote(exchange, it.symbol, TRADES.name, it.state, it.cause, it.start_ns, it.end_ns)
        for it in sorted(intervals, key=lambda it: it.start_ns)
        if it.state is CoverageState.GAP
        and it.end_ns is not None
        and it.first_id < 0
        and ANY not in (it.symbol, it.table)
    ]
