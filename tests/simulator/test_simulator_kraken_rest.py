from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
import trio
from simulator_kraken import kraken
from trio.testing import MockClock

from multilogger.simulator.kraken.spot import KrakenVenue
from multilogger.simulator.rest import Request, Response
from multilogger.simulator.rest_faults import TooManyRequests


def answered(response: Response) -> Any:
    """Return an answer, decoded to the last digit."""
    assert response.status == 200
    return json.loads(response.body, parse_float=Decimal)


def ask(venue: KrakenVenue, path: str, **query: str) -> Any:
    """Return the decoded result of a request."""
    answer = answered(venue.answer(Request(f"/0/public/{path}", query, {})))
    assert answer["error"] == []
    return answer["result"]


def refused(venue: KrakenVenue, path: str, **query: str) -> str:
    """Return the error of a request."""
    (error,) = answered(venue.answer(Request(f"/0/public/{path}", query, {})))["error"]
    return str(error)


def traded() -> tuple[KrakenVenue, list[Any]]:
    """Return a venue, and all trades of its first pair that are none of the skipped ids."""
    venue = kraken()
    for second in range(30):
        venue.market.step(venue.market.markets["BTC/USD"].recent[-1].time_ns + second * 10**9, 50)
    return venue, venue.real(venue.market.markets["BTC/USD"].recent)


def test_pairs_have_the_names_of_old() -> None:
    """REST calls Bitcoin XBT, and puts letters before old codes; it lists no tokenized assets here."""
    venue = kraken()
    pairs = ask(venue, "AssetPairs")
    assert list(pairs) == ["XXBTZUSD", "SHIBUSD", "OLDUSD"]
    btc = pairs["XXBTZUSD"]
    assert (btc["altname"], btc["wsname"], btc["base"], btc["quote"]) == ("XBTUSD", "XBT/USD", "XXBT", "ZUSD")
    assert (btc["tick_size"], btc["ordermin"], btc["status"]) == ("0.1", "0.000001", "online")
    assert pairs["OLDUSD"]["status"] == "cancel_only"
    assert ask(venue, "AssetPairs", aclass_base="tokenized_asset") == {}
    assert list(ask(venue, "AssetPairs", pair="XBTUSD")) == ["XXBTZUSD"]
    assert {it.symbol for it in KrakenVenue.instruments} >= {"BTC/USD", "DOGE/USD"}


def test_trades_are_paged_by_time() -> None:
    """The oldest come first, without those at the time asked for; ``last`` leads to the next page."""
    venue, fills = traded()
    ids, since = dict[int, None](), fills[0].time_ns
    while since < fills[-1].time_ns - 1:
        result = ask(venue, "Trades", pair="XXBTZUSD", since=str(since), count="70")
        assert 0 < len(result["XXBTZUSD"]) <= 70
        ids |= dict.fromkeys(row[-1] for row in result["XXBTZUSD"])
        # The fills of an order share their time, and the page may have had some of them.
        since = int(result["last"]) - 1
    assert list(ids) == [fill.trade_id for fill in fills if fill.time_ns > fills[0].time_ns]
    assert ask(venue, "Trades", pair="XXBTZUSD", since=str(since + 1)) == {
        "XXBTZUSD": [],
        "last": str(since + 1),
    }
    newest = ask(venue, "Trades", pair="XBT/USD")
    assert [row[-1] for row in newest["XXBTZUSD"]] == [fill.trade_id for fill in fills][-1000:]
    price, size, time, side, order, misc, trade_id = newest["XXBTZUSD"][-1]
    last = fills[-1]
    assert (price, size, trade_id, order, misc) == (last.price, last.size, last.trade_id, "m", "")
    assert (int(time * 10**9), side) == (last.time_ns, "b" if last.bought else "s")


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("Trades", {}, "EQuery:Unknown asset pair"),
        ("Trades", {"pair": "NOPE"}, "EQuery:Unknown asset pair"),
        ("Trades", {"pair": "XBTUSD", "since": "x"}, "EGeneral:Invalid arguments"),
        ("Trades", {"pair": "XBTUSD", "count": "1001"}, "EGeneral:Invalid arguments"),
        ("AssetPairs", {"pair": "NOPE"}, "EQuery:Unknown asset pair"),
        ("AssetPairs", {"aclass_base": "forex"}, "EGeneral:Invalid arguments"),
        ("Nothing", {}, "EGeneral:Unknown method"),
    ],
)
def test_errors_come_with_the_status_200(path: str, query: dict[str, str], words: str) -> None:
    """Whatever is wrong is told in the body."""
    assert refused(kraken(), path, **query) == words


async def test_time_and_status(autojump_clock: MockClock) -> None:
    """The exchange tells the time, and that it is on-line."""
    await trio.sleep(5)
    venue = kraken()
    assert ask(venue, "Time") == {"unixtime": 1_795_341_605}
    assert ask(venue, "SystemStatus") == {"status": "online", "timestamp": "2026-11-22T10:00:05.123456Z"}


async def test_too_many_requests(autojump_clock: MockClock) -> None:
    """About one a second is allowed, and some at once; more are refused, which does not say for how long."""
    venue = kraken()
    request = Request("/0/public/AssetPairs", {}, {})
    answers = [answered(await venue.reply(request))["error"] for _ in range(17)]
    assert answers == [[]] * 15 + [["EGeneral:Too many requests"]] * 2
    await trio.sleep(1)
    assert answered(await venue.reply(request))["error"] == []
    assert len(venue.violations) == 2
    await trio.sleep(1)
    venue.inject(TooManyRequests(5, retry_after=3.0))
    refusal = await venue.reply(request)
    assert (refusal.status, dict(refusal.headers)["Retry-After"]) == (429, "3")
