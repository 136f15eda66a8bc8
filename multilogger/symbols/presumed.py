"""What the mapping file alone tells of a symbol, as long as its exchange has not been listed."""

from __future__ import annotations

from collections.abc import Sequence

from multilogger.records import ExchangeId
from multilogger.symbols.instruments import AssetClass, QuoteType, SymbolInfo
from multilogger.symbols.mappings import MappingEntry
from multilogger.symbols.quotes import quote_type, split_venue_symbol


def presumed_name(symbol: str, entries: Sequence[MappingEntry]) -> str:
    """Return the normalized name of a venue symbol that stands under ``entries``, at least one."""
    # A spot symbol may stand under an equivalent alone; of a contract the entry is all that tells anything.
    is_spot = entries[0].kind is AssetClass.SPOT
    return "-".join(_mapped_pair(symbol, entries)) if is_spot else entries[0].normalized


def presumed(exchange: str, symbol: str, entries: Sequence[MappingEntry]) -> SymbolInfo:
    """Return what the mapping file alone tells of a symbol; not active, as far as is known."""
    entry = entries[0]
    if entry.kind is AssetClass.SPOT:
        base, quote = _mapped_pair(symbol, entries)
    else:
        base, quote = entry.base, entry.quote
    kinds = {entry.quote: QuoteType(entry.quote_type) for entry in entries}
    return SymbolInfo(
        exchange=ExchangeId(exchange),
        symbol=symbol,
        normalized=presumed_name(symbol, entries),
        base=base,
        quote=quote,
        quote_type=kinds.get(quote) or quote_type(quote),
        asset_class=entry.kind,
        active=False,
    )


def _mapped_pair(symbol: str, entries: Sequence[MappingEntry]) -> tuple[str, str]:
    """Return the true base and quote of a venue symbol that stands under ``entries``."""
    pair = split_venue_symbol(symbol.upper())
    name = symbol.upper() if pair is None else "".join(pair)
    quote = None if pair is None else pair[1]
    exact = (entry for entry in entries if name == f"{entry.base}{entry.quote}".upper())
    by_quote = (entry for entry in entries if entry.quote == quote)
    entry = next(exact, None) or next(by_quote, None)
    if entry is not None or quote is None:
        entry = entry or entries[0]
        return entry.base, entry.quote
    # Listed as an equivalent only, as ETHBUSD under ETH-USD: its own quote is in its name.
    return entries[0].base, quote
