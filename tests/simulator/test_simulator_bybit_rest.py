"""The simulated Bybit's REST interface."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import trio
from simulator_bybit import KINDS, SYMBOLS, subscribed, venue
from simulator_peer import START_NS
from trio.testing import MockClock

from multilogger.simulator.bybit.venue import BybitBase
from multilogger.simulator.rest import Request

NAMES = sorted(KINDS)


def resting(name: str = "bybit") -> BybitBase:
    """Return a market whose clock stands still."""
    return venue(name, lambda: START_NS)


def ask(market: BybitBase, path: str, **query: str) -> Any:
    """Return the decoded answer to a request of the market's own category."""
    asked = Request(f"/v5/market/{path}", {"category": market.category, **query}, {})
    return json.loads(market.answer(asked).body)


def listed(market: BybitBase, **query: str) -> tuple[dict[str, Any], str | None]:
    """Return a page of the listing by symbol, and the cursor of the next one."""
    result = ask(market, "instruments-info", **query)["result"]
    return {entry["symbol"]: entry for entry in result["list"]}, result.get("nextPageCursor")


def test_the_listing_of_spot_is_in_one_piece() -> None:
    """Whatever limit is asked for."""
    entries, cursor = listed(resting(), limit="3")
    assert (len(entries), cursor) == (11, None)
    assert entries["XYOUSDT"]["status"] == "Closed"
    pair = entries["LINKUSDT"]
    assert (pair["baseCoin"], pair["quoteCoin"], pair["priceFilter"]["tickSize"]) == ("LINK", "USDT", "0.005")
    assert pair["lotSizeFilter"]["minOrderQty"] == "0.0001"
    assert list(listed(resting(), symbol="BTCUSDT")[0]) == ["BTCUSDT"]


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("name", ["bybit_linear", "bybit_inverse"])
def test_the_listing_of_contracts_has_pages(name: str, quoted: bool) -> None:
    """They follow each other by a cursor, whether that was quoted once more to ask for them or not."""
    market, found, cursor = resting(name), list[str](), ""
    while True:
        entries, following = listed(market, limit="4", cursor=cursor if quoted else unquote(cursor))
        assert len(entries) <= 4
        found += entries
        if not following:
            break
        cursor = following
        assert cursor.startswith("first%3D")
    assert found == sorted(it.symbol for it in market.instruments if it.online)
    assert list(listed(market, status="PreLaunch")[0]) == [f"XYO{SYMBOLS[name][3:]}"]
    assert listed(market, status="Closed") == ({}, "")


def test_contracts_tell_their_kind() -> None:
    """Futures have a time of delivery, inverse contracts settle in their base."""
    entries, _ = listed(resting("bybit_inverse"))
    future = entries["LINKUSDZ31"]
    assert (future["contractType"], future["settleCoin"]) == ("InverseFutures", "LINK")
    assert future["deliveryTime"] == "1956038400000"
    assert (entries["BTCUSD"]["contractType"], entries["BTCUSD"]["deliveryTime"]) == ("InversePerpetual", "0")
    linear, _ = listed(resting("bybit_linear"))
    assert {it["contractType"] for it in linear.values()} == {"LinearPerpetual", "LinearFutures"}
    (new,) = listed(resting("bybit_linear"), status="PreLaunch")[0].values()
    assert (new["status"], new["preListingInfo"]["curAuctionPhase"]) == ("PreLaunch", "CallAuction")


@pytest.mark.parametrize(
    ("name", "usual", "most"), [("bybit", 60, 60), ("bybit_linear", 500, 1000), ("bybit_inverse", 500, 1000)]
)
def test_recent_trades(name: str, usual: int, most: int) -> None:
    """The newest come first; there is a limit to them."""
    market, symbol = resting(name), SYMBOLS[name]
    market.market.step(2, 8000)
    newest = market.market.markets[symbol].recent[-1]
    assert len(ask(market, "recent-trade", symbol=symbol)["result"]["list"]) == usual
    trades = ask(market, "recent-trade", symbol=symbol, limit="5000")["result"]["list"]
    assert len(trades) == most
    assert trades[0]["execId"] == market.trade_name(symbol, newest)
    assert (trades[0]["price"], trades[0]["size"]) == (newest.price, newest.size)
    assert trades[0]["side"] == ("Buy" if newest.bought else "Sell")
    two = ask(market, "recent-trade", symbol=symbol, limit="2")["result"]["list"]
    assert two == trades[:2]


async def test_the_ledger_has_all_recent_trades(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What was traded before anybody subscribed can be had too: the ledger knows that nobody was sent it."""
    market = venue()
    market.enter_all = True
    market.step(300)
    await subscribed(nursery, market, "publicTrade.BTCUSDT")
    market.step(40)
    given = ask(market, "recent-trade", symbol="BTCUSDT")["result"]["list"]
    entered = [market.ledger.rows(table) for table in ("UNSENT", "TRADES")]
    of_symbol = [rows[rows["symbol"] == b"BTCUSDT"]["trade_id"] for rows in entered]
    assert all(ids.size for ids in of_symbol)
    assert [int(trade["execId"]) for trade in given[::-1]] == np.concatenate(of_symbol)[-60:].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_errors_come_with_status_200(name: str) -> None:
    """They have a code of their own."""
    market = resting(name)
    for query in ({"symbol": "NOPE"}, {}, {"symbol": SYMBOLS[name], "limit": "x"}, {"category": "option"}):
        answer = ask(market, "recent-trade", **query)
        assert (answer["retCode"], answer["result"]) == (10001, {})
        assert answer["retMsg"].startswith("params error")
    good = ask(market, "time")
    assert (good["retCode"], good["retMsg"]) == (0, "OK")
    assert good["result"]["timeSecond"] == "1795341600"
    assert market.answer(Request("/v5/market/nothing", {}, {})).status == 404


async def test_who_asks_too_often_is_shut_out(autojump_clock: MockClock) -> None:
    """600 requests in five seconds are allowed; more bring ten minutes of 403, and no word of how long."""
    market = venue()
    asked = Request("/v5/market/time", {}, {})
    assert {(await market.reply(asked)).status for _ in range(600)} == {200}
    refused = await market.reply(asked)
    assert (refused.status, refused.headers) == (403, ())
    assert json.loads(refused.body)["retCode"] == 10006
    await trio.sleep(599)
    assert (await market.reply(asked)).status == 403
    assert len(market.violations) == 2
    await trio.sleep(601)
    assert (await market.reply(asked)).status == 200


def test_connects() -> None:
    """500 in five minutes."""
    assert str(resting().make_rules().connects) == "500 in 300 s"
