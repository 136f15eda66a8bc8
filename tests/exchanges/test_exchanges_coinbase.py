"""Coinbase Exchange: subscriptions, replays, and what is ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from exchanges_tools import Fed, cases

from multilogger.exchanges.base import Confirmed, Event, Rejected, Send
from multilogger.records import Flag

CHANNELS = ["ticker", "matches", "heartbeat"]
FRAMES = {case.about: case.frame for case in cases("coinbase")}
MATCH = FRAMES["a resting buy was sold to"]
TICKER = FRAMES["a taker who sold"]


def request(*symbols: str, verb: str = "subscribe") -> dict[str, Any]:
    """Return the request that subscribes symbols."""
    return {"type": verb, "product_ids": list(symbols), "channels": CHANNELS}


def active(**channels: list[str]) -> dict[str, Any]:
    """Return the exchange's list of all that is now active."""
    listed = [{"name": name, "product_ids": ids, "account_ids": None} for name, ids in channels.items()]
    return {"type": "subscriptions", "channels": listed}


def all_active(*symbols: str) -> dict[str, Any]:
    """Return the list with the same symbols under all channels."""
    return active(**{name: list(symbols) for name in CHANNELS})


def error(reason: str) -> dict[str, Any]:
    """Return the exchange's refusal."""
    return {"type": "error", "message": "Failed to subscribe", "reason": reason}


def asked(event: Event) -> list[dict[str, Any]]:
    """Return the requests that an event wants sent."""
    assert isinstance(event, Send)
    return [json.loads(frame) for frame in event.frames]


def test_coinbase_subscribe() -> None:
    """One request names all products and channels, and is confirmed by a list that has them all."""
    fed = Fed("coinbase")
    assert [json.loads(frame) for frame in fed.requests] == [request("BTC-USD", "ETH-USD")]
    assert fed.feed(all_active("ETH-USD", "BTC-USD")) == [Confirmed(("BTC-USD", "ETH-USD"))]
    assert fed.feed(all_active("ETH-USD", "BTC-USD")) == []


@pytest.mark.parametrize(
    "message",
    [
        all_active("BTC-USD"),
        active(ticker=["BTC-USD", "ETH-USD"], heartbeat=["BTC-USD", "ETH-USD"]),
        active(ticker=["BTC-USD", "ETH-USD"], matches=["BTC-USD"]),
        {"type": "subscriptions"},
        {"type": "subscriptions", "channels": None},
        {"type": "subscriptions", "channels": [None, 5, {"name": "ticker"}, {"product_ids": ["BTC-USD"]}]},
        {"type": "subscriptions", "channels": []},
    ],
)
def test_coinbase_an_incomplete_list_confirms_nothing(message: dict[str, Any]) -> None:
    """What is not listed under tickers and matches is not confirmed."""
    assert Fed("coinbase").feed(message) == []


def test_coinbase_heartbeat_is_not_needed() -> None:
    """A list without heartbeats confirms."""
    fed = Fed("coinbase", symbols=["BTC-USD"])
    assert fed.feed(active(ticker=["BTC-USD"], matches=["BTC-USD"])) == [Confirmed(("BTC-USD",))]


def test_coinbase_one_subscription_at_a_time() -> None:
    """Acknowledgements name no request: the next is sent when the one before is confirmed."""
    fed = Fed("coinbase", symbols=["BTC-USD"])
    assert fed.adapter.subscribe(["ETH-USD"]) == []
    confirmed, send = fed.feed(all_active("BTC-USD"))
    assert confirmed == Confirmed(("BTC-USD",))
    assert asked(send) == [request("ETH-USD")]
    assert fed.feed(all_active("BTC-USD", "ETH-USD")) == [Confirmed(("ETH-USD",))]


def test_coinbase_a_named_product_is_rejected() -> None:
    """An error that names a product rejects it, and the others are asked for again."""
    fed = Fed("coinbase", symbols=["BTC-USD", "ZZZ-USD", "ETH-USD"])
    rejected, send = fed.feed(error("ZZZ-USD is not a valid product"))
    assert rejected == Rejected(("ZZZ-USD",), "Failed to subscribe: ZZZ-USD is not a valid product")
    assert asked(send) == [request("BTC-USD", "ETH-USD")]
    assert fed.feed(all_active("BTC-USD", "ETH-USD")) == [Confirmed(("BTC-USD", "ETH-USD"))]


