"""One exchange's life: its listing, its connections."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
import trio

from multilogger.connection.backoff import Backoff
from multilogger.connection.pool import Pool, check_capacity
from multilogger.connection.protocols import Coverage
from multilogger.connection.refusals import report_refusals
from multilogger.errors import RestError
from multilogger.exchanges.base import Exchange
from multilogger.stats import ExchangeState, ExchangeStats
from multilogger.supervision.instruments import InstrumentLog
from multilogger.symbols.instruments import SymbolInfo
from multilogger.symbols.select import select_symbols

log = structlog.get_logger(__name__)

LISTING_SECS = 3300.0
"""How often the listing is asked for. What is new in it is recorded within an hour: the rest of that is for a
slow answer and the subscription."""
NOT_LISTED = "not listed, or not trading, by the exchange's own listing"


async def run_exchange(
    exchange: Exchange,
    pool: Pool,
    explicit: list[str],
    backoff: Backoff,
    stats: ExchangeStats,
    instruments: InstrumentLog,
) -> None:
    """Record one exchange; ends only by cancellation or a failure.

    Args:
        exchange: the exchange.
        pool: its connections.
        explicit: symbols that are configured by name: they start at once, listing or not.
        backoff: delays between attempts to fetch the listing.
        stats: the exchange's counters.
        instruments: keeps what listings change.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(report_refusals, stats)
        nursery.start_soon(pool.run)
        # A new pool asks for everything anew: what an earlier one was refused is no longer known to be so.
        stats.set_aside.clear()
        pool.update(explicit)
        stats.state = ExchangeState.RUNNING
        while True:
            listed = await fetch_listing(exchange, backoff, stats)
            recorded = pool.symbols
            follow_listing(exchange, pool, listed, explicit, stats)
            note_listing(recorded, pool.symbols, listed, pool.coverage)
            await instruments.note(listed)
            await trio.sleep(LISTING_SECS)


async def fetch_listing(exchange: Exchange, backoff: Backoff, stats: ExchangeStats) -> list[SymbolInfo]:
    """Return the listing, trying again with a backoff until the exchange answers."""
    while True:
        try:
            listed = await exchange.fetch_symbols()
        except RestError as failure:
            delay = backoff.next()
            stats.detail = f"no symbol listing: {failure}"
            again = round(delay, 1)
            log.warning("listing failed", exchange=exchange.id, why=str(failure), again_in_secs=again)
            await trio.sleep(delay)
        else:
            backoff.reset()
            stats.detail = ""
            return listed


def follow_listing(
    exchange: Exchange, pool: Pool, listed: list[SymbolInfo], explicit: list[str], stats: ExchangeStats
) -> None:
    """Give the pool what is wanted of a new listing, and set aside what is asked for by name and not there.

    Raises:
        StartupError: more symbols are wanted than the configured connections can carry.
    """
    # A configured name may be a mapped one, which the listing does not have: its venue symbol is in explicit.
    wanted = select_symbols((*exchange.config.symbols, *explicit), listed)
    check_capacity(exchange, len(wanted))
    log.info("listing", exchange=exchange.id, listed=len(listed), wanted=len(wanted))
    reasons = {symbol: _unlisted(symbol, exchange, stats) for symbol in set(explicit).difference(wanted)}
    for symbol in wanted:
        if stats.set_aside.get(symbol, "").startswith(NOT_LISTED):
            del stats.set_aside[symbol]
    pool.update(wanted)
    # After the pool, which has just forgotten what the exchange said of symbols nobody asks for any more.
    stats.set_aside.update(reasons)


def note_listing(
    recorded: Sequence[str], wanted: Sequence[str], listed: Sequence[SymbolInfo], coverage: Coverage
) -> None:
    """Tell the ledger what a listing says of the symbols that it ends, or brings back.

    Args:
        recorded: the symbols until now.
        wanted: those from now on; what is wanted trades.
        listed: the listing.
        coverage: the ledger.
    """
    gone = set(recorded).difference(wanted)
    trading = {info.symbol: info.active for info in listed}
    coverage.not_listed(sorted(gone.difference(trading)))
    coverage.halted(sorted(symbol for symbol in gone if not trading.get(symbol, True)))
    coverage.listed_again(wanted)


def _unlisted(symbol: str, exchange: Exchange, stats: ExchangeStats) -> str:
    """Return why a symbol asked for by name is set aside; log it once."""
    known = stats.set_aside.get(symbol, "")
    if known.startswith(NOT_LISTED):
        return known
    log.warning("symbol set aside", exchange=exchange.id, symbol=symbol, why=NOT_LISTED)
    # It may have been rejected before the listing came: then the exchange's own words stand beside ours.
    return f"{NOT_LISTED}: {known}" if known else NOT_LISTED
