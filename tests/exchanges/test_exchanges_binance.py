"""Binance spot: subscriptions, sides of tickers, quotes, and what is ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from exchanges_tools import RECV_NS, Fed, cases, configured, text

from multilogger.exchanges.base import Confirmed, Event, Rejected, Renew, Send
from multilogger.exchanges.binance.spot import Binance, BinanceConfig

FRAMES = {case.about: case.frame for case in cases("binance")}
SALE = FRAMES["the buyer was the maker"]
BUY = FRAMES["the seller was the maker"]
TICKER = FRAMES["a ticker after a sale"]
QUOTES = FRAMES["quotes after a trade, at the time of receipt"]


def asked(*frames: str) -> list[dict[str, Any]]:
    """Return requests, decoded."""
    return [json.loads(frame) for frame in frames]


def answers(event: Event) -> list[dict[str, Any]]:
    """Return the requests that an event wants sent."""
    assert isinstance(event, Send)
    return asked(*event.frames)


def ticker(**fields: object) -> dict[str, Any]:
    """Return a ticker with other values."""
    return {**TICKER, "data": {**TICKER["data"], **fields}}


def sides(fed: Fed) -> list[int]:
    """Return the sides of the MD rows since the last call."""
    return [row["side"] for row in fed.take()["MD"]]


@pytest.mark.parametrize("trades", ["trade", "aggTrade"])
@pytest.mark.parametrize("md", ["ticker", "bookTicker"])
def test_binance_subscribe(trades: str, md: str) -> None:
    """A request names both streams of each symbol in lower case, and is confirmed under its id."""
    fed = Fed("binance", {"trades_stream": trades, "md_stream": md})
    (request,) = asked(*fed.requests)
    streams = [f"btcusdt@{trades}", f"btcusdt@{md}", f"ethusdt@{trades}", f"ethusdt@{md}"]
    assert request == {"method": "SUBSCRIBE", "params": streams, "id": 1}
    assert fed.feed({"result": None, "id": 1}) == [Confirmed(("BTCUSDT", "ETHUSDT"))]
    assert fed.feed({"result": None, "id": 1}) == []


def test_binance_requests_of_a_hundred_streams() -> None:
    """Many symbols are asked for in several requests, each answered on its own."""
    symbols = [f"S{number:03}USDT" for number in range(120)]
    fed = Fed("binance", symbols=symbols)
    requests = asked(*fed.requests)
    assert [(len(request["params"]), request["id"]) for request in requests] == [(100, 1), (100, 2), (40, 3)]
    assert fed.feed({"result": None, "id": 3}) == [Confirmed(tuple(symbols[100:]))]


def test_binance_symbols_beyond_ascii() -> None:
    """A symbol may be written in any script, raw or escaped by the server."""
    fed = Fed("binance", symbols=["币安人生USDT"])
    frame = {"stream": "币安人生usdt@trade", "data": {**SALE["data"], "s": "币安人生USDT"}}
    fed.feed(frame, json.dumps(frame).encode())
    assert [row["symbol"] for row in fed.take()["TRADES"]] == ["币安人生USDT"] * 2


@pytest.mark.parametrize(
    "shape",
    [
        lambda number: {"error": {"code": 2, "msg": "Invalid request: no"}, "id": number},
        lambda number: {"code": 2, "msg": "Invalid request: no", "id": number},
    ],
)
def test_binance_a_single_symbol_is_rejected(shape: Any) -> None:
    """An error that answers a request for one symbol rejects it, in the words of today or of old."""
    fed = Fed("binance", symbols=["NOPE"])
    assert fed.feed(shape(1)) == [Rejected(("NOPE",), "Invalid request: no (code 2)")]
    assert fed.feed(shape(1)) == []
    assert fed.ignored == {"error without a request of ours": 1}


def test_binance_error_of_another_form() -> None:
    """Whatever an error is, its words are kept."""
    fed = Fed("binance", symbols=["NOPE"])
    assert fed.feed({"error": "too many", "id": 1}) == [Rejected(("NOPE",), "too many")]


@pytest.mark.parametrize("bad", range(5))
def test_binance_errors_bisect(bad: int) -> None:
    """An error names no stream: halves are asked for until the bad symbol is alone; all others confirm."""
    symbols = [f"S{number}USDT" for number in range(5)]
    fed = Fed("binance", symbols=symbols)
    requests, confirmed, rejected = asked(*fed.requests), list[str](), list[Rejected]()
    answered = 0
    while requests:
        request = requests.pop(0)
        answered += 1
        refused = f"s{bad}usdt@trade" in request["params"]
        error = {"error": {"code": 2, "msg": "no"}} if refused else {"result": None}
        for event in fed.feed({**error, "id": request["id"]}):
            if isinstance(event, Send):
                requests += answers(event)
            elif isinstance(event, Confirmed):
                confirmed += event.symbols
            elif isinstance(event, Rejected):
                rejected.append(event)
    assert rejected == [Rejected((symbols[bad],), "no (code 2)")]
    assert answered <= 7
    assert sorted(confirmed) == sorted(set(symbols) - {symbols[bad]})


def test_binance_sign_of_life() -> None:
    """A ping is a question with an id of its own; whatever answers it means nothing else."""
    fed = Fed("binance", symbols=["BTCUSDT"])
    assert fed.adapter.ping() == '{"method":"GET_PROPERTY","params":["combined"],"id":2}'
    assert fed.feed({"result": True, "id": 2}) == []
    assert fed.feed({"error": {"code": 0, "msg": "Unknown property"}, "id": 2}) == []
    assert fed.refused == {}
    assert fed.feed({"result": None, "id": 1}) == [Confirmed(("BTCUSDT",))]


@pytest.mark.parametrize("number", [None, "1", 7, 1.5, [], {}])
def test_binance_answers_to_nothing(number: object) -> None:
    """An answer under an id that was not given out means nothing."""
    fed = Fed("binance")
    assert fed.feed({"result": None, "id": number}, {"error": {"code": 3, "msg": "?"}, "id": number}) == []
    assert fed.refused == {}


@pytest.mark.parametrize(
    "frame",
    [
        {"e": "serverShutdown", "E": 1795341600000},
        {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1795341600000}},
    ],
)
def test_binance_server_shutdown(frame: dict[str, Any]) -> None:
    """The announcement of a cut asks for a new connection; frames around it are recorded."""
    fed = Fed("binance")
    assert fed.feed(SALE, frame, BUY) == [Renew("serverShutdown")]
    assert len(fed.take()["TRADES"]) == 2


def test_binance_unsubscribe() -> None:
    """Data that are still under way count as unsubscribed; the answer confirms nothing."""
    fed = Fed("binance")
    (request,) = asked(*fed.adapter.unsubscribe(["BTCUSDT"]))
    assert request == {"method": "UNSUBSCRIBE", "params": ["btcusdt@trade", "btcusdt@ticker"], "id": 2}
    assert fed.feed(SALE, TICKER, {"result": None, "id": 2}) == []
    assert fed.ignored == {"unsubscribed symbol": 2}
    assert len(fed.buffer) == 0


def test_binance_ticker_takes_the_side_of_the_last_trade() -> None:
    """A ticker's side is that of the newest trade of its own symbol."""
    fed = Fed("binance")
    other = {"stream": "ethusdt@trade", "data": {**BUY["data"], "s": "ETHUSDT"}}
    fed.feed(SALE, other, TICKER, BUY, TICKER, ticker(c="1.0"))
    assert sides(fed) == [0, 1, 1]


