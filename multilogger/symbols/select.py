"""Which symbols to record: the patterns of the configuration against a listing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate
from typing import Final, Protocol

from multilogger.errors import UnknownSymbol
from multilogger.records import ExchangeId
from multilogger.symbols.instruments import SymbolInfo
from multilogger.symbols.mapper import SymbolMapper
from multilogger.symbols.quotes import split_venue_symbol

_GLOB: Final = frozenset("*?[")
_NOT: Final = "!"


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
            wherever they stand, and alone mean everything else.
        listed: all instruments of the exchange.
    """
    wanted, unwanted = _divided(patterns)
    is_wanted = _matcher(wanted if wanted or not unwanted else ["*"])
    is_unwanted = _matcher(unwanted)
    return [
        info.symbol
        for info in listed
        if info.active
        and is_wanted((info.symbol, info.normalized))
        and not is_unwanted((info.symbol, info.normalized))
    ]


def explicit_symbols(patterns: Sequence[str], exchange: Names, mapper: SymbolMapper) -> list[str]:
    """Return the venue symbols that are wanted by name: they can be recorded before any listing.

    A normalized name with a dash becomes what the mapping file says, or else what the exchange would call it.
    What ``!`` excludes is left out by its venue symbol, its normalized name, or the name that asks for it.
    """
    wanted, unwanted = _divided(patterns)
    is_unwanted = _matcher(unwanted)
    symbols: dict[str, None] = {}
    for name in wanted:
        if not _GLOB.intersection(name):
            symbol = _venue_symbol(name, exchange, mapper)
            if not is_unwanted((name, symbol, _normalized(symbol, exchange, mapper))):
                symbols[symbol] = None
    return list(symbols)


def _divided(patterns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the patterns that include and those that exclude, the latter without their mark."""
    wanted = [pattern for pattern in patterns if not pattern.startswith(_NOT)]
    return wanted, [pattern[1:] for pattern in patterns if pattern.startswith(_NOT)]


def _matcher(patterns: Sequence[str]) -> Callable[[Iterable[str]], bool]:
    """Return whether one of some names matches; quick for hundreds of plain names and a few globs."""
    plain = {pattern for pattern in patterns if not _GLOB.intersection(pattern)}
    globs = [re.compile(translate(pattern)).match for pattern in patterns if _GLOB.intersection(pattern)]
    return lambda names: any(name in plain or any(match(name) for match in globs) for name in names)


def _venue_symbol(name: str, exchange: Names, mapper: SymbolMapper) -> str:
    if "-" not in name:
        return name
    try:
        return mapper.to_exchange(name, exchange.id)
    except UnknownSymbol:
        return exchange.venue_symbol(name)


def _normalized(symbol: str, exchange: Names, mapper: SymbolMapper) -> str:
    try:
        return mapper.normalize(exchange.id, symbol)
    except UnknownSymbol:
        return "-".join(split_venue_symbol(symbol) or (symbol,))
