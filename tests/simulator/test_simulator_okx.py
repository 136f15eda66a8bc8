"""The simulated OKX: requests and their answers, limits, pings, notices, and what comes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from simulator_okx import BOTH, args, data, okx, subscribe, subscribed
from simulator_peer import connect
from trio.testing import MockClock
from trio_websocket import ConnectionRejected

from multilogger.simulator.okx.venue import OkxVenue


def told(rows: Any) -> list[tuple[int, int, float, float, int]]:
    """Return the trades of a ledger: id, milliseconds, price, size, side."""
    return [
        (int(it["trade_id"]), int(it["time_ns"]) // 1_000_000, it["price"], it["size"], int(it["side"]))
        for it in rows
    ]


def said(entries: list[Any]) -> list[tuple[int, int, float, float, int]]:
    """Return the trades that pushes tell."""
    return [
        (int(it["tradeId"]), int(it["ts"]), float(it["px"]), float(it["sz"]), int(it["side"] == "buy"))
        for it in entries
    ]


async def test_each_argument_is_acknowledged(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Each argument is answered on its own, under the request's id if it has one."""
    peer = await connect(nursery, okx(), "/ws/v5/public")
    await peer.send(subscribe(*BOTH))
    first, second = await peer.receive(), await peer.receive()
    assert first == {"id": "1", "event": "subscribe", "arg": BOTH[0], "connId": first["connId"]}
    assert second["arg"] == BOTH[1]
    await peer.gathered()
    without = {"op": "unsubscribe", "args": BOTH[:1]}
    answer = await peer.ask(without)
    assert answer == {"event": "unsubscribe", "arg": BOTH[0], "connId": first["connId"]}


@pytest.mark.parametrize(
    ("path", "channel", "symbol"),
    [
        ("/ws/v5/public", "trades", "NO-USDT"),
        ("/ws/v5/public", "weather", "BTC-USDT"),
        ("/ws/v5/public", "trades-all", "BTC-USDT"),
        ("/ws/v5/business", "trades", "BTC-USDT"),
        ("/ws/v5/business", "tickers", "BTC-USDT"),
    ],
)
async def test_refusals_name_the_argument(
    nursery: trio.Nursery, autojump_clock: MockClock, path: str, channel: str, symbol: str
) -> None:
    """What does not exist, or not on this path, is refused in words that name it."""
    peer = await connect(nursery, okx(), path)
    answer = await peer.ask(subscribe(*args(channel, symbol)))
    assert (answer["id"], answer["event"], answer["code"]) == ("1", "error", "60018")
    assert f"channel:{channel},instId:{symbol} doesn't exist" in answer["msg"]


@pytest.mark.parametrize("whole", [True, False])
async def test_one_bad_argument_among_others(
    nursery: trio.Nursery, autojump_clock: MockClock, whole: bool
) -> None:
    """The good ones beside a bad one are acknowledged, or void with it: either may be tried."""
    venue = okx()
    venue.refuses_whole = whole
    peer = await connect(nursery, venue, "/ws/v5/public")
    await peer.send(subscribe(*args("tickers", "NO-USDT", "BTC-USDT")))
    answers = [json.loads(text) for text in await peer.gathered()]
    events = [it["event"] for it in answers if "event" in it]
    assert events == (["error"] if whole else ["error", "subscribe"])
    assert bool(venue.subscribers.get("tickers:BTC-USDT")) is not whole


@pytest.mark.parametrize(
    "request_",
    ["{", "[]", {"op": "hello", "args": BOTH}, {"op": "subscribe"}, subscribe(), subscribe({"channel": 7})],
)
async def test_bad_requests(nursery: trio.Nursery, autojump_clock: MockClock, request_: Any) -> None:
    """What is no request is quoted in an error, and the connection goes on."""
    peer = await connect(nursery, okx(), "/ws/v5/public")
    answer = await peer.ask(request_)
    assert (answer["event"], answer["code"]) == ("error", "60012")
    assert answer["msg"].startswith("Invalid request: ")
    assert (await peer.ask(subscribe(BOTH[0])))["event"] == "subscribe"


