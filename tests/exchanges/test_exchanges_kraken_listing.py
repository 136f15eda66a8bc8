"""Kraken's pairs: what REST calls otherwise, what has no name on WebSocket, what two pairs would share."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from exchanges_kraken import Rest, served
from structlog.testing import capture_logs

from multilogger.errors import FrameError, ListingError, RateLimited, RestError
from multilogger.exchanges.kraken.exchange import Kraken, KrakenConfig
from multilogger.symbols.instruments import QuoteType, SymbolInfo

URL = "https://api.kraken.com/0/public/AssetPairs"
ROOT = Path(__file__).parents[2]
RECORDINGS = Path(os.environ.get("MULTILOGGER_RECORDINGS", ROOT.parent / "shared" / "recordings"))
TOKENIZED = {"aclass_base": "tokenized_asset"}


def pair(base: str, quote: str, wsname: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return an entry of the listing."""
    named = {} if wsname is None else {"wsname": wsname}
    sizes = {"tick_size": "0.1", "ordermin": "0.00005"}
    return {
        "altname": base + quote,
        **named,
        "base": base,
        "quote": quote,
        **sizes,
        "status": "online",
        **fields,
    }


def listing(pairs: Mapping[str, Any], tokenized: Mapping[str, Any] | None = None) -> Rest:
    """Return a REST side that lists pairs."""
    return Rest(lambda _, query: {"error": [], "result": (tokenized or {}) if query == TOKENIZED else pairs})


BTC = pair("XXBT", "ZUSD", "XBT/USD", altname="XBTUSD")


async def test_kraken_listing() -> None:
    """Pairs have the names of WebSocket version 2, with their steps; both classes of assets are asked for."""
    rest = listing(
        {
            "XXBTZUSD": BTC,
            "XDGXBT": pair("XXDG", "XXBT", "XDG/XBT", status="cancel_only"),
            "NEWUSD": pair("NEW", "ZUSD", "NEW/USD", status="post_only"),
        },
        {"AAPLxUSD": pair("AAPLx", "ZUSD", "AAPLx/USD", aclass_base="tokenized_asset")},
    )
    exchange = served(rest)
    infos = {info.symbol: info for info in await exchange.fetch_symbols()}
    assert rest.asked == [(URL, {}), (URL, TOKENIZED)]
    assert infos["BTC/USD"] == SymbolInfo(
        exchange=exchange.id,
        symbol="BTC/USD",
        normalized="BTC-USD",
        base="BTC",
        quote="USD",
        quote_type=QuoteType.FIAT,
        status="online",
        tick_size=0.1,
        min_size=0.00005,
    )
    doge = infos["DOGE/BTC"]
    assert (doge.normalized, doge.active, doge.status) == ("DOGE-BTC", False, "cancel_only")
    assert doge.quote_type is QuoteType.CRYPTO
    assert infos["NEW/USD"].active
    assert (infos["AAPLx/USD"].normalized, infos["AAPLx/USD"].active) == ("AAPLx-USD", True)


async def test_kraken_listing_without_names_on_websocket() -> None:
    """Such pairs keep their own name, with the assets that it is made of, and are not active."""
    rest = listing(
        {
            "XXBTZUSD": BTC,
            "XXBTZUSD.d": pair("XXBT", "ZUSD", altname="XBTUSD.d"),
            "ODD": pair("FOO", "ZBAR", altname="ODD"),
        }
    )
    exchange = served(rest)
    _, dark, odd = await exchange.fetch_symbols()
    assert (dark.symbol, dark.normalized, dark.active) == ("XBTUSD.d", "XBTUSD.d", False)
    assert (dark.base, dark.quote) == ("BTC", "USD")
    assert (odd.symbol, odd.base, odd.quote) == ("ODD", "FOO", "ZBAR")
    for info in (dark, odd):
        assert exchange.venue_symbol(exchange.normalize_symbol(info.symbol)) == info.symbol


async def test_kraken_listing_with_one_name_for_two() -> None:
    """Of two pairs of one name the one that trades keeps it; the other is listed, and not active."""
    rest = listing(
        {"OLD": pair("FOO", "USD", "FOO/USD", status="cancel_only"), "NEW": pair("FOO", "USD", "FOO/USD")}
    )
    exchange = served(rest)
    infos = {info.symbol: info for info in await exchange.fetch_symbols()}
    assert infos.keys() == {"FOO/USD", "OLD"}
    assert (infos["FOO/USD"].status, infos["OLD"].active) == ("online", False)
    assert [exchange.venue_symbol(it.normalized) for it in infos.values()] == list(infos)


