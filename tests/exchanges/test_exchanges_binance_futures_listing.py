"""Binance futures: listings, names of contracts, past trades."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from exchanges_tools import ROOT, configured, made
from test_exchanges_listing import no_connection

from multilogger.errors import ListingError
from multilogger.exchanges.base import Exchange, Services, TradeHistory, TradeIds
from multilogger.exchanges.catalog import BUILT_IN
from multilogger.records import Flag
from multilogger.symbols.instruments import AssetClass, QuoteType, SymbolInfo
from multilogger.symbols.mapper import SymbolMapper
from multilogger.symbols.mappings import Mappings

USDM, COINM = "binance_usdm", "binance_coinm"
RECORDINGS = Path(os.environ.get("MULTILOGGER_RECORDINGS", ROOT.parent / "shared" / "recordings"))
LISTINGS = {
    USDM: "binance/usdm/rest/exchangeInfo_20210722.json",
    COINM: "binance/coinm/rest/exchangeInfo_20210722.json",
    "binance": "binance/spot/rest/exchangeInfo_2021a.json",
}
FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "1", "maxPrice": "1000000", "tickSize": "0.10"},
    {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
    {"filterType": "MIN_NOTIONAL", "notional": "5"},
]
PERPETUAL = {
    "symbol": "BTCUSDT",
    "pair": "BTCUSDT",
    "contractType": "PERPETUAL",
    "status": "TRADING",
    "onboardDate": 1569398400000,
    "deliveryDate": 4133404800000,
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "filters": FILTERS,
}
FUTURE = {
    "symbol": "BTCUSD_261225",
    "pair": "BTCUSD",
    "contractType": "CURRENT_QUARTER",
    "contractStatus": "TRADING",
    "contractSize": 100,
    "deliveryDate": 1798185600000,
    "baseAsset": "BTC",
    "quoteAsset": "USD",
    "marginAsset": "BTC",
    "filters": [],
}


@attrs.define
class Rest:
    """Answers every GET with one body."""

    body: bytes
    asked: list[tuple[str, dict[str, str], float]] = attrs.field(factory=list)

    async def __call__(
        self, url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0
    ) -> bytes:
        """Return the body."""
        await trio.lowlevel.checkpoint()
        self.asked.append((url, dict(params or {}), weight))
        return self.body


def served(name: str, body: object, options: Mapping[str, str] | None = None) -> tuple[Exchange, Rest]:
    """Return an exchange whose REST interface answers with a body."""
    rest = Rest(body if isinstance(body, bytes) else json.dumps(body).encode())
    return BUILT_IN[name](configured(name, options).config, Services(rest, no_connection)), rest


async def listed(name: str, *entries: dict[str, Any]) -> list[SymbolInfo]:
    """Return what becomes of the entries of a listing."""
    exchange, _ = served(name, {"symbols": list(entries)})
    return await exchange.fetch_symbols()


async def test_listing_of_usdm() -> None:
    """A perpetual has its quote as settlement, no contract size and no expiry."""
    exchange, rest = served(USDM, {"symbols": [PERPETUAL]})
    (btc,) = await exchange.fetch_symbols()
    assert rest.asked == [("https://fapi.binance.com/fapi/v1/exchangeInfo", {}, 1)]
    assert btc == SymbolInfo(
        exchange=exchange.id,
        symbol="BTCUSDT",
        normalized="BTC-USDT-PERP",
        base="BTC",
        quote="USDT",
        quote_type=QuoteType.STABLECOIN,
        asset_class=AssetClass.PERPETUAL,
        status="TRADING",
        tick_size=0.1,
        min_size=0.001,
        settle="USDT",
        listed_ns=1569398400 * 10**9,
    )


async def test_listing_of_coinm() -> None:
    """A future has a day of delivery, and contracts of so many dollars that are settled in the coin."""
    exchange, rest = served(COINM, {"symbols": [FUTURE]})
    (btc,) = await exchange.fetch_symbols()
    assert rest.asked == [("https://dapi.binance.com/dapi/v1/exchangeInfo", {}, 1)]
    assert (btc.normalized, btc.asset_class, btc.active) == ("BTC-USD-20261225", AssetClass.FUTURES, True)
    assert (btc.contract_size, btc.contract_unit, btc.settle) == (100.0, "USD", "BTC")
    assert (btc.expiry_ns, btc.listed_ns, btc.tick_size) == (1798185600 * 10**9, None, None)


@pytest.mark.parametrize(
    "word", ["PERPETUAL", "TRADIFI_PERPETUAL", "PERPETUAL_DELIVERING", "", "SOMETHING_NEW", ...]
)
async def test_listing_of_perpetuals_in_any_words(word: object) -> None:
    """Whatever the exchange calls a contract, it is a perpetual if its symbol has no day."""
    entry = {**PERPETUAL, "contractType": word}
    (info,) = await listed(USDM, {name: value for name, value in entry.items() if value is not ...})
    assert (info.normalized, info.asset_class) == ("BTC-USDT-PERP", AssetClass.PERPETUAL)


@pytest.mark.parametrize("word", ["CURRENT_QUARTER", "NEXT_QUARTER", "CURRENT_QUARTER DELIVERING", ""])
@pytest.mark.parametrize("date", [1798185600000, 0, None])
async def test_listing_of_futures_in_any_words(word: str, date: int | None) -> None:
    """One that is being delivered keeps its name, and has an expiry if the exchange tells one."""
    (info,) = await listed(COINM, {**FUTURE, "contractType": word, "deliveryDate": date})
    assert (info.normalized, info.asset_class) == ("BTC-USD-20261225", AssetClass.FUTURES)
    assert info.expiry_ns == (date * 10**6 if date else None)


@pytest.mark.parametrize("status", ["PENDING_TRADING", "SETTLING", "PRE_DELIVERING", "CLOSE", ""])
async def test_listing_of_what_does_not_trade(status: str) -> None:
    """Only what the exchange says is trading is active, by whichever of its two fields."""
    (usdm,) = await listed(USDM, {**PERPETUAL, "status": status})
    (coinm,) = await listed(COINM, {**FUTURE, "contractStatus": status})
    assert (usdm.active, coinm.active, usdm.status, coinm.status) == (False, False, status, status)


@pytest.mark.parametrize(
    ("symbol", "quote", "settle", "name"),
    [
        ("ETHBTC", "BTC", "BTC", "ETH-BTC-PERP"),
        ("ETHUSDC", "USDC", "USDC", "ETH-USDC-PERP"),
        ("ETHUSD", "USD", "USDT", "ETH-USD:USDT-PERP"),
        ("ETHUSDT_261225", "USDT", "USDT", "ETH-USDT-20261225"),
    ],
)
async def test_listing_names(symbol: str, quote: str, settle: str, name: str) -> None:
    """A settlement that goes without saying is not said; names lead back."""
    entry = {**PERPETUAL, "symbol": symbol, "baseAsset": "ETH", "quoteAsset": quote, "marginAsset": settle}
    exchange, _ = served(USDM, {"symbols": [entry]})
    (info,) = await exchange.fetch_symbols()
    assert info.normalized == exchange.normalize_symbol(symbol) == name
    assert exchange.venue_symbol(name) == symbol


@pytest.mark.parametrize("first", [True, False])
async def test_listing_with_one_name_twice(*, first: bool) -> None:
    """Where two have the same base, quote and kind, the one that trades has the name."""
    entries = [PERPETUAL, {**PERPETUAL, "symbol": "BTCUSDT_OLD", "status": "CLOSE"}]
    exchange, _ = served(USDM, {"symbols": entries if first else entries[::-1]})
    names = {info.symbol: info.normalized for info in await exchange.fetch_symbols()}
    assert names == {"BTCUSDT": "BTC-USDT-PERP", "BTCUSDT_OLD": "BTCUSDT_OLD"}
    assert exchange.venue_symbol("BTC-USDT-PERP") == "BTCUSDT"
    assert exchange.venue_symbol("BTCUSDT_OLD") == "BTCUSDT_OLD"


@pytest.mark.parametrize(
    ("name", "symbol", "normalized"),
    [
        (USDM, "BTCUSDT", "BTC-USDT-PERP"),
        (USDM, "1000SHIBUSDC", "1000SHIB-USDC-PERP"),
        (USDM, "BTCUSDT_261225", "BTC-USDT-20261225"),
        (USDM, "币安人生USDT", "币安人生-USDT-PERP"),
        (COINM, "BTCUSD_PERP", "BTC-USD-PERP"),
        (COINM, "BTCUSD_261225", "BTC-USD-20261225"),
        (USDM, "ODD", "ODD"),
        (USDM, "BTCUSDT_269999", "BTCUSDT_269999"),
        (USDM, "", ""),
    ],
)
def test_names_by_their_form(name: str, symbol: str, normalized: str) -> None:
    """Before a listing a name is made of the symbol's form, and back; what has none stays as it is."""
    exchange = configured(name)
    assert exchange.normalize_symbol(symbol) == normalized
    assert exchange.venue_symbol(normalized) == symbol


