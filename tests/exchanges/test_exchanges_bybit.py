"""Bybit's tickers, composed of quotes, last prices and trades."""

from __future__ import annotations

from typing import Any

import pytest
from exchanges_bybit import (
    UUID,
    Fed,
    book,
    last,
    made,
    snapshot,
    ticker,
    trade,
    trades,
)

BUY = trades(trade())
SALE = trades(trade("63999.90", "0.5", "Sell", "2290000001189048102", 200))


# Spot.


def test_spot_has_a_row_for_each_change_of_the_quotes() -> None:
    """A repetition of the same ``u`` is no change; another one is, whatever it is."""
    fed = Fed(made())
    assert fed.md(BUY, book("64000", "64001", 5)) == [(120, 64000.1, 0.01, 1, 64000.0, 64001.0, 2)]
    assert fed.md(book("64000", "64001", 5, 3120)) == []
    assert fed.ignored == {"orderbook.1 without a change": 1}
    assert [row[0] for row in fed.md(book("64000", "64001", 6, 3200), book("64000", "64002", 1, 3300))] == [
        3200,
        3300,
    ]


def test_spot_has_a_row_for_a_new_last_price_if_its_trade_is_known() -> None:
    """Price and size of a row are those of one trade: a last price ahead of its trade gives no row."""
    fed = Fed(made())
    fed.feed(BUY, book("64000", "64001", 5), last("64000.1"))
    assert fed.md(last("64000.1", 900)) == [
        (120, 64000.1, 0.01, 1, 64000.0, 64001.0, 2),
        (130, 64000.1, 0.01, 1, 64000.0, 64001.0, 2),
    ]
    assert fed.md(last("63999.9", 1000)) == []
    assert fed.ignored == {"tickers without a change": 1, "tickers ahead of its trade": 1}
    assert fed.md(SALE, last("63999.9", 1100)) == []
    assert fed.md(last("64000.5", 1200), last("63999.9", 1300)) == [
        (1300, 63999.9, 0.5, 0, 64000.0, 64001.0, 0)
    ]


def test_spot_quotes_take_the_last_trade_whatever_tickers_say() -> None:
    """Tickers are 50 ms behind: what they say of the last price is no news against a trade."""
    fed = Fed(made())
    fed.feed(BUY, last("64000.1"), SALE)
    assert fed.md(book("63999", "64000", 5, 300)) == [(300, 63999.9, 0.5, 0, 63999.0, 64000.0, 2)]


def test_spot_has_no_row_before_a_trade() -> None:
    """Quotes and last price alone have no size; what comes first is kept, what follows is counted."""
    fed = Fed(made())
    assert fed.md(last("64000.1"), book("64000", "64001", 5)) == []
    assert fed.ignored == {}
    assert fed.md(book("64000", "64002", 6), last("64000.2", 200)) == []
    assert fed.ignored == {"orderbook.1 before the first trade": 1, "tickers before the first trade": 1}


@pytest.mark.parametrize(
    "spoil",
    [
        {"data": {"s": "BTCUSDT", "b": [["x", "1"]], "a": [["64001", "1"]], "u": 6}},
        {"data": {"s": "BTCUSDT", "b": [["64000", "1"]], "a": [["0", "1"]], "u": 6}},
        {"data": {"s": "BTCUSDT", "b": [["64000"]], "a": [["64001", "1"]], "u": 6}},
        {"data": {"s": "BTCUSDT", "b": [["64000", "1"]], "a": [], "u": 6}},
        {"ts": 1},
    ],
)
def test_spot_quotes_that_can_not_be_read_are_not_known_any_more(spoil: dict[str, Any]) -> None:
    """After a book that is refused, or has an empty side, no row has the quotes of before."""
    fed = Fed(made())
    fed.feed(BUY, book("64000", "64001", 5), last("64000.1"))
    fed.buffer.take()
    assert fed.md({**book("64000", "64002", 6, 200), **spoil}, SALE, last("63999.9", 300)) == []
    assert fed.md(book("64000", "64002", 6, 400))[0][0] == 400


