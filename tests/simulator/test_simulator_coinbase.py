from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from simulator_peer import Peer, coinbase, connect
from trio.testing import MockClock

from multilogger.simulator import pulse
from multilogger.simulator.coinbase.venue import CoinbaseVenue
from multilogger.simulator.ledger import Ledger
from multilogger.simulator.rest import Request

ALL = ["matches", "ticker", "heartbeat"]


def subscribe(*products: str, channels: list[Any] | None = None) -> dict[str, Any]:
    """Return a request."""
    return {"type": "subscribe", "product_ids": list(products), "channels": channels or ALL}


async def subscribed(nursery: trio.Nursery, venue: CoinbaseVenue, *products: str) -> Peer:
    """Return a client that has read everything its subscription brought."""
    peer = await connect(nursery, venue)
    await peer.send(subscribe(*products))
    await peer.gathered()
    return peer


def active(message: Any) -> dict[str, list[str]]:
    """Return the products of each channel in an acknowledgement."""
    assert message["type"] == "subscriptions"
    assert all(channel["account_ids"] is None for channel in message["channels"])
    return {channel["name"]: channel["product_ids"] for channel in message["channels"]}


async def test_acknowledgements_are_cumulative(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Every answer lists all that is active now, after subscribing and unsubscribing."""
    peer = await connect(nursery, coinbase())
    assert active(await peer.ask(subscribe("BTC-USD", channels=["matches"]))) == {"matches": ["BTC-USD"]}
    await peer.gathered()
    answer = await peer.ask(
        subscribe("ETH-USD", channels=["matches", {"name": "ticker", "product_ids": ["BTC-USD"]}])
    )
    assert active(answer) == {"matches": ["BTC-USD", "ETH-USD"], "ticker": ["ETH-USD", "BTC-USD"]}
    await peer.gathered()
    answer = await peer.ask({"type": "unsubscribe", "product_ids": ["BTC-USD"], "channels": ["matches"]})
    assert active(answer) == {"matches": ["ETH-USD"], "ticker": ["ETH-USD", "BTC-USD"]}
    answer = await peer.ask({"type": "unsubscribe", "channels": ["ticker"]})
    assert active(answer) == {"matches": ["ETH-USD"]}


async def test_channels_are_renamed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The answer calls batched channels by other names."""
    peer = await connect(nursery, coinbase())
    answer = await peer.ask(subscribe("BTC-USD", channels=["level2_batch", "ticker_batch"]))
    assert active(answer) == {"level2_50": ["BTC-USD"], "ticker_1000": ["BTC-USD"]}


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (subscribe("BTC-USD", "ZZZ-USD"), "ZZZ-USD is not a valid product"),
        (subscribe("BTC-USD", channels=["trades"]), "trades is not a valid channel"),
        ("{", "Malformed JSON"),
        ({"type": "hello"}, "Type has to be either subscribe or unsubscribe"),
        (
            {"type": "subscribe", "product_ids": "BTC-USD", "channels": ALL},
            "product_ids is not a list of strings",
        ),
    ],
)
async def test_refusals_use_the_exchanges_words(
    nursery: trio.Nursery, autojump_clock: MockClock, request_: Any, reason: str
) -> None:
    """A bad request is refused whole, and nothing is subscribed."""
    venue = coinbase()
    peer = await connect(nursery, venue)
    assert await peer.ask(request_) == {"type": "error", "message": "Failed to subscribe", "reason": reason}
    venue.step(20)
    assert await peer.gathered() == []