def test_names_of_other_markets_are_none_here() -> None:
    """The name of a spot instrument is not that of a contract."""
    assert configured(USDM).venue_symbol("BTC-USDT") == "BTC-USDT"
    assert configured(COINM).venue_symbol("BTC-USD:USD-PERP") == "BTCUSD_PERP"


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"no recordings at {RECORDINGS}")
@pytest.mark.parametrize("name", LISTINGS)
async def test_recorded_listings(name: str) -> None:
    """Of a real listing no entry is left out, and every symbol has a name that leads back to it alone."""
    body = (RECORDINGS / LISTINGS[name]).read_bytes()
    exchange, _ = served(name, body)
    infos = await exchange.fetch_symbols()
    assert {info.symbol for info in infos} == {entry["symbol"] for entry in json.loads(body)["symbols"]}
    assert len({info.normalized for info in infos}) == len(infos)
    mapper = SymbolMapper(Mappings())
    mapper.replace(name, infos)
    unlisted = made(BUILT_IN[name])
    for info in infos:
        assert exchange.venue_symbol(exchange.normalize_symbol(info.symbol)) == info.symbol
        assert mapper.to_exchange(mapper.normalize(name, info.symbol), name) == info.symbol
        assert unlisted.venue_symbol(info.normalized) == info.symbol
    print(f"{name}: {len(infos)} instruments, {sum(info.active for info in infos)} of them active")


