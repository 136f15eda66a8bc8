"""Kraken Futures: what of trades, snapshots and tickers becomes a row, and beside which last trade."""

from __future__ import annotations

import json
from typing import Any

import pytest
from exchanges_kraken_futures import (
    BTC,
    MS,
    START_MS,
    confirm_all,
    entry,
    fed,
    lite,
    snapshot,
    ticker,
    trade,
    uid,
)
from exchanges_tools import RECV_NS, FedExchange

from multilogger.records import Flag

MD = ("price", "volume", "best_bid", "best_ask", "side", "flags")


def tickers(it: FedExchange, *fields: str) -> list[tuple[Any, ...]]:
    """Return fields of the MD rows since the last call."""
    return [tuple(row[name] for name in fields or MD) for row in it.take()["MD"]]


def after(*frames: Any, **options: Any) -> FedExchange:
    """Return an adapter that has received some frames, its rows taken away."""
    it = fed(**options)
    it.feed(*frames)
    it.take()
    return it


def another(it: FedExchange) -> FedExchange:
    """Return the next connection of the same exchange."""
    return FedExchange(it.exchange, [BTC])


@pytest.mark.parametrize("kind", ["fill", "liquidation", "assignment", "termination", "block", None, 7])
def test_trades_of_every_type(kind: object) -> None:
    """Whatever its type, a trade is a trade."""
    it = fed()
    it.feed(trade(5, type=kind))
    (row,) = it.take()["TRADES"]
    assert (row["trade_id"], row["price"], row["size"], row["side"]) == (5, 64_005.0, 5.0, 1)
    assert (row["time_ns"], row["recv_ns"], row["flags"]) == ((START_MS + 5) * MS, RECV_NS, 0)


def test_ids_are_the_first_half_of_a_uuid() -> None:
    """All of its 64 bits count, in either case, with dashes or without."""
    it = fed()
    highest = "FFFFFFFF-ffff-fffe-8c7d-8e9f0a1b2c3d"
    it.feed(trade(1, uid=highest), trade(2, uid=highest.replace("-", "")), trade(3, uid=uid(2**63)))
    assert [row["trade_id"] for row in it.take()["TRADES"]] == [2**64 - 2, 2**64 - 2, 2**63]


@pytest.mark.parametrize("odd", ["", "7", "g" * 32, "0" * 31, "0" * 34, "0a1b2c3d-4e5f-4a6b-8c7d-8e9f0a1b2c"])
def test_ids_that_are_no_uuid(odd: str) -> None:
    """A trade without a UUID is refused."""
    it = fed()
    it.feed(trade(1, uid=odd))
    assert it.refused == {"bad id": 1}
    assert it.take()["TRADES"] == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"price": 0}, "bad price"),
        ({"price": -1.5}, "bad price"),
        ({"qty": 0}, "bad size"),
        ({"qty": -2}, "bad size"),
        ({"time": 1}, "bad time"),
        ({"time": 2**50}, "bad time"),
        ({"side": "BUY"}, "bad side"),
    ],
)
def test_absurd_trades(fields: dict[str, Any], reason: str) -> None:
    """Values of the right type that can't be are refused, live and in a snapshot; the others stay."""
    it = fed()
    several = snapshot(3, 2, 1)
    several["trades"][1] |= fields
    it.feed(trade(1, **fields), several)
    assert it.refused == {reason: 2}
    assert [row["trade_id"] for row in it.take()["TRADES"]] == [1, 3]


def test_snapshots_are_replayed_in_order() -> None:
    """The newest trade comes first there, and last on disk."""
    it = fed()
    it.feed(snapshot(4, 3, 2))
    rows = it.take()["TRADES"]
    assert [(row["trade_id"], row["flags"]) for row in rows] == [(n, Flag.REPLAYED) for n in (2, 3, 4)]


@pytest.mark.parametrize(
    ("odd", "reason"),
    [([], "not an object"), ("x", "not an object"), ({"uid": uid(1)}, "missing field")],
)
def test_odd_entries_of_a_snapshot(odd: Any, reason: str) -> None:
    """An entry that is none costs no other one."""
    it = fed()
    it.feed({**snapshot(), "trades": [entry(2), odd, entry(1)]})
    assert [row["trade_id"] for row in it.take()["TRADES"]] == [1, 2]
    assert it.refused == {reason: 1}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"product_id": None}, "missing field"),
        ({"product_id": 7}, "bad symbol"),
        ({"trades": {}}, "wrong type"),
    ],
)
def test_odd_snapshots(fields: dict[str, Any], reason: str) -> None:
    """A snapshot of nothing known is refused as a whole."""
    it = fed()
    it.feed({**snapshot(2, 1), **fields})
    assert it.refused == {reason: 1}


def test_a_snapshot_without_trades() -> None:
    """A product that never traded has an empty one."""
    it = fed()
    it.feed(snapshot())
    assert it.ignored == {"trade_snapshot without trades": 1}


def test_other_spellings_give_the_same_rows() -> None:
    """Keys in another order, spaces, numbers in text: it is the same trade, and the same ticker."""
    hot, general = fed(), fed()
    told, quoted = trade(5), ticker(9)
    hot.feed(told, quoted)
    for message in (told, quoted):
        texts = {key: str(value) if isinstance(value, float) else value for key, value in message.items()}
        general.feed(json.dumps(dict(reversed(texts.items())), indent=1))
    assert hot.take() == general.take()


