"""``multilogger replay``: recorded frames through the same parsing, quality checks and storage."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn
from rich.table import Table

from multilogger.batch import Batch, RowBuffer, SymbolTable
from multilogger.cli.common import (
    check_exchange,
    check_readable,
    make_exchange,
    read_config,
    set_up_logging,
    wall_clock,
)
from multilogger.config import Config
from multilogger.config.policy import storage_policy
from multilogger.errors import ConfigError, FrameError, StartupError
from multilogger.exchanges.base import Adapter, Exchange, TradeIds
from multilogger.quality.filter import QualityFilter
from multilogger.recording import Recorded, read_recording
from multilogger.stats import ExchangeStats, WriterStats
from multilogger.storage.store import Store
from multilogger.tables import MD, TABLES

_ANY_DAYS_BACK: Final = 100_000
_FRAMES_A_COMMIT: Final = 20_000


def add_parser(commands: Any) -> None:
    """Add the command's parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "replay",
        help="record recorded frames, without a network",
        description="Send recorded frames through the same parsing, quality checks and storage as live ones.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON lines, plain or .zst")
    parser.add_argument("--exchange", required=True, metavar="NAME", help="whose frames they are")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="where the column files go")
    parser.add_argument("--config", type=Path, metavar="FILE", help="options of the exchange")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the exchange, such as md_stream=bookTicker",
    )
    parser.set_defaults(command_main=main)


def main(arguments: argparse.Namespace) -> int:
    """Replay the files in order; return 0 when all rows are on disk."""
    check_exchange(arguments.exchange)
    check_readable(arguments.files)
    config = _read_config(arguments)
    set_up_logging(config)
    exchange = make_exchange(arguments.exchange, config)
    stats = ExchangeStats(exchange.id)
    # A recording may be of any day.
    settings = attrs.evolve(config.storage, accept_days_back=_ANY_DAYS_BACK)
    store = Store.open(
        config.logger.data_path, settings, WriterStats(), wall_clock, policies=storage_policy(config)
    )
    try:
        _replay(exchange, arguments.files, store, stats)
    finally:
        store.close()
    _report(stats)
    return 0


def _read_config(arguments: argparse.Namespace) -> Config:
    try:
        return read_config(arguments.config, _overrides(arguments))
    except ConfigError as error:
        # The command's options were passed on as variables; their faults name them as they were given.
        variable = re.compile(f"{_section(arguments)}__([A-Z0-9_]+)")
        lines = [variable.sub(lambda found: f"--set {found[1].lower()}", fault) for fault in error.faults]
        raise ConfigError(lines) from None


def _section(arguments: argparse.Namespace) -> str:
    return f"MULTILOGGER__EXCHANGES__{arguments.exchange.upper()}"


def _overrides(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the command's options in the words of environment overrides."""
    overrides = {"MULTILOGGER__LOGGER__DATA_PATH": str(arguments.data)}
    section = _section(arguments)
    overrides[f"{section}__ENABLED"] = "true"
    for setting in arguments.set:
        key, equals, value = setting.partition("=")
        if not equals:
            raise StartupError(f"--set {setting}: expected KEY=VALUE, such as md_stream=bookTicker")
        overrides[f"{section}__{key.upper()}"] = value
    return overrides


@attrs.frozen
class _Replay:
    """The path of a recorder, from frames to storage, without the wire."""

    adapter: Adapter
    quality: QualityFilter
    symbols: SymbolTable
    store: Store
    stats: ExchangeStats

    def record(self, frames: Iterable[Recorded]) -> None:
        """Record frames as one commit."""
        rows = RowBuffer()
        for frame in frames:
            # Without a recorded receive time the column says 0, not some other time.
            self.adapter.receive((frame.payload,), frame.recv_ns or 0, rows)
        checked = self.quality.apply(rows.take())
        for number, table in checked.items():
            self.stats.rows[TABLES[number].name] += len(table)
        if checked:
            self.store.commit([Batch(self.symbols, checked)])
            self.store.apply()


def _replay(exchange: Exchange, files: list[Path], store: Store, stats: ExchangeStats) -> None:
    symbols = SymbolTable(exchange.id)
    quality = QualityFilter(
        symbols,
        stats,
        last_trade_ids=store.last_trade_ids(exchange.id),
        last_md=store.last_rows(exchange.id, MD),
        recent_trades=store.recent_trades(exchange.id) if exchange.trade_ids is TradeIds.UNORDERED else None,
        trade_ids=exchange.trade_ids.value,
    )
    with _progress() as progress:
        for file in files:
            task = progress.add_task(file.name, total=None)
            # A recording is one connection: it has an adapter of its own, as each connection has.
            adapter = exchange.create_adapter(symbols, stats)
            adapter.subscribe(sorted(_symbols_in(exchange, file)))
            path = _Replay(adapter, quality, symbols, store, stats)
            for frames in _portions(read_recording(file)):
                path.record(frames)
                progress.advance(task, len(frames))


def _progress() -> Progress:
    """Return a display of the frames of each file; how many there will be is known only at its end."""
    columns = ("{task.description}", "{task.completed:,.0f} frames", TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _symbols_in(exchange: Exchange, file: Path) -> set[str]:
    """Return the symbols of all trades and tickers in a recording."""
    found: set[str] = set()
    for frame in read_recording(file):
        try:
            found.update(trade.symbol for trade in exchange.parse_trade_data(frame.payload))
            found.update(ticker.symbol for ticker in exchange.parse_market_data(frame.payload))
        except FrameError:
            # Counted, with its reason, when the frame is recorded below.
            continue
    return found


def _portions(frames: Iterable[Recorded]) -> Iterator[list[Recorded]]:
    portion: list[Recorded] = []
    for frame in frames:
        portion.append(frame)
        if len(portion) == _FRAMES_A_COMMIT:
            yield portion
            portion = []
    yield portion


def _report(stats: ExchangeStats) -> None:
    table = Table(title=f"replayed into {stats.name}")
    table.add_column("what")
    table.add_column("count", justify="right")
    for name, count in sorted(stats.rows.items()):
        table.add_row(f"{name} rows", f"{count:,}")
    table.add_row("duplicates dropped", f"{stats.duplicates:,}")
    table.add_row("trade ids missing", f"{stats.gaps:,}")
    for reason, count in sorted(stats.refused.items()):
        table.add_row(f"refused: {reason}", f"{count:,}")
    for kind, count in sorted(stats.ignored.items()):
        table.add_row(f"ignored: {kind}", f"{count:,}")
    Console().print(table)