async def test_login_channels_are_refused(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A channel that needs a login gives an error, then an empty list."""
    peer = await connect(nursery, coinbase())
    answer = await peer.ask(subscribe("BTC-USD", channels=["full"]))
    assert "require authentication" in answer["reason"]
    assert await peer.receive() == {"type": "subscriptions", "channels": []}


async def test_the_last_trade_is_replayed_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Subscribing brings one last_match and the current ticker; the ledger has them once."""
    venue = coinbase()
    for _ in range(2):
        peer = await connect(nursery, venue)
        await peer.send(subscribe("BTC-USD", "OLD-USD"))
        kinds = [json.loads(text)["type"] for text in await peer.gathered()]
        assert kinds == ["subscriptions", "last_match", "ticker"]
        await peer.send(subscribe("BTC-USD"))
        assert [json.loads(text)["type"] for text in await peer.gathered()] == ["subscriptions"]
    assert venue.ledger.counts == {"TRADES": 1, "MD": 1}


async def test_nobody_subscribed_is_nothing_sent(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Only what a client had subscribed is entered in the ledger."""
    venue = coinbase()
    venue.step(100)
    assert venue.ledger.counts == {"TRADES": 0, "MD": 0}
    await subscribed(nursery, venue, "BTC-USD")
    venue.step(100)
    assert set(venue.ledger.rows("TRADES")["symbol"]) == {b"BTC-USD"}


def check_rows(ledger: Ledger, messages: list[Any]) -> None:
    """Every message has its row, and every row its message, by plain reading of the documentation."""
    matches = [m for m in messages if m["type"] in ("match", "last_match")]
    tickers = [m for m in messages if m["type"] == "ticker"]
    for row, m in zip(ledger.rows("TRADES"), matches, strict=True):
        aggressor = {"sell": 1, "buy": 0}[m["side"]]
        assert (row["trade_id"], row["price"], row["size"]) == (
            m["trade_id"],
            float(m["price"]),
            float(m["size"]),
        )
        assert row["side"] == aggressor
        assert row["maker_order_id"].tobytes().hex() == m["maker_order_id"].replace("-", "")
    for row, m in zip(ledger.rows("MD"), tickers, strict=True):
        assert row["side"] == {"buy": 1, "sell": 0}[m["side"]]
        got = [row[name] for name in ("price", "volume", "best_bid", "best_ask")]
        assert got == [float(m[name]) for name in ("price", "last_size", "best_bid", "best_ask")]
        assert m["time"].endswith(f".{row['time_ns'] // 1000 % 1_000_000:06d}Z")


async def test_the_ledger_is_what_was_sent(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Row by row the ledger says what the messages say; sides of match and ticker are opposed."""
    venue = coinbase()
    peer = await connect(nursery, venue)
    await peer.send(subscribe("BTC-USD", "ETH-USD"))
    messages = [json.loads(text) for text in await peer.gathered()]
    for _ in range(10):
        venue.step(30)
    messages += [json.loads(text) for text in await peer.gathered()]
    assert len(messages) == venue.sent_messages
    check_rows(venue.ledger, messages)
    by_id = {(m["product_id"], m["trade_id"]): m["side"] for m in messages if m["type"].endswith("match")}
    tickers = [m for m in messages if m["type"] == "ticker"]
    assert all(by_id[m["product_id"], m["trade_id"]] != m["side"] for m in tickers)
    assert len(tickers) < len(by_id)


async def test_a_ticker_on_two_connections_is_entered_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Events that go to several clients are one row each."""
    venue = coinbase()
    first = await subscribed(nursery, venue, "BTC-USD")
    second = await subscribed(nursery, venue, "BTC-USD")
    before = venue.sent_messages
    venue.step(50)
    texts = await first.gathered()
    assert texts == await second.gathered()
    assert venue.sent_messages - before == 2 * len(texts)
    # One of each is the replay at subscribe.
    assert sum(venue.ledger.counts.values()) == len(texts) + 2


async def test_heartbeats_come_every_second(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A quiet product is visibly alive, and tells its last trade id."""
    venue = coinbase()
    nursery.start_soon(pulse.run_seconds, venue)
    peer = await connect(nursery, venue)
    await peer.send(subscribe("BTC-USD", channels=["heartbeat"]))
    await trio.sleep(3.5)
    answers = [json.loads(text) for text in await peer.gathered()]
    assert [m["type"] for m in answers] == ["subscriptions", *["heartbeat"] * 3]
    assert answers[1]["last_trade_id"] == venue.market.markets["BTC-USD"].recent[-1].trade_id


async def test_who_does_not_subscribe_is_hung_up_on(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A subscribe is due within 5 seconds."""
    venue = coinbase()
    idle = await connect(nursery, venue)
    busy = await subscribed(nursery, venue, "BTC-USD")
    start = trio.current_time()
    await idle.ended()
    assert trio.current_time() - start == pytest.approx(5, abs=0.1)
    await trio.sleep(60)
    assert (await busy.ask(subscribe("BTC-USD")))["type"] == "subscriptions"


async def test_too_many_requests_end_the_connection(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """More than a hundred messages in a second are too many."""
    peer = await connect(nursery, coinbase())
    for _ in range(101):
        await peer.send(subscribe("BTC-USD"))
    assert (await peer.ended())[0] == 1008


def page(venue: CoinbaseVenue, **query: str) -> tuple[list[int], dict[str, str]]:
    """Return the ids and the headers of a page of trades."""
    answer = venue.answer(Request("/products/BTC-USD/trades", query, {}))
    assert answer.status == 200
    return [row["trade_id"] for row in json.loads(answer.body)], dict(answer.headers)


def test_trades_are_paged_downwards() -> None:
    """Pages are newest first, below ``after``; the headers hold the cursors."""
    venue = CoinbaseVenue(coinbase().market, lambda: 1)
    venue.market.step(2, 300)
    newest = venue.market.markets["BTC-USD"].recent[-1].trade_id
    rows, headers = page(venue, limit="10")
    assert rows == list(range(newest, newest - 10, -1))
    assert headers == {"CB-BEFORE": str(newest), "CB-AFTER": str(newest - 9)}
    rows, _ = page(venue, limit="10", after=headers["CB-AFTER"])
    assert rows == list(range(newest - 10, newest - 20, -1))
    # The documented trap: the newest page, not the one next to the id.
    assert page(venue, limit="3", before="1002")[0] == [newest, newest - 1, newest - 2]


def test_the_listing_tells_status_and_steps() -> None:
    """``/products`` lists off-line products as such; unknown paths and products are not found."""
    venue = CoinbaseVenue(coinbase().market, clock=lambda: 1)
    rows = {row["id"]: row for row in json.loads(venue.answer(Request("/products", {}, {})).body)}
    assert rows["OLD-USD"]["status"] == "offline"
    assert rows["BTC-USD"]["quote_increment"] == "0.01"
    for path in ("/products/ZZZ-USD", "/products/ZZZ-USD/trades", "/x"):
        assert venue.answer(Request(path, {}, {})).status == 404
    assert venue.answer(Request("/products/BTC-USD/trades", {"limit": "x"}, {})).status == 400


def test_no_garbage_is_a_good_message() -> None:
    """None of the malformed messages could be taken for a complete trade or ticker."""
    venue = coinbase()
    for payload in venue.garbage():
        try:
            message = json.loads(payload)
        except ValueError:
            continue
        good = (
            isinstance(message, dict)
            and isinstance(message.get("price"), str)
            and message["price"][0].isdigit()
            and "trade_id" in message
        )
        assert not good, message
