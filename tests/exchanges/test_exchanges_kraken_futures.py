"""Kraken Futures: what is asked for, and what the exchange says to it."""

from __future__ import annotations

import json
from itertools import count

import pytest
from exchanges_kraken_futures import (
    BTC,
    ETH,
    alert,
    confirm_all,
    fed,
    rejected,
    request,
    sent,
    snapshot,
    subscribed,
    trade,
    unknown,
)
from exchanges_tools import RECV_NS

from multilogger.exchanges.base import Confirmed, Rejected

SOL = "PF_SOLUSD"
PROSE = "Something is wrong"
STANDS = alert("Already subscribed to feed, re-requesting")
SECOND_NS = 10**9


def test_one_feed_after_the_other() -> None:
    """Trades of all products are asked for first; once all are answered tickers are, which confirms them."""
    it = fed(BTC, ETH)
    assert [json.loads(frame) for frame in it.requests] == [request("trade", BTC, ETH)]
    assert it.feed(subscribed("trade", BTC)) == []
    assert sent(it.feed(subscribed("trade", ETH))) == [request("ticker", BTC, ETH)]
    assert it.feed(subscribed("ticker", ETH)) == [Confirmed((ETH,))]
    assert it.feed(subscribed("ticker", BTC)) == [Confirmed((BTC,))]
    assert it.feed(subscribed("ticker", BTC)) == []


@pytest.mark.parametrize("md", ["ticker", "ticker_lite"])
def test_the_feed_of_tickers(md: str) -> None:
    """The option says which feed is subscribed beside trades."""
    it = fed(md_stream=md)
    assert sent(it.feed(subscribed("trade", BTC))) == [request(md, BTC)]
    assert it.feed(subscribed(md, BTC)) == [Confirmed((BTC,))]


def test_products_that_join_wait_for_an_answer() -> None:
    """One request is under way at a time: what is wanted meanwhile is asked for afterwards, in order."""
    it = fed(BTC)
    assert it.adapter.subscribe([ETH]) == []
    assert sent(it.feed(subscribed("trade", BTC))) == [request("ticker", BTC)]
    first, second = it.feed(subscribed("ticker", BTC))
    assert (first, sent([second])) == (Confirmed((BTC,)), [request("trade", ETH)])
    assert sent(it.feed(subscribed("trade", ETH))) == [request("ticker", ETH)]
    assert it.feed(subscribed("ticker", ETH)) == [Confirmed((ETH,))]
    assert [json.loads(frame) for frame in it.adapter.subscribe([SOL])] == [request("trade", SOL)]


def test_a_product_is_refused_by_name() -> None:
    """An alert that names a product sets it aside, whatever else is without an answer."""
    it = fed(BTC, "PF_NOPEUSD", ETH)
    it.feed(subscribed("trade", BTC))
    words = unknown("PF_NOPEUSD")["message"]
    assert it.feed(unknown("PF_NOPEUSD")) == [Rejected(("PF_NOPEUSD",), words)]
    assert sent(it.feed(subscribed("trade", ETH))) == [request("ticker", BTC, ETH)]
    it.feed(trade(1, symbol="PF_NOPEUSD"))
    assert it.ignored == {"unsubscribed symbol": 1}


def test_nothing_is_left_to_ask_for() -> None:
    """If all products of a request are refused no tickers are asked for."""
    it = fed("PF_NOPEUSD")
    assert it.feed(unknown("PF_NOPEUSD")) == [
        Rejected(("PF_NOPEUSD",), unknown("PF_NOPEUSD")["message"]),
    ]


def test_names_in_any_case() -> None:
    """The exchange compares product ids without regard to case: so are those in its answers."""
    it = fed("pi_xbtusd", ETH)
    it.feed(subscribed("trade", "PI_XBTUSD"), subscribed("trade", "pf_ethusd"))
    assert it.feed(subscribed("ticker", "PI_XBTUSD"), subscribed("ticker", ETH)) == [
        Confirmed(("pi_xbtusd",)),
        Confirmed((ETH,)),
    ]
    it.feed(trade(1), trade(2, symbol="pi_xbtusd"))
    assert [row["symbol"] for row in it.take()["TRADES"]] == ["pi_xbtusd"] * 2