async def test_kraken_listing_with_odd_entries() -> None:
    """Odd entries are left out, and logged as one line."""
    odd: dict[str, Any] = {
        "A": None,
        "B": 5,
        "C": [],
        "D": {},
        "E": {**BTC, "altname": None},
        "F": {**BTC, "status": 7},
    }
    with capture_logs() as logs:
        infos = await served(listing({**odd, "XXBTZUSD": BTC})).fetch_symbols()
    assert [info.symbol for info in infos] == ["BTC/USD"]
    (line,) = logs
    assert (line["event"], line["odd"], line["read"]) == ("listing has odd entries", 6, 1)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({"error": []}, ListingError, "no result"),
        ({"error": "x", "result": {}}, ListingError, "no answer of the documented form"),
        ({"error": [], "result": {"A": 1}}, ListingError, "none of 1 entries"),
        ({"error": ["EService:Unavailable"]}, RestError, "EService:Unavailable"),
        ({"error": ["EGeneral:Too many requests"]}, RateLimited, "EGeneral:Too many requests"),
        ({"error": ["EAPI:Rate limit exceeded"], "result": {}}, RateLimited, "Rate limit exceeded"),
        ({"error": ["EService:Throttled: 1795341600"]}, RateLimited, "Throttled"),
    ],
)
async def test_kraken_rest_errors(body: object, kind: type[RestError], words: str) -> None:
    """Errors come with the status 200; those about the rate make the caller wait."""
    with pytest.raises(kind, match=words) as raised:
        await served(Rest(lambda _url, _query: body)).fetch_symbols()
    assert type(raised.value) is kind
    assert str(raised.value).startswith(URL)
    assert getattr(raised.value, "retry_after_secs", 15.0) == 15.0


def test_kraken_instruments() -> None:
    """The channel's pairs are those of the listing: small numbers with an exponent, statuses alike."""
    exchange = Kraken(KrakenConfig())
    listed = {"symbol": "BTC/USD", "base": "BTC", "quote": "USD", "status": "online", "price_increment": 0.1}
    pairs = [
        {**listed, "qty_min": 1e-08},
        {**listed, "symbol": "ETH/BTC", "status": "delisted"},
        {"symbol": 7},
    ]
    frame = {"channel": "instrument", "type": "update", "data": {"assets": [], "pairs": pairs}}
    with capture_logs() as logs:
        btc, eth = exchange.parse_instruments(json.dumps(frame).encode())
    assert (btc.normalized, btc.tick_size, btc.min_size, btc.active) == ("BTC-USD", 0.1, 1e-8, True)
    assert (eth.active, eth.status, eth.min_size) == (False, "delisted", None)
    assert [line["odd"] for line in logs] == [1]
    assert exchange.parse_instruments(b'{"channel":"instrument","data":{"pairs":[]}}') == []
    assert exchange.parse_instruments(b'{"channel":"heartbeat"}') == []


@pytest.mark.parametrize("data", ["null", "[]", "{}", '{"pairs":{}}'])
def test_kraken_instruments_that_are_none(data: str) -> None:
    """A message of the channel without a list of pairs can't be understood."""
    with pytest.raises(FrameError):
        Kraken(KrakenConfig()).parse_instruments(b'{"channel":"instrument","data":%s}' % data.encode())


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"no recordings at {RECORDINGS}")
@pytest.mark.parametrize("name", ["AssetPairs_20210417.json", "AssetPairs_tokenized.json"])
async def test_kraken_recorded_listings(name: str) -> None:
    """Every recorded pair has a name of its own that leads back; all that WebSocket has are active."""
    body = (RECORDINGS / "kraken/spot/rest" / name).read_bytes()
    exchange = served(Rest(lambda _url, _query: body))
    infos = await exchange.fetch_symbols()
    recorded = json.loads(body)["result"]
    assert len(infos) == len(recorded)
    assert len({info.normalized for info in infos}) == len(infos)
    assert sum(info.active for info in infos) == sum("wsname" in it for it in recorded.values())
    for info in infos:
        assert exchange.normalize_symbol(info.symbol) == info.normalized
        assert exchange.venue_symbol(info.normalized) == info.symbol
        assert not {"XBT", "XDG", "XXBT", "ZUSD"} & {info.base, info.quote}
        if info.active:
            # So does a name without a listing.
            fresh = Kraken(KrakenConfig())
            assert fresh.venue_symbol(fresh.normalize_symbol(info.symbol)) == info.symbol
