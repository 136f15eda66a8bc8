"""The demo's live table: what the logger counts, and what any reader finds in its files meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import numpy as np
from rich.table import Table

from multilogger.health.rates import RateMeter
from multilogger.stats import Stats

_WIDTHS: Final = {"MD": ("time", 4), "TRADES": ("trade_time", 4)}
"""The column that grows last, which tells the rows on disk, and its bytes a row."""


@attrs.define(eq=False)
class LiveTable:
    """Draws the state of a run.

    Attributes are given once; :meth:`render` reads counters and files anew each time.
    """

    stats: Stats
    data: Path
    meter: RateMeter
    title: str

    def render(self) -> Table:
        """Return the table as of now."""
        table = Table(title=self.title, title_justify="left")
        for heading in ("exchange", "symbol"):
            table.add_column(heading)
        for heading in ("msg/s", "last price", "MD rows on disk", "TRADES rows on disk"):
            table.add_column(heading, justify="right")
        for name, exchange in sorted(self.stats.exchanges.items()):
            rate = f"{self.meter.rate(name):,.0f}"
            totals = {kind: sum(rows_on_disk(self.data / name, kind).values()) for kind in _WIDTHS}
            links = f"{exchange.symbols} symbols, {len(exchange.links)} connections"
            table.add_row(f"[bold]{name}", links, rate, "", *(f"[bold]{n:,}" for n in totals.values()))
            for row in self._symbols(name):
                table.add_row("", *row)
            table.add_section()
        return table

    def line(self) -> str:
        """Return the state in one line, for output that is no terminal."""
        parts = [
            f"{name} {self.meter.rate(name):,.0f} msg/s, {sum(exchange.rows.values()):,} rows accepted"
            for name, exchange in sorted(self.stats.exchanges.items())
        ]
        return "; ".join([*parts, f"{self.stats.writer.rows_in_columns:,} rows on disk"])

    def _symbols(self, exchange: str) -> Iterator[tuple[str, ...]]:
        md = rows_on_disk(self.data / exchange, "MD")
        trades = rows_on_disk(self.data / exchange, "TRADES")
        for symbol in sorted(md.keys() | trades.keys()):
            price = last_price(self.data / exchange / symbol / "MD")
            yield symbol, "", price, f"{md.get(symbol, 0):,}", f"{trades.get(symbol, 0):,}"


def rows_on_disk(exchange: Path, table: str) -> dict[str, int]:
    """Return the rows of a table on disk by symbol, all days together."""
    column, width = _WIDTHS[table]
    rows: dict[str, int] = {}
    for file in exchange.glob(f"*/{table}/{column}.*.bin"):
        symbol = file.parent.parent.name
        rows[symbol] = rows.get(symbol, 0) + file.stat().st_size // width
    return rows


def last_price(directory: Path) -> str:
    """Return the newest price in a directory's column files; empty without any."""
    files = sorted(directory.glob("price.*.bin"), key=lambda file: file.stat().st_mtime_ns)
    if not files:
        return ""
    prices = np.fromfile(files[-1], "<f4", offset=max(0, files[-1].stat().st_size // 4 * 4 - 4))
    return f"{prices[-1]:.8g}" if len(prices) else ""
