"""Each reason for which a frame is refused, by the adapter and by the public parsers alike."""

from __future__ import annotations

from typing import Any

import pytest
from exchanges_tools import Case, Fed, after, cases, text

from multilogger.errors import FrameError

GONE = object()
"""A field that is left out."""

# Fields of Coinbase's match and ticker, Binance's trade and ticker: table, field, value, reason.
VALUES: dict[str, list[tuple[str, str, Any, str]]] = {
    "coinbase": [
        ("TRADES", "price", GONE, "missing field"),
        ("TRADES", "trade_id", GONE, "missing field"),
        ("TRADES", "time", GONE, "missing field"),
        ("TRADES", "side", GONE, "missing field"),
        ("TRADES", "price", None, "bad price"),
        ("TRADES", "price", "", "bad price"),
        ("TRADES", "price", "nan", "bad price"),
        ("TRADES", "price", "-1", "bad price"),
        ("TRADES", "price", "0", "bad price"),
        ("TRADES", "price", "1e15", "bad price"),
        ("TRADES", "price", "inf", "bad price"),
        ("TRADES", "price", "1_000", "bad price"),
        ("TRADES", "price", True, "bad price"),
        ("TRADES", "price", ["1"], "bad price"),
        ("TRADES", "size", "0", "bad size"),
        ("TRADES", "size", "nan", "bad size"),
        ("TRADES", "size", {}, "bad size"),
        ("TRADES", "trade_id", -1, "bad id"),
        ("TRADES", "trade_id", 2**63, "bad id"),
        ("TRADES", "trade_id", None, "bad id"),
        ("TRADES", "trade_id", "x", "bad id"),
        ("TRADES", "trade_id", 1.5, "bad id"),
        ("TRADES", "side", "hold", "bad side"),
        ("TRADES", "side", None, "bad side"),
        ("TRADES", "time", "", "bad time"),
        ("TRADES", "time", "yesterday", "bad time"),
        ("TRADES", "time", "2026-11-22T10:00:00.12345xZ", "bad time"),
        ("TRADES", "time", "2026-11-22T10:00:00.1234567890Z", "bad time"),
        ("TRADES", "time", "2026-02-30T10:00:00.123456Z", "bad time"),
        ("TRADES", "time", "2026-11-22T10:00:00.123456+01:00", "bad time"),
        ("TRADES", "time", "1970-01-01T00:00:00.000000Z", "bad time"),
        ("TRADES", "time", "2999-01-01T00:00:00.000000Z", "bad time"),
        ("TRADES", "time", 1795341600, "bad time"),
        ("TRADES", "maker_order_id", 7, "bad order id"),
        ("TRADES", "product_id", None, "bad symbol"),
        ("MD", "last_size", GONE, "missing field"),
        ("MD", "side", GONE, "missing field"),
        ("MD", "time", GONE, "missing field"),
        ("MD", "price", "nan", "bad price"),
        ("MD", "price", None, "bad price"),
        ("MD", "last_size", "0", "bad size"),
        ("MD", "best_bid", "0", "bad quote"),
        ("MD", "best_ask", "", "bad quote"),
        ("MD", "best_ask", "nan", "bad quote"),
        ("MD", "side", "", "bad side"),
        ("MD", "time", "0000-01-01T00:00:00Z", "bad time"),
    ],
    "binance": [
        ("TRADES", "t", GONE, "missing field"),
        ("TRADES", "p", GONE, "missing field"),
        ("TRADES", "m", GONE, "missing field"),
        ("TRADES", "T", GONE, "missing field"),
        ("TRADES", "p", "nan", "bad price"),
        ("TRADES", "p", "-0.1", "bad price"),
        ("TRADES", "p", "1e999", "bad price"),
        ("TRADES", "p", None, "bad price"),
        ("TRADES", "q", "0.00000000", "bad size"),
        ("TRADES", "q", " 1", "bad size"),
        ("TRADES", "t", -5, "bad id"),
        ("TRADES", "t", 2**63, "bad id"),
        ("TRADES", "t", 10**30, "bad id"),
        ("TRADES", "t", True, "bad id"),
        ("TRADES", "T", 0, "bad time"),
        ("TRADES", "T", None, "bad time"),
        ("TRADES", "T", -1795341600100, "bad time"),
        ("TRADES", "T", 10**18, "bad time"),
        ("TRADES", "T", 1795341600, "bad time"),
        ("TRADES", "m", None, "bad side"),
        ("TRADES", "m", "maker", "bad side"),
        ("MD", "c", GONE, "missing field"),
        ("MD", "c", "nan", "bad price"),
        ("MD", "c", "0", "bad price"),
        ("MD", "Q", "-1", "bad size"),
        ("MD", "Q", None, "bad size"),
        ("MD", "b", "0.00000000", "bad quote"),
        ("MD", "a", [], "bad quote"),
        ("MD", "a", "nan", "bad quote"),
        ("MD", "E", 0, "bad time"),
        ("MD", "E", "soon", "bad time"),
    ],
}
TABLE = [(name, *values) for name, rows in VALUES.items() for values in rows]


