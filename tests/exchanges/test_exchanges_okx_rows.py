"""OKX: what is told at subscribe, merged fills, sides of tickers, illiquid instruments, other frames."""

from __future__ import annotations

import pytest
from exchanges_okx_tools import BUY, SALE, TICKER, changed, fed, sides
from exchanges_tools import RECV_NS, made, text

from multilogger.exchanges.okx.exchange import Okx
from multilogger.records import MERGED_SHIFT, Flag


def test_okx_the_first_push_is_of_the_past() -> None:
    """What comes first after each subscription is flagged: it is what was last before."""
    okx = fed()
    okx.feed(BUY, SALE, TICKER, TICKER)
    rows = okx.take()
    assert [row["flags"] for row in rows["TRADES"]] == [Flag.REPLAYED, 0]
    assert [row["flags"] for row in rows["MD"]] == [Flag.REPLAYED, 0]
    okx.adapter.unsubscribe(["BTC-USDT"])
    okx.adapter.subscribe(["BTC-USDT"])
    okx.feed(changed(BUY, count="3"))
    (row,) = okx.take()["TRADES"]
    assert row["flags"] == Flag.REPLAYED | 2 << MERGED_SHIFT


def test_okx_a_refused_first_push_is_the_first_all_the_same() -> None:
    """What follows a first push that gave no row is live."""
    okx = fed()
    okx.feed(changed(BUY, px=""), BUY, changed(TICKER, bidPx=""), TICKER)
    rows = okx.take()
    assert [row["flags"] for row in (*rows["TRADES"], *rows["MD"])] == [0, 0]
    assert (okx.refused, okx.ignored) == ({"bad price": 1}, {"ticker without a quote": 1})


def test_okx_one_odd_trade_does_not_cost_the_others() -> None:
    """Of a push with several trades those that can be read are recorded; the others are counted, each."""
    (entry,) = BUY["data"]
    push = {
        **BUY,
        "data": [entry, {**entry, "sz": ""}, 7, {**entry, "tradeId": "900121"}, {**entry, "side": "hold"}],
    }
    okx = fed()
    okx.feed(push)
    assert [row["trade_id"] for row in okx.take()["TRADES"]] == [900120, 900121]
    assert okx.refused == {"bad size": 1, "not an object": 1, "bad side": 1}


def test_okx_most_merged_fills() -> None:
    """As many fills as a row's flags can tell are recorded, more are refused."""
    okx = fed("BTC-USDT")
    okx.feed(changed(BUY, tradeId=str(2**60), count=str(2**24)))
    (row,) = okx.take()["TRADES"]
    assert row["flags"] == Flag.REPLAYED | (2**24 - 1) << MERGED_SHIFT
    okx.feed(changed(BUY, tradeId=str(2**60), count=str(2**24 + 1)))
    assert okx.refused == {"bad count": 1}


def test_okx_a_trade_has_as_many_fills_as_ids() -> None:
    """The first of merged fills may have the id 0, and none a lower one."""
    okx = fed("BTC-USDT")
    okx.feed(changed(BUY, tradeId="2", count="3"), changed(BUY, tradeId="2", count="4"))
    assert (len(okx.take()["TRADES"]), okx.refused) == (1, {"bad count": 1})


def test_okx_ticker_takes_the_side_of_the_newest_trade() -> None:
    """A ticker's side is that of its instrument's newest trade; a late or repeated one changes nothing."""
    okx = fed()
    eth = {"arg": {"channel": "trades", "instId": "ETH-USDT"}, "data": SALE["data"]}
    okx.feed(SALE, TICKER, changed(BUY, tradeId="900121"), eth, TICKER, SALE, TICKER)
    assert sides(okx) == [0, 1, 1]
    # Ids that begin anew are newer by their time.
    okx.feed(changed(SALE, tradeId="5", ts="1795341700000"), TICKER)
    assert sides(okx) == [0]


