"""Kraken Futures: records, past trades by REST, endpoints."""

from __future__ import annotations

import json
from typing import Any

import pytest
from exchanges_kraken_futures import BTC, ETH, MS, START_MS, Rest, lite, snapshot, ticker, trade, uid
from exchanges_tools import RECV_NS
from structlog.testing import capture_logs
from test_exchanges_listing import no_connection

from multilogger.batch import RowBuffer, SymbolTable
from multilogger.errors import FrameError, ListingError
from multilogger.exchanges.base import Services, TradeIds
from multilogger.exchanges.kraken_futures.exchange import KrakenFutures, KrakenFuturesConfig
from multilogger.records import Flag, Side
from multilogger.stats import ExchangeStats

URL = "https://futures.kraken.com/derivatives/api/v3/history"


def exchange(**options: Any) -> KrakenFutures:
    """Return one that can parse, but not connect."""
    return KrakenFutures(KrakenFuturesConfig(**options))


def connected(body: object) -> tuple[KrakenFutures, Rest]:
    """Return one whose REST API gives one body."""
    rest = Rest(body)
    return KrakenFutures(KrakenFuturesConfig(), Services(rest, no_connection)), rest


def past(seq: int, **fields: Any) -> dict[str, Any]:
    """Return an entry of the history."""
    return {
        "time": f"2026-11-22T10:00:00.{seq:03}Z",
        "trade_id": seq,
        "price": 64_000.5,
        "size": 0.5,
        "side": "sell",
        "type": "fill",
        "uid": uid(seq),
        **fields,
    }


def test_records_name_what_else_is_told() -> None:
    """Records have the fields of no column: a trade's type and number, a ticker's volume of a day."""
    it = exchange()
    (one,) = it.parse_trade_data(json.dumps(trade(2)).encode(), RECV_NS)
    assert (one.trade_id, one.side, one.recv_ns, one.flags) == (2, Side.SELL, RECV_NS, Flag.LIVE)
    assert one.exchange_specific == {"type": "fill", "seq": 2}
    replayed = it.parse_trade_data(json.dumps(snapshot(4, 3)).encode())
    assert [(one.trade_id, one.flags) for one in replayed] == [(3, Flag.REPLAYED), (4, Flag.REPLAYED)]
    (told,) = it.parse_market_data(json.dumps(ticker(2)).encode(), RECV_NS)
    assert (told.time_ns, told.price, told.volume, told.side) == ((START_MS + 2) * MS, 64_000.5, None, None)
    assert told.exchange_specific == {"leverage": "50x", "volume": 777.0}
    adapter = it.create_adapter(SymbolTable(it.id), ExchangeStats(it.id))
    adapter.subscribe([BTC])
    adapter.receive([json.dumps(trade(3)).encode()], RECV_NS, RowBuffer())
    (quotes,) = it.parse_market_data(json.dumps(lite()).encode(), RECV_NS)
    assert (quotes.time_ns, quotes.price, quotes.volume, quotes.side) == (RECV_NS, 64_003.0, 3.0, Side.BUY)
    with pytest.raises(FrameError, match="bad quote"):
        it.parse_market_data(json.dumps(lite(bid=0)).encode())


@pytest.mark.parametrize("message", [{"event": "info", "version": 1}, {"feed": "heartbeat", "time": 1}, {}])
def test_records_of_what_is_no_data(message: dict[str, Any]) -> None:
    """Other messages are neither trades nor tickers."""
    it = exchange()
    raw = json.dumps(message).encode()
    assert (it.parse_trade_data(raw), it.parse_market_data(raw)) == ([], [])


def test_records_and_a_daily_volume() -> None:
    """With the option a record's volume is that of 24 hours, and it is told once."""
    it = exchange(ticker_volume="24h")
    (told,) = it.parse_market_data(json.dumps(ticker(2, symbol=ETH)).encode())
    assert (told.volume, told.exchange_specific) == (777.0, {"leverage": "50x"})
    with pytest.raises(FrameError, match="bad size"):
        it.parse_market_data(json.dumps(ticker(2, volume=0)).encode())


