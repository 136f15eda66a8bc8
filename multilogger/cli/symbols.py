"""``multilogger symbols``: what the exchanges list, and what it is called here."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import Any, Final

import trio
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from multilogger.cli.common import add_config_option, make_exchange, read_config, run_trio, wall_clock
from multilogger.config import Config
from multilogger.connection.connector import make_connector
from multilogger.connection.http import open_http_client
from multilogger.errors import RestError
from multilogger.exchanges.base import Exchange, Services
from multilogger.symbols.instruments import SymbolInfo
from multilogger.symbols.mapper import SymbolMapper, load_mapper

_PIPED_WIDTH: Final = 250
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
        description="List what the exchanges trade, and what it is called here.",
    )
    parser.add_argument("exchange", nargs="?", metavar="EXCHANGE", help="only this exchange")
    parser.add_argument(
        "--query", metavar="SYMBOL", help="only what is related to this symbol, such as BTC-USD or BTCUSDT"
    )
    add_config_option(parser)
    parser.set_defaults(command_main=main)


def main(arguments: argparse.Namespace) -> int:
    """Print the symbols; return 1 if a listing could not be had."""
    # Nothing is written: a data path need not be configured yet.
    config = read_config(arguments.config, {"MULTILOGGER__LOGGER__DATA_PATH": os.devnull})
    names = [arguments.exchange] if arguments.exchange else list(config.exchanges)
    listings = run_trio(partial(_fetch_all, config, names))
    found = [listings[name] for name in names]
    listed = [info for listing in found if isinstance(listing, list) for info in listing]
    mapper = load_mapper(config.logger.mappings)
    mapper.add(listed)
    _print(_chosen(listed, mapper, arguments.query), mapper)
    failures = {name: listing for name, listing in listings.items() if isinstance(listing, RestError)}
    for name, failure in sorted(failures.items()):
        sys.stderr.write(f"multilogger: {name}: no listing: {failure}\n")
    return 1 if failures else 0


async def _fetch_all(config: Config, names: list[str]) -> dict[str, list[SymbolInfo] | RestError]:
    listings: dict[str, list[SymbolInfo] | RestError] = {}

    async def fetch(exchange: Exchange) -> None:
        try:
            listings[exchange.id] = await exchange.fetch_symbols()
        except RestError as failure:
            listings[exchange.id] = failure

    async with open_http_client() as http, trio.open_nursery() as nursery:
        services = Services(http_get=http.get, connector=make_connector(wall_clock))
        for name in names:
            nursery.start_soon(fetch, make_exchange(name, config, services))
    return listings


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
