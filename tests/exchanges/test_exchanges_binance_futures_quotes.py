"""Binance futures: with which trade quotes are composed, on one connection and on two at a time."""

from __future__ import annotations

from typing import Any

from exchanges_tools import RECV_NS, Fed, text

from multilogger.exchanges.base import Adapter

TIME = 1795341600000


def fills(trade_id: int, *, ms: int | None = None, size: float | None = None) -> dict[str, Any]:
    """Return an aggregate trade, whose size tells its id unless it is given."""
    data = {"e": "aggTrade", "s": "BTCUSDT", "a": trade_id, "p": "64010.0", "m": True}
    time = TIME + (10 * trade_id if ms is None else ms)
    return {"stream": "btcusdt@aggTrade", "data": {**data, "q": str(size or trade_id), "T": time}}


def quotes(update: int, *, ms: int | None = None) -> dict[str, Any]:
    """Return best quotes."""
    data = {"e": "bookTicker", "u": update, "s": "BTCUSDT", "b": "64009.9", "a": "64010.1"}
    return {"stream": "btcusdt@bookTicker", "data": {**data, "T": TIME + (update if ms is None else ms)}}


def volumes(fed: Fed) -> list[float]:
    """Return the volumes of the MD rows since the last call: which trades they were composed with."""
    return [row["volume"] for row in fed.take()["MD"]]


def beside(fed: Fed) -> Adapter:
    """Return another connection's adapter, which has the same symbol."""
    other = fed.exchange.create_adapter(fed.table, fed.stats)
    other.subscribe(["BTCUSDT"])
    return other


def give(adapter: Adapter, fed: Fed, *frames: dict[str, Any]) -> None:
    """Let another connection bring frames."""
    assert adapter.receive([text(frame) for frame in frames], RECV_NS, fed.buffer) == []


def bitcoin() -> Fed:
    """Return a connection that carries one symbol."""
    return Fed("binance_coinm", symbols=["BTCUSDT"])


def test_quotes_have_the_last_trade_and_their_own_time() -> None:
    """Each bookTicker is a row at the matching engine's time; none before the first trade."""
    fed = bitcoin()
    fed.feed(quotes(1), fills(1), quotes(2), quotes(3), fills(2), quotes(4))
    rows = fed.take()["MD"]
    assert [(row["volume"], row["time_ns"]) for row in rows] == [
        (size, (TIME + update) * 10**6) for size, update in ((1.0, 2), (1.0, 3), (2.0, 4))
    ]
    assert fed.ignored == {"bookTicker before the first trade": 1}


def test_quotes_after_trades_out_of_order() -> None:
    """A trade that comes late, or again, does not take the place of a newer one."""
    fed = bitcoin()
    fed.feed(fills(5), fills(3), quotes(1), fills(5, size=9.0), quotes(2), fills(6), quotes(3))
    assert volumes(fed) == [5.0, 5.0, 6.0]


def test_quotes_after_trades_that_are_counted_anew() -> None:
    """A trade with a lower id and a later time is newer all the same."""
    fed = bitcoin()
    fed.feed(fills(500), fills(2, ms=6000), quotes(1), fills(3, ms=6001), quotes(2))
    assert volumes(fed) == [2.0, 3.0]


def test_quotes_after_a_trade_that_was_refused() -> None:
    """What is no trade does not change the last one."""
    fed = bitcoin()
    bad = fills(2)
    bad["data"]["q"] = "0"
    fed.feed(fills(1), bad, quotes(1))
    assert volumes(fed) == [1.0]


def test_quotes_of_a_new_connection_have_the_trade_of_another() -> None:
    """The last trade outlives a connection, until the new one brings its own."""
    fed = bitcoin()
    fed.feed(fills(1))
    other = beside(fed)
    give(other, fed, quotes(1), fills(2), quotes(2))
    assert volumes(fed) == [1.0, 2.0]
    fed.exchange.create_adapter(fed.table, fed.stats).subscribe(["ETHUSDT"])
    (record,) = fed.exchange.parse_market_data(text(quotes(9)))
    assert (record.price, record.volume, record.side) == (64010.0, 2.0, 0)


def test_quotes_of_two_connections_are_the_same_rows() -> None:
    """Whichever is ahead, the second one's quotes are composed like the first one's."""
    fed = bitcoin()
    other = beside(fed)
    feed = [fills(1), quotes(1), fills(2), quotes(2), quotes(3), fills(3), quotes(4)]
    give(other, fed, *feed)
    ahead = fed.take()["MD"]
    fed.feed(*feed)
    assert fed.take()["MD"] == ahead
    give(other, fed, fills(4), quotes(5), fills(5))
    fed.feed(quotes(5), fills(4), fills(5), quotes(6))
    give(other, fed, quotes(6))
    assert volumes(fed) == [4.0, 4.0, 5.0, 5.0]


def test_quotes_of_one_connection_go_by_its_own_trades() -> None:
    """What another connection has brought already does not change what comes before it here."""
    fed = bitcoin()
    fed.feed(fills(1))
    other = beside(fed)
    give(other, fed, fills(2))
    fed.feed(quotes(1), fills(2), quotes(2))
    give(other, fed, quotes(2))
    assert volumes(fed) == [1.0, 2.0, 2.0]


def test_quotes_that_come_late_are_the_same_rows_on_both() -> None:
    """So are quotes that are older than those that came before them."""
    fed = bitcoin()
    other = beside(fed)
    fed.feed(fills(1), quotes(5), fills(2), quotes(3))
    give(other, fed, fills(1), quotes(5), fills(2), fills(3), quotes(3))
    assert volumes(fed) == [1.0, 2.0, 1.0, 2.0]


def test_quotes_whose_updates_are_counted_anew() -> None:
    """Update ids that fall back, at later times, are not taken for those of before."""
    fed = bitcoin()
    other = beside(fed)
    fed.feed(fills(1), quotes(900), fills(2), quotes(1, ms=2000), fills(3), quotes(2, ms=2001))
    assert volumes(fed) == [1.0, 2.0, 3.0]
    give(other, fed, fills(4), quotes(1, ms=2000), quotes(2, ms=2001), quotes(3, ms=2002))
    assert volumes(fed) == [2.0, 3.0, 4.0]


def test_quotes_are_forgotten_after_a_while() -> None:
    """A connection that is far behind another finds no trade of that one: its own will do."""
    fed = bitcoin()
    other = beside(fed)
    fed.feed(fills(1), *(quotes(number) for number in range(100)))
    give(other, fed, fills(2), quotes(0), quotes(99))
    assert volumes(fed)[-2:] == [2.0, 1.0]
