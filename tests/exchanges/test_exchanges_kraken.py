"""Kraken spot's own ways: batches of trades, answers for each symbol, tickers without size, side and time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from exchanges_kraken import RECV_NS, Fed, ack, message, refusal, ticker, trade

from multilogger.errors import FrameError
from multilogger.exchanges.base import Confirmed, Event, NewestIds, Rejected, Renew, Send
from multilogger.exchanges.kraken.exchange import Kraken, KrakenConfig
from multilogger.records import Flag

MANY = [f"C{number}/USD" for number in range(150)]


def sent(events: list[Event]) -> list[dict[str, Any]]:
    """Return the requests that an adapter wants sent."""
    return [json.loads(frame) for event in events if isinstance(event, Send) for frame in event.frames]


@pytest.mark.parametrize(
    ("configured", "endpoint"),
    [
        ("wss://ws.kraken.com", "wss://ws.kraken.com/v2"),
        ("wss://beta-ws.kraken.com/", "wss://beta-ws.kraken.com/v2"),
        ("ws://127.0.0.1:9/other", "ws://127.0.0.1:9/other"),
    ],
)
def test_kraken_endpoint(configured: str, endpoint: str) -> None:
    """A host gets the path of version 2; a path of its own is kept."""
    assert Kraken(KrakenConfig(ws_endpoint=configured)).endpoint(["BTC/USD"]) == endpoint


@pytest.mark.parametrize("trigger", ["trades", "bbo"])
def test_kraken_requests(trigger: str) -> None:
    """Trades and tickers of up to a hundred symbols are asked for at a time, trades first, with snapshots."""
    fed = Fed(MANY, md_trigger=trigger)
    assert [it["req_id"] for it in fed.requests] == [1, 2, 3, 4]
    assert [it["params"]["channel"] for it in fed.requests] == ["trade", "ticker"] * 2
    assert [len(it["params"]["symbol"]) for it in fed.requests] == [100, 100, 50, 50]
    assert fed.requests[0]["params"]["symbol"] + fed.requests[2]["params"]["symbol"] == MANY
    assert all(it["method"] == "subscribe" and it["params"]["snapshot"] is True for it in fed.requests)
    assert fed.requests[1]["params"]["event_trigger"] == trigger
    assert "event_trigger" not in fed.requests[0]["params"]
    ended = [json.loads(frame) for frame in fed.adapter.unsubscribe(["C1/USD", "C2/USD"])]
    assert [it["params"] for it in ended] == [
        {"channel": "trade", "symbol": ["C1/USD", "C2/USD"]},
        {"channel": "ticker", "symbol": ["C1/USD", "C2/USD"], "event_trigger": trigger},
    ]
    assert [it["method"] for it in ended] == ["unsubscribe"] * 2
    assert json.loads(fed.adapter.ping() or "") == {"method": "ping", "req_id": 7}


def test_kraken_confirmations() -> None:
    """A symbol is confirmed once both channels are, each answered under its request's id."""
    fed = Fed()
    assert fed.feed(ack("trade", "BTC/USD", 1), ack("trade", "ETH/USD", 1), ack("ticker", "ETH/USD", 2)) == [
        Confirmed(("ETH/USD",))
    ]
    assert fed.feed(ack("ticker", "BTC/USD", 2)) == [Confirmed(("BTC/USD",))]
    assert fed.feed(ack("ticker", "BTC/USD", 2)) == []


def test_kraken_an_answer_that_comes_late() -> None:
    """What answers an earlier subscription of a symbol does not confirm the present one."""
    fed = Fed(["BTC/USD"])
    fed.adapter.unsubscribe(["BTC/USD"])
    again = [json.loads(frame)["req_id"] for frame in fed.adapter.subscribe(["BTC/USD"])]
    assert again == [5, 6]
    assert fed.feed(ack("trade", "BTC/USD", 1), ack("ticker", "BTC/USD", 2)) == []
    assert fed.feed(ack("trade", "BTC/USD", 5), ack("ticker", "BTC/USD", 6)) == [Confirmed(("BTC/USD",))]


def test_kraken_a_bad_symbol_that_is_not_named() -> None:
    """Halves are asked for until the bad one is alone; the others are confirmed."""
    bad, fed = "C2/USD", Fed(MANY[:5])
    waiting, confirmed, rejected = fed.requests, set[str](), set[str]()
    while waiting:
        request = waiting.pop()
        symbols, number = request["params"]["symbol"], request["req_id"]
        if request["method"] == "unsubscribe":
            continue
        if bad in symbols:
            events = fed.feed(refusal("Malformed request", number))
        else:
            events = fed.feed(*(ack(request["params"]["channel"], it, number) for it in symbols))
        waiting += sent(events)
        confirmed |= {it for event in events if isinstance(event, Confirmed) for it in event.symbols}
        rejected |= {it for event in events if isinstance(event, Rejected) for it in event.symbols}
    assert (confirmed, rejected) == (set(MANY[:5]) - {bad}, {bad})


