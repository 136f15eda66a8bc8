"""Bybit's listings, names and newest trades."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
import trio
from exchanges_bybit import KINDS, START_MS, UUID, made
from structlog.testing import capture_logs

from multilogger.errors import ListingError, RateLimited
from multilogger.exchanges.base import Exchange, ExchangeConnection, Services, TradeIds
from multilogger.records import Flag, Side
from multilogger.symbols.instruments import AssetClass, QuoteType, SymbolInfo

BASE = "https://api.bybit.com/v5/market"
EXPIRY_NS = int(datetime(2026, 12, 25, 8, tzinfo=UTC).timestamp()) * 10**9
PAIR = {
    "symbol": "BTCUSDT",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "status": "Trading",
    "lotSizeFilter": {"basePrecision": "0.000001", "minOrderQty": "0.000011", "minOrderAmt": "5"},
    "priceFilter": {"tickSize": "0.1"},
}


def contract(symbol: str, base: str, quote: str, settle: str, kind: str, **other: Any) -> dict[str, Any]:
    """Return an entry of the listing of contracts."""
    return {
        "symbol": symbol,
        "contractType": kind,
        "status": "Trading",
        "baseCoin": base,
        "quoteCoin": quote,
        "settleCoin": settle,
        "deliveryTime": "0",
        "priceFilter": {"minPrice": "0.10", "tickSize": "0.10"},
        "lotSizeFilter": {"minOrderQty": "0.001", "qtyStep": "0.001"},
        **other,
    }


def body(entries: object, **result: Any) -> bytes:
    """Return a good answer."""
    return json.dumps({"retCode": 0, "retMsg": "OK", "result": {"list": entries, **result}}).encode()


def no_connection(exchange: Exchange, symbols: Sequence[str]) -> ExchangeConnection:
    """Refuse to connect."""
    raise AssertionError(f"{exchange.id} connects {symbols}")


@attrs.define
class Rest:
    """Answers requests one after the other, the last answer again and again."""

    answers: list[bytes]
    asked: list[tuple[str, dict[str, str]]] = attrs.field(factory=list)

    async def __call__(
        self, url: str, params: Mapping[str, str] | None = None, *, weight: float = 1.0
    ) -> bytes:
        """Return the next answer."""
        await trio.lowlevel.checkpoint()
        assert weight == 1
        self.asked.append((url, dict(params or {})))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def served(name: str, *answers: bytes) -> tuple[Exchange, Rest]:
    """Return an exchange whose REST interface gives these answers."""
    rest = Rest(list(answers))
    return KINDS[name](made(name).config, Services(rest, no_connection)), rest


async def test_listing_of_spot() -> None:
    """It comes in one piece, of what trades."""
    other = {**PAIR, "symbol": "ABEUR", "baseCoin": "AB", "quoteCoin": "EUR", "status": "Closed"}
    other |= {"lotSizeFilter": {"basePrecision": "0.01", "minOrderQty": ""}, "priceFilter": {"tickSize": ""}}
    exchange, rest = served("bybit", body([PAIR, other], category="spot"))
    pair, closed = await exchange.fetch_symbols()
    assert rest.asked == [(f"{BASE}/instruments-info", {"category": "spot", "limit": "1000"})]
    assert pair == SymbolInfo(
        exchange=exchange.id,
        symbol="BTCUSDT",
        normalized="BTC-USDT",
        base="BTC",
        quote="USDT",
        quote_type=QuoteType.STABLECOIN,
        status="Trading",
        tick_size=0.1,
        min_size=0.000011,
    )
    assert (closed.active, closed.normalized, closed.tick_size, closed.min_size) == (
        False,
        "AB-EUR",
        None,
        0.01,
    )
    assert exchange.normalize_symbol("ABEUR") == "AB-EUR"
    assert exchange.venue_symbol("AB-EUR") == "ABEUR"


async def test_listing_of_linear() -> None:
    """Pages follow each other by their cursors; contracts before their launch are asked for apart."""
    future = {"deliveryTime": str(EXPIRY_NS // 10**6)}
    first = [contract("BTCUSDT", "BTC", "USDT", "USDT", "LinearPerpetual")]
    second = [
        contract("BTCPERP", "BTC", "USDC", "USDC", "LinearPerpetual", deliveryTime="1790000000000"),
        contract("BTC-25DEC26", "BTC", "USDC", "USDC", "LinearFutures", **future),
        contract("BTCUSDT-25DEC26", "BTC", "USDT", "USDT", "LinearFutures", **future),
    ]
    before = {"status": "PreLaunch", "preListingInfo": {"curAuctionPhase": "CallAuction", "phases": []}}
    trading = {"status": "PreLaunch", "preListingInfo": {"curAuctionPhase": "ContinuousTrading"}}
    third = [
        contract("NEWUSDT", "NEW", "USDT", "USDT", "LinearPerpetual", **before),
        contract("BIOUSDT", "BIO", "USDT", "USDT", "LinearPerpetual", **trading),
    ]
    exchange, rest = served(
        "bybit_linear",
        body(first, nextPageCursor="first%3DA%26last%3DB"),
        body(second, nextPageCursor=""),
        body(third),
    )
    infos = {info.symbol: info for info in await exchange.fetch_symbols()}
    query = {"category": "linear", "limit": "1000"}
    assert [asked for _, asked in rest.asked] == [
        query,
        {**query, "cursor": "first%3DA%26last%3DB"},
        {**query, "status": "PreLaunch"},
    ]
    assert {symbol: info.normalized for symbol, info in infos.items()} == {
        "BTCUSDT": "BTC-USDT-PERP",
        "BTCPERP": "BTC-USDC-PERP",
        "BTC-25DEC26": "BTC-USDC-20261225",
        "BTCUSDT-25DEC26": "BTC-USDT-20261225",
        "NEWUSDT": "NEW-USDT-PERP",
        "BIOUSDT": "BIO-USDT-PERP",
    }
    assert [info.symbol for info in infos.values() if not info.active] == ["NEWUSDT"]
    assert infos["BTC-25DEC26"].expiry_ns == EXPIRY_NS
    perpetual = infos["BTCPERP"]
    assert (perpetual.expiry_ns, perpetual.settle, perpetual.contract_size) == (None, "USDC", None)
    assert (perpetual.asset_class, perpetual.min_size, perpetual.tick_size) == (
        AssetClass.PERPETUAL,
        0.001,
        0.1,
    )


async def test_listing_of_inverse() -> None:
    """A contract is 1 USD, and settles in its base."""
    future = {"deliveryTime": str(EXPIRY_NS // 10**6)}
    entries = [
        contract("BTCUSD", "BTC", "USD", "BTC", "InversePerpetual"),
        contract("BTCUSDZ26", "BTC", "USD", "BTC", "InverseFutures", **future),
    ]
    exchange, _ = served("bybit_inverse", body(entries), body([]))
    perpetual, dated = await exchange.fetch_symbols()
    assert (perpetual.normalized, dated.normalized) == ("BTC-USD-PERP", "BTC-USD-20261225")
    assert (perpetual.contract_size, perpetual.contract_unit, perpetual.settle) == (1.0, "USD", "BTC")
    assert (dated.asset_class, dated.expiry_ns) == (AssetClass.FUTURES, EXPIRY_NS)


async def test_listing_has_no_name_twice() -> None:
    """Of two with one name the active one keeps it, the other is named by its symbol; none comes twice."""
    closed = {**PAIR, "symbol": "OLDBTC", "status": "Closed"}
    exchange, _ = served("bybit", body([closed, PAIR, {**PAIR, "symbol": "BTC2"}, {**PAIR, "status": "Odd"}]))
    infos = await exchange.fetch_symbols()
    assert [(info.symbol, info.normalized) for info in infos] == [
        ("OLDBTC", "OLDBTC"),
        ("BTCUSDT", "BTC-USDT"),
        ("BTC2", "BTC2"),
    ]
    assert all(exchange.venue_symbol(exchange.normalize_symbol(it.symbol)) == it.symbol for it in infos)


async def test_listing_with_odd_entries() -> None:
    """Contracts of an unknown type, futures without an expiry and what is no entry are left out, and told."""
    good = contract("BTCUSDT", "BTC", "USDT", "USDT", "LinearPerpetual")
    odd: list[Any] = [
        None,
        {},
        {**good, "symbol": 5},
        {**good, "contractType": "Swap"},
        contract("X-1JAN27", "X", "USDC", "USDC", "LinearFutures"),
    ]
    exchange, _ = served("bybit_linear", body([*odd, good]), body([]))
    with capture_logs() as logs:
        assert [info.symbol for info in await exchange.fetch_symbols()] == ["BTCUSDT"]
    assert [(line["odd"], line["read"]) for line in logs] == [(5, 1)]


@pytest.mark.parametrize(
    "answer",
    [b"", b"null", b"{}", b'{"retCode":0}', b'{"retCode":0,"result":{"list":7}}', b'{"retCode":"0"}'],
)
@pytest.mark.parametrize("name", sorted(KINDS))
async def test_answers_that_are_none(name: str, answer: bytes) -> None:
    """Nonsense is an error that names the URL."""
    exchange, _ = served(name, answer)
    with pytest.raises(ListingError, match=f"{BASE}/instruments-info: no"):
        await exchange.fetch_symbols()
    with pytest.raises(ListingError, match=f"{BASE}/recent-trade: no"):
        await exchange.fetch_newest("BTCUSDT")


async def test_errors_of_the_exchange() -> None:
    """They come with status 200; one says that requests are too many."""
    exchange, rest = served("bybit", b'{"retCode":10001,"retMsg":"params error: Symbol Invalid","result":{}}')
    with pytest.raises(ListingError, match="retCode 10001: params error: Symbol Invalid"):
        await exchange.fetch_newest("NOPE")
    rest.answers = [b'{"retCode":10006,"retMsg":"Too many visits!","result":null}']
    with pytest.raises(RateLimited, match="Too many visits") as limited:
        await exchange.fetch_symbols()
    assert limited.value.retry_after_secs == 5


async def test_a_listing_without_an_end() -> None:
    """Pages that never end are an error, too."""
    exchange, rest = served("bybit_linear", body([], nextPageCursor="again"))
    with pytest.raises(ListingError, match="no end of the list"):
        await exchange.fetch_symbols()
    assert len(rest.asked) == 100


def entry(trade_id: str, ms: int, side: str = "Buy") -> dict[str, Any]:
    """Return an entry of ``recent-trade``."""
    past = {"execId": trade_id, "symbol": "BTCUSDT", "price": "64000.10", "size": "0.010", "side": side}
    return {**past, "time": str(START_MS + ms), "isBlockTrade": False, "seq": "7"}


@pytest.mark.parametrize(
    ("name", "page"), [("bybit", "60"), ("bybit_linear", "1000"), ("bybit_inverse", "1000")]
)
async def test_newest_trades_come_oldest_first(name: str, page: str) -> None:
    """The exchange sends the newest first; trades of one time stay in its order, whatever their ids."""
    ids = [f"{number}{UUID[1:]}" for number in (5, 9, 1, 3)]
    exchange, rest = served(name, body([entry(it, ms) for it, ms in zip(ids, (30, 20, 20, 10), strict=True)]))
    trades = await exchange.fetch_newest("BTCUSDT")
    category = {"bybit": "spot", "bybit_linear": "linear", "bybit_inverse": "inverse"}[name]
    assert rest.asked == [
        (f"{BASE}/recent-trade", {"category": category, "symbol": "BTCUSDT", "limit": page})
    ]
    assert [trade.trade_id >> 60 for trade in trades] == [3, 1, 9, 5]
    assert {(trade.exchange, trade.flags, trade.side) for trade in trades} == {
        (name, Flag.BACKFILLED, Side.BUY)
    }
    assert trades[0].exchange_specific == {"isBlockTrade": False, "seq": "7"}


async def test_newest_trades_of_which_some_are_odd() -> None:
    """They are left out, and told in one line."""
    good = entry("17", 5, "Sell")
    odd: list[Any] = [None, {**good, "execId": "x"}, {**good, "price": "0"}, {**good, "side": "sell"}]
    exchange, _ = served("bybit", body([*odd, good]))
    with capture_logs() as logs:
        (trade,) = await exchange.fetch_newest("BTCUSDT")
    assert (trade.trade_id, trade.side, trade.price, trade.size) == (17, Side.SELL, 64000.1, 0.01)
    assert [(line["odd"], line["read"]) for line in logs] == [(4, 1)]


@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_ids_and_history_tell(name: str) -> None:
    """Ids only tell trades apart; only the newest trades can be asked for."""
    exchange = made(name)
    assert exchange.trade_ids is TradeIds.UNORDERED
    assert exchange.history is not None
    assert (exchange.history.by_id, exchange.history.page) == (False, 60 if name == "bybit" else 1000)
    assert exchange.md_has_time