def test_spot_with_the_volume_of_24_hours() -> None:
    """Price and volume are those of tickers then; before a trade the tick rule gives the side."""
    fed = Fed(made(ticker_volume="24h"))
    assert fed.md(book("64000", "64001", 5), last("64000.1")) == []
    assert fed.md(last("64000.2", 140, "8101")) == [(140, 64000.2, 8101.0, 1, 64000.0, 64001.0, 0)]
    assert fed.md(last("64000.1", 150)) == [(150, 64000.1, 8100.25, 0, 64000.0, 64001.0, 0)]
    assert fed.md(BUY, book("64000", "64002", 6, 160)) == [(160, 64000.1, 8100.25, 1, 64000.0, 64002.0, 0)]
    assert fed.md(last("64000.1", 170, ""), last("64000.1", 180, "0")) == []
    assert fed.refused == {"bad size": 2}


# Linear and inverse.


@pytest.mark.parametrize("name", ["bybit_linear", "bybit_inverse"])
def test_contracts_merge_deltas(name: str) -> None:
    """What a delta leaves out is unchanged; a row comes if quotes or last price change, and only then."""
    fed = Fed(made(name))
    assert fed.md(trades(trade(trade_id=UUID)), snapshot("64000.1", "64000", "64001")) == [
        (120, 64000.1, 0.01, 1, 64000.0, 64001.0, 2)
    ]
    assert fed.md(ticker("delta", 200, ask1Price="64002", ask1Size="3")) == [
        (200, 64000.1, 0.01, 1, 64000.0, 64002.0, 0)
    ]
    unchanged = [ticker("delta", 300, markPrice="64000.5"), ticker("delta", 301, bid1Price="64000.00")]
    assert fed.md(*unchanged, ticker("delta", 302, bid1Size="7"), ticker("delta", 303)) == []
    assert fed.ignored == {"tickers without a change": 4}
    sale = trades(trade("63999.90", "0.5", "Sell", UUID[::-1], 200))
    assert fed.md(sale) == []
    assert fed.refused == {"bad id": 1}
    sale["data"][0]["i"] = UUID
    assert fed.md(sale, ticker("delta", 400, lastPrice="63999.9")) == [
        (400, 63999.9, 0.5, 0, 64000.0, 64002.0, 0)
    ]


def test_contracts_snapshots_replace_everything() -> None:
    """Nothing that was known before survives a snapshot."""
    fed = Fed(made("bybit_linear"))
    fed.feed(trades(trade(trade_id=UUID)), snapshot("64000.1", "64000", "64001"))
    fed.buffer.take()
    assert fed.md(snapshot("64000.1", "63000", "65000", 200)) == [
        (200, 64000.1, 0.01, 1, 63000.0, 65000.0, 0)
    ]
    assert fed.md(snapshot("64000.1", "63000", "65000", 300)) == []


def test_contracts_deltas_before_a_snapshot_say_nothing() -> None:
    """They are counted, and not kept."""
    fed = Fed(made("bybit_linear"))
    fed.feed(trades(trade(trade_id=UUID)))
    full = {"lastPrice": "64000.1", "bid1Price": "64000", "ask1Price": "64001"}
    assert fed.md(ticker("delta", 120, **full)) == []
    assert fed.ignored == {"tickers delta before a snapshot": 1}
    assert len(fed.md(snapshot("64000.1", "64000", "64001"))) == 1


def test_contracts_fields_that_can_not_be_read_are_not_known_any_more() -> None:
    """A quote of before never stands for one that was refused; the other fields of the message neither."""
    fed = Fed(made("bybit_linear"))
    fed.feed(trades(trade(trade_id=UUID)), snapshot("64000.1", "64000", "64001"))
    fed.buffer.take()
    assert fed.md(ticker("delta", 200, bid1Price="", ask1Price="64005")) == []
    assert fed.md(ticker("delta", 210, ask1Price="64006")) == []
    assert fed.md(ticker("delta", 220, bid1Price="64002")) == [(220, 64000.1, 0.01, 1, 64002.0, 64006.0, 0)]
    assert fed.refused == {"bad quote": 1}


