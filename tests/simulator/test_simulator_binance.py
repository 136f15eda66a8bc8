from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
import trio
from simulator_peer import Peer, binance, connect
from trio.testing import MockClock

from multilogger.simulator.binance.spot import BinanceVenue
from multilogger.simulator.rest import Request

BOTH = ["btcusdt@trade", "btcusdt@ticker"]


def subscribe(*streams: str, number: int = 1, method: str = "SUBSCRIBE") -> dict[str, Any]:
    """Return a request."""
    return {"method": method, "params": list(streams), "id": number}


async def subscribed(
    nursery: trio.Nursery, venue: BinanceVenue, *streams: str, path: str = "/stream"
) -> Peer:
    """Return a client whose subscription is acknowledged."""
    peer = await connect(nursery, venue, path)
    assert await peer.ask(subscribe(*streams)) == {"result": None, "id": 1}
    return peer


async def data(peer: Peer) -> list[Any]:
    """Return the payloads that have come, checking their stream names."""
    messages = [json.loads(text) for text in await peer.gathered()]
    assert all(m["stream"].startswith(m["data"].get("s", "!").lower()) for m in messages)
    return [m["data"] for m in messages]


async def test_streams_are_acknowledged_and_listed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Requests are answered by their id, and what is subscribed can be listed."""
    peer = await subscribed(nursery, binance(), *BOTH)
    answer = await peer.ask(subscribe("btcusdt@trade", number=2, method="UNSUBSCRIBE"))
    assert answer == {"result": None, "id": 2}
    answer = await peer.ask({"method": "LIST_SUBSCRIPTIONS", "id": 3})
    assert answer == {"result": ["btcusdt@ticker"], "id": 3}


@pytest.mark.parametrize("stream", ["BTCUSDT@trade", "zzzusdt@trade", "btcusdt@weather", "nonsense"])
async def test_unknown_streams_are_acknowledged_and_silent(
    nursery: trio.Nursery, autojump_clock: MockClock, stream: str
) -> None:
    """A stream that does not exist, or is spelled in upper case, never says anything."""
    venue = binance()
    peer = await subscribed(nursery, venue, stream)
    venue.step(50)
    venue.every_second()
    assert await peer.gathered() == []
    assert venue.ledger.counts == {"TRADES": 0, "MD": 0}


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("{", 3),
        ({"method": "HELLO", "id": 1}, 2),
        ([], 2),
        (subscribe(1, number=1), 2),  # type: ignore[arg-type]  # that is the fault
        ({"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1}, 1),
        ({"method": "SET_PROPERTY", "params": ["colour", True], "id": 1}, 0),
        (subscribe(*(f"s{n}@trade" for n in range(1025))), 4),
    ],
)
async def test_bad_requests_have_codes(
    nursery: trio.Nursery, autojump_clock: MockClock, request_: Any, code: int
) -> None:
    """Errors come with the exchange's code, and the connection goes on."""
    peer = await connect(nursery, binance(), "/stream")
    assert (await peer.ask(request_))["error"]["code"] == code
    assert await peer.ask(subscribe("btcusdt@trade", number=9)) == {"result": None, "id": 9}


