"""Names across exchanges: what a venue symbol is, what is the same thing elsewhere.

:meth:`SymbolMapper.normalize` is exact: Binance's ``BTCUSDT`` is ``BTC-USDT``. The mapping file adds
equivalences on top: it may list ``BTCUSDT`` under ``BTC-USD`` too, and then
``to_exchange("BTC-USD", "binance")`` is ``BTCUSDT``, and the two are equivalent, as are all symbols of one
base whose quotes are in one group. It also tells what asset a venue's own name for it means: Kraken's ``XBT``
is ``BTC`` in every symbol that stands under a base ``BTC``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs

from multilogger.errors import UnknownSymbol
from multilogger.symbols.history import InstrumentHistory
from multilogger.symbols.instruments import AssetClass, SymbolInfo
from multilogger.symbols.mappings import MappingEntry, Mappings, find_mappings, read_mappings
from multilogger.symbols.presumed import presumed, presumed_name
from multilogger.symbols.quotes import split_venue_symbol

_USD: Final = "USD"
_PERPETUAL: Final = "-PERP"

Thing = tuple[str, str, AssetClass]
"""Base, group of the quote, and kind: symbols with the same are equivalent."""
VenueKey = tuple[str, str]
"""Exchange and venue symbol."""


@attrs.frozen
class _Index:
    """Where to find instruments; made anew with every listing, so that nothing is searched through."""

    by_name: dict[str, list[SymbolInfo]] = attrs.field(factory=dict)
    """By venue symbol and by normalized name."""
    by_thing: dict[Thing, list[SymbolInfo]] = attrs.field(factory=dict)
    venue_symbols: dict[tuple[str, str], str] = attrs.field(factory=dict)
    """By normalized name and exchange."""


class SymbolMapper:
    """Maps names over discovered instruments and a mapping file.

    An exchange that has not been listed yet has the symbols that the file names.

    Args:
        mappings: of the file.
    """

    def __init__(self, mappings: Mappings) -> None:
        self._primary = {member: group.primary for group in mappings.groups for member in group.members}
        self._mapped: dict[VenueKey, list[MappingEntry]] = {}
        self._mapped_names: dict[str, list[Thing]] = {}
        self._named: dict[tuple[str, str], list[str]] = {}
        """Venue symbols by normalized name and exchange, the preferred one first."""
        for entry in mappings.entries:
            for exchange, symbol in entry.symbols():
                self._mapped.setdefault((exchange, symbol), []).append(entry)
                self._mapped_names.setdefault(symbol, []).append(self._entry_thing(entry))
                self._named.setdefault((entry.normalized, exchange), []).append(symbol)
        self._listings: dict[str, dict[str, SymbolInfo]] = {}
        self._index = self._make_index()

    def add(self, infos: Iterable[SymbolInfo]) -> None:
        """Take over listings; a newer one of an exchange replaces its older one."""
        fresh: dict[str, dict[str, SymbolInfo]] = {}
        for info in infos:
            fresh.setdefault(info.exchange, {})[info.symbol] = info
        self._listings |= fresh
        self._index = self._make_index()

    def replace(self, exchange: str, infos: Iterable[SymbolInfo]) -> None:
        """Take over the whole listing of one exchange, which may be empty: then it has no symbols.

        Raises:
            ValueError: an instrument is of another exchange.
        """
        listing = {info.symbol: info for info in infos}
        strangers = {info.exchange for info in listing.values()} - {exchange}
        if strangers:
            raise ValueError(f"instruments of {', '.join(sorted(strangers))} in the listing of {exchange}")
        self._listings[exchange] = listing
        self._index = self._make_index()

    def recall(self, histories: Iterable[InstrumentHistory], at_ns: int | None = None) -> None:
        """Take over what exchanges listed at a time, in place of their listings.

        Args:
            histories: theirs; of an exchange of which nothing was known then, the mapping file alone tells.
            at_ns: nanoseconds since the epoch; None for their last listing.
        """
        for history in histories:
            self._listings.pop(history.exchange, None)
            if history.known_at(at_ns):
                self._listings[history.exchange] = history.at(at_ns)
        self._index = self._make_index()

    def normalize(self, exchange: str, symbol: str) -> str:
        """Return the normalized name of a venue symbol, by its true base and quote.

        The listing decides, but for the base's name where the mapping file has one. Without a listing the
        file does: by the entry whose name is the symbol's, else by the symbol's own quote.

        Raises:
            UnknownSymbol: neither knows the symbol.
        """
        listed = self._listings.get(exchange, {}).get(symbol)
        if listed is not None:
            return self._listed_name(listed)
        entries = self._mapped.get((exchange, symbol))
        if not entries:
            raise UnknownSymbol(f"{exchange} lists no {symbol}, and no mapping names it")
        return presumed_name(symbol, entries)

    def to_exchange(self, normalized: str, exchange: str) -> str:
        """Return the venue symbol of a normalized name: what is listed under it, else as mapped.

        Of an exchange that has a listing, what is not listed is no answer.

        Raises:
            UnknownSymbol: the exchange has nothing under this name.
        """
        key, listing = (normalized, exchange), self._listings.get(exchange)
        exact = self._index.venue_symbols.get(key)
        mapped = (it for it in self._named.get(key, ()) if listing is None or it in listing)
        # What a listing calls so is exactly that; without one the file's first symbol is preferred.
        symbol = (exact if listing is not None else None) or next(mapped, None) or exact
        if symbol is None:
            raise UnknownSymbol(f"{exchange} has no {normalized}, by listing or mapping")
        return symbol

    def find_related(self, symbol: str) -> list[SymbolInfo]:
        """Return all that is equivalent to ``symbol``, a venue symbol or a normalized name.

        Of exchanges without a listing these are the mapped symbols, not active as far as is known.
        """
        return self._of_things(self._things_of_name(symbol))

    def equivalents(self, info: SymbolInfo) -> list[str]:
        """Return what else is equivalent to a listed symbol, as ``exchange:SYMBOL``."""
        others = (f"{other.exchange}:{other.symbol}" for other in self._of_things(self._things(info)))
        return [name for name in others if name != f"{info.exchange}:{info.symbol}"]

    def get_usd_pairs(self) -> list[SymbolInfo]:
        """Return the active listed symbols quoted in US dollars or what counts as them."""
        usd = self._group(_USD)
        listed = (info for listing in self._listings.values() for info in listing.values())
        return [info for info in listed if info.active and self._group(info.quote) == usd]

    def are_equivalent(self, first: str, second: str) -> bool:
        """Return whether two venue symbols or normalized names are the same thing.

        A name that neither a listing nor the mapping file knows is taken for what its own form says.
        """
        things = self._things_of_name(first)
        return first == second or not set(things).isdisjoint(self._things_of_name(second))

    def _make_index(self) -> _Index:
        index = _Index()
        for info in self._known():
            names = (info.normalized, self._listed_name(info))
            for name in dict.fromkeys((info.symbol, *names)):
                index.by_name.setdefault(name, []).append(info)
            for name in names:
                index.venue_symbols.setdefault((name, info.exchange), info.symbol)
            for thing in self._things(info):
                index.by_thing.setdefault(thing, []).append(info)
        return index

    def _known(self) -> Iterator[SymbolInfo]:
        """Give what is listed, and for exchanges without a listing what is mapped."""
        for listing in self._listings.values():
            yield from listing.values()
        for (exchange, symbol), entries in self._mapped.items():
            if exchange not in self._listings:
                yield presumed(exchange, symbol, entries)

    def _listed_name(self, info: SymbolInfo) -> str:
        base = self._base(info)
        rest = info.normalized.removeprefix(f"{info.base}-")
        return info.normalized if base == info.base or rest == info.normalized else f"{base}-{rest}"

    def _base(self, info: SymbolInfo) -> str:
        entries = self._mapped.get((info.exchange, info.symbol))
        return entries[0].base if entries else info.base

    def _group(self, quote: str) -> str:
        return self._primary.get(quote, quote)

    def _entry_thing(self, entry: MappingEntry) -> Thing:
        return entry.base, self._group(entry.quote), entry.kind

    def _things(self, info: SymbolInfo) -> list[Thing]:
        """Return what an instrument is by its own base and quote, and what else it is mapped as."""
        entries = self._mapped.get((info.exchange, info.symbol), [])
        quotes = (info.quote, *(entry.quote for entry in entries))
        base = self._base(info)
        return list(dict.fromkeys((base, self._group(quote), info.asset_class) for quote in quotes))

    def _things_of_name(self, name: str) -> list[Thing]:
        """Return all that a name may mean: as known, else as mapped, else by its own form."""
        known = [thing for info in self._index.by_name.get(name, []) for thing in self._things(info)]
        return known or self._mapped_names.get(name) or list(self._things_by_form(name))

    def _things_by_form(self, name: str) -> Iterator[Thing]:
        pair = name.removesuffix(_PERPETUAL)
        parts = split_venue_symbol(pair)
        if parts is not None:
            # What it is settled in, as in BTC-USD:USD-PERP, makes no other thing of it.
            quote = parts[1].partition(":")[0]
            yield parts[0], self._group(quote), AssetClass.SPOT if pair == name else AssetClass.PERPETUAL

    def _of_things(self, things: list[Thing]) -> list[SymbolInfo]:
        found = (info for thing in things for info in self._index.by_thing.get(thing, []))
        return list({(info.exchange, info.symbol): info for info in found}.values())


def load_mapper(path: Path | None) -> SymbolMapper:
    """Return a mapper over a mapping file.

    Args:
        path: the file; None takes the shipped one.

    Raises:
        StartupError: there is no shipped file where it should be.
        ConfigError: all faults of the file.
    """
    return SymbolMapper(read_mappings(path or find_mappings()))
