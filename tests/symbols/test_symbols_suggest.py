"""What is suggested for the mapping file."""

from __future__ import annotations

import attrs
from symbols_samples import listed

from multilogger.symbols.instruments import AssetClass, SymbolInfo
from multilogger.symbols.largest import LARGEST_ASSETS
from multilogger.symbols.mappings import check_mappings
from multilogger.symbols.suggest import format_mappings, rank_assets, suggest_entries
from multilogger.symbols.yamltree import parse_yaml


def perpetual(exchange: str, symbol: str, base: str, quote: str, name: str) -> SymbolInfo:
    """Return a perpetual."""
    info = listed(exchange, symbol, base, quote, asset_class=AssetClass.PERPETUAL)
    return attrs.evolve(info, normalized=name)


LISTED = [
    listed("zeta", "ETH_USD", "ETH", "USD"),
    listed("okx", "BTC-USDT", "BTC", "USDT"),
    listed("okx", "ZZZ-USDT", "ZZZ", "USDT"),
    listed("okx", "ETH-USDT", "ETH", "USDT"),
    listed("coinbase", "BTC-USD", "BTC", "USD"),
    listed("coinbase", "ETH-USD", "ETH", "USD", active=False),
    listed("coinbase", "NEW-USD", "NEW", "USD"),
    listed("coinbase", "USDC-USD", "USDC", "USD"),
    listed("bybit", "BTCUSDT", "BTC", "USDT"),
    listed("bybit", "BTCUSD", "BTC", "USD"),
    listed("bybit", "NEWUSDT", "NEW", "USDT"),
    listed("bybit", "USDCUSDT", "USDC", "USDT"),
    perpetual("okx", "BTC-USDT-SWAP", "BTC", "USDT", "BTC-USDT-PERP"),
    perpetual("binance_usdm", "BTCUSDT", "BTC", "USDT", "BTC-USDT-PERP"),
    perpetual("binance_usdm", "1000SHIBUSDT", "1000SHIB", "USDT", "1000SHIB-USDT-PERP"),
    perpetual("bybit_inverse", "BTCUSD", "BTC", "USD", "BTC-USD-PERP"),
    perpetual("kraken_futures", "PF_XBTUSD", "BTC", "USD", "BTC-USD:USD-PERP"),
]


def test_suggestions() -> None:
    """In dollars, in USDT, and perpetuals, each in order of size; what one exchange alone has is nothing."""
    found = {entry.normalized: dict(entry.exchanges) for entry in suggest_entries(LISTED, 50)}
    assert list(found) == ["BTC-USD", "ETH-USD", "NEW-USD", "BTC-USDT", "BTC-USDT-PERP"]
    assert list(found["BTC-USD"].items()) == [
        ("coinbase", "BTC-USD"),
        ("bybit", "BTCUSD"),  # its own market in dollars
        ("okx", "BTC-USDT"),
    ]
    assert list(found["ETH-USD"].items()) == [("okx", "ETH-USDT"), ("zeta", "ETH_USD")]
    assert found["BTC-USDT"] == {"bybit": "BTCUSDT", "okx": "BTC-USDT"}
    assert found["BTC-USDT-PERP"] == {"okx": "BTC-USDT-SWAP", "binance_usdm": "BTCUSDT"}


def test_so_many_assets() -> None:
    """The largest come first; an asset without an entry does not count."""
    assert [entry.base for entry in suggest_entries(LISTED, 1)] == ["BTC", "BTC", "BTC"]
    assert {entry.base for entry in suggest_entries(LISTED, 2)} == {"BTC", "ETH"}
    assert suggest_entries([], 50) == []


def test_the_order_of_size() -> None:
    """As written down; then by exchanges, by markets, by name; money is no asset to be ranked."""
    more = [listed("okx", "ZZZ-EUR", "ZZZ", "EUR"), listed("okx", "AAA-USDT", "AAA", "USDT")]
    assert rank_assets([*LISTED, *more]) == ["BTC", "ETH", "NEW", "ZZZ", "AAA"]
    assert len(set(LARGEST_ASSETS)) == len(LARGEST_ASSETS) >= 50


def test_suggestions_are_a_mapping_file() -> None:
    """What is printed is read again as it was, whatever characters names have."""
    odd = [listed(name, '币"安:USDT', '币"安:', "USDT") for name in ("binance", "okx")]
    entries = suggest_entries([*LISTED, *odd], 50)
    content, faults = parse_yaml("\n".join(format_mappings(entries, [])))
    read, more = check_mappings(content)
    assert (faults, more) == ([], [])
    assert list(read.entries) == entries
    assert any(entry.base == '币"安:' for entry in entries)
