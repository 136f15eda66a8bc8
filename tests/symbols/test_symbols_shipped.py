"""The shipped mapping file says what is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from multilogger.symbols.mapper import SymbolMapper
from multilogger.symbols.mappings import FILE, MappingEntry, read_mappings
from multilogger.symbols.quotes import QUOTES

SHIPPED = read_mappings(Path(__file__).parents[2] / FILE)
VENUE_ASSETS = {("kraken", "BTC"): "XBT", ("kraken", "DOGE"): "XDG"}
"""What an exchange calls otherwise than everybody."""


def test_its_size() -> None:
    """It has twenty assets and more on each of three exchanges."""
    for exchange in ("coinbase", "binance", "kraken"):
        assert len({entry.base for entry in SHIPPED.entries if exchange in entry.exchanges}) >= 20


@pytest.mark.parametrize("entry", SHIPPED.entries, ids=lambda entry: str(entry.normalized))
def test_an_entry(entry: MappingEntry) -> None:
    """Each symbol is the entry's base as the exchange calls it, and a dollar; the type is the quote's."""
    dollars = {entry.quote, *SHIPPED.groups[0].members}
    assert QUOTES[entry.quote].value == entry.quote_type
    for exchange, symbol in entry.symbols():
        base = VENUE_ASSETS.get((exchange, entry.base), entry.base)
        dash = "-" if exchange == "coinbase" else ""
        assert symbol in {f"{base}{dash}{quote}" for quote in dollars}


def test_names_are_told_apart() -> None:
    """Per exchange no two names mean one symbol, but for a symbol's true name and its equivalent in USD."""
    mapper = SymbolMapper(SHIPPED)
    for entry in SHIPPED.entries:
        for exchange, symbol in entry.symbols():
            true = mapper.normalize(exchange, symbol)
            assert entry.normalized in {true, f"{entry.base}-USD"}
            assert mapper.are_equivalent(true, entry.normalized)
    true_names = {
        (exchange, mapper.normalize(exchange, symbol)): symbol
        for entry in SHIPPED.entries
        for exchange, symbol in entry.symbols()
    }
    symbols = {(exchange, symbol) for entry in SHIPPED.entries for exchange, symbol in entry.symbols()}
    assert len(true_names) == len(symbols)
