"""Listings: what becomes of them, of odd entries, and of nonsense."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest
import trio
from exchanges_tools import configured
from structlog.testing import capture_logs

from multilogger.exchanges.base import Exchange, ExchangeConnection, Services
from multilogger.exchanges.catalog import BUILT_IN
from multilogger.symbols.instruments import QuoteType, SymbolInfo

PRODUCT = {
    "id": "BTC-USD",
    "base_currency": "BTC",
    "quote_currency": "USD",
    "quote_increment": "0.01",
    "base_increment": "0.00000001",
    "min_market_funds": "1",
    "status": "online",
    "trading_disabled": False,
}
LISTED = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00", "stepSize": "0.00001000"},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
    ],
}
URLS = {
    "coinbase": "https://api.exchange.coinbase.com/products",
    "binance": "https://api.binance.com/api/v3/exchangeInfo",
}


@attrs.define
class Rest:
    """Answers every GET with one body."""

    body: bytes
    asked: list[str] = attrs.field(factory=list)

    async def __call__(
        self, url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0
    ) -> bytes:
        """Return the body."""
        await trio.lowlevel.checkpoint()
        assert not params
        assert weight == (20 if "exchangeInfo" in url else 1)
        self.asked.append(url)
        return self.body


def no_connection(exchange: Exchange, symbols: Sequence[str]) -> ExchangeConnection:
    """Refuse to connect."""
    raise AssertionError(f"{exchange.id} connects {symbols}")


def served(name: str, body: bytes) -> tuple[Exchange, Rest]:
    """Return an exchange whose REST interface answers with ``body``."""
    rest = Rest(body)
    return BUILT_IN[name](configured(name).config, Services(rest, no_connection)), rest


def listing(name: str, *entries: object) -> bytes:
    """Return a listing of an exchange."""
    body: Any = list(entries)
    return json.dumps({"timezone": "UTC", "symbols": body} if name == "binance" else body).encode()


async def test_listing_of_coinbase() -> None:
    """Coinbase's products are taken with their own base and quote, steps and status."""
    others = [
        {**PRODUCT, "id": "ETH-USDT", "base_currency": "ETH", "quote_currency": "USDT", "status": "delisted"},
        {**PRODUCT, "id": "X-BTC", "base_currency": "X", "quote_currency": "BTC", "trading_disabled": True},
        {**PRODUCT, "id": "OLD-USD", "base_currency": "OLD", "base_min_size": "0.5"},
    ]
    exchange, rest = served("coinbase", listing("coinbase", PRODUCT, *others))
    btc, eth, disabled, old = await exchange.fetch_symbols()
    assert rest.asked == [URLS["coinbase"]]
    assert btc == SymbolInfo(
        exchange=exchange.id,
        symbol="BTC-USD",
        normalized="BTC-USD",
        base="BTC",
        quote="USD",
        quote_type=QuoteType.FIAT,
        status="online",
        tick_size=0.01,
        min_size=1e-8,
    )
    assert (eth.active, eth.status, eth.quote_type) == (False, "delisted", QuoteType.STABLECOIN)
    assert (disabled.active, disabled.quote_type) == (False, QuoteType.CRYPTO)
    assert old.min_size == 0.5


async def test_listing_of_binance() -> None:
    """Binance's symbols are taken with base and quote, filters and status; names then follow the listing."""
    other = {**LISTED, "symbol": "ABCDUSDT", "baseAsset": "AB", "quoteAsset": "CDUSDT", "status": "BREAK"}
    exchange, rest = served("binance", listing("binance", LISTED, {**other, "filters": []}))
    btc, odd = await exchange.fetch_symbols()
    assert rest.asked == [URLS["binance"]]
    assert btc == SymbolInfo(
        exchange=exchange.id,
        symbol="BTCUSDT",
        normalized="BTC-USDT",
        base="BTC",
        quote="USDT",
        quote_type=QuoteType.STABLECOIN,
        status="TRADING",
        tick_size=0.01,
        min_size=1e-5,
    )
    assert (odd.active, odd.tick_size, odd.min_size) == (False, None, None)
    assert exchange.normalize_symbol("ABCDUSDT") == "AB-CDUSDT"


@pytest.mark.parametrize(("name", "good"), [("coinbase", PRODUCT), ("binance", LISTED)])
async def test_listing_with_odd_entries(name: str, good: dict[str, Any]) -> None:
    """Odd entries are left out, and logged as one line with the first of them."""
    key = "id" if name == "coinbase" else "symbol"
    odd: list[object] = [None, 5, [], {}, {**good, key: None}, {**good, "status": 7}]
    exchange, _ = served(name, listing(name, *odd[:3], good, *odd[3:], {**good, key: "OTHER"}))
    with capture_logs() as logs:
        listed = await exchange.fetch_symbols()
    assert [info.symbol for info in listed] == [good[key], "OTHER"]
    (line,) = logs
    assert (line["log_level"], line["odd"], line["read"]) == ("warning", 6, 2)