async def test_the_ledger_is_what_was_sent(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Row by row the ledger says what the messages say; a ticker's side is that of the last trade sent."""
    venue = binance()
    peer = await subscribed(nursery, venue, *BOTH)
    messages = []
    for _ in range(5):
        venue.step(20)
        venue.every_second()
        await trio.sleep(1)
    messages = await data(peer)
    trades = [m for m in messages if m["e"] == "trade"]
    assert [m["t"] for m in trades] == list(range(trades[0]["t"], trades[-1]["t"] + 1))
    for row, m in zip(venue.ledger.rows("TRADES"), trades, strict=True):
        assert (row["trade_id"], row["price"], row["size"]) == (m["t"], float(m["p"]), float(m["q"]))
        assert (row["time_ns"], row["side"]) == (m["T"] * 1_000_000, 0 if m["m"] else 1)
        assert row["maker_order_id"].tobytes() == bytes(16)
    tickers = [(n, m) for n, m in enumerate(messages) if m["e"] == "24hrTicker"]
    assert len(tickers) == 5
    for row, (n, m) in zip(venue.ledger.rows("MD"), tickers, strict=True):
        last = next(t for t in reversed(messages[:n]) if t["e"] == "trade")
        assert row["side"] == (0 if last["m"] else 1)
        assert row["time_ns"] == m["E"] * 1_000_000
        got = [row[name] for name in ("price", "volume", "best_bid", "best_ask")]
        assert got == [float(m[name]) for name in ("c", "Q", "b", "a")]


async def test_a_ticker_comes_only_after_a_change(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Without a trade since the last ticker there is none."""
    venue = binance()
    peer = await subscribed(nursery, venue, "btcusdt@ticker")
    venue.every_second()
    venue.every_second()
    assert len(await data(peer)) == 1


async def test_without_trades_the_tick_rule_decides(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Who gets tickers only knows no side before the price moves; then up is a buy, down a sell."""
    venue = binance()
    peer = await subscribed(nursery, venue, "btcusdt@ticker")
    for _ in range(8):
        venue.every_second()
        venue.step(30)
        await trio.sleep(1)
    prices = [float(m["c"]) for m in await data(peer)]
    side: int | None = None
    expected = []
    for before, after in pairwise(prices):
        side = side if before == after else int(after > before)
        expected += [] if side is None else [side]
    assert len(expected) >= 5
    assert venue.ledger.rows("MD")["side"].tolist() == expected


async def test_aggregates_are_rows_of_their_own_ids(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Aggregate trades are entered with id, price and summed size as sent."""
    venue = binance()
    peer = await subscribed(nursery, venue, "btcusdt@aggTrade")
    venue.step(100)
    messages = await data(peer)
    rows = venue.ledger.rows("TRADES")
    assert rows["trade_id"].tolist() == [m["a"] for m in messages]
    assert rows["size"].tolist() == [float(m["q"]) for m in messages]
    assert all(b["f"] == a["l"] + 1 for a, b in pairwise(messages))
    assert any(m["f"] != m["l"] for m in messages)


async def test_who_comes_back_gets_tickers_after_a_trade(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """What a client remembers of an earlier connection is its own affair: its tickers wait for a trade."""
    venue = binance()
    first = await subscribed(nursery, venue, *BOTH)
    venue.step(20)
    await first.ws.aclose()
    second = await subscribed(nursery, venue, *BOTH)
    venue.every_second()
    assert await data(second) == []
    venue.step(20)
    venue.every_second()
    assert [m["e"] for m in await data(second)][-1] == "24hrTicker"
    assert venue.ledger.counts["MD"] == 1


async def test_book_tickers_have_no_time(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A bookTicker has neither type nor time, and becomes a row once a trade was sent."""
    venue = binance()
    peer = await subscribed(nursery, venue, "btcusdt@bookTicker")
    venue.step(20)
    messages = await data(peer)
    assert messages
    assert all(set(m) == {"u", "s", "b", "B", "a", "A"} for m in messages)
    assert venue.ledger.counts["MD"] == 0
    await peer.ask(subscribe("btcusdt@trade", number=2))
    venue.step(20)
    quotes = [m for m in await data(peer) if "e" not in m]
    rows = venue.ledger.rows("MD")
    assert rows["best_bid"].tolist() == [float(m["b"]) for m in quotes]
    assert (rows["time_ns"] < 0).all()


async def test_raw_streams_and_microseconds(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """``/ws`` sends events bare; ``timeUnit=MICROSECOND`` multiplies times; both say the same trade."""
    venue = binance()
    raw = await connect(nursery, venue, "/ws/btcusdt@trade")
    fine = await connect(nursery, venue, "/stream?streams=btcusdt@trade/ethusdt@trade&timeUnit=MICROSECOND")
    venue.step(10)
    bare = [json.loads(text) for text in await raw.gathered()]
    wrapped = [m for m in await data(fine) if m["s"] == "BTCUSDT"]
    assert bare
    assert [m["T"] * 1000 for m in bare] == [m["T"] for m in wrapped]
    assert len(venue.ledger.rows("TRADES")) == venue.sent_messages - len(bare)


async def test_more_than_five_requests_a_second_end_the_connection(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Five in a second are fine, again and again; the sixth is not."""
    peer = await connect(nursery, binance(), "/stream")
    for _ in range(3):
        for number in range(5):
            await peer.ask(subscribe("btcusdt@trade", number=number))
        await trio.sleep(1)
    for number in range(6):
        await peer.send(subscribe("btcusdt@trade", number=number))
    assert (await peer.ended())[0] == 1008


async def test_the_connection_ends_after_a_day_with_notice(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """At the end of its life, 24 hours, the connection is cut; the shutdown notice may come before."""
    venue = binance()
    assert venue.lifetime_secs == 86_400
    venue.lifetime_secs = 3600  # A day of pings takes seconds to test.
    venue.shutdown_notice_secs = 60
    peer = await subscribed(nursery, venue, "ethusdt@trade")
    start = trio.current_time()
    notice = await peer.receive()
    assert (notice["stream"], notice["data"]["e"]) == ("!serverShutdown", "serverShutdown")
    assert trio.current_time() - start == pytest.approx(3600 - 60, abs=1)
    await peer.ended()
    assert trio.current_time() - start == pytest.approx(3600, abs=1)


async def test_unknown_paths_are_refused(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """There is nothing but ``/ws`` and ``/stream``."""
    venue = binance()
    with trio.move_on_after(30):
        await connect(nursery, venue, "/stream")
    assert venue.admit("/elsewhere", next(iter(venue.connected())).outbox) is None


def ask(venue: BinanceVenue, path: str, **query: str) -> Any:
    """Return the decoded answer to a REST request."""
    return json.loads(venue.answer(Request(f"/api/v3/{path}", query, {})).body)


def test_rest_pages_rise_from_an_id() -> None:
    """Historical trades and aggregates are ascending from ``fromId`` on, inclusive."""
    venue = BinanceVenue(binance().market, lambda: 1)
    venue.market.step(2, 300)
    rows = ask(venue, "historicalTrades", symbol="BTCUSDT", fromId="1010", limit="5")
    assert [row["id"] for row in rows] == [1010, 1011, 1012, 1013, 1014]
    rows = ask(venue, "aggTrades", symbol="BTCUSDT", fromId="510", limit="3")
    assert [row["a"] for row in rows] == [510, 511, 512]
    newest = venue.market.markets["BTCUSDT"].recent[-1].trade_id
    assert [row["id"] for row in ask(venue, "trades", symbol="BTCUSDT", limit="2")] == [newest - 1, newest]


def test_rest_errors_and_listing() -> None:
    """Errors carry the exchange's codes; the listing tells status, tick and minimum."""
    venue = BinanceVenue(binance().market, lambda: 1)
    assert ask(venue, "trades", symbol="NOPE")["code"] == -1121
    assert ask(venue, "trades")["code"] == -1102
    assert ask(venue, "trades", symbol="BTCUSDT", limit="x")["code"] == -1100
    rows = {row["symbol"]: row for row in ask(venue, "exchangeInfo")["symbols"]}
    assert rows["OLDUSDT"]["status"] == "BREAK"
    filters = {entry["filterType"]: entry for entry in rows["BTCUSDT"]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01"
    assert venue.answer(Request("/api/v3/nothing", {}, {})).status == 404


async def test_rest_tells_the_weight_of_the_last_minute(autojump_clock: MockClock) -> None:
    """Weights add up, request by request, and are forgotten after a minute."""
    venue = binance()
    used = []
    for path, wait in (("exchangeInfo", 0), ("trades", 30), ("time", 31), ("nothing", 0)):
        await trio.sleep(wait)
        answer = await venue.reply(Request(f"/api/v3/{path}", {}, {}))
        used.append(dict(answer.headers)["X-MBX-USED-WEIGHT-1M"])
    assert used == ["20", "45", "26", "27"]
    assert not venue.rules.violations
