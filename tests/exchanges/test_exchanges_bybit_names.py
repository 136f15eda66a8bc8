"""Bybit's names where no listing tells."""

from __future__ import annotations

import pytest
from exchanges_bybit import made

NAMES = {
    "bybit": {"BTCUSDT": "BTC-USDT", "ETHBTC": "ETH-BTC", "USDCUSDT": "USDC-USDT", "METHETH": "METH-ETH"},
    "bybit_linear": {
        "BTCUSDT": "BTC-USDT-PERP",
        "BTCPERP": "BTC-USDC-PERP",
        "1000PEPEUSDT": "1000PEPE-USDT-PERP",
        "BTC-26DEC26": "BTC-USDC-20261226",
        "BTC-3JAN27": "BTC-USDC-20270103",
        "BTCUSDT-26DEC26": "BTC-USDT-20261226",
    },
    "bybit_inverse": {
        "BTCUSD": "BTC-USD-PERP",
        "BTCUSDZ26": "BTC-USD-20261225",
        "ETHUSDH27": "ETH-USD-20270326",
        "BTCUSDM27": "BTC-USD-20270625",
        "BTCUSDU27": "BTC-USD-20270924",
    },
}
CASES = [(name, symbol, normalized) for name, names in NAMES.items() for symbol, normalized in names.items()]


@pytest.mark.parametrize(("name", "symbol", "normalized"), CASES)
def test_names_go_there_and_back(name: str, symbol: str, normalized: str) -> None:
    """A symbol is understood by its form, and its name leads back to it."""
    exchange = made(name)
    assert exchange.normalize_symbol(symbol) == normalized
    assert exchange.venue_symbol(normalized) == symbol


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("bybit", "NONSENSE"),
        ("bybit_linear", "BTC-31FEB26"),
        ("bybit_linear", "PERP"),
        ("bybit_inverse", "X"),
    ],
)
def test_what_looks_like_nothing_keeps_its_symbol(name: str, symbol: str) -> None:
    """Nothing is made of a symbol of no known form."""
    assert made(name).normalize_symbol(symbol) == symbol


@pytest.mark.parametrize("name", sorted(NAMES))
def test_names_that_are_none(name: str) -> None:
    """A name of no known form leads to what it is without dashes."""
    assert made(name).venue_symbol("A-B-C-D") == "ABCD"


@pytest.mark.parametrize("month", range(1, 13))
def test_inverse_futures_expire_on_the_last_friday(month: int) -> None:
    """Every month has a letter of its own."""
    exchange = made("bybit_inverse")
    symbol = f"BTCUSD{'FGHJKMNQUVXZ'[month - 1]}26"
    name = exchange.normalize_symbol(symbol)
    assert name.startswith(f"BTC-USD-2026{month:02}")
    assert 22 <= int(name[-2:]) <= 31
    assert exchange.venue_symbol(name) == symbol
