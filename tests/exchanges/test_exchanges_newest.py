"""Which exchanges name the newest trade beside the trades, and where."""

from __future__ import annotations

from typing import Any

import pytest
from exchanges_tools import Fed, cases

from multilogger.exchanges.base import NewestIds

FRAMES = {case.about: case.frame for case in cases("binance")}
SALE = FRAMES["the buyer was the maker"]
TICKER = FRAMES["a ticker after a sale"]


def ticker(**fields: object) -> dict[str, Any]:
    """Return a ticker of Binance with other values."""
    return {**TICKER, "data": {**TICKER["data"], **fields}}


def heartbeat(newest: object, symbol: object = "BTC-USD") -> dict[str, Any]:
    """Return a heartbeat."""
    return {"type": "heartbeat", "sequence": 9, "last_trade_id": newest, "product_id": symbol, "time": ".."}


def test_coinbase_heartbeats_name_the_newest_trade() -> None:
    """What a heartbeat says of the newest trade is known until its product is unsubscribed."""
    fed = Fed("coinbase")
    assert isinstance(fed.adapter, NewestIds)
    btc, eth = (fed.table.number(symbol) for symbol in ("BTC-USD", "ETH-USD"))
    fed.feed(heartbeat(700), heartbeat(9, "ETH-USD"), heartbeat(701))
    assert fed.adapter.newest_ids == {btc: 701, eth: 9}
    fed.adapter.unsubscribe(["BTC-USD"])
    fed.feed(heartbeat(702))
    assert fed.adapter.newest_ids == {eth: 9}
    fed.adapter.unsubscribe(["SOL-USD"])
    assert (fed.ignored, fed.refused, len(fed.buffer)) == ({}, {}, 0)


@pytest.mark.parametrize("odd", [None, "7", 7.5, True, -1, 2**63, [], {}])
def test_coinbase_odd_heartbeats(odd: object) -> None:
    """A heartbeat that names no trade or no product is a sign of life all the same."""
    fed = Fed("coinbase")
    fed.feed(heartbeat(odd), heartbeat(7, odd), {"type": "heartbeat"}, heartbeat(8, "SOL-USD"))
    assert isinstance(fed.adapter, NewestIds)
    assert (fed.adapter.newest_ids, fed.ignored, fed.refused) == ({}, {}, {})


def test_binance_tickers_name_the_newest_trade() -> None:
    """A ticker's last id is known until its symbol is unsubscribed, whether or not the ticker is a row."""
    fed = Fed("binance")
    assert isinstance(fed.adapter, NewestIds)
    btc, eth = (fed.table.number(symbol) for symbol in ("BTCUSDT", "ETHUSDT"))
    other = {"stream": "ethusdt@ticker", "data": {**TICKER["data"], "s": "ETHUSDT", "L": 9}}
    fed.feed(ticker(L=700), other, ticker(L=701, b="0"))
    assert fed.adapter.newest_ids == {btc: 701, eth: 9}
    fed.adapter.unsubscribe(["BTCUSDT", "SOLUSDT"])
    assert fed.adapter.newest_ids == {eth: 9}


@pytest.mark.parametrize("odd", [None, "7", 7.5, True, -1, 2**63, 2**70, [], {}, ...])
def test_binance_odd_last_ids(odd: object) -> None:
    """A ticker whose last id is none, or missing, is a row like any other; -1 says that nothing traded."""
    fed = Fed("binance")
    fields = {name: value for name, value in TICKER["data"].items() if name != "L"}
    frame = {**TICKER, "data": fields if odd is ... else {**fields, "L": odd}}
    fed.feed(SALE, frame)
    assert isinstance(fed.adapter, NewestIds)
    assert (fed.adapter.newest_ids, fed.refused, len(fed.take()["MD"])) == ({}, {}, 1)


def test_binance_tickers_do_not_name_aggregated_trades() -> None:
    """A ticker's last id is that of a single trade: it says nothing where trades are aggregated."""
    fed = Fed("binance", {"trades_stream": "aggTrade"})
    fed.feed(ticker(L=700))
    assert isinstance(fed.adapter, NewestIds)
    assert fed.adapter.newest_ids == {}
