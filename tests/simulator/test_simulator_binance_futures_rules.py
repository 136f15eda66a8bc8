from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from simulator_peer import START_NS, Peer, connect
from test_simulator_binance_futures import BTC, KINDS, usdm, venue_of
from trio.testing import MockClock

from multilogger.simulator.binance.coinm import BinanceCoinmVenue
from multilogger.simulator.binance.futures import FuturesVenue
from multilogger.simulator.binance.usdm import BinanceUsdmVenue
from multilogger.simulator.rest import Request

DAY_NS = 86_400 * 10**9


def subscribe(*streams: str, number: int = 1) -> dict[str, Any]:
    """Return a request."""
    return {"method": "SUBSCRIBE", "params": streams, "id": number}


def ask(venue: FuturesVenue, name: str, **query: str) -> Any:
    """Return the decoded answer to a REST request."""
    return json.loads(venue.answer(Request(f"{venue.api}/{name}", query, {})).body)


async def requests_until_cut(peer: Peer, count: int) -> None:
    """Send requests at once."""
    for number in range(count):
        await peer.send(subscribe("btcusdt@aggTrade", number=number))


async def test_more_than_ten_requests_a_second_end_the_connection(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Ten in a second are fine, again and again; the eleventh is not."""
    venue = usdm()
    peer = await connect(nursery, venue, "/market/stream")
    for _ in range(3):
        await requests_until_cut(peer, 10)
        await trio.sleep(1)
    assert venue.violations == []
    await requests_until_cut(peer, 11)
    assert (await peer.ended())[0] == 1008
    assert len(venue.violations) == 1


async def test_two_hundred_streams_a_connection(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """One more is refused, and the connection goes on."""
    peer = await connect(nursery, usdm(), "/market/stream")
    many = [f"s{number}@aggTrade" for number in range(200)]
    assert await peer.ask(subscribe(*many)) == {"result": None, "id": 1}
    assert (await peer.ask(subscribe("btcusdt@aggTrade", number=2)))["error"]["code"] == 4
    assert await peer.ask(subscribe(many[0], number=3)) == {"result": None, "id": 3}


async def test_a_connection_ends_after_a_day_with_notice(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Pings come every three minutes; the notice comes before the cut at 24 hours."""
    venue = usdm()
    assert (venue.ping_secs, venue.pong_secs, venue.lifetime_secs) == (180.0, 600.0, 86_400)
    venue.lifetime_secs, venue.shutdown_notice_secs = 3600, 60
    peer = await connect(nursery, venue, "/public/stream")
    start = trio.current_time()
    notice = await peer.receive()
    assert (notice["stream"], notice["data"]["e"]) == ("!serverShutdown", "serverShutdown")
    assert trio.current_time() - start == pytest.approx(3540, abs=1)
    await peer.ended()
    assert trio.current_time() - start == pytest.approx(3600, abs=1)


@pytest.mark.parametrize("kind", KINDS)
async def test_garbage(kind: type[FuturesVenue], autojump_clock: MockClock) -> None:
    """Malformed messages are about streams that there are, and each is of its own kind."""
    await trio.lowlevel.checkpoint()
    venue = venue_of(kind)
    garbage = venue.garbage()
    assert len(set(garbage)) == len(garbage) == 11
    assert sum(BTC[kind].encode() in payload for payload in garbage) == 10
    assert venue.symbol_of(garbage[3]) == BTC[kind].upper()


@pytest.mark.parametrize("kind", KINDS)
async def test_rest_listing(kind: type[FuturesVenue], autojump_clock: MockClock) -> None:
    """Each market spells status and contracts in its own way; what does not trade yet has no kind."""
    await trio.lowlevel.checkpoint()
    entries = {entry["symbol"]: entry for entry in ask(venue_of(kind), "exchangeInfo")["symbols"]}
    word = "status" if kind is BinanceUsdmVenue else "contractStatus"
    perpetual = entries[BTC[kind].upper()]
    future = entries[f"{perpetual['pair']}_301227"]
    assert (perpetual["contractType"], perpetual[word]) == ("PERPETUAL", "TRADING")
    assert (future["contractType"], future["deliveryDate"]) == ("CURRENT_QUARTER", 1924588800000)
    assert perpetual.get("contractSize") == (100 if kind is BinanceCoinmVenue else None)
    assert perpetual["marginAsset"] == ("BTC" if kind is BinanceCoinmVenue else "USDT")
    (offline,) = [entry for entry in entries.values() if entry["baseAsset"] == "XYO"]
    assert (offline["contractType"], offline[word]) == ("", "PENDING_TRADING")


@pytest.mark.parametrize("kind", KINDS)
async def test_rest_trades(kind: type[FuturesVenue], autojump_clock: MockClock) -> None:
    """Aggregates rise from ``fromId`` on, or are the newest; single trades only are the newest."""
    await trio.lowlevel.checkpoint()
    venue, symbol = venue_of(kind), BTC[kind].upper()
    venue.market.step(START_NS + 10**9, 3000)
    rows = ask(venue, "aggTrades", symbol=symbol, fromId="510", limit="3")
    assert [row["a"] for row in rows] == [510, 511, 512]
    newest = ask(venue, "aggTrades", symbol=symbol, limit="2")
    assert newest == ask(venue, "aggTrades", symbol=symbol, fromId=str(newest[0]["a"]))
    trades = ask(venue, "trades", symbol=symbol, limit="1000")
    inside = [
        fill.trade_id
        for cascade in venue.market.markets[symbol].cascades
        for fill in venue.past_fills(cascade)
    ]
    assert [row["id"] for row in trades] == inside[-1000:]
    assert len(ask(venue, "trades", symbol=symbol)) == 500


async def test_rest_aggregates_of_a_day(autojump_clock: MockClock) -> None:
    """What is older than a day is not told any more."""
    venue = usdm()
    venue.market.step(START_NS, 100)
    await trio.sleep(86_000)
    venue.market.step(START_NS + 86_000 * 10**9, 100)
    every = ask(venue, "aggTrades", symbol="BTCUSDT", fromId="0", limit="1000")
    await trio.sleep(500)
    left = ask(venue, "aggTrades", symbol="BTCUSDT", fromId="0", limit="1000")
    assert 0 < len(left) < len(every)
    assert left == [row for row in every if row["T"] * 10**6 > START_NS + DAY_NS // 2]
    await trio.sleep(86_400)
    assert ask(venue, "aggTrades", symbol="BTCUSDT") == []


@pytest.mark.parametrize(
    ("name", "query", "code"),
    [
        ("trades", {}, -1102),
        ("trades", {"symbol": "NOPE"}, -1121),
        ("aggTrades", {"symbol": "BTCUSDT", "limit": "x"}, -1100),
        ("aggTrades", {"symbol": "BTCUSDT", "fromId": "x"}, -1100),
        ("historicalTrades", {"symbol": "BTCUSDT"}, -2014),
        ("nothing", {}, -5000),
    ],
)
async def test_rest_errors(autojump_clock: MockClock, name: str, query: dict[str, str], code: int) -> None:
    """Errors carry the exchange's codes; single trades by id want a key."""
    await trio.lowlevel.checkpoint()
    assert ask(usdm(), name, **query)["code"] == code


async def test_rest_times(autojump_clock: MockClock) -> None:
    """The server can be asked for its time, and whether it is there; by its own path alone."""
    await trio.lowlevel.checkpoint()
    venue = usdm()
    assert ask(venue, "ping") == {}
    assert ask(venue, "time") == {"serverTime": START_NS // 10**6}
    assert venue.answer(Request("/dapi/v1/time", {}, {})).status == 404


async def test_rest_weights_and_bans(autojump_clock: MockClock) -> None:
    """Weights add up in the header; above 2400 a minute 429 is the answer, and 418 to who asks on."""
    venue = venue_of(BinanceCoinmVenue)
    used = []
    for name in ("exchangeInfo", "trades", "aggTrades", "ping"):
        answer = await venue.reply(Request(f"/dapi/v1/{name}", {"symbol": "BTCUSD_PERP"}, {}))
        used.append(dict(answer.headers)["X-MBX-USED-WEIGHT-1M"])
    assert used == ["1", "6", "26", "27"]
    pages = Request("/dapi/v1/aggTrades", {"symbol": "BTCUSD_PERP"}, {})
    statuses = [(await venue.reply(pages)).status for _ in range(120)]
    assert statuses == [200] * 118 + [429] * 2
    await trio.sleep(1)
    assert (await venue.reply(pages)).status == 418
    assert venue.violations
