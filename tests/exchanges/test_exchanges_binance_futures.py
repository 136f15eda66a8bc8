"""Binance futures: legs and their answers, where requests go, whose events are taken."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from exchanges_tools import Fed, configured, text

from multilogger.exchanges.base import Confirmed, Event, Exchange, NewestIds, Rejected, Renew, Send
from multilogger.exchanges.binance.coinm import BinanceCoinm, CoinmConfig
from multilogger.exchanges.binance.usdm import BinanceUsdm, UsdmConfig
from multilogger.records import Flag

USDM, COINM = "binance_usdm", "binance_coinm"
OK = {"result": None}
ERROR = {"error": {"code": 2, "msg": "no"}}


def fills(trade_id: int = 1, *, symbol: str = "BTCUSDT", **fields: object) -> dict[str, Any]:
    """Return an aggregate trade."""
    data = {"e": "aggTrade", "s": symbol, "a": trade_id, "p": "64010.0", "q": "0.5", "T": 1795341600100}
    return {"stream": f"{symbol.lower()}@aggTrade", "data": {**data, "m": False, **fields}}


def asked(frames: Iterable[str]) -> list[dict[str, Any]]:
    """Return requests, decoded."""
    return [json.loads(frame) for frame in frames]


@pytest.mark.parametrize(
    ("name", "options", "legs"),
    [
        (USDM, {}, [["btcusdt@aggTrade", "ethusdt@aggTrade"], ["btcusdt@bookTicker", "ethusdt@bookTicker"]]),
        (
            USDM,
            {"trades_stream": "trade"},
            [["btcusdt@trade", "btcusdt@bookTicker", "ethusdt@trade", "ethusdt@bookTicker"]],
        ),
        (
            USDM,
            {"ws_endpoint": "wss://x/stream"},
            [["btcusdt@aggTrade", "btcusdt@bookTicker", "ethusdt@aggTrade", "ethusdt@bookTicker"]],
        ),
        (
            COINM,
            {},
            [["btcusdt@aggTrade", "btcusdt@bookTicker", "ethusdt@aggTrade", "ethusdt@bookTicker"]],
        ),
    ],
)
def test_futures_requests_go_where_their_streams_are(
    name: str, options: dict[str, str], legs: list[list[str]]
) -> None:
    """A leg's request has the streams that are brought there, and no others; so has its end."""
    fed = Fed(name, options, ["BTCUSDT", "ETHUSDT"])
    requests = asked(fed.requests)
    assert [request["params"] for request in requests] == legs
    assert [request["id"] for request in requests] == list(range(1, len(legs) + 1))
    assert [fed.exchange.leg(frame) for frame in fed.requests] == list(range(len(legs)))
    ends = fed.adapter.unsubscribe(["ETHUSDT"])
    assert [request["method"] for request in asked(ends)] == ["UNSUBSCRIBE"] * len(legs)
    assert [fed.exchange.leg(frame) for frame in ends] == list(range(len(legs)))
    assert fed.exchange.leg(fed.adapter.ping() or "") is None, "all legs are asked for a sign of life"


def test_futures_many_symbols_take_turns_on_the_legs() -> None:
    """Requests stay small: a hundred streams each."""
    symbols = [f"S{number:03}USDT" for number in range(150)]
    fed = Fed(USDM, symbols=symbols)
    sizes = [len(request["params"]) for request in asked(fed.requests)]
    assert (sizes, [fed.exchange.leg(frame) for frame in fed.requests]) == ([100, 100, 50, 50], [0, 1, 0, 1])
    assert fed.feed({**OK, "id": 1}, {**OK, "id": 4}) == []
    assert fed.feed({**OK, "id": 3}) == [Confirmed(tuple(symbols[100:]))]


def test_futures_a_frame_of_no_stream_has_no_leg() -> None:
    """What names no stream of ours is for all legs, if for any."""
    assert configured(USDM).leg('{"method":"LIST_SUBSCRIPTIONS","id":1}') is None


@pytest.mark.parametrize("bad", range(5))
@pytest.mark.parametrize("legs", [{1}, {2}, {1, 2}])
def test_futures_errors_bisect_on_their_leg(bad: int, legs: set[int]) -> None:
    """An error names no stream: halves are asked for on that leg until the bad symbol is alone."""
    symbols = [f"S{number}USDT" for number in range(5)]
    fed = Fed(USDM, symbols=symbols)
    kinds = {kind for number, kind in ((1, "aggTrade"), (2, "bookTicker")) if number in legs}
    pending, events, ended = list(fed.requests), list[Event](), list[str]()
    while pending:
        request = json.loads(pending.pop(0))
        if request["method"] == "UNSUBSCRIBE":
            ended += request["params"]
            continue
        refused = any(f"s{bad}usdt@{kind}" in request["params"] for kind in kinds)
        for event in fed.feed({**(ERROR if refused else OK), "id": request["id"]}):
            events.append(event)
            pending += event.frames if isinstance(event, Send) else ()
    confirmed = [symbol for event in events if isinstance(event, Confirmed) for symbol in event.symbols]
    assert sorted(confirmed) == sorted({*symbols} - {symbols[bad]})
    rejected = [event for event in events if isinstance(event, Rejected)]
    assert rejected == [Rejected((symbols[bad],), "no (code 2)")]
    assert len(ended) == 1
    assert ended[0] in {f"s{bad}usdt@aggTrade", f"s{bad}usdt@bookTicker"}


