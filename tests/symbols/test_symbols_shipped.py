"""The shipped mapping file says what is true: by its own rules, and by what exchanges have listed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from symbols_recorded import RECORDINGS, ROOT, recorded_listings

from multilogger.cli.symbols_sources import Listings
from multilogger.symbols.instruments import AssetClass, SymbolInfo
from multilogger.symbols.largest import LARGEST_ASSETS
from multilogger.symbols.mapper import SymbolMapper
from multilogger.symbols.mappings import FILE, MappingEntry, read_mappings
from multilogger.symbols.presumed import presumed
from multilogger.symbols.quotes import QUOTES
from multilogger.symbols.suggest import format_mappings, suggest_entries

SHIPPED = read_mappings(ROOT / FILE)
ASSETS = 50
SPOT = ("coinbase", "binance", "kraken", "bybit", "okx")
SPELLED = {
    "coinbase": "{base}-{quote}",
    "binance": "{base}{quote}",
    "kraken": "{base}/{quote}",
    "bybit": "{base}{quote}",
    "okx": "{base}-{quote}",
    ("okx", "perpetual"): "{base}-{quote}-SWAP",
    "binance_usdm": "{base}{quote}",
    "binance_coinm": "{base}{quote}_PERP",
    "bybit_linear": "{base}{quote}",
    "bybit_inverse": "{base}{quote}",
    "kraken_futures": "PI_{base}{quote}",
}
"""How each exchange spells a symbol, as its documentation says."""
VENUE_ASSETS = {("kraken_futures", "BTC"): "XBT"}
"""What an exchange calls otherwise than everybody."""

needs_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(),
    reason=f"no recordings at {RECORDINGS}: set MULTILOGGER_RECORDINGS to a directory that has them",
)


def symbols() -> Iterator[tuple[MappingEntry, str, str]]:
    """Give each symbol of the file with its entry and exchange."""
    for entry in SHIPPED.entries:
        for exchange, symbol in entry.symbols():
            yield entry, exchange, symbol


def presumed_listing() -> list[SymbolInfo]:
    """Return all of the file's symbols as listings of their exchanges, under their true names."""
    under: dict[tuple[str, str], list[MappingEntry]] = defaultdict(list)
    for entry, exchange, symbol in symbols():
        under[exchange, symbol].append(entry)
    return [presumed(exchange, symbol, entries) for (exchange, symbol), entries in under.items()]


def test_its_size() -> None:
    """It has fifty assets, in the order of their size; each spot exchange has most of them."""
    assets = list(dict.fromkeys(entry.base for entry in SHIPPED.entries))
    assert assets == list(LARGEST_ASSETS[:ASSETS])
    counts = Counter(
        exchange
        for exchange in SPOT
        for base in assets
        if any(base == entry.base and exchange in entry.exchanges for entry in SHIPPED.entries)
    )
    print(dict(counts))
    assert all(counts[exchange] >= 40 for exchange in SPOT)


def test_its_form_is_that_of_suggestions() -> None:
    """What is suggested is written as it is."""
    lines = (ROOT / FILE).read_text(encoding="utf-8").splitlines()
    assert list(format_mappings(SHIPPED.entries, SHIPPED.groups)) == [
        line for line in lines if not line.startswith("#")
    ]


@pytest.mark.parametrize("entry", SHIPPED.entries, ids=lambda entry: str(entry.normalized))
def test_an_entry(entry: MappingEntry) -> None:
    """Each symbol is the entry's base as the exchange spells it, and a dollar; the type is the quote's."""
    dollars = {entry.quote, *SHIPPED.groups[0].members} if entry.kind is AssetClass.SPOT else {entry.quote}
    assert QUOTES[entry.quote].value == entry.quote_type
    assert len(entry.exchanges) >= 2
    for exchange, symbol in entry.symbols():
        base = VENUE_ASSETS.get((exchange, entry.base), entry.base)
        form = SPELLED.get((exchange, entry.asset_class)) or SPELLED[exchange]
        assert symbol in {form.format(base=base, quote=quote) for quote in dollars}


