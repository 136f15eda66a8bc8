"""OKX: subscriptions and what answers them, over one leg or two, and its options."""

from __future__ import annotations

from typing import Any

import pytest
from exchanges_okx_tools import BUY, TICKER, ack, args, asked, error, fed, requests

from multilogger.exchanges.base import Confirmed, Rejected, Renew, Send
from multilogger.exchanges.okx.exchange import Okx, OkxConfig

EVERY = {"trades_stream": "trades-all"}
NONE = "Wrong URL or channel:trades,instId:{} doesn't exist. Please use the correct URL, channel and .."


def test_okx_subscribe() -> None:
    """A request names both channels of each instrument; both have to be acknowledged, in any order."""
    okx = fed()
    assert requests(*okx.requests) == [
        {
            "id": "1",
            "op": "subscribe",
            "args": [
                *args("trades", "BTC-USDT", "ETH-USDT"),
                *args("tickers", "BTC-USDT", "ETH-USDT"),
            ],
        }
    ]
    assert okx.feed(ack("trades", "BTC-USDT"), ack("tickers", "ETH-USDT")) == []
    assert okx.feed(ack("tickers", "BTC-USDT")) == [Confirmed(("BTC-USDT",))]
    assert okx.feed(ack("tickers", "BTC-USDT"), ack("trades", "ETH-USDT")) == [Confirmed(("ETH-USDT",))]


def test_okx_subscribe_over_two_legs() -> None:
    """Every fill comes over a path of its own: its requests go there, and both legs have to acknowledge."""
    okx = fed(**EVERY)
    assert [request["args"] for request in requests(*okx.requests)] == [
        args("tickers", "BTC-USDT", "ETH-USDT"),
        args("trades-all", "BTC-USDT", "ETH-USDT"),
    ]
    assert [okx.exchange.leg(frame) for frame in okx.requests] == [0, 1]
    assert okx.feed(ack("tickers", "BTC-USDT"), ack("trades-all", "BTC-USDT", "2")) == [
        Confirmed(("BTC-USDT",))
    ]
    gone = okx.adapter.unsubscribe(["BTC-USDT"])
    assert [okx.exchange.leg(frame) for frame in gone] == [0, 1]
    assert [request["op"] for request in requests(*gone)] == ["unsubscribe"] * 2


def test_okx_requests_of_a_hundred_instruments() -> None:
    """Many instruments are asked for in several requests, far below 64 KB each."""
    symbols = [f"COIN{number:03}-USDT-SWAP" for number in range(230)]
    okx = fed(*symbols)
    assert [len(request["args"]) for request in requests(*okx.requests)] == [200, 200, 60]
    assert max(map(len, okx.requests)) < 16_000
    last = [ack(channel, symbols[-1], "3") for channel in ("trades", "tickers")]
    assert okx.feed(*last) == [Confirmed((symbols[-1],))]


@pytest.mark.parametrize("number", ["1", None])
def test_okx_a_named_instrument_is_rejected(number: str | None) -> None:
    """What an error names in prose is set aside, and what was not acknowledged is asked for anew."""
    okx = fed("BTC-USDT", "NO-USDT", "NO-USDT-SWAP", "ETH-USDT")
    okx.feed(ack("trades", "BTC-USDT"), ack("tickers", "BTC-USDT"))
    words = NONE.format("NO-USDT")
    rejected, again = okx.feed(error(words, number))
    assert rejected == Rejected(("NO-USDT",), f"{words} (code 60018)")
    (request,) = asked(again)
    assert request["args"] == [
        *args("trades", "NO-USDT-SWAP", "ETH-USDT"),
        *args("tickers", "NO-USDT-SWAP", "ETH-USDT"),
    ]
    # The exchange may refuse its other channel under the same request: that is known.
    assert okx.feed(error(words.replace("trades", "tickers"))) == []
    assert okx.ignored == {"error without a request of ours": 1}


def test_okx_a_rejected_instrument_is_let_go() -> None:
    """What had been acknowledged of a rejected instrument is ended, and its data are those of a stranger."""
    okx = fed("BTC-USDT")
    okx.feed(ack("trades", "BTC-USDT"))
    _, sent = okx.feed(error(NONE.format("BTC-USDT").replace("trades", "tickers")))
    (request,) = asked(sent)
    assert (request["op"], request["args"]) == ("unsubscribe", args("trades", "BTC-USDT"))
    okx.feed(BUY, TICKER)
    assert (len(okx.buffer), okx.ignored) == (0, {"unsubscribed symbol": 2})


@pytest.mark.parametrize("bad", range(5))
@pytest.mark.parametrize("named", [True, False])
def test_okx_one_bad_instrument_voids_a_request(bad: int, *, named: bool) -> None:
    """Even if one bad instrument voids the whole request, all others are confirmed in the end."""
    symbols = [f"C{number}-USDT" for number in range(5)]
    okx = fed(*symbols)
    open_, confirmed, rejected = requests(*okx.requests), list[str](), list[Rejected]()
    answered = 0
    while open_:
        request = open_.pop(0)
        answered += 1
        if any(arg["instId"] == symbols[bad] for arg in request["args"]):
            answers = [error(NONE.format(symbols[bad]) if named else "Invalid request", request["id"])]
        else:
            answers = [ack(arg["channel"], arg["instId"], request["id"]) for arg in request["args"]]
        for event in okx.feed(*answers):
            if isinstance(event, Send):
                open_ += asked(event)
            elif isinstance(event, Confirmed):
                confirmed += event.symbols
            else:
                assert isinstance(event, Rejected)
                rejected.append(event)
    assert [it.symbols for it in rejected] == [(symbols[bad],)]
    assert sorted(confirmed) == sorted(set(symbols) - {symbols[bad]})
    assert answered <= (2 if named else 7)


