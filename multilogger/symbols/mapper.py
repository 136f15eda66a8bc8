"""Names across exchanges: what a venue symbol is, what is the same thing elsewhere.

:meth:`SymbolMapper.normalize` is exact: Binance's ``BTCUSDT`` is ``BTC-USDT``. The mapping file adds
equivalences on top: it may list ``BTCUSDT`` under ``BTC-USD`` too, and then
``to_exchange("BTC-USD", "binance")`` is ``BTCUSDT``, and the two are equivalent, as are all symbols of one
base whose quotes are in one group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from multilogger.errors import UnknownSymbol
from multilogger.symbols.instruments import AssetClass, SymbolInfo
from multilogger.symbols.mappings import Mapping, Mappings, find_mappings, read_mappings
from multilogger.symbols.quotes import QUOTES

_USD: Final = "USD"

Thing = tuple[str, str, AssetClass]
"""Base, group of the quote, and kind: symbols with the same are equivalent."""


class SymbolMapper:
    """Maps names over discovered instruments and a mapping file.

    Args:
        mappings: of the file.
    """

    def __init__(self, mappings: Mappings) -> None:
        self._entries = {entry.normalized: entry for entry in mappings.entries}
        self._primary = {member: group.primary for group in mappings.groups for member in group.members}
        self._mapped: dict[tuple[str, str], list[Mapping]] = {}
        for entry in mappings.entries:
            for exchange, symbol in entry.symbols():
                self._mapped.setdefault((exchange, symbol), []).append(entry)
        self._listed: dict[tuple[str, str], SymbolInfo] = {}

    def add(self, infos: Iterable[SymbolInfo]) -> None:
        """Take over listings; a newer one of an exchange replaces its older one."""
        fresh = list(infos)
        exchanges = {info.exchange for info in fresh}
        kept = {key: info for key, info in self._listed.items() if info.exchange not in exchanges}
        self._listed = kept | {(info.exchange, info.symbol): info for info in fresh}

    def normalize(self, exchange: str, symbol: str) -> str:
        """Return the normalized name of a venue symbol, by its true base and quote.

        The listing decides; without one the mapping file does, by the entry that the symbol spells.

        Raises:
            UnknownSymbol: neither knows the symbol.
        """
        listed = self._listed.get((exchange, symbol))
        if listed is not None:
            return listed.normalized
        entries = self._mapped.get((exchange, symbol), [])
        if not entries:
            raise UnknownSymbol(f"{exchange} lists no {symbol}, and no mapping names it")
        return _true_name(symbol, entries)

    def to_exchange(self, normalized: str, exchange: str) -> str:
        """Return the venue symbol of a normalized name: as mapped, else as listed.

        Raises:
            UnknownSymbol: the exchange has nothing under this name.
        """
        entry = self._entries.get(normalized)
        if entry is not None and exchange in entry.exchanges:
            return entry.exchanges[exchange]
        for info in self._listed.values():
            if info.exchange == exchange and info.normalized == normalized:
                return info.symbol
        raise UnknownSymbol(f"{exchange} has no {normalized}, by listing or mapping")

    def find_related(self, symbol: str) -> list[SymbolInfo]:
        """Return the listed symbols equivalent to ``symbol``, a venue symbol or a normalized name."""
        things = self._things(symbol)
        return [info for info in self._listed.values() if self._thing(info) in things]

    def equivalents(self, info: SymbolInfo) -> list[str]:
        """Return what else is equivalent to a listed symbol, as ``exchange:SYMBOL``."""
        thing = self._thing(info)
        others = (other for other in self._listed.values() if self._thing(other) == thing)
        return [f"{other.exchange}:{other.symbol}" for other in others if other != info]

    def get_usd_pairs(self) -> list[SymbolInfo]:
        """Return the active listed symbols quoted in US dollars or what counts as them."""
        usd = self._group(_USD)
        return [info for info in self._listed.values() if info.active and self._group(info.quote) == usd]

    def are_equivalent(self, first: str, second: str) -> bool:
        """Return whether two venue symbols or normalized names are the same thing, as far as is known."""
        return first == second or bool(self._things(first) & self._things(second))

    def _group(self, quote: str) -> str:
        return self._primary.get(quote, quote)

    def _thing(self, info: SymbolInfo) -> Thing:
        return info.base, self._group(info.quote), info.asset_class

    def _things(self, symbol: str) -> set[Thing]:
        """Return all that a name may mean: listed, mapped, or by its own form."""
        things = {
            self._thing(info) for info in self._listed.values() if symbol in (info.symbol, info.normalized)
        }
        for (_, venue_symbol), entries in self._mapped.items():
            things |= {self._mapped_thing(e) for e in entries if symbol in (venue_symbol, e.normalized)}
        base, dash, quote = symbol.partition("-")
        if dash and "-" not in quote:
            things.add((base, self._group(quote), AssetClass.SPOT))
        return things

    def _mapped_thing(self, entry: Mapping) -> Thing:
        return entry.base, self._group(entry.quote), AssetClass.SPOT


def _true_name(symbol: str, entries: Sequence[Mapping]) -> str:
    """Return the name that a venue symbol has by its own spelling, of those that the entries suggest."""
    letters = "".join(filter(str.isalnum, symbol)).upper()
    quotes = {entry: letters.removeprefix(entry.base) for entry in entries}
    for entry, quote in quotes.items():
        if quote == entry.quote:
            return entry.normalized
    # Listed as an equivalent only, as ETHBUSD under ETH-USD: its own quote is in its name.
    for entry, quote in quotes.items():
        if quote in QUOTES:
            return f"{entry.base}-{quote}"
    # The exchange calls the base differently, as in XBTUSD: an entry's quote ends it.
    ending = (entry for entry in entries if letters.endswith(entry.quote))
    return max(ending, key=lambda entry: len(entry.quote), default=entries[0]).normalized


def load_mapper(path: Path | None) -> SymbolMapper:
    """Return a mapper over a mapping file.

    Args:
        path: the file; None takes the shipped one, and goes without where there is none.

    Raises:
        ConfigError: all faults of the file.
    """
    chosen = path or find_mappings()
    return SymbolMapper(Mappings() if chosen is None else read_mappings(chosen))