def test_kraken_a_request_that_came_too_soon() -> None:
    """It is made again for what has not been answered, with the same parameters, as often as it takes."""
    fed = Fed(["BTC/USD", "ETH/USD"], md_trigger="bbo")
    fed.feed(ack("ticker", "BTC/USD", 2))
    for number, refused in ((3, 2), (4, 3)):
        (again,) = sent(fed.feed(refusal("Exceeded msg rate", refused)))
        assert again["req_id"] == number
        assert again["params"] == {**fed.requests[1]["params"], "symbol": ["ETH/USD"]}
    assert fed.feed(ack("trade", "ETH/USD", 1), ack("ticker", "ETH/USD", 4)) == [Confirmed(("ETH/USD",))]


def test_kraken_a_refused_symbol_is_left() -> None:
    """What still comes of it gives no row; what was granted of it is ended; asked for again it is new."""
    fed = Fed(["BTC/USD"])
    events = fed.feed(ack("trade", "BTC/USD", 1), refusal("no", 2, "BTC/USD"), message("trade", trade(1)))
    assert events[0] == Rejected(("BTC/USD",), "no")
    assert [it["method"] for it in sent(events)] == ["unsubscribe"]
    assert sent(events)[0]["params"] == {"channel": "trade", "symbol": ["BTC/USD"]}
    assert (fed.trades(), dict(fed.stats.ignored)) == ([], {"unsubscribed symbol": 1})
    fed.adapter.subscribe(["BTC/USD"])
    fed.feed(message("trade", trade(2)))
    assert len(fed.trades()) == 1


def test_kraken_one_bad_trade_does_not_cost_the_others() -> None:
    """Of several trades in a message each is a row or refused for its own reason."""
    fed = Fed()
    odd = [
        trade(2, price="x"),
        None,
        {"symbol": "BTC/USD"},
        trade(4, side="hold"),
        trade(-5),
        trade(6, qty=0),
    ]
    fed.feed(message("trade", trade(1), *odd, trade(7, timestamp="2026-11-22T10:00:01Z")))
    assert [row[0] for row in fed.trades()] == [1, 7]
    assert dict(fed.stats.refused) == {
        "bad price": 1,
        "not an object": 1,
        "missing field": 1,
        "bad side": 1,
        "bad id": 1,
        "bad size": 1,
    }
    fed.feed(message("ticker", ticker(bid=None), ticker()))
    assert len(fed.tickers()) == 1
    assert fed.stats.refused["bad quote"] == 1


def test_kraken_replays_are_flagged_and_updates_are_not() -> None:
    """A snapshot's rows are of the past, in order of their ids; what comes after it is live."""
    fed = Fed()
    fed.feed(message("trade", trade(9), trade(7), trade(8), kind="snapshot"), message("trade", trade(10)))
    rows = fed.trades()
    assert [row[0] for row in rows] == [7, 8, 9, 10]
    assert [row[4] for row in rows] == [Flag.REPLAYED] * 3 + [Flag.LIVE]
    frame = json.dumps(message("trade", trade(9), trade(7), kind="snapshot")).encode()
    assert [(it.trade_id, it.flags) for it in fed.exchange.parse_trade_data(frame)] == [(7, 2), (9, 2)]


def test_kraken_a_snapshot_names_the_newest_trade() -> None:
    """It has the newest trade there was; what comes after it is no news, and an end is an end."""
    fed = Fed()
    assert isinstance(fed.adapter, NewestIds)
    fed.feed(message("trade", trade(9), trade(7), trade(3, symbol="ETH/USD"), kind="snapshot"))
    fed.feed(message("trade", trade(10)), message("trade", trade(11, price=0), kind="snapshot"))
    assert fed.adapter.newest_ids == {fed.table.number("BTC/USD"): 9, fed.table.number("ETH/USD"): 3}
    fed.feed(refusal("no", 1, "ETH/USD"))
    fed.adapter.unsubscribe(["SOL/USD"])
    assert fed.adapter.newest_ids == {fed.table.number("BTC/USD"): 9}
    fed.adapter.unsubscribe(["BTC/USD"])
    assert fed.adapter.newest_ids == {}


def test_kraken_the_last_trade_is_the_one_with_the_highest_id() -> None:
    """Trades that come late, or again, change nothing of what a ticker says."""
    fed = Fed()
    late = trade(10, side="sell", qty=5.0)
    fed.feed(message("trade", trade(11, qty=3.0)), message("trade", late), message("ticker", ticker()))
    fed.feed(message("trade", trade(2, side="sell"), kind="snapshot"), message("ticker", ticker()))
    assert [row[1:3] for row in fed.tickers()] == [(3.0, 1), (3.0, 1)]