def test_binance_a_refused_trade_gives_no_side() -> None:
    """A trade that was refused leaves the side as it was."""
    fed = Fed("binance")
    fed.feed(SALE, {**BUY, "data": {**BUY["data"], "q": "0"}}, TICKER)
    assert sides(fed) == [0]


def test_binance_tick_rule_before_the_first_trade() -> None:
    """Before any trade up is a buy, down a sell, else as before; and no row before the side is known."""
    fed = Fed("binance")
    fed.feed(*(ticker(c=price) for price in ("10", "10", "11", "11", "10.5", "10.5", "12")))
    assert sides(fed) == [1, 1, 0, 0, 1]
    assert fed.ignored == {"ticker before the first trade": 2}
    assert fed.refused == {}
    fed.feed(SALE, ticker(c="13"), ticker(c="14"))
    assert sides(fed) == [0, 0]


def test_binance_sides_outlive_connections() -> None:
    """A connection that replaces another knows the last trades that the other received."""
    fed = Fed("binance")
    fed.feed(BUY)
    after = fed.exchange.create_adapter(fed.table, fed.stats)
    after.subscribe(["BTCUSDT"])
    after.receive([text(TICKER)], RECV_NS, fed.buffer)
    assert sides(fed) == [1]


def test_binance_quotes_are_composed_with_the_last_trade() -> None:
    """Each bookTicker is a row with the last trade's price, size and side; none before the first trade."""
    fed = Fed("binance", {"md_stream": "bookTicker"})
    fed.feed(QUOTES, SALE, QUOTES)
    fed.feed(BUY, {**QUOTES, "data": {**QUOTES["data"], "a": "64000.05"}}, recv_ns=RECV_NS + 5)
    first, second = fed.take()["MD"]
    assert fed.ignored == {"bookTicker before the first trade": 1}
    assert (first["side"], first["price"], first["volume"], first["time_ns"]) == (0, 64000.1, 0.01, RECV_NS)
    assert (second["side"], second["best_ask"], second["time_ns"]) == (1, 64000.05, RECV_NS + 5)