def test_contracts_go_on_after_a_snapshot_that_is_refused() -> None:
    """A market without bids has a snapshot that is refused; deltas tell the quotes, each once it is there."""
    fed = Fed(made("bybit_linear"))
    fed.feed(trades(trade(trade_id=UUID)), snapshot("64000.1", "0", "64001"))
    assert fed.refused == {"bad quote": 1}
    assert fed.md(ticker("delta", 200, bid1Price="64000")) == []
    assert fed.md(ticker("delta", 210, ask1Price="64002")) == [(210, 64000.1, 0.01, 1, 64000.0, 64002.0, 0)]


def test_contracts_with_the_volume_of_24_hours() -> None:
    """It is merged as the prices are; what changes it alone is no row."""
    fed = Fed(made("bybit_linear", ticker_volume="24h"))
    assert fed.md(snapshot("64000.1", "64000", "64001")) == []
    assert fed.md(ticker("delta", 200, volume24h="91706")) == []
    assert fed.md(ticker("delta", 210, lastPrice="64000.2")) == [
        (210, 64000.2, 91706.0, 1, 64000.0, 64001.0, 0)
    ]
    assert fed.md(ticker("delta", 220, bid1Price="64000.1", volume24h="x")) == []
    assert fed.refused == {"bad size": 1}


# What outlives a connection.


def test_a_trade_of_an_earlier_connection_counts_while_its_price_is_the_last() -> None:
    """A new connection starts with no quotes; the last trade it gets from the old one, if tickers agree."""
    exchange = made()
    Fed(exchange).feed(BUY)
    agreeing = Fed(exchange)
    assert agreeing.md(book("64000", "64001", 9, 500)) == []
    assert agreeing.md(last("64000.10", 510)) == [(510, 64000.1, 0.01, 1, 64000.0, 64001.0, 2)]
    assert agreeing.md(book("64000", "64002", 10, 520)) == [(520, 64000.1, 0.01, 1, 64000.0, 64002.0, 0)]
    other = Fed(exchange)
    assert other.md(last("64000.2", 600), book("64000", "64001", 11, 610), book("1", "2", 12, 620)) == []
    assert other.ignored == {"orderbook.1 before the first trade": 1}
    assert other.md(SALE, book("63999", "64000", 13, 630)) == [(630, 63999.9, 0.5, 0, 63999.0, 64000.0, 0)]


def test_two_connections_make_the_same_rows() -> None:
    """What another connection brings in between does not change a row: a connection's own trades count."""
    exchange = made("bybit_linear")
    one, two = Fed(exchange), Fed(exchange)
    first, second = trades(trade(trade_id=UUID)), trades(trade("64010", "3", "Sell", "f" * 8 + UUID[8:]))
    full, delta = snapshot("64000.1", "64000", "64001"), ticker("delta", 200, ask1Price="64003")
    expected = one.md(first, full, delta)
    one.feed(second)
    assert two.md(first, full, delta) == expected


def test_unsubscribing_forgets_the_quotes() -> None:
    """A symbol that is subscribed anew starts as on a new connection."""
    fed = Fed(made())
    fed.feed(BUY, last("64000.1"), book("64000", "64001", 5))
    fed.buffer.take()
    fed.adapter.unsubscribe(["BTCUSDT"])
    assert fed.md(book("64000", "64002", 6)) == []
    assert fed.ignored == {"unsubscribed symbol": 1}
    fed.adapter.subscribe(["BTCUSDT"])
    assert fed.md(last("64000.1", 300)) == []
    assert fed.md(book("64000", "64002", 6, 310)) == [(310, 64000.1, 0.01, 1, 64000.0, 64002.0, 2)]