def test_frames_that_begin_like_others() -> None:
    """What only begins like a trade or ticker is taken for what it is."""
    it = after(trade(1))
    confirm_all(it)
    it.feed(
        {"product_id": BTC, **snapshot(3, 2)},
        {"time": 1, "feed": "heartbeat"},
        {"time": 1, "feed": "weather"},
        {"product_id": BTC, **{key: value for key, value in ticker(9).items() if key != "product_id"}},
        {"time": 1, "event": "info"},
        {"product_id": BTC},
    )
    assert [row["trade_id"] for row in it.take()["TRADES"]] == [2, 3]
    assert (it.ignored, it.refused) == ({"weather": 1}, {"missing field": 1})


def test_tickers_take_the_last_trade() -> None:
    """Price and quotes are the ticker's, volume and side those of the trade before."""
    it = after(trade(2), ticker(3))
    it.feed(trade(4), ticker(5), trade(7), ticker(8, last=64_007.0))
    assert tickers(it) == [
        (64_000.5, 4.0, 64_000.0, 64_001.0, 0, 0),
        (64_007.0, 7.0, 64_000.0, 64_001.0, 1, 0),
    ]


def test_a_trade_that_comes_late_is_not_the_last() -> None:
    """The newest is the one with the highest number or the latest time, whenever they come."""
    it = after(trade(2), ticker(3))
    it.feed(trade(9), trade(8), snapshot(9, 8, 7), ticker(10))
    it.feed({**trade(20), "seq": 1, "time": START_MS + 30}, ticker(31))  # The engine began anew.
    it.feed(trade(10, time=START_MS + 10), ticker(32))  # The exchange's clock was put back.
    assert tickers(it, "volume") == [(9.0,), (20.0,), (10.0,)]


def test_a_block_trade_is_no_last_trade() -> None:
    """Its price is its own, and tickers don't have it."""
    it = after(trade(2), ticker(3))
    it.feed(trade(5, type="block"), ticker(6))
    assert tickers(it, "volume", "side") == [(2.0, 0)]


def test_tickers_before_the_first_trade() -> None:
    """Without the last trade there is no size, and before the price has moved no side."""
    it = fed()
    it.feed(ticker(1), ticker(2))
    assert it.ignored == {"ticker before the first trade": 2}
    daily = fed(ticker_volume="24h")
    daily.feed(ticker(1), ticker(2), ticker(3, last=64_000.0), ticker(4, last=64_002.0))
    assert tickers(daily, "volume", "side") == [(777.0, 0), (777.0, 1)]


def test_the_first_ticker_is_replayed_once() -> None:
    """The first of a run may tell what was recorded before it; later connections know what was."""
    it = after(trade(1))
    it.feed(ticker(2), ticker(3))
    assert tickers(it, "flags") == [(Flag.REPLAYED,), (0,)]
    second = another(it)
    second.feed(ticker(4), ticker(5))
    assert tickers(second, "flags") == [(0,), (0,)]


def test_the_first_ticker_of_the_next_connection() -> None:
    """What was recorded is not recorded again; what is older than a trade that came since then is no row."""
    first = after(trade(1), ticker(2))
    second = another(first)
    second.feed(ticker(2))
    assert (tickers(second), second.stats.duplicates) == ([], 1)
    second.feed(trade(9))
    third = another(first)
    third.feed(ticker(5), ticker(6))
    assert third.ignored == {"first ticker older than the last trade": 1}
    assert tickers(third, "time_ns") == [((START_MS + 6) * MS,)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"last": 0}, "bad price"),
        ({"bid": 0}, "bad quote"),
        ({"ask": -1}, "bad quote"),
        ({"time": 1}, "bad time"),
        ({"last": None}, "bad price"),
        ({"bid": "x"}, "bad quote"),
        ({"ask": []}, "bad quote"),
    ],
)
def test_absurd_tickers(fields: dict[str, Any], reason: str) -> None:
    """A ticker without a usable last price or quote is refused."""
    it = after(trade(1))
    it.feed(ticker(2, **fields))
    assert it.refused == {reason: 1}


def test_the_volume_of_a_day() -> None:
    """With the option MD's volume is that of 24 hours, which has to be one."""
    it = after(trade(1), ticker_volume="24h")
    it.feed(ticker(2), ticker(3, volume=0), ticker(4, volume=-1))
    assert (tickers(it, "volume"), it.refused) == ([(777.0,)], {"bad size": 2})


def test_quotes_have_the_time_of_receipt() -> None:
    """``ticker_lite`` tells no time and no last price: both come from elsewhere, or there is no row."""
    it = fed(md_stream="ticker_lite")
    it.feed(lite())
    it.feed(trade(3), lite(), lite(bid=0), lite(ask=None), ticker(9))
    rows = it.take()["MD"]
    assert [(row["time_ns"], row["recv_ns"]) for row in rows] == [(RECV_NS, RECV_NS)]
    assert (rows[0]["price"], rows[0]["volume"], rows[0]["side"]) == (64_003.0, 3.0, 1)
    assert it.ignored == {"ticker_lite before the first trade": 1, "ticker": 1}
    assert it.refused == {"bad quote": 2}
    assert not it.exchange.md_has_time