async def test_the_newest_trades_are_fetched() -> None:
    """They come the newest first, and are given the oldest first; what was at one time by their numbers."""
    same = [past(7, time="2026-11-22T10:00:00.002Z"), past(6, time="2026-11-22T10:00:00.002Z")]
    it, rest = connected({"result": "success", "history": [*same, past(1, side="buy")]})
    first, second, third = await it.fetch_newest(BTC)
    assert rest.asked == [(URL, {"symbol": BTC})]
    assert (first.symbol, first.trade_id, first.side, first.time_ns) == (
        BTC,
        1,
        Side.BUY,
        (START_MS + 1) * MS,
    )
    assert (first.price, first.size, first.flags) == (64_000.5, 0.5, Flag.BACKFILLED)
    assert first.exchange_specific == {"trade_id": 1, "type": "fill"}
    assert [second.trade_id, third.trade_id] == [6, 7]


async def test_a_history_and_a_stream_agree() -> None:
    """A trade has the same values by either way, so that it is known again."""
    told = trade(1, price=64_000.5, qty=0.5, side="sell")
    it, _ = connected({"history": [past(1)]})
    (one,), (other,) = await it.fetch_newest(BTC), it.parse_trade_data(json.dumps(told).encode())
    for name in ("trade_id", "time_ns", "price", "size", "side"):
        assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize(
    "fields",
    [
        {"uid": "7"},
        {"uid": None},
        {"side": "none"},
        {"time": "yesterday"},
        {"time": 1_795_341_600_000},
        {"time": "0001-01-01T00:00:00.000Z"},
        {"size": 0},
        {"price": "x"},
        {"price": -1},
    ],
)
async def test_odd_entries_of_the_history(fields: dict[str, Any]) -> None:
    """An entry that is none is left out, with a warning; the others stay."""
    it, _ = connected({"history": [past(2), past(1, **fields)]})
    with capture_logs() as logs:
        trades = await it.fetch_newest(BTC)
    assert [one.trade_id for one in trades] == [2]
    assert [line["log_level"] for line in logs] == ["warning"]


async def test_numbers_that_are_none_sort_by_time() -> None:
    """Without a ``trade_id`` the time decides."""
    it, _ = connected({"history": [past(3), past(2, trade_id=None), past(1, trade_id="x")]})
    assert [one.trade_id for one in await it.fetch_newest(BTC)] == [1, 2, 3]


@pytest.mark.parametrize(
    "body",
    [b"{", [], {"result": "error", "errors": [{"code": 11, "message": "Argument invalid"}]}, {"history": {}}],
)
async def test_no_history(body: object) -> None:
    """What is no list of trades is an error that names the source."""
    it, _ = connected(body)
    with pytest.raises(ListingError, match="history"):
        await it.fetch_newest(BTC)


@pytest.mark.parametrize(
    ("configured", "url"),
    [
        ("wss://futures.kraken.com", "wss://futures.kraken.com/ws/v1"),
        ("wss://futures.kraken.com/", "wss://futures.kraken.com/ws/v1"),
        ("wss://example.com/proxy/kraken", "wss://example.com/proxy/kraken"),
        ("ws://127.0.0.1:9000", "ws://127.0.0.1:9000/ws/v1"),
    ],
)
def test_the_endpoint(configured: str, url: str) -> None:
    """The standard path is appended, unless the configured URL has one of its own."""
    it = exchange(ws_endpoint=configured)
    assert (it.endpoint([BTC]), it.endpoints([BTC])) == (url, (url,))


@pytest.mark.parametrize(
    "options", [{"md_stream": "book"}, {"ticker_volume": "7d"}, {"ws_endpoint": "https://example.com"}]
)
def test_odd_options(options: dict[str, Any]) -> None:
    """Options have few values."""
    with pytest.raises(ValueError, match=next(iter(options))):
        exchange(**options)


def test_what_is_promised() -> None:
    """It runs only where it is named; its ids tell trades apart, and pings come well within a minute."""
    it = exchange()
    assert (it.by_default, it.trade_ids, it.md_has_time) == (False, TradeIds.UNORDERED, True)
    assert it.limits.ping_secs is not None
    assert it.limits.ping_secs <= 30
    assert it.history is not None
    assert (it.history.by_id, it.history.page) == (False, 100)
