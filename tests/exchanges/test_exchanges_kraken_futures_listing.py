"""Kraken Futures: its listing, and how its contracts are called."""

from __future__ import annotations

from typing import Any

import pytest
from exchanges_kraken_futures import BTC, ETH, Rest
from structlog.testing import capture_logs
from test_exchanges_listing import no_connection

from multilogger.errors import ListingError
from multilogger.exchanges.base import Services
from multilogger.exchanges.kraken_futures.exchange import KrakenFutures, KrakenFuturesConfig
from multilogger.symbols.instruments import AssetClass, QuoteType, SymbolInfo

INVERSE = {
    "symbol": BTC,
    "type": "futures_inverse",
    "underlying": "rr_xbtusd",
    "tickSize": 0.5,
    "contractSize": 1,
    "tradeable": True,
    "contractValueTradePrecision": 0,
    "base": "BTC",
    "quote": "USD",
    "pair": "BTC:USD",
}
LINEAR = {
    **INVERSE,
    "symbol": ETH,
    "type": "flexible_futures",
    "tickSize": 0.1,
    "contractValueTradePrecision": 3,
    "base": "ETH",
}
DATED = {**INVERSE, "symbol": "FI_XBTUSD_261225", "lastTradingTime": "2026-12-25T08:00:00.000Z"}
DAY_NS = 1_798_156_800 * 10**9
"""2026-12-25."""
HOUR_NS = 3600 * 10**9


def bare() -> KrakenFutures:
    """Return an exchange that has seen no listing."""
    return KrakenFutures(KrakenFuturesConfig())


async def listed(*entries: Any, body: object = None) -> tuple[KrakenFutures, list[SymbolInfo]]:
    """Return an exchange, and what it makes of a listing."""
    rest = Rest({"result": "success", "instruments": list(entries)} if body is None else body)
    it = KrakenFutures(KrakenFuturesConfig(), Services(rest, no_connection))
    found = await it.fetch_symbols()
    assert rest.asked == [("https://futures.kraken.com/derivatives/api/v3/instruments", {})]
    return it, found


async def test_inverse_linear_and_dated_contracts() -> None:
    """Each is taken with what it is settled in, what a contract is, and when it ends."""
    it, (inverse, linear, dated) = await listed(INVERSE, LINEAR, DATED)
    assert inverse == SymbolInfo(
        exchange=it.id,
        symbol=BTC,
        normalized="BTC-USD-PERP",
        base="BTC",
        quote="USD",
        quote_type=QuoteType.FIAT,
        asset_class=AssetClass.PERPETUAL,
        active=True,
        status="tradeable",
        min_size=1.0,
        tick_size=0.5,
        settle="BTC",
        contract_size=1.0,
        contract_unit="USD",
        expiry_ns=None,
    )
    assert (linear.normalized, linear.settle, linear.min_size) == ("ETH-USD:USD-PERP", "USD", 0.001)
    assert (linear.contract_size, linear.contract_unit) == (None, "")
    assert (dated.normalized, dated.asset_class) == ("BTC-USD-20261225", AssetClass.FUTURES)
    assert dated.expiry_ns == DAY_NS + 8 * HOUR_NS


async def test_what_is_not_told() -> None:
    """Without a time of its own a contract ends with its day; fields that are missing are not known."""
    least = {"symbol": "FF_XBTUSD_261225", "tradeable": False}
    _, (info,) = await listed(least)
    assert (info.base, info.quote, info.expiry_ns) == ("BTC", "USD", DAY_NS)
    assert (info.active, info.status) == (False, "not tradeable")
    assert (info.min_size, info.tick_size, info.contract_size) == (None, None, None)


async def test_sizes_of_many_coins() -> None:
    """A precision below zero says that sizes are multiples of a power of ten."""
    _, (info,) = await listed({**LINEAR, "symbol": "PF_PEPEUSD", "contractValueTradePrecision": -3})
    assert info.min_size == 1000.0


async def test_a_linear_contract_of_many_coins() -> None:
    """A linear contract that is not one of the base is counted in contracts."""
    _, (info,) = await listed({**LINEAR, "contractSize": 10})
    assert (info.contract_size, info.contract_unit) == (10.0, "ETH")


async def test_indices_are_no_instruments() -> None:
    """They are in the same list, and are left out without a word."""
    index = {"symbol": "in_xbtusd", "type": "spot index", "tradeable": False}
    rate = {"symbol": "rr_xbtusd", "type": "real time index", "tradeable": True}
    with capture_logs() as logs:
        _, found = await listed(index, INVERSE, rate)
    assert ([info.symbol for info in found], logs) == ([BTC], [])