@pytest.mark.parametrize("event", ["alert", "error"])
@pytest.mark.parametrize("bad", range(5))
def test_a_refusal_without_a_name_bisects(event: str, bad: int) -> None:
    """Halves of what has no answer are asked for until the refused product is alone; all others confirm."""
    symbols = [f"PF_S{number}USD" for number in range(5)]
    it = fed(*symbols)
    requests, confirmed, refused = [json.loads(frame) for frame in it.requests], set[str](), list[str]()
    for number in count():
        if not requests:
            break
        asked = requests.pop(0)
        products = asked["product_ids"]
        answers = (
            [{"event": event, "message": PROSE}]
            if symbols[bad] in products
            else [subscribed(asked["feed"], symbol) for symbol in products]
        )
        events = it.feed(*answers)
        requests += sent(events)
        refused += rejected(events)
        confirmed |= {symbol for one in events if isinstance(one, Confirmed) for symbol in one.symbols}
        assert number < 20
    assert refused == [symbols[bad]]
    assert confirmed == set(symbols) - {symbols[bad]}


def test_a_failure_names_its_products() -> None:
    """``subscribed_failed`` sets aside what it names of the request under way, and nothing else."""
    it = fed(BTC, ETH)
    failed = {"event": "subscribed_failed", "feed": "trade", "product_ids": [ETH, "PF_OTHERUSD"]}
    assert rejected(it.feed(failed)) == [ETH]
    assert it.feed(failed) == []
    assert sent(it.feed(subscribed("trade", BTC))) == [request("ticker", BTC)]


def test_what_stands_is_confirmed() -> None:
    """An alert that a feed had been subscribed before is an acknowledgement."""
    it = fed()
    assert sent(it.feed(STANDS)) == [request("ticker", BTC)]
    assert it.feed(STANDS) == [Confirmed((BTC,))]


def test_alerts_that_answer_nothing() -> None:
    """Without a request under way an alert sets nothing aside, and about an unsubscription never."""
    it = fed()
    it.feed(alert("Not subscribed to feed"), alert("Failed to unsubscribe"))
    confirm_all(it)
    assert it.feed(alert(PROSE), unknown(BTC)) == []
    assert it.ignored == {
        "alert about an unsubscription": 2,
        "alert without a subscription under way": 2,
    }


@pytest.mark.parametrize("odd", [None, "PI_XBTUSD", 7, [7, None], {}])
def test_odd_acknowledgements(odd: object) -> None:
    """An acknowledgement that names no product acknowledges none."""
    it = fed()
    assert it.feed({"event": "subscribed", "feed": "trade", "product_ids": odd}) == []
    assert it.feed({"event": "subscribed", "feed": odd, "product_ids": [BTC]}) == []
    assert sent(it.feed(subscribed("trade", BTC))) == [request("ticker", BTC)]


def test_products_that_leave() -> None:
    """Both feeds are ended; data and answers that are still under way mean nothing."""
    it = fed(BTC, ETH)
    confirm_all(it, BTC, ETH)
    ends = [json.loads(frame) for frame in it.adapter.unsubscribe([BTC])]
    assert ends == [request(feed, BTC, event="unsubscribe") for feed in ("trade", "ticker")]
    assert it.feed(request("trade", BTC, event="unsubscribed"), trade(1), snapshot(2, 1)) == []
    assert it.ignored == {"unsubscribed symbol": 2}
    assert it.take()["TRADES"] == []
    assert it.adapter.unsubscribe([]) == []


def test_products_that_leave_without_an_answer() -> None:
    """What leaves while it is asked for is waited for no more, and what waited for that is asked for."""
    it = fed(BTC)
    assert it.adapter.subscribe([ETH]) == []
    frames = [json.loads(frame) for frame in it.adapter.unsubscribe([BTC])]
    assert frames[-1] == request("trade", ETH)
    assert sent(it.feed(subscribed("trade", ETH))) == [request("ticker", ETH)]
    # The answer to the first request comes late.
    assert it.feed(subscribed("ticker", BTC), subscribed("ticker", ETH)) == [Confirmed((ETH,))]


def test_pings_begin_and_end_a_feed() -> None:
    """The API knows no ping: a feed is begun and ended in turn, but never while answers are awaited."""
    it = fed()
    assert it.adapter.ping() is None
    confirm_all(it)
    pings = [json.loads(it.adapter.ping() or "") for _ in range(3)]
    assert [ping["event"] for ping in pings] == ["subscribe", "unsubscribe", "subscribe"]
    assert all(ping["feed"] == "heartbeat" for ping in pings)
    answers = [{"event": event, "feed": "heartbeat"} for event in ("subscribed", "unsubscribed")]
    assert it.feed(*answers, {"feed": "heartbeat", "time": 1}) == []
    assert (it.ignored, it.refused) == ({}, {})


