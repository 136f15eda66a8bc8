"""OKX's listings, and the names of its instruments."""

from __future__ import annotations

from typing import Any

import pytest
from exchanges_okx_tools import served
from structlog.testing import capture_logs

from multilogger.errors import ListingError
from multilogger.exchanges.okx.exchange import Okx, OkxConfig
from multilogger.symbols.instruments import AssetClass, OptionKind, QuoteType, SymbolInfo

NAMES = {
    "BTC-USDT": "BTC-USDT",
    "BTC-USD": "BTC-USD",
    "1INCH-BTC": "1INCH-BTC",
    "BTC-USDT-SWAP": "BTC-USDT-PERP",
    "BTC-USD-SWAP": "BTC-USD-PERP",
    "BTC-USD_UM-SWAP": "BTC-USD:USD-PERP",
    "BTC-USDC-SWAP": "BTC-USDC-PERP",
    "BTC-USD-261225": "BTC-USD-20261225",
    "TRX-USDT-210924": "TRX-USDT-20210924",
    "BTC-USD_UM-261225": "BTC-USD:USD-20261225",
    "BTC-USD-261225-50000-C": "BTC-USD-20261225-50000-C",
    "ETH-USD-261225-0.5-P": "ETH-USD-20261225-0.5-P",
}
SPOT = {
    "instType": "SPOT",
    "instId": "BTC-USDT",
    "baseCcy": "BTC",
    "quoteCcy": "USDT",
    "settleCcy": "",
    "ctVal": "",
    "ctMult": "",
    "ctValCcy": "",
    "ctType": "",
    "uly": "",
    "listTime": "1548133413000",
    "expTime": "",
    "tickSz": "0.1",
    "lotSz": "0.00000001",
    "minSz": "0.00001",
    "state": "live",
    "stk": "",
    "optType": "",
}
SWAP = {
    **SPOT,
    "instType": "SWAP",
    "instId": "BTC-USDT-SWAP",
    "baseCcy": "",
    "quoteCcy": "",
    "settleCcy": "USDT",
    "ctVal": "0.01",
    "ctMult": "2",
    "ctValCcy": "BTC",
    "ctType": "linear",
    "uly": "BTC-USDT",
    "minSz": "0.01",
}
INVERSE = {
    **SWAP,
    "instId": "BTC-USD-SWAP",
    "settleCcy": "BTC",
    "ctVal": "100",
    "ctValCcy": "USD",
    "uly": "BTC-USD",
}
FUTURE = {**INVERSE, "instType": "FUTURES", "instId": "BTC-USD-261225", "expTime": "1798185600000"}
OPTION = {**FUTURE, "instType": "OPTION", "instId": "BTC-USD-261225-50000-C", "stk": "50000", "optType": "C"}


async def listed(*entries: dict[str, Any]) -> tuple[Okx, dict[str, SymbolInfo]]:
    """Return what becomes of a listing of entries of one type."""
    kind = entries[0]["instType"]
    exchange, _ = served({("instruments", kind): entries}, kind)
    return exchange, {info.symbol: info for info in await exchange.fetch_symbols()}


@pytest.mark.parametrize(("symbol", "normalized"), NAMES.items())
def test_okx_names_by_their_form(symbol: str, normalized: str) -> None:
    """Before a listing a name's own form tells what it is, and leads back; so may a venue symbol be given."""
    exchange = Okx(OkxConfig())
    assert exchange.normalize_symbol(symbol) == normalized
    assert exchange.venue_symbol(normalized) == symbol
    assert exchange.venue_symbol(symbol) == symbol


@pytest.mark.parametrize("name", ["ODD", "BTC-USD-261399", "BTC-USD-SWAP-X", "BTC-USD-261225-C", ""])
def test_okx_names_of_no_known_form(name: str) -> None:
    """What is no name of an instrument stays as it is."""
    exchange = Okx(OkxConfig())
    assert exchange.normalize_symbol(name) == exchange.venue_symbol(name) == name


async def test_okx_listing_of_spot() -> None:
    """Base and quote, steps and state are the listing's."""
    _, infos = await listed(SPOT, {**SPOT, "instId": "OKB-USDT", "baseCcy": "OKB", "state": "suspend"})
    assert infos["BTC-USDT"] == SymbolInfo(
        exchange=Okx.id,
        symbol="BTC-USDT",
        normalized="BTC-USDT",
        base="BTC",
        quote="USDT",
        quote_type=QuoteType.STABLECOIN,
        status="live",
        min_size=0.00001,
        tick_size=0.1,
        listed_ns=1_548_133_413 * 10**9,
    )
    assert (infos["OKB-USDT"].active, infos["OKB-USDT"].status) == (False, "suspend")


