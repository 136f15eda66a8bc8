"""One exchange's life: its listing, its connections."""

from __future__ import annotations

import structlog
import trio

from multilogger.connection.backoff import Backoff
from multilogger.connection.pool import Pool, check_capacity
from multilogger.connection.refusals import report_refusals
from multilogger.errors import ListingError
from multilogger.exchanges.base import Exchange
from multilogger.stats import ExchangeState, ExchangeStats
from multilogger.symbols.instruments import SymbolInfo
from multilogger.symbols.select import select_symbols

log = structlog.get_logger(__name__)

LISTING_SECS = 3600.0
"""New listings join, and delisted symbols leave, within this long."""
NOT_LISTED = "not listed, or not trading, by the exchange's own listing"


async def run_exchange(
    exchange: Exchange, pool: Pool, explicit: list[str], backoff: Backoff, stats: ExchangeStats
) -> None:
    """Record one exchange; ends only by cancellation or a failure.

    Args:
        exchange: the exchange.
        pool: its connections.
        explicit: symbols that are configured by name: they start at once, listing or not.
        backoff: delays between attempts to fetch the listing.
        stats: the exchange's counters.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(report_refusals, stats)
        nursery.start_soon(pool.run)
        pool.update(explicit)
        stats.state = ExchangeState.RUNNING
        while True:
            listed = await fetch_listing(exchange, backoff, stats)
            _follow(exchange, pool, listed, explicit, stats)
            await trio.sleep(LISTING_SECS)


async def fetch_listing(exchange: Exchange, backoff: Backoff, stats: ExchangeStats) -> list[SymbolInfo]:
    """Return the listing, trying again with a backoff until the exchange answers."""
    while True:
        try:
            listed = await exchange.fetch_symbols()
        except ListingError as failure:
            delay = backoff.next()
            stats.detail = f"no symbol listing: {failure}"
            again = round(delay, 1)
            log.warning("listing failed", exchange=exchange.id, why=str(failure), again_in_secs=again)
            await trio.sleep(delay)
        else:
            backoff.reset()
            stats.detail = ""
            return listed


def _follow(
    exchange: Exchange, pool: Pool, listed: list[SymbolInfo], explicit: list[str], stats: ExchangeStats
) -> None:
    """Give the pool what is wanted of a new listing."""
    # A configured name may be a mapped one, which the listing does not have: its venue symbol is in explicit.
    wanted = select_symbols((*exchange.config.symbols, *explicit), listed)
    for symbol in set(explicit).difference(wanted):
        stats.set_aside[symbol] = NOT_LISTED
        log.warning("symbol set aside", exchange=exchange.id, symbol=symbol, why=NOT_LISTED)
    log.info("listing", exchange=exchange.id, listed=len(listed), wanted=len(wanted))
    check_capacity(exchange, len(wanted))
    pool.update(wanted)