def test_kraken_connections_do_not_mix_their_trades() -> None:
    """A ticker goes with its own connection's trades; a new connection begins with what others know."""
    first = Fed()
    second = Fed(exchange=first.exchange)
    first.feed(message("trade", trade(1, qty=1.0)))
    second.feed(message("trade", trade(1, qty=1.0), trade(2, qty=2.0, side="sell")))
    first.feed(message("ticker", ticker()))
    second.feed(message("ticker", ticker()))
    assert (first.tickers()[0][1:3], second.tickers()[0][1:3]) == ((1.0, 1), (2.0, 0))
    third = Fed(exchange=first.exchange)
    third.feed(message("ticker", ticker(last=None)))
    assert third.tickers() == [(64000.1, 2.0, 0, 64000.0, 64000.1, 0, RECV_NS)]


def test_kraken_ticker_rule_with_the_volume_of_24_hours() -> None:
    """Before a trade is known the price tells the side, once it has moved; a trade then settles it."""
    fed = Fed(ticker_volume="24h")
    for last in (100.0, 100.0, 99.0, 99.0, 99.5):
        fed.feed(message("ticker", ticker(last=last)))
    assert [row[2] for row in fed.tickers()] == [0, 0, 1]
    assert fed.stats.ignored["ticker before the first trade"] == 2
    fed.feed(message("trade", trade(1, side="sell")), message("ticker", ticker(last=101.0)))
    assert fed.tickers()[0][1:3] == (2100.5, 0)
    fed.feed(message("ticker", ticker(volume=0.0)), message("ticker", ticker(last=None, volume=None)))
    assert dict(fed.stats.refused) == {"bad size": 2}


@pytest.mark.parametrize("last", [None, 0, 0.0])
def test_kraken_tickers_without_a_price(last: float | None) -> None:
    """They take the last trade's; without one there is no row, and no wrong side later."""
    fed = Fed(ticker_volume="24h")
    fed.feed(message("ticker", ticker(last=5.0)), message("ticker", ticker(last=last)))
    assert (fed.tickers(), fed.stats.ignored["ticker before the first trade"]) == ([], 2)
    fed.feed(message("ticker", ticker(last=5.0)))
    assert fed.tickers() == []
    fed.feed(message("trade", trade(1)), message("ticker", ticker(last=last)))
    assert fed.tickers()[0][0] == 64000.1


def test_kraken_ticker_without_a_time_of_receipt() -> None:
    """The time of receipt stands for the exchange's; if it is none, the row is refused."""
    fed = Fed()
    fed.feed(message("trade", trade(1)), message("ticker", ticker()), recv_ns=0)
    assert (fed.tickers(), dict(fed.stats.refused)) == ([], {"bad time": 1})
    assert fed.exchange.md_has_time is False


def test_kraken_market_data_record() -> None:
    """The public record says what the frame says; what only trades know is that of the last, or nothing."""
    fed = Fed()
    frame = json.dumps(message("ticker", ticker(timestamp="2026-11-22T10:00:00.5Z"))).encode()
    (record,) = fed.exchange.parse_market_data(frame, RECV_NS)
    assert (record.volume, record.side, record.price, record.time_ns) == (None, None, 64000.2, RECV_NS)
    assert record.exchange_specific["timestamp"] == "2026-11-22T10:00:00.5Z"
    assert record.exchange_specific["volume"] == 2100.5
    fed.feed(message("trade", trade(1, side="sell")))
    (record,) = fed.exchange.parse_market_data(frame, RECV_NS)
    assert (record.volume, record.side) == (0.01, 0)
    for field, value, reason in (
        ("bid", 0, "bad quote"),
        ("last", -1, "bad price"),
        ("volume", "x", "bad size"),
    ):
        with pytest.raises(FrameError, match=reason):
            fed.exchange.parse_market_data(json.dumps(message("ticker", ticker(**{field: value}))).encode())


def test_kraken_a_connection_is_greeted_as_things_are() -> None:
    """Only a status that changes something asks for another connection: that one would be greeted alike."""
    maintenance = {"channel": "status", "type": "update", "data": [{"system": "maintenance"}]}
    fed = Fed()
    assert fed.feed(maintenance) == []
    assert fed.feed(maintenance) == [Renew("status: maintenance")]
    assert dict(fed.stats.ignored) == {"status maintenance": 1}


@pytest.mark.parametrize(
    "announced", [None, 7, {}, [], [None], [{"phase": 5}], [{"affected_services": ["spot_fix"]}]]
)
def test_kraken_odd_announcements(announced: object) -> None:
    """What announces nothing that concerns us replaces nothing."""
    status = {
        "channel": "status",
        "type": "update",
        "data": [{"system": "online", "upcoming_maintenance": announced}],
    }
    fed = Fed()
    assert fed.feed(status, status) == []
    assert dict(fed.stats.refused) == {}