def test_futures_a_symbol_that_was_let_go_is_not_answered_for() -> None:
    """Answers to what nobody wants any more say nothing; asked for anew, it takes both legs again."""
    fed = Fed(USDM, symbols=["BTCUSDT"])
    fed.feed({**OK, "id": 1})
    fed.adapter.unsubscribe(["BTCUSDT"])
    assert fed.feed({**OK, "id": 2}) == []
    again = asked(fed.adapter.subscribe(["BTCUSDT"]))
    assert fed.feed({**OK, "id": again[0]["id"]}) == []
    assert fed.feed({**OK, "id": again[1]["id"]}) == [Confirmed(("BTCUSDT",))]


def test_futures_announce_their_shutdown() -> None:
    """The notice of either leg asks for a new connection; frames around it are recorded."""
    fed = Fed(USDM)
    notice = {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1795341600000}}
    assert fed.feed(fills(1), notice, fills(2)) == [Renew("serverShutdown")]
    assert len(fed.take()["TRADES"]) == 2


@pytest.mark.parametrize(("name", "own", "other"), [(USDM, 1, 2), (COINM, 2, 1)])
def test_futures_take_their_own_markets_events(name: str, own: int, other: int) -> None:
    """An event that says it is the other market's is ignored; one that says nothing of use is taken."""
    fed = Fed(name, symbols=["BTCUSDT"])
    quotes = {"e": "bookTicker", "u": 1, "s": "BTCUSDT", "b": "1", "a": "2", "T": 1795341600100}
    frame = {"stream": "btcusdt@bookTicker", "data": quotes}
    taken: list[object] = [own, None, 7, "1", [], 1.5]
    for st in taken:
        fed.feed(fills(st=st), {**frame, "data": {**quotes, "st": st}})
    rows = fed.take()
    assert (len(rows["TRADES"]), len(rows["MD"])) == (len(taken), len(taken))
    fed.feed(fills(st=other), {**frame, "data": {**quotes, "st": other}})
    assert (len(fed.buffer), fed.ignored, fed.refused) == (0, {"other market": 2}, {})
    assert fed.exchange.parse_trade_data(text(fills(st=other))) == []
    assert fed.exchange.parse_market_data(text({**quotes, "st": other})) == []
    (record,) = fed.exchange.parse_market_data(text({**quotes, "st": own}))
    assert (record.exchange, record.best_ask) == (name, 2.0)


@pytest.mark.parametrize(
    ("word", "flags"),
    [("MARKET", 0), ("INSURANCE_FUND", 4), ("ADL", 4), ("NA", 4), (None, 4), (7, 4), (..., 0)],
)
def test_futures_trades_off_the_book_are_marked(word: object, flags: int) -> None:
    """What was not made in the order book is kept, as suspect; messages of before the word had it are not."""
    fed = Fed(USDM, {"trades_stream": "trade"}, ["BTCUSDT"])
    data = {**fills()["data"], "e": "trade", "t": 5, "X": word}
    data = {name: value for name, value in data.items() if value is not ... and name != "a"}
    fed.feed({"stream": "btcusdt@trade", "data": data})
    (row,) = fed.take()["TRADES"]
    (trade,) = fed.exchange.parse_trade_data(text(data))
    assert row["flags"] == trade.flags == Flag(flags)


def test_futures_trades_off_the_book_without_a_price() -> None:
    """One that tells no price is refused like any other: nothing is made up, and its id is missed."""
    fed = Fed(USDM, {"trades_stream": "trade"}, ["BTCUSDT"])
    data = {**fills()["data"], "t": 5, "X": "NA", "p": "0", "q": "0"}
    fed.feed({"stream": "btcusdt@trade", "data": data})
    assert (len(fed.buffer), fed.refused) == (0, {"bad price": 1})


@pytest.mark.parametrize(
    ("kind", "config", "urls"),
    [
        (
            BinanceUsdm,
            UsdmConfig(),
            ("wss://fstream.binance.com/market/stream", "wss://fstream.binance.com/public/stream"),
        ),
        (BinanceUsdm, UsdmConfig(trades_stream="trade"), ("wss://fstream.binance.com/public/stream",)),
        (
            BinanceUsdm,
            UsdmConfig(ws_endpoint="ws://x:9/"),
            ("ws://x:9/market/stream", "ws://x:9/public/stream"),
        ),
        (BinanceUsdm, UsdmConfig(ws_endpoint="wss://x/stream"), ("wss://x/stream",)),
        (BinanceCoinm, CoinmConfig(), ("wss://dstream.binance.com/stream",)),
        (BinanceCoinm, CoinmConfig(ws_endpoint="wss://x/stream"), ("wss://x/stream",)),
    ],
)
def test_futures_endpoints(kind: type[Exchange], config: Any, urls: tuple[str, ...]) -> None:
    """Only those legs are opened that the options need, and a path of its own is left alone."""
    exchange = kind(config)
    assert exchange.endpoints(["BTCUSDT"]) == urls
    assert exchange.endpoint(["BTCUSDT"]) == urls[0]


@pytest.mark.parametrize("config", [UsdmConfig, CoinmConfig])
@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("trades_stream", "trades", 'one of "aggTrade", "trade"'),
        ("symbols_per_connection", 101, "a whole number between 1 and 100"),
        ("ws_endpoint", "wss://x/ws", "a URL with ws:// or wss:// and a host, and no path but /stream"),
        ("ws_endpoint", "wss://x/public/stream", "a URL with ws:// or wss:// and a host, and no path but"),
    ],
)
def test_futures_options(config: Any, key: str, value: Any, expected: str) -> None:
    """An option out of range says what is expected."""
    with pytest.raises(ValueError, match=key) as raised:
        config(**{key: value})
    assert f"expected {expected}" in str(raised.value)


@pytest.mark.parametrize("name", [USDM, COINM])
def test_futures_name_no_newest_trade(name: str) -> None:
    """No stream of theirs names the newest trade beside the trades."""
    assert not isinstance(Fed(name).adapter, NewestIds)
    assert not configured(name).by_default