AGGREGATE = {"a": 7, "p": "63999.0", "q": "0.5", "f": 7, "l": 9, "T": 1795341600000, "m": False}
PAST = {"id": 7, "price": "63999.0", "qty": "0.5", "quoteQty": "31999.5", "time": 1795341600000}


@pytest.mark.parametrize("name", [USDM, COINM])
async def test_history_of_aggregates(name: str) -> None:
    """They are had by id for a day, at their weight, the highest of a span first."""
    exchange, rest = served(name, [AGGREGATE])
    assert exchange.history == TradeHistory(max_age_secs=86400.0)
    assert exchange.trade_ids is TradeIds.CONTIGUOUS
    (trade,) = await exchange.fetch_trades("BTCUSDT", 5, 4000, 0)
    assert (trade.trade_id, trade.exchange, trade.flags) == (7, name, Flag.BACKFILLED)
    assert trade.exchange_specific == {"f": 7, "l": 9}
    await exchange.fetch_newest("BTCUSDT")
    url = exchange.config.rest_endpoint + ("/fapi/v1/" if name == USDM else "/dapi/v1/") + "aggTrades"
    symbol = {"symbol": "BTCUSDT", "limit": "1000"}
    assert rest.asked == [
        (url, {**symbol, "fromId": "3001"}, 20),
        (url, {**symbol, "limit": "1000", "fromId": "5"}, 20),
        (url, symbol, 20),
    ]


@pytest.mark.parametrize("name", [USDM, COINM])
async def test_history_of_single_trades(name: str) -> None:
    """Only the newest are had without a key: those of a span that are among them."""
    pages = [{**PAST, "id": number, "isBuyerMaker": True} for number in (7, 8, 9)]
    exchange, rest = served(name, pages, {"trades_stream": "trade"})
    assert exchange.history == TradeHistory(by_id=False)
    assert [trade.trade_id for trade in await exchange.fetch_newest("BTCUSDT")] == [7, 8, 9]
    assert [trade.trade_id for trade in await exchange.fetch_trades("BTCUSDT", 8, 20, 0)] == [8, 9]
    (url, params, weight) = rest.asked[0]
    assert (url.rpartition("/")[2], params, weight) == ("trades", {"symbol": "BTCUSDT", "limit": "1000"}, 5)


async def test_listing_that_is_none() -> None:
    """Nonsense is an error that names the URL."""
    exchange, _ = served(USDM, {"code": -1003, "msg": "banned"})
    with pytest.raises(ListingError, match=r"^https://fapi\.binance\.com/fapi/v1/exchangeInfo: no list"):
        await exchange.fetch_symbols()


@pytest.mark.parametrize(("used", "told"), [("1", 0.0), ("1000", 0.0), ("1700", 700.0), ("", None)])
def test_weight_of_both_markets(used: str, told: float | None) -> None:
    """What the exchange counts includes what the other market may use of the same pool."""
    assert configured(USDM).rest_used({"x-mbx-used-weight-1m": used}) == told
    limits = BUILT_IN[USDM].limits
    assert limits is BUILT_IN[COINM].limits
    assert sum(allowance.amount for allowance in limits.rest) <= 2400 / 2
