"""``multilogger symbols``: what the exchanges list, or listed once, and what it is called here."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from multilogger.archive.instants import to_ns
from multilogger.cli.common import add_config_option, read_config
from multilogger.cli.symbols_sources import Listings, fetched, recorded, saved
from multilogger.config import Config
from multilogger.errors import ArchiveError, StartupError
from multilogger.symbols.instruments import SymbolInfo
from multilogger.symbols.mapper import SymbolMapper, load_mapper
from multilogger.symbols.mappings import find_mappings, read_mappings
from multilogger.symbols.suggest import format_mappings, suggest_entries

_PIPED_WIDTH: Final = 250
_ASSETS: Final = 50
_HEADINGS: Final = (
    "exchange",
    "symbol",
    "normalized",
    "class",
    "quote",
    "status",
    "tick",
    "min size",
    "same as",
)


def add_parser(commands: Any) -> None:
    """Add the command's parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "symbols",
        help="list discovered and mapped symbols",
        description="List what the exchanges trade, or traded at a time, and what it is called here.",
    )
    parser.add_argument("exchange", nargs="?", metavar="EXCHANGE", help="only this exchange")
    parser.add_argument(
        "--query", metavar="SYMBOL", help="only what is related to this symbol, such as BTC-USD or BTCUSDT"
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="what was listed, by the archive in this data path"
    )
    parser.add_argument(
        "--at",
        type=_instant,
        metavar="TIME",
        help="what was listed at that time, such as 2026-11-01 (default: when it was last looked at)",
    )
    parser.add_argument(
        "--listings", type=Path, metavar="DIR", help="what is listed by answers of the exchanges saved here"
    )
    parser.add_argument(
        "--suggest", action="store_true", help="print entries for the mapping file instead of a table"
    )
    parser.add_argument(
        "--assets",
        type=_count,
        default=_ASSETS,
        metavar="N",
        help="suggest entries of so many assets (default: %(default)s)",
    )
    add_config_option(parser)
    parser.set_defaults(command_main=main)


def _instant(text: str) -> int:
    try:
        return to_ns(text)
    except ArchiveError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text!r}")
    return int(text)


def main(arguments: argparse.Namespace) -> int:
    """Print the symbols, or what is suggested; return 1 if a listing could not be had."""
    _check(arguments)
    from_archive = arguments.data is not None or arguments.at is not None
    # Nothing is written: a data path need not be configured unless it is the one to read.
    needless = arguments.data is not None or not from_archive
    extra = {"MULTILOGGER__LOGGER__DATA_PATH": os.devnull} if needless else None
    config = read_config(arguments.config, extra)
    if from_archive:
        listings = recorded(arguments.data or config.logger.data_path, arguments.at, arguments.exchange)
    elif arguments.listings is not None:
        listings = saved(config, arguments.listings, arguments.exchange)
    else:
        listings = fetched(config, [arguments.exchange] if arguments.exchange else list(config.exchanges))
    if arguments.suggest:
        _print_suggestion(listings, config, arguments.assets)
    else:
        mapper = load_mapper(config.logger.mappings)
        for name, listing in listings.found.items():
            mapper.replace(name, listing)
        _print(_chosen(listings.listed, mapper, arguments.query), mapper)
    for name, failure in sorted(listings.failures.items()):
        sys.stderr.write(f"multilogger: {name}: no listing: {failure}\n")
    return 1 if listings.failures else 0


def _check(arguments: argparse.Namespace) -> None:
    """Check that the arguments go together.

    Raises:
        StartupError: they don't.
    """
    if arguments.listings is not None and (arguments.data is not None or arguments.at is not None):
        raise StartupError("--listings is of now, --data and --at are of an archive: give one of them")
    if arguments.suggest and arguments.query is not None:
        raise StartupError("--query chooses what is printed, --suggest prints entries for the mapping file")


def _print_suggestion(listings: Listings, config: Config, assets: int) -> None:
    mappings = read_mappings(config.logger.mappings or find_mappings())
    entries = suggest_entries(listings.listed, assets)
    sys.stdout.write(f"# Suggested by the listings of {', '.join(listings.found)}; to be reviewed.\n")
    for line in format_mappings(entries, mappings.groups):
        sys.stdout.write(f"{line}\n")


def _chosen(listed: list[SymbolInfo], mapper: SymbolMapper, query: str | None) -> list[SymbolInfo]:
    if query is None:
        return listed
    related = mapper.find_related(query)
    return [info for info in listed if info in related or query in (info.symbol, info.normalized)]


def _print(chosen: list[SymbolInfo], mapper: SymbolMapper) -> None:
    """Print a table; one line a symbol where nobody looks at a terminal, for grep and its like."""
    console = Console()
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading)
    for info in chosen:
        equivalents = mapper.equivalents(info)
        table.add_row(
            info.exchange,
            info.symbol,
            info.normalized,
            info.asset_class.value,
            info.quote_type.value,
            info.status,
            _number(info.tick_size),
            _number(info.min_size),
            " ".join(equivalents),
        )
    if chosen:
        console.print(table)
    plural = "" if len(chosen) == 1 else "s"
    console.print(f"{len(chosen)} symbol{plural}", highlight=False)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10f}".rstrip("0").rstrip(".")
