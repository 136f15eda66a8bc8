"""The REST side of the simulated OKX."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from simulator_okx import okx
from simulator_peer import clock
from trio.testing import MockClock

from multilogger.simulator.okx.venue import OkxVenue
from multilogger.simulator.rest import Request

PUBLIC = "/api/v5/public/"
MARKET = "/api/v5/market/"


def ask(venue: OkxVenue, path: str, **query: str) -> Any:
    """Return the data of an answer."""
    response = venue.answer(Request(path, query, {}))
    body = json.loads(response.body)
    assert (response.status, body["code"], body["msg"]) == (200, "0", "")
    return body["data"]


def ids(page: list[dict[str, str]]) -> list[int]:
    """Return the trade ids of a page."""
    return [int(it["tradeId"]) for it in page]


async def test_instruments_by_type(autojump_clock: MockClock) -> None:
    """Each type is listed on its own, with its terms in text, empty where there are none."""
    await trio.lowlevel.checkpoint()
    venue = okx()
    spot = ask(venue, f"{PUBLIC}instruments", instType="SPOT")
    assert [(it["instId"], it["state"]) for it in spot] == [
        ("BTC-USDT", "live"),
        ("ETH-USDT", "live"),
        ("XYO-USDT", "suspend"),
    ]
    assert (spot[0]["baseCcy"], spot[0]["quoteCcy"], spot[0]["ctVal"], spot[0]["uly"]) == (
        "BTC",
        "USDT",
        "",
        "",
    )
    (swap,) = ask(venue, f"{PUBLIC}instruments", instType="SWAP")
    assert (swap["baseCcy"], swap["settleCcy"], swap["ctVal"], swap["ctValCcy"]) == (
        "",
        "USDT",
        "0.01",
        "BTC",
    )
    assert (swap["ctType"], swap["expTime"], swap["instFamily"]) == ("linear", "", "BTC-USDT")
    (future,) = ask(venue, f"{PUBLIC}instruments", instType="FUTURES")
    assert (future["ctType"], future["ctValCcy"], future["settleCcy"]) == ("inverse", "USD", "BTC")
    assert future["expTime"] == "1956038400000"
    (one,) = ask(venue, f"{PUBLIC}instruments", instType="SPOT", instId="ETH-USDT")
    assert one["tickSz"] == "0.01"


async def test_options_by_underlying(autojump_clock: MockClock) -> None:
    """Options are listed by underlying, which can be asked for."""
    await trio.lowlevel.checkpoint()
    venue = okx()
    venue.market.enlist(OkxVenue.instrument_of("BTC-USD-311226-50000-C"))
    assert ask(venue, f"{PUBLIC}underlying", instType="OPTION") == [["BTC-USD"]]
    for name in ("uly", "instFamily"):
        (option,) = ask(venue, f"{PUBLIC}instruments", instType="OPTION", **{name: "BTC-USD"})
        assert (option["instId"], option["stk"], option["optType"]) == (
            "BTC-USD-311226-50000-C",
            "50000",
            "C",
        )
    assert ask(venue, f"{PUBLIC}instruments", instType="OPTION", uly="ETH-USD") == []


async def test_history_is_paged_by_id(autojump_clock: MockClock) -> None:
    """Pages have single fills, the newest first, below an id; ``before`` gives the newest page, as a trap."""
    await trio.lowlevel.checkpoint()
    venue = okx()
    venue.step(1000)
    newest = venue.market.markets["BTC-USDT"].recent[-1].trade_id
    first = ask(venue, f"{MARKET}history-trades", instId="BTC-USDT")
    assert ids(first) == list(range(newest, newest - 100, -1))
    below = ask(venue, f"{MARKET}history-trades", instId="BTC-USDT", type="1", after="1050", limit="30")
    assert ids(below) == list(range(1049, 1019, -1))
    trap = ask(venue, f"{MARKET}history-trades", instId="BTC-USDT", before="1010", limit="5")
    assert ids(trap) == list(range(newest, newest - 5, -1))
    assert ids(ask(venue, f"{MARKET}history-trades", instId="BTC-USDT", after="1000")) == []
    fill = venue.market.markets["BTC-USDT"].span(1049, 1050)[0]
    assert below[0] == {
        "instId": "BTC-USDT",
        "side": "buy" if fill.bought else "sell",
        "sz": fill.size,
        "source": "0",
        "px": fill.price,
        "tradeId": "1049",
        "ts": str(fill.time_ns // 1_000_000),
    }


async def test_history_is_paged_by_time(autojump_clock: MockClock) -> None:
    """Pages may be asked for before a time, too."""
    venue = okx()
    for _ in range(20):
        venue.step(20)
        await trio.sleep(1)
    fills = venue.market.markets["BTC-USDT"].recent
    middle_ms = fills[len(fills) // 2].time_ns // 1_000_000
    page = ask(venue, f"{MARKET}history-trades", instId="BTC-USDT", type="2", after=str(middle_ms))
    earlier = [it.trade_id for it in fills if it.time_ns // 1_000_000 < middle_ms]
    assert ids(page) == earlier[:-101:-1]


async def test_newest_trades(autojump_clock: MockClock) -> None:
    """The newest trades are up to 500, and as many as asked for."""
    await trio.lowlevel.checkpoint()
    venue = okx()
    venue.step(3000)
    newest = venue.market.markets["BTC-USDT"].recent[-1].trade_id
    for limit, expected in ((None, 100), ("7", 7), ("1000", 500)):
        query = {"limit": limit} if limit else {}
        page = ask(venue, f"{MARKET}trades", instId="BTC-USDT", **query)
        assert ids(page) == list(range(newest, newest - expected, -1))


async def test_time(autojump_clock: MockClock) -> None:
    """The exchange tells its time."""
    await trio.lowlevel.checkpoint()
    assert ask(okx(), f"{PUBLIC}time") == [{"ts": str(clock() // 1_000_000)}]


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("instruments", {}, 400, "50014"),
        ("instruments", {"instType": "BOND"}, 400, "51000"),
        ("instruments", {"instType": "OPTION"}, 400, "50015"),
        ("underlying", {"instType": "SPOT"}, 400, "51000"),
        ("underlying", {}, 400, "50014"),
        ("weather", {}, 404, "50002"),
    ],
)
async def test_errors_of_public_data(
    autojump_clock: MockClock, path: str, query: dict[str, str], status: int, code: str
) -> None:
    """What can't be answered is refused with the exchange's code."""
    await trio.lowlevel.checkpoint()
    response = okx().answer(Request(PUBLIC + path, query, {}))
    assert (response.status, json.loads(response.body)["code"]) == (status, code)


@pytest.mark.parametrize("path", ["trades", "history-trades"])
@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 400, "50014"),
        ({"instId": "NO-USDT"}, 200, "51001"),
        ({"instId": "BTC-USDT", "limit": "many"}, 400, "51000"),
    ],
)
async def test_errors_of_trades(
    autojump_clock: MockClock, path: str, query: dict[str, str], status: int, code: str
) -> None:
    """Trades of nothing, or so many of them, can't be asked for."""
    await trio.lowlevel.checkpoint()
    response = okx().answer(Request(MARKET + path, query, {}))
    assert (response.status, json.loads(response.body)["code"]) == (status, code)


async def test_too_many_requests(autojump_clock: MockClock) -> None:
    """More than 20 requests in 2 s are refused in OKX's own words; that for the newest trades weighs less."""
    venue = okx()
    history = Request(f"{MARKET}history-trades", {"instId": "BTC-USDT"}, {})
    assert [(await venue.reply(history)).status for _ in range(21)] == [200] * 20 + [429]
    refusal = await venue.reply(history)
    assert json.loads(refusal.body) == {"code": "50011", "msg": "Too Many Requests", "data": []}
    await trio.sleep(2)
    newest = Request(f"{MARKET}trades", {"instId": "BTC-USDT"}, {})
    assert {(await venue.reply(newest)).status for _ in range(100)} == {200}
    assert (await venue.reply(newest)).status == 429
