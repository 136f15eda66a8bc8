"""Entries for the mapping file, out of listings.

What is suggested states what exchanges list under one name: of each asset its market in US dollars, in USDT,
its perpetual settled in USDT and the inverse one in dollars. Where an exchange has no market in dollars its
market in USDT stands for it, which makes the two equivalent. Two coins may have one ticker on two exchanges:
what is suggested is to be reviewed.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

import attrs

from multilogger.symbols.instruments import AssetClass, QuoteType, SymbolInfo
from multilogger.symbols.largest import LARGEST_ASSETS
from multilogger.symbols.mappings import MappingEntry, QuoteGroup
from multilogger.symbols.quotes import quote_type

_USD: Final = "USD"
_USDT: Final = "USDT"


@attrs.frozen
class _Form:
    """A kind of entry."""

    name: str
    quote: str
    quote_type: Literal["fiat", "stablecoin"]
    asset_class: Literal["spot", "perpetual"]
    substitute: str = ""
    """What stands for it where an exchange has nothing of the name."""


_SPOT: Final = (
    _Form("{}-USD", _USD, "fiat", "spot", "{}-USDT"),
    _Form("{}-USDT", _USDT, "stablecoin", "spot"),
)
_FORMS: Final = (
    *_SPOT,
    _Form("{}-USDT-PERP", _USDT, "stablecoin", "perpetual"),
    _Form("{}-USD-PERP", _USD, "fiat", "perpetual"),
)
_ORDER: Final = (
    *("coinbase", "binance", "kraken", "bybit", "okx"),
    *("binance_usdm", "binance_coinm", "bybit_linear", "bybit_inverse", "kraken_futures"),
)
"""Of exchanges within an entry; others follow."""
_LEAST: Final = 2
"""Exchanges of an entry: what one alone lists is equivalent to nothing."""

_Names = Mapping[str, Mapping[str, str]]
"""By exchange, the venue symbols by normalized name."""


def suggest_entries(listed: Iterable[SymbolInfo], assets: int) -> list[MappingEntry]:
    """Return entries for the largest assets, in the order of the mapping file.

    Args:
        listed: what exchanges list; what can't be traded now is passed over.
        assets: how many.
    """
    active = [info for info in listed if info.active]
    names: dict[str, dict[str, str]] = defaultdict(dict)
    for info in active:
        names[info.exchange].setdefault(info.normalized, info.symbol)
    ordered = {exchange: names[exchange] for exchange in sorted(names, key=_position)}
    chosen = [base for base in rank_assets(active) if _spot(base, ordered)][:assets]
    entries = (_entry(base, form, ordered) for form in _FORMS for base in chosen)
    return [entry for entry in entries if entry is not None]


def _position(exchange: str) -> tuple[int, str]:
    return (_ORDER.index(exchange) if exchange in _ORDER else len(_ORDER), exchange)


def rank_assets(listed: Sequence[SymbolInfo]) -> list[str]:
    """Return the assets that are traded for dollars, the largest first.

    Those of :data:`.LARGEST_ASSETS` come in its order; the others after them by the number of exchanges that
    trade them for dollars, then by that of their spot markets of any quote, then by name.
    """
    exchanges: dict[str, set[str]] = defaultdict(set)
    markets = Counter(info.base for info in listed if info.asset_class is AssetClass.SPOT)
    for info in listed:
        if info.asset_class is AssetClass.SPOT and info.quote in (_USD, _USDT) and _is_coin(info.base):
            exchanges[info.base].add(info.exchange)
    known = {base: place for place, base in enumerate(LARGEST_ASSETS)}
    return sorted(
        exchanges,
        key=lambda base: (known.get(base, len(known)), -len(exchanges[base]), -markets[base], base),
    )


def _is_coin(base: str) -> bool:
    return quote_type(base) is QuoteType.CRYPTO


def _spot(base: str, names: _Names) -> bool:
    """Return whether there would be any entry of an asset's spot markets."""
    return any(_entry(base, form, names) is not None for form in _SPOT)


def _entry(base: str, form: _Form, names: _Names) -> MappingEntry | None:
    symbols: dict[str, str] = {}
    for exchange, known in names.items():
        found = known.get(form.name.format(base)) or known.get(form.substitute.format(base))
        if found is not None:
            symbols[exchange] = found
    if len(symbols) < _LEAST:
        return None
    return MappingEntry(
        normalized=form.name.format(base),
        base=base,
        quote=form.quote,
        quote_type=form.quote_type,
        exchanges=symbols,
        asset_class=form.asset_class,
    )


def format_mappings(entries: Iterable[MappingEntry], groups: Iterable[QuoteGroup]) -> Iterator[str]:
    """Give the lines of a mapping file, an entry each."""
    yield "symbol_mappings:"
    for entry in entries:
        fields = {"normalized": entry.normalized, "base": entry.base, "quote": entry.quote}
        fields["quote_type"] = entry.quote_type
        if entry.kind is not AssetClass.SPOT:
            fields["asset_class"] = entry.asset_class
        yield f"  - {{{_joined(fields)}, exchanges: {{{_joined(entry.exchanges)}}}}}"
    yield "equivalence_rules:"
    yield "  quote_assets:"
    for group in groups:
        members = json.dumps(group.members, ensure_ascii=False)
        name, primary = (json.dumps(it, ensure_ascii=False) for it in (group.group, group.primary))
        yield f"    - {{group: {name}, members: {members}, primary: {primary}}}"


def _joined(fields: Mapping[str, str]) -> str:
    # JSON's strings are YAML's, too.
    return ", ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items())