def spoiled(case: Case, field: str, value: object) -> dict[str, Any]:
    """Return a case's frame with one field changed or left out."""
    content = case.frame.get("data", case.frame)
    changed = {name: old for name, old in content.items() if name != field}
    if value is not GONE:
        changed[field] = value
    return {**case.frame, "data": changed} if "data" in case.frame else changed


@pytest.mark.parametrize(("name", "table", "field", "value", "reason"), TABLE)
def test_refusals_by_reason(name: str, table: str, field: str, value: object, reason: str) -> None:
    """A row with such a field is refused for that reason, and the stream goes on."""
    case = next(case for case in cases(name, table) if not case.options)
    frame = spoiled(case, field, value)
    fed = after(case)
    fed.feed(frame)
    assert fed.refused == {reason: 1}
    assert fed.stats.refused_samples[reason] == text(frame)[:200].decode()
    assert len(fed.buffer) == 0
    fed.feed(case.frame)
    assert len(fed.take()[table]) == 1
    parse = fed.exchange.parse_trade_data if table == "TRADES" else fed.exchange.parse_market_data
    with pytest.raises(FrameError) as raised:
        parse(text(frame))
    assert raised.value.reason == reason


@pytest.mark.parametrize("field", ["b", "a"])
@pytest.mark.parametrize("value", ["0", "nan", None, GONE])
def test_refusals_of_quotes(field: str, value: object) -> None:
    """A bookTicker without sane quotes is refused."""
    case = cases("binance", "MD")[-1]
    fed = after(case)
    fed.feed(spoiled(case, field, value))
    assert fed.refused == {"missing field" if value is GONE else "bad quote": 1}
    assert len(fed.buffer) == 0


def test_refusals_of_quotes_without_a_time() -> None:
    """A bookTicker takes the time of receipt, and is refused if that is none."""
    case = cases("binance", "MD")[-1]
    fed = after(case)
    fed.feed(case.frame, recv_ns=0)
    assert fed.refused == {"bad time": 1}


@pytest.mark.parametrize("data", [None, [], "trade", 5, GONE])
def test_refusals_of_a_stream_without_an_object(data: object) -> None:
    """A combined frame whose data is no object is refused, for want of one or for what it lacks."""
    fed = Fed("binance")
    fed.feed({"stream": "btcusdt@trade"} if data is GONE else {"stream": "btcusdt@trade", "data": data})
    assert fed.refused == {"not an object": 1}


@pytest.mark.parametrize("kind", [None, 7, [], {}])
def test_refusals_of_a_type_that_is_no_text(kind: object) -> None:
    """Coinbase names the type of each message in text."""
    fed = Fed("coinbase")
    fed.feed({"type": kind}, {})
    assert fed.refused == {"missing field": 2}


def test_refusals_of_24h_volume() -> None:
    """With the 24-hour volume configured it is that which has to be sane."""
    for name, field in (("coinbase", "volume_24h"), ("binance", "v")):
        case = next(case for case in cases(name, "MD") if not case.options)
        fed = Fed(name, {"ticker_volume": "24h"})
        fed.feed(*case.before, spoiled(case, field, "0"))
        assert fed.refused == {"bad size": 1}


def test_refusals_keep_the_newest_sample() -> None:
    """The sample of a reason is its newest frame; there is one a reason."""
    fed = Fed("binance")
    fed.feed(b"{", b"{{")
    assert fed.stats.refused_samples == {"malformed json": "{{"}
