"""Holes in the trades that an earlier run noted and did not live to fill.

A crash may have come after trades of a hole were durable, and before the note that they fill it. What counts
is what is on disk: those trades are taken out of the hole, and never recorded a second time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
import numpy as np
import structlog

from multilogger.archive import tree
from multilogger.archive.reader import Archive, open_archive
from multilogger.batch import SymbolTable
from multilogger.connection.backfill import NO_HISTORY, NOT_THERE, OFF, TOO_OLD
from multilogger.errors import ArchiveError
from multilogger.notes import CoverageState
from multilogger.quality.coverage import CoverageBook
from multilogger.quality.holes import TOO_MANY
from multilogger.quality.missing import Hole, Unknown
from multilogger.quality.recent_ids import RecentIds, RisingIds
from multilogger.quality.sequence import BEGAN_ANEW, LEAPT, TradeSequence
from multilogger.records import Flag
from multilogger.storage.catalog import CatalogError, CoverageInterval, open_catalog
from multilogger.storage.layout import NANOS_PER_DAY, Paths
from multilogger.tables import NANOS_PER_SECOND, TRADES, Array

log = structlog.get_logger(__name__)

_LASTING: Final = frozenset({NO_HISTORY, NOT_THERE, OFF, TOO_OLD, TOO_MANY, LEAPT, BEGAN_ANEW})
"""Causes of gaps that nothing will fill."""
_MOST_LASTING: Final = 100
"""Of a symbol, that may lie in what a run begins to say."""
_MARGIN_NS: Final = 600 * NANOS_PER_SECOND
"""A hole at the tail ends by our own clock, which differs from the exchange's by less than this."""


@attrs.frozen(eq=False)
class OpenHoles:
    """The open holes of one exchange."""

    holes: tuple[Hole, ...]
    """As they were noted."""
    found: Array
    """Trades of them that are on disk: rows of ``TRADES.row`` with symbol number, id, time and flags."""
    lasting: tuple[Unknown, ...] = ()
    """Gaps of before that nothing will fill, the newest of each symbol."""


def open_holes(data_path: Path, symbols: SymbolTable) -> OpenHoles:
    """Read which trades of an exchange are noted as missing, and which of these are on disk; blocks.

    Of a symbol whose files can't be read nothing is returned, for its trades could be recorded twice. The
    catalog keeps its holes for the next start.

    Args:
        data_path: recovered, and not written to yet.
        symbols: numbers the exchange's symbols.
    """
    noted, lasting = _noted(Paths(data_path).catalog, symbols)
    holes: list[Hole] = []
    found = [np.zeros(0, TRADES.row)]
    for number, of_symbol in noted.items():
        try:
            found += _on_disk(open_archive(data_path), symbols, number, of_symbol)
        except ArchiveError as error:
            symbol = symbols.names[number]
            log.warning(
                "missed trades are not asked for", exchange=symbols.exchange, symbol=symbol, why=str(error)
            )
        else:
            holes += of_symbol
    return OpenHoles(tuple(holes), np.concatenate(found), tuple(lasting))


def take_over(
    opened: OpenHoles, sequence: TradeSequence | RisingIds | RecentIds, ledger: CoverageBook | None = None
) -> None:
    """Have a sequence know of holes, and that what is on disk is not missing; its news tell the ledger.

    The ledger has to know of the gaps that stay: it may say of a longer time that all but these is there.
    """
    if ledger is not None:
        for it in opened.lasting:
            ledger.remember(it)
    for hole in opened.holes:
        sequence.add_hole(hole)
    if len(opened.found):
        # They are recorded already: what is new of them for the sequence goes nowhere.
        sequence.fresh(opened.found)


def _noted(catalog: Path, symbols: SymbolTable) -> tuple[dict[int, list[Hole]], list[Unknown]]:
    """Return the holes by symbol number, and the gaps that stay."""
    try:
        with open_catalog(catalog) as reader:
            intervals = reader.coverage(symbols.exchange, table=TRADES.name)
    except CatalogError as error:
        log.warning("missed trades of earlier runs are not asked for", why=str(error))
        return {}, []
    noted: dict[int, list[Hole]] = defaultdict(list)
    lasting: dict[int, list[Unknown]] = defaultdict(list)
    for it in intervals:
        if it.state is not CoverageState.GAP or it.end_ns is None:
            continue
        if 0 <= it.first_id <= it.last_id:
            number = symbols.number(it.symbol)
            noted[number].append(_hole_of(it, number))
        elif it.cause in _LASTING:
            number = symbols.number(it.symbol)
            lasting[number].append(Unknown(number, it.start_ns, it.end_ns, it.cause))
    newest = (
        it for gaps in lasting.values() for it in sorted(gaps, key=lambda gap: gap.end_ns)[-_MOST_LASTING:]
    )
    return noted, list(newest)


def _hole_of(noted: CoverageInterval, number: int) -> Hole:
    # Its note ends just behind the trade after it.
    after_ns = (noted.end_ns or noted.start_ns + 1) - 1
    return Hole(number, noted.first_id, noted.last_id, noted.start_ns, after_ns, noted.cause)


def _on_disk(archive: Archive, symbols: SymbolTable, number: int, holes: Sequence[Hole]) -> list[Array]:
    """Return the trades of a symbol's holes that are in its files of the days concerned, by day."""
    exchange, symbol = str(symbols.exchange), symbols.names[number]
    directory = tree.find_directory(archive.data, exchange, symbol)
    if directory is None or TRADES.name not in archive.tables(exchange, directory):
        return []
    found = []
    for day in tree.days(archive.place(exchange, directory, TRADES.name)):
        start_ns, end_ns = day * NANOS_PER_DAY - _MARGIN_NS, (day + 1) * NANOS_PER_DAY + _MARGIN_NS
        concerned = [hole for hole in holes if hole.before_ns < end_ns and hole.after_ns >= start_ns]
        if concerned:
            rows = _read_day(archive, exchange, directory, day)
            rows = rows[_within(rows["trade_id"].astype(np.int64), concerned)]
            rows["symbol"] = number
            found.append(rows)
    return found


def _read_day(archive: Archive, exchange: str, directory: str, day: int) -> Array:
    start, end = day * NANOS_PER_DAY, (day + 1) * NANOS_PER_DAY
    try:
        read = archive.read(exchange, directory, TRADES.name, start, end, columns=("trade_id", "flags"))
    except ArchiveError:
        # Without exact columns there are no flags, or the files are damaged, which fails again.
        read = archive.read(exchange, directory, TRADES.name, start, end, columns=("trade_id",))
    rows = np.zeros(len(read), TRADES.row)
    rows["time_ns"] = read.time_ns
    rows["trade_id"] = read.columns["trade_id"]
    # What fills a hole unnoted was got from the history, as a rule.
    rows["flags"] = read.columns.get("flags", Flag.BACKFILLED)
    return rows


def _within(ids: Array, holes: Sequence[Hole]) -> Array:
    """Return which ids are in one of some holes."""
    within = np.zeros(len(ids), np.bool_)
    for hole in holes:
        within |= (ids >= hole.first) & (ids <= hole.last)
    return within
