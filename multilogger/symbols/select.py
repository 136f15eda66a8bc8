"""Which symbols to record: the patterns of the configuration against a listing."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from multilogger.errors import UnknownSymbol
from multilogger.records import ExchangeId
from multilogger.symbols.instruments import SymbolInfo
from multilogger.symbols.mapper import SymbolMapper

_GLOB = frozenset("*?[")


class Names(Protocol):
    """An exchange, as far as its names go."""

    @property
    def id(self) -> ExchangeId:
        """Its name."""
        ...

    def venue_symbol(self, normalized: str) -> str:
        """Return the venue symbol that a normalized name would have here."""
        ...


def select_symbols(patterns: Sequence[str], listed: Sequence[SymbolInfo]) -> list[str]:
    """Return the active venue symbols that match, in the listing's order.

    Args:
        patterns: venue symbols, normalized names, or globs of either; those that begin with ``!`` exclude,
            wherever they stand.
        listed: all instruments of the exchange.
    """
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return [
        info.symbol
        for info in listed
        if info.active and _matches(info, wanted) and not _matches(info, unwanted)
    ]


def explicit_symbols(patterns: Sequence[str], exchange: Names, mapper: SymbolMapper) -> list[str]:
    """Return the venue symbols that are wanted by name: they can be recorded before any listing.

    A normalized name with a dash becomes what the mapping file says, or else what the exchange would call it.
    """
    wanted: dict[str, None] = {}
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    for pattern in patterns:
        if pattern.startswith("!") or _GLOB.intersection(pattern):
            continue
        symbol = _venue_symbol(pattern, exchange, mapper)
        if not any(fnmatchcase(name, glob) for name in (symbol, pattern) for glob in unwanted):
            wanted[symbol] = None
    return list(wanted)


def _venue_symbol(name: str, exchange: Names, mapper: SymbolMapper) -> str:
    if "-" not in name:
        return name
    try:
        return mapper.to_exchange(name, exchange.id)
    except UnknownSymbol:
        return exchange.venue_symbol(name)


def _matches(info: SymbolInfo, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(info.symbol, glob) or fnmatchcase(info.normalized, glob) for glob in globs)