def test_it_is_bijective() -> None:
    """Per exchange, symbols and true names are one to one; other names are equivalents in dollars alone.

    A symbol's true name is what :meth:`.SymbolMapper.normalize` gives it. Under another name a spot symbol
    stands only as what counts as the same asset in US dollars; a perpetual stands under its true name alone.
    Once an exchange has listed the symbols, each comes back from its true name.
    """
    mapper = SymbolMapper(SHIPPED)
    true = {(exchange, symbol): mapper.normalize(exchange, symbol) for _, exchange, symbol in symbols()}
    assert len({(exchange, name) for (exchange, _), name in true.items()}) == len(true)
    for entry, exchange, symbol in symbols():
        name = true[exchange, symbol]
        if entry.normalized != name:
            assert entry.kind is AssetClass.SPOT
            assert entry.normalized == f"{entry.base}-USD"
        assert mapper.are_equivalent(name, entry.normalized)
    mapper.add(presumed_listing())
    for (exchange, symbol), name in true.items():
        assert mapper.normalize(exchange, symbol) == name
        assert mapper.to_exchange(name, exchange) == symbol
    for entry in SHIPPED.entries:
        for exchange, symbol in entry.symbols():
            assert mapper.are_equivalent(mapper.to_exchange(entry.normalized, exchange), symbol)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Listings:
    """What the exchanges once listed."""
    listings = recorded_listings(tmp_path_factory.mktemp("listings"))
    assert listings.failures == {}
    return listings


@needs_recordings
def test_it_agrees_with_recorded_listings(recorded: Listings) -> None:
    """What a listing has of the file is what the file says; what it doesn't have is named, not judged."""
    mapper = SymbolMapper(SHIPPED)
    checked: Counter[str] = Counter()
    missing: dict[str, list[str]] = defaultdict(list)
    for entry, exchange, symbol in symbols():
        listed = {info.symbol: info for info in recorded.found.get(exchange, [])}
        info = listed.get(symbol)
        if info is None:
            missing[exchange].append(symbol)
            continue
        checked[exchange] += 1
        assert (info.base, info.asset_class) == (entry.base, entry.kind)
        assert info.normalized == mapper.normalize(exchange, symbol)
    for exchange in sorted({*checked, *missing}):
        why = "not in the recording" if exchange in recorded.found else "no recorded listing"
        print(f"{exchange}: {checked[exchange]} checked, {len(missing[exchange])} not checkable ({why})")
        print("   ", *missing[exchange])
    print(f"{checked.total()} checked, {sum(map(len, missing.values()))} not checkable")
    assert checked.total() >= 250
    assert missing["bybit"] == []  # of 2026


@needs_recordings
def test_recorded_names_come_back(recorded: Listings) -> None:
    """With the file, every instrument that was ever listed comes back from its name."""
    mapper = SymbolMapper(SHIPPED)
    mapper.add(recorded.listed)
    for info in recorded.listed:
        assert mapper.to_exchange(mapper.normalize(info.exchange, info.symbol), info.exchange) == info.symbol
    print({name: len(listing) for name, listing in recorded.found.items()}, len(recorded.listed))


@needs_recordings
def test_it_has_what_recordings_suggest(recorded: Listings, tmp_path: Path) -> None:
    """Of its assets nothing that several recorded listings have in common is left out."""
    mapped = {(entry.normalized, exchange, symbol) for entry, exchange, symbol in symbols()}
    suggested = suggest_entries(recorded.listed, 10_000)
    named = {
        (entry.normalized, exchange, symbol)
        for entry in suggested
        for exchange, symbol in entry.symbols()
        if entry.base in LARGEST_ASSETS[:ASSETS]
    }
    assert named <= mapped
    print(f"{len(named)} of {len(mapped)} are suggested by recorded listings")
    path = tmp_path / "suggested.yaml"
    path.write_text("\n".join(format_mappings(suggested, SHIPPED.groups)))
    assert read_mappings(path).entries == tuple(suggested)
