"""The demo's live table: what the logger counts, and what any reader finds in its files meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, NoReturn

import attrs
import numpy as np
import trio
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from multilogger.health.rates import RateMeter
from multilogger.log import configure_logging
from multilogger.stats import Stats

LOG_LEVEL: Final = "warning"
"""Of a demo: what is logged stands above the table."""
_LINE_SECS: Final = 5.0
_TABLE_SECS: Final = 0.5
_WIDTHS: Final = {"MD": ("time", 4), "TRADES": ("trade_time", 4)}
"""The column that grows last, which tells the rows on disk, and its bytes a row."""
_FRAME_LINES: Final = 6
"""Title, heading, its rule, caption, the cursor's line, and one that a scrolled terminal wants."""
_EXCHANGE_LINES: Final = 2
"""Of each exchange, beside its symbols: its sums and a rule."""
_LEAST_SYMBOLS: Final = 2
"""Where there is no room for so many, symbols are not shown."""


@attrs.define(eq=False)
class LiveTable:
    """Draws the state of a run.

    Attributes are given once; :meth:`render` reads counters and files anew each time.
    """

    stats: Stats
    data: Path
    meter: RateMeter
    title: str

    def render(self, height: int) -> Table:
        """Return the table as of now, for a terminal of ``height`` lines."""
        table = Table(title=self.title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        table.caption = f"rows on disk in {self.data}"
        table.caption_justify = "left"
        for heading in ("exchange", "symbol"):
            table.add_column(heading)
        for heading in ("messages/s", "last price", "MD rows", "TRADES rows"):
            table.add_column(heading, justify="right")
        exchanges = sorted(self.stats.exchanges.items())
        room = (height - _FRAME_LINES) // max(1, len(exchanges)) - _EXCHANGE_LINES
        for name, exchange in exchanges:
            self._add_exchange(table, name, exchange.symbols, room if room >= _LEAST_SYMBOLS else 0)
        return table

    def _add_exchange(self, table: Table, name: str, symbols: int, room: int) -> None:
        counted = {kind: rows_on_disk(self.data / name, kind) for kind in _WIDTHS}
        totals = [f"[bold]{sum(rows.values()):,}" for rows in counted.values()]
        table.add_row(f"[bold]{name}", f"{symbols} symbols", f"{self.meter.rate(name):,.0f}", "", *totals)
        if not room:
            return  # There are so many exchanges that their sums fill the screen.
        busiest = sorted(set().union(*counted.values()), key=lambda symbol: -counted["TRADES"].get(symbol, 0))
        shown = busiest if len(busiest) <= room else busiest[: room - 1]
        for symbol in sorted(shown):
            price = last_price(self.data / name / symbol / "MD")
            table.add_row("", symbol, "", price, *(f"{rows.get(symbol, 0):,}" for rows in counted.values()))
        if len(shown) < len(busiest):
            table.add_row("", f"and {len(busiest) - len(shown)} more")
        table.add_section()

    def line(self) -> str:
        """Return the state in one line, for output that is no terminal."""
        parts = [
            f"{name} {self.meter.rate(name):,.0f} msg/s, {sum(exchange.rows.values()):,} rows accepted"
            for name, exchange in sorted(self.stats.exchanges.items())
        ]
        return "; ".join([*parts, f"{self.stats.writer.rows_in_columns:,} rows on disk"])


async def show(table: LiveTable) -> NoReturn:
    """Show the state again and again until cancelled: as a table on a terminal, else in lines."""
    console = Console()
    if console.is_terminal:
        await _show_table(table, console)
    heading = (table.title, f"files in {table.data}")
    console.print(*heading, sep="\n", soft_wrap=True, markup=False, highlight=False)
    while True:
        await trio.sleep(_LINE_SECS)
        console.print(table.line(), soft_wrap=True, highlight=False)


async def _show_table(table: LiveTable, console: Console) -> NoReturn:
    with Live(table.render(console.height), console=console, auto_refresh=False) as live:
        # While the table stands, it takes what goes to sys.stderr, and shows it above itself.
        configure_logging("console", LOG_LEVEL)
        try:
            while True:
                await trio.sleep(_TABLE_SECS)
                drawn = await trio.to_thread.run_sync(table.render, console.height)
                live.update(drawn, refresh=True)
        finally:
            configure_logging("auto", LOG_LEVEL, sys.__stderr__)


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
    # By day, not by age: a seal writes yesterday's file anew.
    files = sorted(directory.glob("price.*.bin"), key=lambda file: file.name.split(".")[3:0:-1])
    if not files:
        return ""
    prices = np.fromfile(files[-1], "<f4", offset=max(0, files[-1].stat().st_size // 4 * 4 - 4))
    return np.format_float_positional(prices[-1], trim="-") if len(prices) else ""