async def test_other_paths(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Only the two paths are served."""
    with pytest.RaisesGroup(ConnectionRejected, flatten_subgroups=True):
        async with trio.open_nursery() as inner:
            await connect(inner, okx(), "/ws/v5/private")


async def test_pings_in_bare_text(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A ping is answered in bare text, and keeps a connection to which nothing is sent."""
    peer = await connect(nursery, okx(), "/ws/v5/public")
    for _ in range(5):
        await trio.sleep(20)
        await peer.send("ping")
        assert await peer.ws.get_message() == "pong"
    start = trio.current_time()
    assert await peer.ended() == (4004, "No data received in 30s.")
    assert trio.current_time() - start == pytest.approx(30, abs=0.1)


async def test_a_stall_is_not_taken_for_idleness(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """While the exchange sends nothing to anybody it hangs up on nobody, and for 30 s after that."""
    venue = okx()
    peer = await subscribed(nursery, venue, *BOTH)
    venue.stalled_until = trio.current_time() + 100
    assert (await peer.ended())[0] == 4004
    assert trio.current_time() == pytest.approx(130, abs=1)


async def test_480_requests_an_hour(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """More requests of a connection are refused, and noted; pings are none, and others are free."""
    venue = okx()
    peer = await connect(nursery, venue, "/ws/v5/business")
    for _ in range(241):
        for op in ("subscribe", "unsubscribe"):
            await peer.send({"op": op, "args": args("candle1m", "BTC-USDT")})
            await trio.sleep(0.1)
    answers = [json.loads(text) for text in await peer.gathered()]
    assert [it.get("code") for it in answers].count("60014") == 2
    assert len(venue.violations) == 2
    await peer.send("ping")
    assert await peer.ws.get_message() == "pong"
    other = await connect(nursery, venue, "/ws/v5/business")
    assert (await other.ask(subscribe(*args("trades-all", "ETH-USDT"))))["event"] == "subscribe"


async def test_requests_of_more_than_64_kilobytes(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A larger request ends the connection."""
    peer = await connect(nursery, okx(), "/ws/v5/public")
    await peer.send(subscribe(*args("trades", *(f"COIN{number}-USDT" for number in range(1500)))))
    assert await peer.ended() == (1009, "frame too big")


async def test_a_cut_is_announced(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Before a cut all clients of both paths are told."""
    venue = okx()
    peers = [await connect(nursery, venue, f"/ws/v5/{path}") for path in ("public", "business")]
    venue.announce_shutdown()
    for peer in peers:
        notice = await peer.receive()
        assert (notice["event"], notice["code"]) == ("notice", "64008")


async def test_the_last_trade_and_ticker_come_at_subscribe(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """After the acknowledgements come the last merged trade and the current ticker, with its side."""
    venue = okx()
    peer = await connect(nursery, venue, "/ws/v5/public")
    await peer.send(subscribe(*BOTH))
    messages = [json.loads(text) for text in await peer.gathered()]
    assert ["event" in it for it in messages] == [True, True, False, False]
    (trade,), (ticker,) = (it["data"] for it in messages[2:])
    last = venue.market.markets["BTC-USDT"].cascades[-1].last
    assert (trade["tradeId"], ticker["last"]) == (str(last.trade_id), last.price)
    assert told(venue.ledger.rows("TRADES")) == said([trade])
    [row] = venue.ledger.rows("MD")
    assert row["side"] == last.bought
    assert row["time_ns"] == int(ticker["ts"]) * 1_000_000


async def test_merged_trades_and_their_fills(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Fills of one order at one price are one trade with the last id; the ledger has it and its fills."""
    venue = okx()
    peer = await subscribed(nursery, venue, *BOTH[:1])
    venue.step(200)
    trades = await data(peer, "trades")
    assert any(it["count"] != "1" for it in trades)
    last = int(trades[0]["tradeId"])
    for it in trades[1:]:
        last += int(it["count"])
        assert int(it["tradeId"]) == last
    rows = venue.ledger.rows("TRADES")
    assert told(rows)[1:] == said(trades)[1:]
    fills = venue.ledger.rows("FILLS")
    recent = {fill.trade_id: fill for fill in venue.market.markets["BTC-USDT"].recent}
    for it in trades[1:]:
        own = fills[fills["merged_id"] == int(it["tradeId"])]
        assert len(own) == (0 if it["count"] == "1" else int(it["count"]))
        assert sum(own["size"]) == pytest.approx(float(it["sz"]) if len(own) else 0)
        assert all(float(recent[int(fill["trade_id"])].size) == fill["size"] for fill in own)


async def test_all_trades_have_every_fill(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """On the business path each fill comes alone, without a count."""
    venue = okx()
    peer = await subscribed(nursery, venue, *args("trades-all", "BTC-USDT"), path="/ws/v5/business")
    venue.step(100)
    trades = await data(peer, "trades-all")
    assert [int(it["tradeId"]) for it in trades] == list(
        range(int(trades[0]["tradeId"]), int(trades[-1]["tradeId"]) + 1)
    )
    assert not any("count" in it or "seqId" in it for it in trades)
    assert told(venue.ledger.rows("TRADES")) == said(trades)
    assert len(venue.ledger.rows("FILLS")) == 0


async def test_what_is_made_is_entered_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A ledger of all that can be asked for has each trade once, in the form that was subscribed."""
    venue = okx()
    venue.enter_all = True
    peer = await subscribed(nursery, venue, *BOTH[:1])
    await peer.gathered()
    venue.mute("BTC-USDT", 1e9)
    venue.step(100)
    assert await data(peer, "trades") == []
    ids = venue.ledger.rows("TRADES")["trade_id"]
    assert len(ids) == len(set(ids.tolist())) > 20
    venue.spread_again(venue.market.markets["BTC-USDT"].cascades[-1])
    assert len(venue.ledger.rows("TRADES")) == len(ids)


async def test_garbage_is_no_data(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Malformed messages are about an instrument, and none is a trade that could be."""
    await trio.lowlevel.checkpoint()
    venue = okx()
    for payload in venue.garbage():
        try:
            symbol = venue.symbol_of(payload)
        except ValueError:
            continue
        assert symbol in ("BTC-USDT", None)


def test_what_it_lists() -> None:
    """The demo has spot, perpetuals, a future and one that is off-line; derivatives tell their terms."""
    kinds = [it.kind for it in OkxVenue.instruments if it.online]
    assert (kinds.count("spot"), kinds.count("perpetual"), kinds.count("future")) == (5, 4, 1)
    assert [it.symbol for it in OkxVenue.instruments if not it.online] == ["XYO-USDT"]
    assert all(it.settle and it.contract_size for it in OkxVenue.instruments if it.kind != "spot")


@pytest.mark.parametrize(
    ("symbol", "kind", "settle"),
    [
        ("BTC-USDT", "spot", ""),
        ("XMR-USDT-SWAP", "perpetual", "USDT"),
        ("BTC-USD-SWAP", "perpetual", "BTC"),
        ("TRX-USDT-210924", "future", "USDT"),
        ("BTC-USD-210924-66000-C", "option", "BTC"),
    ],
)
def test_instruments_by_name(symbol: str, kind: str, settle: str) -> None:
    """What a recording is about is listed as what its name tells."""
    found = OkxVenue.instrument_of(symbol)
    base = symbol.partition("-")[0]
    assert (found.symbol, found.base, found.kind, found.settle) == (symbol, base, kind, settle)
    assert (found.expiry_ns is not None) is (kind in ("future", "option"))
