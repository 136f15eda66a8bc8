"""Bybit's subscriptions: how they are asked for, and what each answer means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from exchanges_bybit import KINDS, Fed, book, made, trade, trades

from multilogger.exchanges.base import Confirmed, Event, Rejected, Send

NAMES = sorted(KINDS)
TOPICS = {
    "bybit": ("publicTrade", "tickers", "orderbook.1"),
    "bybit_linear": ("publicTrade", "tickers"),
    "bybit_inverse": ("publicTrade", "tickers"),
}
MANY = [f"C{number}USDT" for number in range(60)]


def answer(number: str, words: str = "", *, success: bool = True) -> dict[str, Any]:
    """Return the answer to a request."""
    return {"success": success, "ret_msg": words, "conn_id": "c-1", "req_id": number, "op": "subscribe"}


def refusal(number: str, words: str) -> dict[str, Any]:
    """Return a bad answer."""
    return answer(number, words, success=False)


def sent(events: list[Event]) -> list[dict[str, Any]]:
    """Return the requests that an adapter wants sent, and check that nothing else came of an answer."""
    assert all(isinstance(event, Send) for event in events)
    return [json.loads(frame) for event in events if isinstance(event, Send) for frame in event.frames]


@pytest.mark.parametrize("name", NAMES)
def test_each_symbol_is_asked_for_with_all_its_topics(name: str) -> None:
    """Requests are numbered from 1, and hold whole symbols; on spot ten topics at most."""
    fed = Fed(made(name), MANY)
    assert [request["req_id"] for request in fed.requests] == [str(n + 1) for n in range(len(fed.requests))]
    assert {request["op"] for request in fed.requests} == {"subscribe"}
    topics = [topic for request in fed.requests for topic in request["args"]]
    assert topics == [f"{kind}.{symbol}" for symbol in MANY for kind in TOPICS[name]]
    most = max(len(request["args"]) for request in fed.requests)
    assert most == (9 if name == "bybit" else 50)


@pytest.mark.parametrize("name", NAMES)
def test_topics_of_a_full_connection_have_less_than_21000_characters(name: str) -> None:
    """That holds for symbols that are longer than usual."""
    exchange = made(name)
    symbols = [f"{number:021}" for number in range(exchange.limits.symbols_per_connection)]
    topics = [topic for request in Fed(exchange, symbols).requests for topic in request["args"]]
    assert len(json.dumps(topics, separators=(",", ":"))) <= 21_000


def test_each_request_is_answered_apart() -> None:
    """An answer confirms the symbols of its own request, in whichever order they come."""
    fed = Fed(made(), MANY[:5])
    assert fed.feed(answer("2", "subscribe"), answer("1", "subscribe")) == [
        Confirmed(tuple(MANY[3:5])),
        Confirmed(tuple(MANY[:3])),
    ]
    assert fed.feed(answer("2", "subscribe")) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bybit", "Invalid symbol :[publicTrade.C1USDT]"),
        ("bybit", "Invalid symbol :[C1USDT]"),
        ("bybit_linear", "error:handler not found,topic:publicTrade.C1USDT"),
        ("bybit_inverse", "error:handler not found,topic:tickers.C1USDT"),
    ],
)
def test_a_bad_topic_is_left_out(name: str, words: str) -> None:
    """The symbol of a topic that is named is rejected; the others are asked for again."""
    fed = Fed(made(name), MANY[:3])
    rejected, send = fed.feed(refusal("1", words))
    assert rejected == Rejected(("C1USDT",), words)
    (request,) = sent([send])
    assert request["args"] == [f"{kind}.{symbol}" for symbol in ("C0USDT", "C2USDT") for kind in TOPICS[name]]
    assert fed.feed(answer(request["req_id"])) == [Confirmed(("C0USDT", "C2USDT"))]


def test_without_a_name_halves_are_asked_for() -> None:
    """Until the bad symbol is alone; all others are confirmed, and none is asked for twice at a time."""
    fed, bad = Fed(made("bybit_linear"), MANY[:8]), "C5USDT"
    waiting, confirmed, rejected = list(fed.requests), list[str](), list[str]()
    while waiting:
        request = waiting.pop()
        void = any(topic.endswith(bad) for topic in request["args"])
        for event in fed.feed(answer(request["req_id"], "Params Error" if void else "", success=not void)):
            match event:
                case Confirmed(symbols):
                    confirmed += symbols
                case Rejected(symbols, reason):
                    assert reason == "Params Error"
                    rejected += symbols
                case Send():
                    waiting += sent([event])
    assert sorted(confirmed) == sorted(set(MANY[:8]) - {bad})
    assert rejected == [bad]


def test_a_refusal_without_a_word_has_one() -> None:
    """A reason is always given."""
    fed = Fed(made(), ["C1USDT"])
    assert fed.feed(refusal("1", "")) == [Rejected(("C1USDT",), "no reason given")]


def test_what_is_subscribed_already_is_left_out() -> None:
    """A topic that is active voids a request, too; its symbol is confirmed with the rest of its topics."""
    fed = Fed(made("bybit_linear"), MANY[:2])
    (request,) = sent(fed.feed(refusal("1", "error:already subscribed,topic:publicTrade.C0USDT")))
    assert request["args"] == ["tickers.C0USDT", "publicTrade.C1USDT", "tickers.C1USDT"]
    again = refusal(request["req_id"], "error:already subscribed,topic:tickers.C0USDT")
    (request,) = sent(fed.feed(again))
    assert fed.feed(answer(request["req_id"])) == [Confirmed(("C0USDT", "C1USDT"))]


def test_all_of_a_request_is_subscribed_already() -> None:
    """Nothing is left to ask for: all of it is confirmed."""
    fed = Fed(made("bybit_linear"), ["C0USDT"])
    (request,) = sent(fed.feed(refusal("1", "error:already subscribed,topic:publicTrade.C0USDT")))
    assert request["args"] == ["tickers.C0USDT"]
    last = refusal(request["req_id"], "error:already subscribed,topic:tickers.C0USDT")
    assert fed.feed(last) == [Confirmed(("C0USDT",))]


def test_what_was_unsubscribed_is_not_asked_for_again() -> None:
    """A symbol that has left while its request was under way is neither confirmed nor asked for."""
    fed = Fed(made(), MANY[:3])
    (frame,) = fed.adapter.unsubscribe(["C1USDT"])
    request = json.loads(frame)
    assert (request["op"], request["req_id"]) == ("unsubscribe", "2")
    assert request["args"] == [f"{kind}.C1USDT" for kind in TOPICS["bybit"]]
    (again,) = sent(fed.feed(refusal("1", "Invalid symbol :[publicTrade.C0USDT]"))[1:])
    assert again["args"] == [f"{kind}.C2USDT" for kind in TOPICS["bybit"]]
    other = Fed(made(), MANY[:2])
    other.adapter.unsubscribe(["C1USDT"])
    assert other.feed(answer("1")) == [Confirmed(("C0USDT",))]
    third = Fed(made(), MANY[:1])
    third.adapter.unsubscribe(MANY[:1])
    assert third.feed(answer("1")) == []


def test_answers_that_are_not_ours() -> None:
    """They mean nothing; an error is counted, and so is an answer that is neither good nor bad."""
    fed = Fed(made(), ["C0USDT"])
    ours = answer("1", "subscribe")
    strange = [{**ours, "req_id": "x"}, {**ours, "req_id": 1}, {**ours, "req_id": None}]
    assert fed.feed(*strange, {"success": True, "ret_msg": "", "op": "subscribe"}) == []
    assert fed.feed({**strange[0], "success": False}) == []
    assert fed.ignored == {"error without a subscription of ours": 1}
    assert fed.feed({**ours, "success": 1}, {"op": "subscribe", "req_id": "1"}) == []
    assert fed.refused == {"wrong type": 1, "missing field": 1}
    assert fed.feed(ours) == [Confirmed(("C0USDT",))]


@pytest.mark.parametrize("name", NAMES)
def test_pings(name: str) -> None:
    """A ping is due every 20 seconds; both forms of its answer are signs of life and nothing else."""
    exchange = made(name)
    fed = Fed(exchange)
    assert exchange.limits.ping_secs == 20
    ping = json.loads(fed.adapter.ping() or "")
    assert ping == {"op": "ping", "req_id": "ping"}
    pong = {"success": True, "ret_msg": "pong", "conn_id": "c-1", **ping}
    assert fed.feed(pong, {"args": ["1795341600000"], "op": "pong"}) == []
    assert (fed.refused, fed.ignored) == ({}, {})


def test_other_topics_are_ignored_by_their_kind() -> None:
    """Of symbols that nobody has subscribed, and of topics that nobody asked for."""
    fed = Fed(made())
    others = [
        trades(trade(), symbol="ETHUSDT"),
        book("1", "2", 1, symbol="ETHUSDT"),
        {"topic": "orderbook.50.BTCUSDT"},
        {"topic": "lonely"},
        {"topic": ""},
        {"topic": 7},
        {"op": "auth"},
        {"op": ["x"]},
    ]
    assert fed.feed(*others) == []
    assert fed.ignored == {
        "unsubscribed symbol": 2,
        "orderbook.50": 1,
        "lonely": 1,
        "unknown frame": 3,
        "auth": 1,
    }
    assert len(fed.buffer) == 0


@pytest.mark.parametrize("name", NAMES)
def test_endpoints(name: str) -> None:
    """A host gets the path of the market; an address with a path of its own is taken as it is."""
    category = {"bybit": "spot", "bybit_linear": "linear", "bybit_inverse": "inverse"}[name]
    assert made(name).endpoint(["X"]) == f"wss://stream.bybit.com/v5/public/{category}"
    own = "wss://stream.bybit.kz/v5/public/other"
    assert made(name, ws_endpoint=own).endpoint(["X"]) == own
    assert (
        made(name, ws_endpoint="ws://127.0.0.1:9/").endpoint([]) == f"ws://127.0.0.1:9/v5/public/{category}"
    )
    assert made(name).by_default is (name == "bybit")
