"""Instruments and mapping files for the tests of symbols."""

from __future__ import annotations

from pathlib import Path

from multilogger.errors import ConfigError
from multilogger.records import ExchangeId
from multilogger.symbols.instruments import AssetClass, SymbolInfo
from multilogger.symbols.mapper import SymbolMapper
from multilogger.symbols.mappings import read_mappings
from multilogger.symbols.quotes import quote_type

MAPPING = """\
symbol_mappings:
  - {normalized: BTC-USD, base: BTC, quote: USD, quote_type: fiat,
     exchanges: {coinbase: BTC-USD, binance: BTCUSDT, kraken: XBTUSD}}
  - {normalized: ETH-USD, base: ETH, quote: USD, quote_type: fiat,
     exchanges: {coinbase: ETH-USD, binance_alt: ETHBUSD, binance: ETHUSDT}}
  - {normalized: BTC-USDT, base: BTC, quote: USDT, quote_type: stablecoin,
     exchanges: {binance: BTCUSDT, coinbase: BTC-USDT}}
"""
RULES = """\
equivalence_rules:
  quote_assets:
    - {group: USD_EQUIVALENT, members: [USD, USDT, USDC, BUSD, DAI], primary: USD}
"""


def listed(
    exchange: str,
    symbol: str,
    base: str,
    quote: str,
    *,
    active: bool = True,
    asset_class: AssetClass = AssetClass.SPOT,
) -> SymbolInfo:
    """Return an instrument as an exchange would list it."""
    kind = "" if asset_class is AssetClass.SPOT else f"-{asset_class.name}"
    return SymbolInfo(
        exchange=ExchangeId(exchange),
        symbol=symbol,
        normalized=f"{base}-{quote}{kind}",
        base=base,
        quote=quote,
        quote_type=quote_type(quote),
        active=active,
        asset_class=asset_class,
    )


def mapper_of(directory: Path, text: str = MAPPING + RULES) -> SymbolMapper:
    """Return a mapper over a mapping file with ``text``."""
    return SymbolMapper(read_mappings(written(directory, text)))


def written(directory: Path, text: str) -> Path:
    """Write a mapping file."""
    path = directory / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(path: Path) -> list[str]:
    """Return what is wrong with a mapping file, without its name; nothing if it is right."""
    try:
        read_mappings(path)
    except ConfigError as error:
        return [fault.removeprefix(f"{path}: ") for fault in error.faults]
    return []
