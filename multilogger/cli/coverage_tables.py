"""The tables that ``multilogger coverage`` prints, and how it spells shares and lengths of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from multilogger.archive.coverage import (
    Gap,
    TableCoverage,
    by_exchange,
    total,
    worst_gaps,
    worst_symbols,
)
from multilogger.archive.instants import describe
from multilogger.tables import NANOS_PER_SECOND

_PIPED_WIDTH: Final = 250
_DIGITS: Final = 10_000
"""Shares are cut to four digits behind the point: what is not whole is never told as 100."""
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def print_coverage(found: Sequence[TableCoverage], worst: int, *, running: bool) -> None:
    """Print the sums by exchange and table, the gaps by cause, the worst symbols and gaps, and a summary."""
    console = Console()
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    tables = [_exchanges(found), _causes(found), _symbols(found, worst), _gaps(found, worst)]
    for table in tables:
        if table.row_count:
            console.print(table)
    console.print(_summary(found, running=running), highlight=False)


def share(percentage: float | None) -> str:
    """Return a percentage in words; one below 100 never rounds up to it."""
    if percentage is None:
        return "-"
    cut = math.floor(percentage * _DIGITS) / _DIGITS
    return "100 %" if percentage == 100 else f"{cut:.4f} %"  # noqa: PLR2004 - all of it


def length(time_ns: int) -> str:
    """Return a length of time in its two largest units; empty for none, fractions below a minute."""
    if not time_ns:
        return ""
    seconds = time_ns / NANOS_PER_SECOND
    if seconds < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{seconds:.3g} s" if seconds >= 0.001 else "< 1 ms"  # noqa: PLR2004 - a millisecond
    whole = round(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        if whole >= size or parts:
            parts.append(f"{whole // size} {unit}")
            whole %= size
    return " ".join(part for part in parts[:2] if not part.startswith("0 "))


def time_words(time_ns: int) -> str:
    """Return a time in UTC, to the millisecond."""
    return f"{describe(time_ns)[:23].replace('T', ' ')}"


def symbols_words(gap: Gap) -> str:
    """Return the symbol of a gap, or how many they are."""
    return gap.symbols[0] if len(gap.symbols) == 1 else f"{len(gap.symbols):,} symbols"


def count(number: int) -> str:
    """Return a number, empty for zero."""
    return f"{number:,}" if number else ""


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for heading in left:
        table.add_column(heading)
    for heading in right:
        table.add_column(heading, justify="right")
    return table


def _exchanges(found: Sequence[TableCoverage]) -> Table:
    table = _table(
        "Recorded, all symbols together",
        ("exchange", "table"),
        ("symbols", "recorded", "missing", "filled later", "halted", "not listed", "no word", "missing ids"),
    )
    for it in by_exchange(found):
        sums = it.sums
        lengths = (sums.lost_ns, sums.backfilled_ns, sums.halted_ns, sums.not_listed_ns, sums.unknown_ns)
        table.add_row(
            escape(it.exchange),
            it.table,
            f"{it.symbols:,}",
            share(sums.percentage),
            *map(length, lengths),
            count(sums.missing_ids),
        )
    return table


def _causes(found: Sequence[TableCoverage]) -> Table:
    table = _table("Why it is missing", ("exchange", "table", "cause"), ("missing",))
    for it in by_exchange(found):
        for cause, lost in sorted(it.sums.gap_ns.items(), key=lambda item: (-item[1], item[0])):
            table.add_row(escape(it.exchange), it.table, escape(cause), length(lost))
    return table


def _symbols(found: Sequence[TableCoverage], worst: int) -> Table:
    table = _table(
        "Worst symbols", ("exchange", "symbol", "table"), ("recorded", "missing", "gaps", "missing ids")
    )
    for it in worst_symbols(found, worst):
        table.add_row(
            escape(it.exchange),
            escape(it.symbol),
            it.table,
            share(it.percentage),
            length(it.sums.lost_ns),
            f"{len(it.timeline.gaps):,}",
            count(it.sums.missing_ids),
        )
    return table


def _gaps(found: Sequence[TableCoverage], worst: int) -> Table:
    table = _table(
        "Worst gaps", ("from (UTC)", "exchange", "symbol", "tables", "cause"), ("length", "missing ids")
    )
    for gap in worst_gaps(found, worst):
        table.add_row(
            time_words(gap.start_ns),
            escape(gap.exchange),
            escape(symbols_words(gap)),
            " ".join(gap.tables),
            escape(gap.cause),
            length(gap.end_ns - gap.start_ns),
            count(gap.missing_ids),
        )
    return table


def _summary(found: Sequence[TableCoverage], *, running: bool) -> str:
    sums = total(it.sums for it in found)
    bounds = [bound for it in found for bound in it.timeline.bounds[[0, -1]].tolist()]
    ids = (
        "no trade id"
        if not sums.missing_ids
        else f"{sums.missing_ids:,} trade id{'s' * (sums.missing_ids > 1)}"
    )
    return (
        f"{time_words(min(bounds))} to {time_words(max(bounds))} UTC{', a logger runs' if running else ''}: "
        f"{share(sums.percentage)} recorded, {ids} missing"
    )
