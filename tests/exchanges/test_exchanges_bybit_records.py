"""Bybit's trades, and its public records."""

from __future__ import annotations

import json
from typing import Any

import pytest
from exchanges_bybit import START_MS, UUID, Fed, book, last, made, snapshot, ticker, trade, trades

from multilogger.errors import FrameError

BUY = trades(trade())


def test_ids_are_numbers_or_the_beginning_of_a_uuid() -> None:
    """Digits are the id itself, up to eight bytes; of a UUID it is the first eight; all else is none."""
    fed = Fed(made())
    ids = ["17", str(2**64 - 1), UUID, UUID.upper(), "f" * 8 + UUID[8:]]
    rows = fed.trades(trades(*(trade(trade_id=it) for it in ids)))
    first = 0x0C0FFEE0_D8DD5B31
    assert [row[1] for row in rows] == [17, 2**64 - 1, first, first, 0xFFFFFFFF_D8DD5B31]
    odd = [
        str(2**64),
        "9" * 5000,
        "²",
        "-1",
        "1e3",
        "0x11",
        " 17",
        "",
        UUID.replace("-", ""),
        UUID[1:],
        "1_7",
    ]
    assert fed.trades(trades(*(trade(trade_id=it) for it in odd))) == []
    assert fed.refused == {"bad id": len(odd)}


def test_one_bad_trade_does_not_cost_the_others() -> None:
    """Of a message with many trades those that can't be read are left out, each for its reason."""
    fed = Fed(made())
    odd = [
        {**trade(), "p": None},
        {**trade(), "S": "Hold"},
        None,
        {},
        trade(price="0"),
        {**trade(), "v": "nan"},
        {**trade(), "T": 1},
    ]
    good = [trade(trade_id=str(number), price=f"640{number}.5") for number in range(10, 20)]
    mixed = [*good[:5], *odd, *good[5:]]
    assert [row[1] for row in fed.trades(trades(*mixed))] == list(range(10, 20))
    reasons = {"bad price": 2, "bad side": 1, "not an object": 1, "missing field": 1}
    assert fed.refused == {**reasons, "bad size": 1, "bad time": 1}


def test_a_message_may_have_1024_trades() -> None:
    """All of them are rows, in their order; the last one is the last trade."""
    fed = Fed(made())
    many = [trade(str(number + 1), str(number + 1), trade_id=str(number)) for number in range(1024)]
    assert [row[1] for row in fed.trades(trades(*many))] == list(range(1024))
    assert fed.md(book("1000", "1025", 1)) == [(120, 1024.0, 1024.0, 1, 1000.0, 1025.0, 2)]


@pytest.mark.parametrize("data", [None, {}, "x", 7])
def test_trades_that_are_no_list(data: Any) -> None:
    """A message whose trades are no list is refused as a whole; so is one without any."""
    fed = Fed(made())
    message = {**BUY, "data": data}
    del (bare := dict(BUY))["data"]
    assert fed.trades(message, bare) == []
    assert fed.refused == {"wrong type": 1, "missing field": 1}
    with pytest.raises(FrameError, match="wrong type"):
        made().parse_trade_data(json.dumps(message).encode())


def test_records_of_spot_have_what_is_known() -> None:
    """Quotes alone are a record without a trade; a last price without quotes is none."""
    exchange = made()
    (quotes,) = exchange.parse_market_data(json.dumps(book("64000", "64001", 5)).encode(), 7)
    assert (quotes.best_bid, quotes.best_ask, quotes.price, quotes.volume, quotes.side) == (
        64000.0,
        64001.0,
        None,
        None,
        None,
    )
    assert quotes.exchange_specific == {"type": "snapshot", "s": "BTCUSDT", "u": 5, "seq": 7}
    assert (quotes.recv_ns, quotes.time_ns) == (7, (START_MS + 120) * 10**6)
    assert exchange.parse_market_data(json.dumps(last("64000.1")).encode()) == []
    Fed(exchange).feed(BUY, book("64000", "64001", 5))
    (priced,) = exchange.parse_market_data(json.dumps(last("64000.1")).encode())
    assert (priced.price, priced.volume, priced.side, priced.best_ask) == (64000.1, 0.01, 1, 64001.0)


def test_records_of_contracts_have_what_is_known() -> None:
    """A delta is a record once a connection has a snapshot; what it leaves out is that one's."""
    exchange = made("bybit_linear")
    delta = json.dumps(ticker("delta", bid1Price="64000.5")).encode()
    assert exchange.parse_market_data(delta) == []
    Fed(exchange).feed(snapshot("64000.1", "64000", "64001"))
    (record,) = exchange.parse_market_data(delta)
    assert (record.best_bid, record.best_ask, record.price, record.side) == (64000.5, 64001.0, None, None)
    assert record.exchange_specific == {"type": "delta", "cs": 9, "symbol": "BTCUSDT"}


def test_records_keep_what_has_no_column() -> None:
    """A trade's record has the other fields of its entry and of its message."""
    (record,) = made().parse_trade_data(json.dumps(trades(trade(seq=5, BT=False))).encode())
    rest = {"type": "snapshot", "ts": START_MS + 110, "s": "BTCUSDT", "seq": 5, "BT": False}
    assert record.exchange_specific == rest