def test_okx_a_quoted_request_names_nothing() -> None:
    """An error that quotes the request as JSON names all its instruments, and so none."""
    okx = fed("BTC-USDT", "NO-USDT")
    (event,) = okx.feed(error(f"Invalid request: {okx.requests[0]}", code="60012"))
    assert [{arg["instId"] for arg in request["args"]} for request in asked(event)] == [
        {"BTC-USDT"},
        {"NO-USDT"},
    ]


def test_okx_errors_without_an_id() -> None:
    """Of several requests an error without an id concerns the one with what it names, else none."""
    symbols = [f"C{number}-USDT" for number in range(150)]
    okx = fed(*symbols)
    rejected, again = okx.feed(error(NONE.format("C120-USDT"), None))
    assert isinstance(rejected, Rejected)
    assert {arg["instId"] for arg in asked(again)[0]["args"]} == {*symbols[100:]} - {"C120-USDT"}
    assert okx.feed(error("Invalid request", None)) == []
    assert okx.ignored == {"error without a request of ours": 1}


def test_okx_an_unsubscribed_instrument_is_not_asked_for_again() -> None:
    """What was given up meanwhile is neither rejected nor asked for anew."""
    okx = fed("BTC-USDT", "NO-USDT", "ETH-USDT")
    okx.adapter.unsubscribe(["ETH-USDT", "NO-USDT"])
    rejected = okx.feed(error("Invalid request"))
    assert rejected == [Rejected(("BTC-USDT",), "Invalid request (code 60018)")]
    other = fed("BTC-USDT")
    other.adapter.unsubscribe(["BTC-USDT"])
    assert other.feed(error("Invalid request")) == []


def test_okx_too_many_requests() -> None:
    """A connection that may make no more requests is replaced; a new one has all of its allowance."""
    assert fed().feed(error("Requests too frequent", code="60014")) == [
        Renew("Requests too frequent (code 60014)")
    ]


@pytest.mark.parametrize("arg", [None, [], {}, {"channel": "trades"}, {"channel": 7, "instId": "BTC-USDT"}])
def test_okx_an_odd_acknowledgement(arg: object) -> None:
    """An acknowledgement of nothing confirms nothing, and costs nothing."""
    okx = fed()
    assert okx.feed({"id": "1", "event": "subscribe", "arg": arg}, {"event": []}, {"event": "notice"}) == []
    assert okx.ignored == {"[]": 1, "notice None": 1}


def test_okx_ping() -> None:
    """Pings are bare text and go to every leg; the answer is neither data nor malformed."""
    okx = fed()
    assert (okx.adapter.ping(), okx.exchange.leg("ping")) == ("ping", 0)
    assert fed(**EVERY).exchange.leg("ping") is None
    assert okx.feed("pong") == []
    assert (okx.counted, len(okx.buffer)) == (0, 0)
    assert [*okx.exchange.parse_trade_data(b"pong"), *okx.exchange.parse_market_data(b"pong")] == []


@pytest.mark.parametrize(
    ("configured", "public", "business"),
    [
        ("wss://ws.okx.com", "wss://ws.okx.com/ws/v5/public", "wss://ws.okx.com/ws/v5/business"),
        (
            "wss://ws.okx.com:8443/",
            "wss://ws.okx.com:8443/ws/v5/public",
            "wss://ws.okx.com:8443/ws/v5/business",
        ),
        ("wss://x/own/public?brokerId=9", "wss://x/own/public?brokerId=9", "wss://x/own/business?brokerId=9"),
    ],
)
def test_okx_endpoints(configured: str, public: str, business: str) -> None:
    """The public path is asked for, and the business path beside it only for every fill."""
    merged, every = (
        Okx(OkxConfig(ws_endpoint=configured, trades_stream=it)) for it in ("trades", "trades-all")
    )
    assert merged.endpoints(["BTC-USDT"]) == (public,)
    assert every.endpoints(["BTC-USDT"]) == (public, business)
    assert merged.endpoint([]) == every.endpoint([]) == public


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("trades_stream", "all", 'one of "trades", "trades-all"'),
        ("ticker_volume", "1h", 'one of "last", "24h"'),
        ("inst_types", (), "a list of some of SPOT, SWAP, FUTURES, OPTION, each once"),
        ("inst_types", ("SPOT", "MARGIN"), "a list of some of SPOT, SWAP, FUTURES, OPTION, each once"),
        ("inst_types", ("SPOT", "SPOT"), "a list of some of SPOT, SWAP, FUTURES, OPTION, each once"),
    ],
)
def test_okx_options(key: str, value: Any, expected: str) -> None:
    """An option out of range says what is expected."""
    with pytest.raises(ValueError, match=key) as raised:
        OkxConfig(**{key: value})
    assert f"expected {expected}, got" in str(raised.value)