def test_coinbase_several_named_products() -> None:
    """All that an error names are rejected at once."""
    fed = Fed("coinbase", symbols=["AAA-USD", "BTC-USD", "ZZZ-USD"])
    rejected, send = fed.feed(error("AAA-USD,ZZZ-USD are not valid products"))
    assert isinstance(rejected, Rejected)
    assert rejected.symbols == ("AAA-USD", "ZZZ-USD")
    assert asked(send) == [request("BTC-USD")]


def test_coinbase_a_product_within_another_name_is_not_named() -> None:
    """BTC-USD is not named by an error about BTC-USDX."""
    fed = Fed("coinbase", symbols=["BTC-USD", "BTC-USDX"])
    rejected, _ = fed.feed(error("BTC-USDX is not a valid product"))
    assert isinstance(rejected, Rejected)
    assert rejected.symbols == ("BTC-USDX",)


@pytest.mark.parametrize("bad", range(7))
def test_coinbase_unnamed_errors_bisect(bad: int) -> None:
    """Where errors name nothing, halves are asked for until the bad product is alone; all others confirm."""
    symbols = [f"S{number}-USD" for number in range(7)]
    fed = Fed("coinbase", symbols=symbols)
    requests, confirmed, rejected = [json.loads(fed.requests[0])], list[str](), list[Rejected]()
    answered = 0
    while requests:
        wanted = requests.pop(0)["product_ids"]
        answered += 1
        answer = error("no") if symbols[bad] in wanted else all_active(*confirmed, *wanted)
        for event in fed.feed(answer):
            if isinstance(event, Send):
                requests += asked(event)
            elif isinstance(event, Confirmed):
                confirmed += event.symbols
            elif isinstance(event, Rejected):
                rejected.append(event)
    assert rejected == [Rejected((symbols[bad],), "Failed to subscribe: no")]
    assert answered <= 7
    assert sorted(confirmed) == sorted(set(symbols) - {symbols[bad]})
    assert fed.ignored == {}


def test_coinbase_an_error_at_another_time() -> None:
    """An error while nothing is asked for is counted, and rejects nothing."""
    fed = Fed("coinbase")
    fed.feed(all_active("BTC-USD", "ETH-USD"))
    assert fed.feed(error("BTC-USD is not a valid product")) == []
    assert fed.ignored == {"error without a subscription under way": 1}


def test_coinbase_unsubscribe() -> None:
    """Data that are still under way count as unsubscribed; the list that answers confirms nothing."""
    fed = Fed("coinbase")
    fed.feed(all_active("BTC-USD", "ETH-USD"))
    (frame,) = fed.adapter.unsubscribe(["BTC-USD"])
    assert json.loads(frame) == request("BTC-USD", verb="unsubscribe")
    assert fed.feed(MATCH, TICKER, all_active("ETH-USD")) == []
    assert fed.ignored == {"unsubscribed symbol": 2}
    assert (len(fed.buffer), fed.refused) == (0, {})


def test_coinbase_unsubscribed_while_it_waited() -> None:
    """A product that was unsubscribed before its turn is not asked for."""
    fed = Fed("coinbase", symbols=["BTC-USD"])
    fed.adapter.subscribe(["ETH-USD"])
    fed.adapter.subscribe(["SOL-USD", "ADA-USD"])
    fed.adapter.unsubscribe(["ETH-USD", "ADA-USD"])
    _, send = fed.feed(all_active("BTC-USD"))
    assert asked(send) == [request("SOL-USD")]


def test_coinbase_match_of_a_product_without_order_ids() -> None:
    """A match of an unsubscribed product is ignored, whichever optional fields it has."""
    fed = Fed("coinbase")
    message = {name: value for name, value in MATCH.items() if not name.endswith("order_id")}
    fed.feed({**message, "product_id": "SOL-USD"})
    assert (fed.ignored, fed.refused) == ({"unsubscribed symbol": 1}, {})
    fed.feed(message)
    (row,) = fed.take()["TRADES"]
    assert row["maker_order_id"] == row["taker_order_id"] == "0" * 32


