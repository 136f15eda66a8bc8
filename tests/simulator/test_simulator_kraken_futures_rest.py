"""The simulated Kraken Futures: REST API, instruments, garbage and limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from simulator_kraken_futures import BTC, ETH, OLD, greeted, kraken_futures, messages, request
from simulator_peer import START_NS, clock
from trio.testing import MockClock

from multilogger.simulator.kraken_futures.messages import uid
from multilogger.simulator.kraken_futures.venue import MOST_CONNECTIONS, KrakenFuturesVenue
from multilogger.simulator.market import Market
from multilogger.simulator.rest import Request, Response

DAY_NS = 86_400 * 10**9


def answered(venue: KrakenFuturesVenue, path: str, **query: str) -> Response:
    """Return the answer to a REST request."""
    return venue.answer(Request(f"/derivatives/api/v3/{path}", query, {}))


def ask(venue: KrakenFuturesVenue, path: str, **query: str) -> Any:
    """Return the answer, decoded."""
    return json.loads(answered(venue, path, **query).body)


def long_traded(days: int = 0) -> KrakenFuturesVenue:
    """Return a venue that has traded a lot, and so long ago."""
    venue = KrakenFuturesVenue(kraken_futures().market, lambda: START_NS + 10**9 + days * DAY_NS)
    venue.market.step(START_NS + 10**9, 600)
    return venue


async def test_the_listing(autojump_clock: MockClock) -> None:
    """All contracts are listed, traded or not, and the indices that they follow."""
    await trio.lowlevel.checkpoint()
    body = ask(kraken_futures(), "instruments")
    assert (body["result"], body["serverTime"]) == ("success", "2026-11-22T10:00:00.123Z")
    listed = {entry["symbol"]: entry for entry in body["instruments"]}
    assert [listed[symbol]["type"] for symbol in (BTC, ETH, OLD)] == [
        "futures_inverse",
        *["flexible_futures"] * 2,
    ]
    assert [listed[symbol]["tradeable"] for symbol in (BTC, ETH, OLD)] == [True, True, False]
    assert listed[ETH]["lastTradingTime"] == "2030-12-27T08:00:00.000Z"
    assert "lastTradingTime" not in listed[BTC]
    assert (listed[BTC]["base"], listed[BTC]["quote"], listed[BTC]["contractSize"]) == ("BTC", "USD", 1)
    assert {entry["type"] for symbol, entry in listed.items() if symbol.startswith("in_")} == {"spot index"}


def test_the_history() -> None:
    """The newest 100 trades come, the newest first, with the values of the stream."""
    venue = long_traded()
    rows = ask(venue, "history", symbol=BTC.lower())["history"]
    newest = venue.market.markets[BTC].recent[-1]
    assert [row["trade_id"] for row in rows] == list(range(newest.trade_id, newest.trade_id - 100, -1))
    first = rows[0]
    assert (first["price"], first["size"]) == (float(newest.price), float(newest.size))
    assert (first["side"], first["type"]) == ("buy" if newest.bought else "sell", "fill")
    assert first["uid"] == uid(newest)


def test_the_history_before_a_time() -> None:
    """``lastTime`` gives the trades before it."""
    venue = long_traded()
    recent = venue.market.markets[BTC].recent
    rows = ask(venue, "history", symbol=BTC, lastTime="2026-11-22T10:00:01.000Z")["history"]
    assert [row["trade_id"] for row in rows] == [
        fill.trade_id for fill in reversed(recent) if fill.time_ns < START_NS // 10**9 * 10**9 + 10**9
    ]


@pytest.mark.parametrize(("days", "count"), [(6, 100), (8, 0)])
def test_the_history_is_of_a_week(days: int, count: int) -> None:
    """Trades older than seven days are gone."""
    assert len(ask(long_traded(days), "history", symbol=BTC)["history"]) == count


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("history", {}, 400),
        ("history", {"symbol": "PF_NOPEUSD"}, 400),
        ("history", {"symbol": BTC, "lastTime": "soon"}, 400),
        ("nothing", {}, 404),
    ],
)
async def test_rest_errors(autojump_clock: MockClock, path: str, query: dict[str, str], status: int) -> None:
    """Errors have a status and say so."""
    await trio.lowlevel.checkpoint()
    venue = kraken_futures()
    answer = answered(venue, path, **query)
    assert answer.status == status
    assert json.loads(answer.body)["result"] == "error"


def test_the_instruments_of_the_demo() -> None:
    """There are inverse and linear ones, perpetual and dated, and one that does not trade."""
    by_symbol = {it.symbol: it for it in KrakenFuturesVenue.instruments}
    assert len(by_symbol) == len(KrakenFuturesVenue.instruments) >= 11
    assert {it.kind for it in by_symbol.values()} == {"perpetual", "future"}
    assert {symbol[:2] for symbol in by_symbol} == {"PI", "PF", "FI", "FF"}
    assert [it.online for it in by_symbol.values()].count(False) == 1
    assert (by_symbol[BTC].settle, by_symbol[BTC].contract_size, by_symbol[BTC].size_decimals) == (
        "BTC",
        "1",
        0,
    )
    assert (by_symbol[ETH].settle, by_symbol[ETH].contract_size) == ("USD", "")
    assert by_symbol[ETH].expiry_ns == 1_924_588_800 * 10**9


def test_instruments_of_a_recording() -> None:
    """A symbol alone says what is listed; one of another form is guessed at."""
    assert KrakenFuturesVenue.instrument_of("FI_XBTUSD_210730").kind == "future"
    assert KrakenFuturesVenue.instrument_of("PF_SOLUSD").settle == "USD"
    assert KrakenFuturesVenue.instrument_of("BTC-USD").kind == "spot"


async def test_garbage_is_no_data(autojump_clock: MockClock) -> None:
    """Nothing of it can be taken for a trade, and who is asked for its product is never misled."""
    await trio.lowlevel.checkpoint()
    venue = kraken_futures()
    good = 0
    for text in venue.garbage():
        try:
            told = json.loads(text)
        except ValueError:
            continue
        good += (
            isinstance(told, dict)
            and told.get("feed") == "trade"
            and isinstance(told["price"], float)
            and told["price"] > 0
            and len(told.get("uid", "")) == 36
        )
    assert good == 0
    trade = next(iter(venue.market.markets.values())).recent[-1]
    assert trade.entered is False
    assert venue.symbol_of(b'{"feed":"trade","product_id":"PI_XBTUSD"}') == BTC
    assert [venue.symbol_of(text) for text in (b"[]", b'{"event":"info"}', b'{"product_id":7}')] == [None] * 3


async def test_too_many_requests_are_noted(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """100 a second are allowed."""
    venue = kraken_futures()
    peer = await greeted(nursery, venue)
    for _ in range(100):
        await peer.send(request("heartbeat"))
    await messages(peer)
    assert venue.violations == []
    await trio.sleep(1.1)
    for _ in range(101):
        await peer.send(request("heartbeat"))
    await peer.ended()
    assert len(venue.violations) == 1


async def test_too_many_connections_are_refused(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """100 at a time are allowed."""
    venue = KrakenFuturesVenue(Market(7, KrakenFuturesVenue.instruments), clock)
    for _ in range(MOST_CONNECTIONS - 1):
        await greeted(nursery, venue)
    outbox = next(iter(venue.connected())).outbox
    assert venue.admit("/ws/v1", outbox) is not None
    await greeted(nursery, venue)
    assert venue.admit("/ws/v1", outbox) is None
    assert [line.partition(": ")[2] for line in venue.violations] == ["more connections than 100"]