def test_binance_records_without_a_trade() -> None:
    """The public record of a ticker has no side before one is known, that of quotes no trade either."""
    exchange = configured("binance")
    (record,) = exchange.parse_market_data(text(TICKER))
    assert (record.side, record.price) == (None, 64000.1)
    (record,) = exchange.parse_market_data(text(QUOTES), 77)
    assert (record.side, record.price, record.volume, record.time_ns) == (None, None, None, 77)


def test_binance_records_of_raw_streams() -> None:
    """The public parsers take events without the wrapper of combined streams."""
    exchange = configured("binance")
    (trade,) = exchange.parse_trade_data(text(SALE["data"]))
    assert (trade.symbol, trade.trade_id) == ("BTCUSDT", 5_000_001)
    (record,) = exchange.parse_market_data(text(QUOTES["data"]))
    assert (record.symbol, record.best_ask) == ("BTCUSDT", 64000.01)


def test_binance_24h_volume_in_records() -> None:
    """By option a record's volume is that of 24 hours, and the last trade's size is kept beside it."""
    (record,) = configured("binance", {"ticker_volume": "24h"}).parse_market_data(text(TICKER))
    assert record.volume == 8100.25
    assert record.exchange_specific["Q"] == "0.01000"
    assert "v" not in record.exchange_specific


def test_binance_unknown_kinds_are_counted_and_bounded() -> None:
    """Streams and events nobody asked for are counted by kind, the fifty-first and on together."""
    fed = Fed("binance")
    fed.feed(
        {"stream": "btcusdt@depth", "data": {}}, {"e": "kline"}, {"hello": 1}, {"stream": "x", "data": 1}
    )
    assert fed.ignored == {"depth": 1, "kline": 1, "unknown frame": 1, "x": 1}
    fed.feed(*({"e": f"kind {number}"} for number in range(60)))
    assert len(fed.ignored) == 51
    assert fed.ignored["other"] == 14


def test_binance_a_stream_of_another_symbol() -> None:
    """A frame of a symbol that was not subscribed, or in upper case, is ignored."""
    fed = Fed("binance")
    fed.feed({**SALE, "stream": "solusdt@trade"}, {**SALE, "stream": "BTCUSDT@trade"})
    assert fed.ignored == {"unsubscribed symbol": 2}


@pytest.mark.parametrize(
    ("configured_as", "url"),
    [
        ("wss://stream.binance.com:9443", "wss://stream.binance.com:9443/stream"),
        ("wss://stream.binance.com:9443/", "wss://stream.binance.com:9443/stream"),
        ("wss://stream.binance.com:443/stream", "wss://stream.binance.com:443/stream"),
        ("wss://x?timeUnit=MICROSECOND", "wss://x/stream?timeUnit=MICROSECOND"),
        ("wss://x/stream?timeUnit=MICROSECOND", "wss://x/stream?timeUnit=MICROSECOND"),
    ],
)
def test_binance_endpoint(configured_as: str, url: str) -> None:
    """The combined streams are asked for, whatever stands beside them in the configured URL."""
    assert Binance(BinanceConfig(ws_endpoint=configured_as)).endpoint(["BTCUSDT"]) == url


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("trades_stream", "trades", 'one of "trade", "aggTrade"'),
        ("md_stream", "depth", 'one of "ticker", "bookTicker"'),
        ("ticker_volume", "1h", 'one of "last", "24h"'),
        ("symbols_per_connection", 513, "a whole number between 1 and 512"),
        ("ws_endpoint", "wss://x/ws", "a URL with ws:// or wss:// and a host, and no path but /stream"),
    ],
)
def test_binance_options(key: str, value: Any, expected: str) -> None:
    """An option out of range says what is expected."""
    with pytest.raises(ValueError, match=key) as raised:
        BinanceConfig(**{key: value})
    assert f"expected {expected}, got" in str(raised.value)


@pytest.mark.parametrize(
    ("symbol", "normalized"),
    [("BTCUSDT", "BTC-USDT"), ("ETHBTC", "ETH-BTC"), ("1000SATSFDUSD", "1000SATS-FDUSD"), ("ODD", "ODD")],
)
def test_binance_names_before_a_listing(symbol: str, normalized: str) -> None:
    """Before a listing the known quote assets split a name; what none of them ends stays whole."""
    assert configured("binance").normalize_symbol(symbol) == normalized