def test_a_jump_of_the_numbers_asks_again() -> None:
    """Where numbers were left out the last trades are asked for once more, which confirms nothing anew."""
    it = fed(BTC, ETH)
    confirm_all(it, BTC, ETH)
    assert it.feed(snapshot(11, 10), trade(12), trade(13)) == []
    assert sent(it.feed(trade(16), trade(17))) == [request("trade", BTC)]
    assert it.adapter.ping() is None
    assert it.feed(STANDS, snapshot(17, 16, 15, 14, 13), trade(18)) == []
    assert it.adapter.ping() is not None
    assert {row["trade_id"] for row in it.take()["TRADES"]} == set(range(10, 19))
    assert it.ignored == {}


def test_missed_trades_that_are_gone() -> None:
    """It is counted if what was left out is older than the oldest trade that the exchange still gives."""
    it = fed()
    confirm_all(it)
    it.feed(snapshot(10), trade(300))
    it.feed(STANDS, snapshot(300, 299))
    it.feed(snapshot(301, 300, 299))
    assert it.ignored == {"missed trades older than the trade_snapshot": 1}


def test_jumps_ask_again_at_most_once_a_second() -> None:
    """A product whose numbers jump again and again is asked for now and then; no jump is forgotten."""
    it = fed(BTC, ETH)
    confirm_all(it, BTC, ETH)
    it.feed(trade(1), trade(1, symbol=ETH))
    assert sent(it.feed(trade(3))) == [request("trade", BTC)]
    # What is under way will bring all that is missing.
    assert it.feed(trade(5), STANDS, snapshot(5, 4, 3, 2), trade(7)) == []
    assert sent(it.feed(trade(3, symbol=ETH), recv_ns=RECV_NS + SECOND_NS - 1)) == [request("trade", ETH)]
    assert it.feed(STANDS) == []
    assert sent(it.feed(trade(8), recv_ns=RECV_NS + SECOND_NS)) == [request("trade", BTC)]
    assert it.feed(STANDS, snapshot(8, 7, 6)) == []
    # A clock that was put back holds nothing up.
    assert sent(it.feed(trade(10), recv_ns=RECV_NS - SECOND_NS)) == [request("trade", BTC)]


def test_a_jump_that_is_filled_before_it_is_asked_for() -> None:
    """What a snapshot has brought meanwhile, for whatever reason, is not asked for."""
    it = fed()
    confirm_all(it)
    it.feed(trade(1), trade(3))
    it.feed(STANDS, snapshot(3, 2, 1), trade(5), snapshot(5, 4, 3))
    assert it.feed(trade(6), recv_ns=RECV_NS + 2 * SECOND_NS) == []


def test_numbers_that_jump_in_a_snapshot() -> None:
    """Where the exchange itself leaves numbers out, a jump means nothing any more."""
    it = fed(BTC, ETH)
    confirm_all(it, BTC, ETH)
    broken = snapshot(14, 13, 12)
    broken["trades"][1] = {}
    it.feed(snapshot(30, 20, 10), {**broken, "product_id": ETH})
    assert it.feed(trade(40)) == []
    assert sent(it.feed(trade(16, symbol=ETH))) == [request("trade", ETH)]


def test_numbers_that_are_no_jump() -> None:
    """Late and repeated trades, those without a number, and an engine that begins anew are none."""
    it = fed()
    confirm_all(it)
    assert it.feed(*map(trade, [5, 6, 5, 7, 4, 8, 1, 2, 3])) == []
    assert it.feed(*({**trade(9), "seq": odd} for odd in (None, "x", "99", 99.5, True, [99]))) == []
    assert it.feed(snapshot(100, 99)) == []


def test_asked_again_beside_a_subscription() -> None:
    """What is asked once more waits for the request under way; unnamed words never set it aside."""
    it = fed(BTC)
    confirm_all(it)
    it.adapter.subscribe([ETH])
    assert it.feed(trade(1), trade(3)) == []
    assert sent(it.feed(subscribed("trade", ETH))) == [request("ticker", ETH)]
    assert sent(it.feed(subscribed("ticker", ETH))) == [request("trade", BTC)]
    assert it.feed(alert(PROSE)) == []
    assert it.feed(trade(4), snapshot(4, 3)) == []
    # One that has left by then is not asked for.
    it.adapter.subscribe([SOL])
    it.feed(trade(6), recv_ns=RECV_NS + 20 * SECOND_NS)
    it.adapter.unsubscribe([BTC])
    assert sent(it.feed(subscribed("trade", SOL))) == [request("ticker", SOL)]
    assert it.feed(subscribed("ticker", SOL)) == [Confirmed((SOL,))]