def test_coinbase_the_first_ticker_is_a_replay() -> None:
    """Of each product, on each subscription, the first ticker tells the past."""
    fed = Fed("coinbase")
    other = {**TICKER, "product_id": "ETH-USD"}
    fed.feed(TICKER, TICKER, other, TICKER, other)
    flags = [(row["symbol"], row["flags"]) for row in fed.take()["MD"]]
    btc, eth = "BTC-USD", "ETH-USD"
    assert flags == [(btc, Flag.REPLAYED), (btc, 0), (eth, Flag.REPLAYED), (btc, 0), (eth, 0)]
    fed.adapter.subscribe(["BTC-USD"])
    fed.feed(TICKER, other)
    assert [row["flags"] for row in fed.take()["MD"]] == [Flag.REPLAYED, 0]


def test_coinbase_every_last_match_is_a_replay() -> None:
    """A last_match is flagged, the matches around it are not."""
    fed = Fed("coinbase")
    fed.feed(MATCH, FRAMES["the last match before the subscription"], MATCH)
    assert [row["flags"] for row in fed.take()["TRADES"]] == [0, Flag.REPLAYED, 0]


def test_coinbase_ticker_and_match_of_one_trade_agree_on_the_side() -> None:
    """The same trade has opposite words in match and ticker, and one aggressor."""
    for makers, takers in (("buy", "sell"), ("sell", "buy")):
        fed = Fed("coinbase")
        fed.feed({**MATCH, "side": makers}, {**TICKER, "side": takers})
        rows = fed.take()
        assert rows["MD"][0]["side"] == rows["TRADES"][0]["side"] == (1 if takers == "buy" else 0)


def test_coinbase_24h_volume() -> None:
    """By option MD's volume is that of 24 hours, in rows and records, which keep the other one."""
    fed = Fed("coinbase", {"ticker_volume": "24h"})
    fed.feed(TICKER)
    assert fed.take()["MD"][0]["volume"] == 8100.2
    (record,) = fed.exchange.parse_market_data(json.dumps(TICKER).encode())
    assert record.volume == 8100.2
    assert record.exchange_specific["last_size"] == "0.5"
    assert "volume_24h" not in record.exchange_specific


def test_coinbase_heartbeats_and_unknown_kinds() -> None:
    """Heartbeats are expected; other kinds are counted, the fifty-first and on together."""
    fed = Fed("coinbase")
    fed.feed({"type": "heartbeat", "sequence": 9, "last_trade_id": 7, "product_id": "BTC-USD", "time": ".."})
    assert (fed.ignored, fed.refused) == ({}, {})
    fed.feed(*({"type": f"kind {number}"} for number in range(60)), {"type": "kind 7"})
    assert len(fed.ignored) == 51
    assert (fed.ignored["kind 7"], fed.ignored["other"]) == (2, 10)
    assert fed.feed({"type": "x" * 10_000}) == []
    assert max(map(len, fed.ignored)) <= 200


def test_coinbase_seconds_change() -> None:
    """Times of alternating seconds are each exact: what is remembered of one does not spoil another."""
    fed = Fed("coinbase")
    times = ["10:00:00.000001Z", "10:00:01.000002Z", "10:00:00.000003Z", "10:00:00Z", "10:00:00.999999Z"]
    fed.feed(*({**MATCH, "time": f"2026-11-22T{time}"} for time in times))
    start = 1_795_341_600 * 10**9
    offsets = [row["time_ns"] - start for row in fed.take()["TRADES"]]
    assert offsets == [1000, 1_000_002_000, 3000, 0, 999_999_000]


@pytest.mark.parametrize(
    "kind", ["last_mat", "last_matchless", "matches", "match2", "tickers", "ticker_batch"]
)
def test_coinbase_kinds_that_begin_alike(kind: str) -> None:
    """A kind that only begins like a known one is another kind."""
    fed = Fed("coinbase")
    fed.feed({**MATCH, "type": kind}, {**TICKER, "type": kind})
    assert (fed.ignored, len(fed.buffer)) == ({kind: 2}, 0)