def test_okx_side_is_each_connections_own() -> None:
    """While two connections overlap, the same ticker is the same row, however far one of them is ahead."""
    okx = fed()
    other = okx.exchange.create_adapter(okx.table, okx.stats)
    other.subscribe(["BTC-USDT"])
    ahead = [text(it) for it in (SALE, TICKER, changed(BUY, tradeId="900121"))]
    other.receive(ahead, RECV_NS, okx.buffer)
    okx.feed(SALE, TICKER)
    assert sides(okx) == [0, 0]


def test_okx_sides_outlive_connections() -> None:
    """Before its own first trade a connection takes the side that an earlier one knew."""
    okx = fed()
    okx.feed(BUY)
    after = okx.exchange.create_adapter(okx.table, okx.stats)
    after.subscribe(["BTC-USDT"])
    after.receive([text(TICKER)], RECV_NS, okx.buffer)
    assert sides(okx) == [1]
    (record,) = okx.exchange.parse_market_data(text(TICKER))
    assert record.side == 1


def test_okx_tick_rule_before_the_first_trade() -> None:
    """Before any trade up is a buy, down a sell, else as before; and no row before the side is known."""
    okx = fed()
    okx.feed(*(changed(TICKER, last=price) for price in ("10", "10", "11", "11", "10.5", "10.5", "12")))
    assert sides(okx) == [1, 1, 0, 0, 1]
    assert okx.ignored == {"ticker before the first trade": 2}
    okx.feed(SALE, changed(TICKER, last="13"))
    assert sides(okx) == [0]
    (record,) = made(Okx).parse_market_data(text(TICKER))
    assert record.side is None


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"last": ""}, "ticker without a trade"),
        ({"lastSz": ""}, "ticker without a trade"),
        ({"bidPx": "", "bidSz": ""}, "ticker without a quote"),
        ({"askPx": ""}, "ticker without a quote"),
    ],
)
def test_okx_illiquid_instruments(fields: dict[str, str], kind: str) -> None:
    """What is empty is not zero: such a ticker gives neither row nor record, and is no error."""
    okx = fed()
    okx.feed(BUY, changed(TICKER, **fields))
    assert (okx.take()["MD"], okx.ignored, okx.refused) == ([], {kind: 1}, {})
    assert okx.exchange.parse_market_data(text(changed(TICKER, **fields))) == []


@pytest.mark.parametrize(
    ("frame", "ignored", "refused"),
    [
        ({"arg": {"channel": "books5", "instId": "BTC-USDT"}, "data": [{}]}, {"books5": 1}, {}),
        ({"arg": {"channel": "instruments", "instType": "SPOT"}, "data": []}, {"instruments": 1}, {}),
        ({"arg": {"channel": "trades", "instId": "SOL-USDT"}, "data": []}, {"unsubscribed symbol": 1}, {}),
        ({"arg": {"channel": "trades-all", "instId": "BTC-USDT"}, "data": []}, {"trades-all": 1}, {}),
        ({"arg": {"channel": "trades", "instId": "BTC-USDT"}}, {}, {"missing field": 1}),
        ({"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": 1}, {}, {"not a list": 1}),
        ({"arg": {"channel": "trades"}, "data": []}, {}, {"missing field": 1}),
        ({"arg": {"channel": "trades", "instId": 5}, "data": []}, {}, {"bad symbol": 1}),
        ({"arg": {}, "data": []}, {}, {"missing field": 1}),
        ({"arg": [], "data": []}, {"unknown frame": 1}, {}),
        ([], {}, {"not an object": 1}),
    ],
)
def test_okx_other_frames(frame: object, ignored: dict[str, int], refused: dict[str, int]) -> None:
    """What nobody asked for is ignored, what is no push is refused."""
    okx = fed()
    assert okx.feed(frame) == []
    assert (okx.ignored, okx.refused, len(okx.buffer)) == (ignored, refused, 0)