async def test_odd_entries() -> None:
    """Entries that are no contract are left out, with one warning."""
    odd = [None, 7, {}, {**INVERSE, "symbol": "OPTION_X"}, {**INVERSE, "tradeable": "perhaps"}]
    late = {**DATED, "symbol": "FI_ETHUSD_261225", "lastTradingTime": "soon"}
    with capture_logs() as logs:
        _, found = await listed(*odd, INVERSE, late)
    assert [info.symbol for info in found] == [BTC]
    (line,) = logs
    assert (line["log_level"], line["odd"], line["read"]) == ("warning", 6, 1)


@pytest.mark.parametrize("body", [[], {"result": "error", "errors": []}, {"instruments": {}}, b"<html>"])
async def test_no_listing(body: object) -> None:
    """What is no list of instruments is an error."""
    with pytest.raises(ListingError, match="instruments"):
        await listed(body=body)


async def test_listings_of_old_are_in_lower_case() -> None:
    """Symbols are as the streams spell them."""
    _, found = await listed(
        {**INVERSE, "symbol": "pi_xbtusd", "base": "XBT"}, {**DATED, "symbol": "Pf_AAPLxUSD"}
    )
    assert [(info.symbol, info.normalized) for info in found] == [(BTC, "BTC-USD-PERP")]


async def test_no_two_contracts_have_one_name() -> None:
    """Who is traded keeps the name; the other one is called by its symbol, and both are found again."""
    old = {**LINEAR, "symbol": "PV_ETHUSD", "tradeable": False}
    it, found = await listed(old, LINEAR)
    names = {info.symbol: info.normalized for info in found}
    assert names == {"PV_ETHUSD": "PV_ETHUSD", ETH: "ETH-USD:USD-PERP"}
    for symbol, name in names.items():
        assert (it.normalize_symbol(symbol), it.venue_symbol(name)) == (name, symbol)


NAMES = [
    ("PI_XBTUSD", "BTC-USD-PERP"),
    ("PI_ETHUSD", "ETH-USD-PERP"),
    ("PF_XBTUSD", "BTC-USD:USD-PERP"),
    ("PF_AAPLxUSD", "AAPLx-USD:USD-PERP"),
    ("PF_1INCHUSD", "1INCH-USD:USD-PERP"),
    ("PV_XRPXBT", "XRP-BTC-PERP"),
    ("FI_XBTUSD_261225", "BTC-USD-20261225"),
    ("FF_ETHUSD_261225", "ETH-USD:USD-20261225"),
    ("FV_XRPXBT_210730", "XRP-BTC-20210730"),
]


@pytest.mark.parametrize(("symbol", "name"), NAMES)
def test_names_go_there_and_back(symbol: str, name: str) -> None:
    """Without a listing the form of a symbol says what it is."""
    assert (bare().normalize_symbol(symbol), bare().venue_symbol(name)) == (name, symbol)


@pytest.mark.parametrize(
    ("symbol", "name"), [("pi_xbtusd", "BTC-USD-PERP"), ("PF_XDGUSD", "DOGE-USD:USD-PERP")]
)
def test_other_spellings_of_symbols(symbol: str, name: str) -> None:
    """Lower case and old names are understood."""
    assert bare().normalize_symbol(symbol) == name


@pytest.mark.parametrize(
    "symbol",
    [
        "BTC-USD",
        "",
        "PI_USD",
        "PI_XBT",
        "PX_XBTUSD",
        "PI_XBTUSD_261225",
        "FI_XBTUSD",
        "FI_XBTUSD_261332",
        "FI_XBTUSD_2612",
        "in_xbtusd",
    ],
)
def test_symbols_of_another_form(symbol: str) -> None:
    """What is no symbol of a contract is called as it is."""
    assert bare().normalize_symbol(symbol) == symbol


@pytest.mark.parametrize("name", ["BTC-USD", "PI_XBTUSD", "", "BTC-USD:EUR-PERP", "BTC-USD-20261225-50000-C"])
def test_names_of_no_contract(name: str) -> None:
    """What no contract here could be called stays as it is."""
    assert bare().venue_symbol(name) == name


@pytest.mark.parametrize(("name", "symbol"), [("BTC-USD:BTC-PERP", BTC), ("XRP-BTC:BTC-PERP", "PV_XRPXBT")])
def test_names_that_say_too_much(name: str, symbol: str) -> None:
    """The settlement may be named where it is the usual one."""
    assert bare().venue_symbol(name) == symbol