async def test_okx_listing_of_all_types() -> None:
    """Each configured type is asked for, options once for each underlying; contracts keep their terms."""
    answers = {
        ("instruments", "SPOT"): [SPOT],
        ("instruments", "SWAP"): [SWAP, INVERSE],
        ("instruments", "FUTURES"): [FUTURE],
        ("underlying", "OPTION"): [["BTC-USD", "ETH-USD"]],
        ("instruments", "BTC-USD"): [OPTION],
        ("instruments", "ETH-USD"): [],
    }
    exchange, rest = served(answers, "SPOT", "SWAP", "FUTURES", "OPTION")
    infos = {info.symbol: info for info in await exchange.fetch_symbols()}
    base = "https://openapi.okx.com/api/v5/public/"
    assert rest.asked == [
        (f"{base}instruments", {"instType": "SPOT"}),
        (f"{base}instruments", {"instType": "SWAP"}),
        (f"{base}instruments", {"instType": "FUTURES"}),
        (f"{base}underlying", {"instType": "OPTION"}),
        (f"{base}instruments", {"instType": "OPTION", "uly": "BTC-USD"}),
        (f"{base}instruments", {"instType": "OPTION", "uly": "ETH-USD"}),
    ]
    linear, inverse = infos["BTC-USDT-SWAP"], infos["BTC-USD-SWAP"]
    assert (linear.settle, linear.contract_size, linear.contract_unit) == ("USDT", 0.02, "BTC")
    assert (inverse.settle, inverse.contract_size, inverse.contract_unit) == ("BTC", 200.0, "USD")
    assert (linear.asset_class, linear.expiry_ns) == (AssetClass.PERPETUAL, None)
    option = infos["BTC-USD-261225-50000-C"]
    assert (option.strike, option.option, option.asset_class) == (50000.0, OptionKind.CALL, AssetClass.OPTION)
    assert option.expiry_ns == infos["BTC-USD-261225"].expiry_ns == 1_798_185_600 * 10**9
    for symbol, info in infos.items():
        assert exchange.venue_symbol(exchange.normalize_symbol(symbol)) == symbol
        assert info.normalized == NAMES[symbol]


async def test_okx_listing_before_trading() -> None:
    """What is announced may lack its currencies and expiry: its name tells them."""
    bare = {"settleCcy": "", "ctVal": "", "ctMult": "", "ctValCcy": "", "expTime": "", "state": "preopen"}
    _, spot = await listed({**SPOT, "baseCcy": "", "quoteCcy": "", "state": "preopen", "listTime": ""})
    _, swaps = await listed(
        {**SWAP, **bare}, {**INVERSE, **bare}, {**SWAP, **bare, "instId": "X-USD_UM-SWAP"}
    )
    _, futures = await listed({**FUTURE, **bare})
    infos = spot | swaps | futures
    assert not any(info.active for info in infos.values())
    assert {symbol: info.settle for symbol, info in infos.items()} == {
        "BTC-USDT": "",
        "BTC-USDT-SWAP": "USDT",
        "BTC-USD-SWAP": "BTC",
        "X-USD_UM-SWAP": "USD",
        "BTC-USD-261225": "BTC",
    }
    assert infos["BTC-USDT"].listed_ns is None
    assert infos["BTC-USD-261225"].expiry_ns == 1_798_185_600 * 10**9
    swap = infos["BTC-USDT-SWAP"]
    assert (swap.base, swap.quote, swap.contract_size, swap.contract_unit) == ("BTC", "USDT", None, "")


@pytest.mark.parametrize("order", [1, -1])
async def test_okx_listing_of_one_name_twice(order: int) -> None:
    """Of instruments with one name the traded one has it, wherever it stands; all lead back."""
    entries = [{**SWAP, "state": "suspend"}, {**SWAP, "instId": "BTC-USDT_UM-SWAP", "settleCcy": "USDT"}]
    exchange, infos = await listed(*entries[::order])
    assert infos["BTC-USDT_UM-SWAP"].normalized == "BTC-USDT-PERP"
    assert infos["BTC-USDT-SWAP"].normalized == "BTC-USDT-SWAP"
    for info in infos.values():
        assert exchange.venue_symbol(info.normalized) == info.symbol


@pytest.mark.parametrize(
    "fields",
    [
        {"instId": None},
        {"instId": "BTCUSDT"},
        {"instId": "BTC-USDT-SWAP"},
        {"tickSz": "much"},
        {"tickSz": "NaN"},
        {"listTime": "0"},
        {"state": 1},
    ],
)
async def test_okx_listing_with_an_odd_entry(fields: dict[str, Any]) -> None:
    """An entry that can't be read is left out, and costs the others nothing."""
    with capture_logs() as logs:
        _, infos = await listed({**SPOT, **fields}, {**SPOT, "instId": "ETH-USDT", "baseCcy": "ETH"})
    assert list(infos) == ["ETH-USDT"]
    assert [(line["event"], line["odd"]) for line in logs] == [("listing has odd entries", 1)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "no answer"),
        (b"[]", "no answer"),
        (b'{"data":[]}', "no answer"),
        (b'{"code":"51000","msg":"Parameter instType error","data":[]}', "code 51000: Parameter instType"),
        (b'{"code":"0","msg":"","data":{}}', "no list of data"),
        (b'{"code":"0","msg":""}', "no list of data"),
        (b'{"code":"0","msg":"","data":[{}]}', "none of 1 entries"),
    ],
)
async def test_okx_listing_that_is_none(body: bytes, words: str) -> None:
    """An answer that is no listing is an error that names its URL and says what came."""
    exchange, _ = served({("instruments", "SPOT"): body})
    with pytest.raises(ListingError, match="/api/v5/public/instruments") as raised:
        await exchange.fetch_symbols()
    assert words in str(raised.value)


@pytest.mark.parametrize("data", [["BTC-USD"], [[7]]])
async def test_okx_underlyings_that_are_none(data: object) -> None:
    """A list of underlyings is a list of names in a list."""
    exchange, _ = served({("underlying", "OPTION"): data}, "OPTION")
    with pytest.raises(ListingError, match="no list of names"):
        await exchange.fetch_symbols()


async def test_okx_no_underlyings() -> None:
    """Where there are no options, none are listed."""
    exchange, _ = served({("underlying", "OPTION"): []}, "OPTION")
    assert await exchange.fetch_symbols() == []
