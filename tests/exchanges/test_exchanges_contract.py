"""What holds for the adapter of every built-in exchange."""

from __future__ import annotations

import inspect
import json
import math
import random
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from exchanges_tools import RECV_NS, SYMBOLS, Case, Fed, Row, after, case_name, cases, configured, text
from hypothesis import given, settings
from hypothesis import strategies as st

from multilogger.batch import NO_ORDER
from multilogger.config import ExchangeConfig
from multilogger.errors import FrameError
from multilogger.exchanges.base import Exchange, Limits
from multilogger.exchanges.catalog import BUILT_IN
from multilogger.records import MarketData, Trade

ALL = sorted(BUILT_IN)
TABLES = ("MD", "TRADES")

MATCH = {
    "type",
    "product_id",
    "trade_id",
    "price",
    "size",
    "side",
    "time",
    "maker_order_id",
    "taker_order_id",
}
NAMED: dict[str, set[str]] = {
    "match": MATCH,
    "last_match": MATCH,
    "ticker": {"type", "product_id", "price", "side", "best_bid", "best_ask", "time"},
    "trade": set("estpqTm"),
    "aggTrade": set("esapqTm"),
    "24hrTicker": set("esEcba"),
    "bookTicker": set("sba"),
}
"""The fields of a message that the unified records name; the others are exchange-specific."""
VOLUME = {
    ("ticker", "last"): "last_size",
    ("ticker", "24h"): "volume_24h",
    ("24hrTicker", "last"): "Q",
    ("24hrTicker", "24h"): "v",
}


@pytest.mark.parametrize("name", ALL)
def test_contract_every_exchange_is_complete(name: str) -> None:
    """An exchange has an id, a name, limits, a configuration that is all defaults, and cases here."""
    kind = BUILT_IN[name]
    assert kind.id == name
    assert not inspect.isabstract(kind)
    assert kind.name
    assert isinstance(kind.limits, Limits)
    assert isinstance(kind(kind.config_type()).config, ExchangeConfig)  # type: ignore[call-arg] # defaults
    assert {case.table for case in cases(name)} == set(TABLES)


@pytest.mark.parametrize("name", ALL)
def test_contract_config_stays_within_the_limits(name: str) -> None:
    """What an exchange allows is not exceeded by its default configuration."""
    exchange = configured(name)
    assert exchange.config.symbols_per_connection <= exchange.limits.symbols_per_connection
    assert exchange.endpoint(SYMBOLS[name]).startswith("wss://")
    assert exchange.config.rest_endpoint.startswith("https://")


@pytest.mark.parametrize("name", ALL)
def test_contract_without_services_it_parses_but_does_not_connect(name: str) -> None:
    """Connecting without services is a mistake of the caller, and says so."""
    with pytest.raises(RuntimeError, match="can parse, but not connect"):
        configured(name).create_connection(SYMBOLS[name])


@pytest.mark.parametrize("name", ALL)
def test_contract_names_go_there_and_back(name: str) -> None:
    """A venue symbol normalizes to a name that leads back to it."""
    exchange = configured(name)
    for symbol in SYMBOLS[name]:
        assert exchange.venue_symbol(exchange.normalize_symbol(symbol)) == symbol


@pytest.mark.parametrize("case", cases(), ids=case_name)
def test_contract_rows(case: Case) -> None:
    """A frame is packed as exactly the row that the case states, its symbol's, at the receive time."""
    fed = after(case)
    assert fed.feed(case.frame) == []
    rows = fed.take()
    symbol = SYMBOLS[case.exchange][0]
    assert rows[case.table] == [{**case.row, "symbol": symbol, "recv_ns": RECV_NS}]
    assert sum(map(len, rows.values())) == 1
    assert fed.refused == {}


@pytest.mark.parametrize("case", cases(), ids=case_name)
def test_contract_records(case: Case) -> None:
    """The public record of a frame says what its row says, and keeps every other field of the message."""
    fed = after(case)
    frame = text(case.frame)
    trades = fed.exchange.parse_trade_data(frame, RECV_NS)
    tickers = fed.exchange.parse_market_data(frame, RECV_NS)
    (record,) = (*trades, *tickers)
    assert isinstance(record, Trade if case.table == "TRADES" else MarketData)
    row = {name: value for name, value in case.row.items() if name != "flags"}
    assert {name: _plain(getattr(record, name)) for name in row} == row
    assert (record.exchange, record.symbol) == (case.exchange, SYMBOLS[case.exchange][0])
    message = case.frame.get("data", case.frame)
    kind = message.get("type") or message.get("e", "bookTicker")
    rest = set(message) - NAMED[kind] - {VOLUME.get((kind, case.options.get("ticker_volume", "last")))}
    assert record.exchange_specific == {field: message[field] for field in rest}


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


@pytest.mark.parametrize("case", cases(), ids=case_name)
def test_contract_truncated_at_every_byte(case: Case) -> None:
    """A frame that ends early gives no row and no exception, and is counted once as malformed."""
    frame = text(case.frame)
    fed = after(case)
    for end in range(len(frame)):
        assert fed.feed(frame[:end]) == []
    assert len(fed.buffer) == 0
    assert fed.refused == {"malformed json": len(frame)}
    for end in range(len(frame)):
        with pytest.raises(FrameError, match="malformed json"):
            fed.exchange.parse_trade_data(frame[:end])


def _shuffled(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    names = rng.sample(list(value), len(value))
    return {name: _shuffled(value[name], rng) for name in names}


@pytest.mark.parametrize("case", cases(), ids=case_name)
@given(seed=st.integers(0, 2**32), spaced=st.booleans(), escaped=st.booleans())
@settings(max_examples=8, deadline=None)
def test_contract_spelling_does_not_matter(case: Case, *, seed: int, spaced: bool, escaped: bool) -> None:
    """Another order of keys, spaces and escapes give the same row."""
    shuffled = _shuffled(case.frame, random.Random(seed))
    frame = json.dumps(shuffled, separators=None if spaced else (",", ":"))
    if escaped:
        frame = (
            frame.replace("BTC", "\\u0042TC").replace("btc", "\\u0062tc").replace('"match"', '"m\\u0061tch"')
        )
    fed = after(case)
    fed.feed(frame.encode())
    (row,) = fed.take()[case.table]
    assert {name: row[name] for name in case.row} == case.row


def _numbers(value: Any, found: set[float]) -> set[float]:
    """Collect all that a frame says in numbers, by Python's own JSON parser."""
    if isinstance(value, dict):
        for item in value.values():
            _numbers(item, found)
    elif isinstance(value, str | int | float):
        try:
            found.add(float(value))
        except (ValueError, OverflowError):
            return found
    return found


def _check_not_invented(rows: dict[str, list[Row]], frame: bytes, known: set[float]) -> None:
    """Check that rows hold values of this frame, or of trades before it, and only sane ones."""
    # What no field needs is skipped without a look at its characters: Python's parser has to be as lenient.
    message = json.loads(frame.decode(errors="replace"), strict=False)
    said = known | _numbers(message, set())
    for row in (*rows["MD"], *rows["TRADES"]):
        names = [n for n in ("price", "volume", "size", "best_bid", "best_ask", "trade_id") if n in row]
        for name in names:
            assert float(row[name]) in said, (name, row[name])
            assert math.isfinite(row[name])
            assert name == "trade_id" or 0 < row[name] < 1e15
        assert row["side"] in (0, 1)
        assert row["time_ns"] in _times(message)


def _times(message: dict[str, Any]) -> set[int]:
    """Return the times that a frame says, by Python's own parsers; of quotes alone, the time of receipt."""
    data = message.get("data", message)
    if "time" in data:
        whole, _, fraction = data["time"].rstrip("Z").removesuffix("+00:00").partition(".")
        seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
        return {seconds * 10**9 + int(fraction.ljust(9, "0"))}
    stamp = data.get("T", data.get("E"))
    if stamp is None:
        return {RECV_NS}
    return {int(float(stamp)) * (1_000 if float(stamp) >= 10**14 else 1_000_000)}


@pytest.mark.parametrize("case", cases(), ids=case_name)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_contract_mutated_bytes(case: Case, data: st.DataObject) -> None:
    """Of damaged frames there is never an exception, nor a row with a value the frame does not say."""
    frame = bytearray(text(case.frame))
    spots = st.tuples(st.integers(0, len(frame) - 1), st.sampled_from(b'0129.-e+"{}[]:,\\ xtn\x00\xff'))
    for at, byte in data.draw(st.lists(spots, min_size=1, max_size=4)):
        frame[at] = byte
    fed = after(case)
    known = set().union(*(_numbers(message, set()) for message in case.before))
    fed.feed(bytes(frame))
    rows = fed.take()
    if sum(map(len, rows.values())):
        _check_not_invented(rows, bytes(frame), known)
    else:
        _check_accounted(fed)


def _check_accounted(fed: Fed) -> None:
    """Check that a frame without a row was counted: refused or ignored, or else it is a known silent kind."""
    assert sum(fed.refused.values()) + sum(fed.ignored.values()) <= 1


@pytest.mark.parametrize("name", ALL)
@given(frame=st.binary(max_size=80))
@settings(max_examples=100, deadline=None)
def test_contract_noise(name: str, frame: bytes) -> None:
    """Any bytes are refused or ignored, each frame once, and no row comes of them."""
    fed = Fed(name)
    assert fed.feed(frame) == []
    assert len(fed.buffer) == 0
    assert sum(fed.refused.values()) + sum(fed.ignored.values()) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("case", cases(), ids=case_name)
@given(data=st.data(), value=JSON)
@settings(max_examples=20, deadline=None)
def test_contract_any_value_in_any_field(case: Case, data: st.DataObject, value: Any) -> None:
    """Whatever stands in a field gives a row, a refusal or nothing; the good frame after it gives its row."""
    message = json.loads(text(case.frame))
    holder = message.get("data", message) if data.draw(st.booleans()) else message
    holder[data.draw(st.sampled_from(sorted(holder)))] = value
    fed = after(case)
    frame = text(message).replace(b"NaN", b"null")
    fed.feed(frame)
    rows = fed.take()
    count = sum(map(len, rows.values()))
    assert count + sum(fed.refused.values()) + sum(fed.ignored.values()) <= 1
    if count:
        _check_not_invented(rows, frame, set().union(*(_numbers(m, set()) for m in case.before)))
    fed.feed(case.frame)
    assert len(fed.take()[case.table]) == 1


@pytest.mark.parametrize("name", ALL)
def test_contract_nesting_deeper_than_the_decoder_goes(name: str) -> None:
    """A frame nested too deep is malformed, in known kinds as in unknown ones."""
    deep = b"[" * 100_000 + b"]" * 100_000
    fed = Fed(name)
    frames = [text(case.frame)[:-1] + b',"x":%s}' % deep for case in cases(name) if not case.options]
    fed.feed(*frames, b'{"x":%s}' % deep, deep)
    assert fed.refused == {"malformed json": len(frames) + 2}
    assert len(fed.buffer) == 0


@pytest.mark.parametrize("name", ALL)
def test_contract_one_bad_frame_in_a_chunk(name: str) -> None:
    """What stands before and after a bad frame in one chunk is recorded."""
    good = next(case for case in cases(name, "TRADES")).frame
    fed = Fed(name)
    fed.feed(good, b"{", b"\xff\xfe", b"[]", b"null", good)
    assert len(fed.take()["TRADES"]) == 2
    assert fed.refused == {"malformed json": 2, "not an object": 2}
    assert fed.stats.refused_samples["not an object"] == "null"


@pytest.mark.parametrize("name", ALL)
def test_contract_samples_are_short(name: str) -> None:
    """Of a refused frame only the beginning is kept."""
    fed = Fed(name)
    fed.feed(b"[" + b'"long",' * 100 + b"0]")
    (sample,) = fed.stats.refused_samples.values()
    assert len(sample) == 200


@pytest.mark.parametrize("name", ALL)
def test_contract_no_frames_and_no_symbols(name: str) -> None:
    """Nothing in, nothing out: no request for no symbols, no event of no frames."""
    fed = Fed(name, symbols=())
    assert fed.requests == []
    assert fed.adapter.unsubscribe([]) == []
    assert fed.feed() == []
    assert fed.adapter.ping() is None


@pytest.mark.parametrize("name", ALL)
def test_contract_frames_of_another_kind_are_no_records(name: str) -> None:
    """The public parsers give an empty list for what is neither ticker nor trade."""
    exchange = configured(name)
    for frame in (b"{}", b'{"type":"heartbeat"}', b'{"e":"kline"}', b'{"result":null,"id":1}'):
        assert exchange.parse_trade_data(frame) == []
        assert exchange.parse_market_data(frame) == []


def test_contract_no_order_is_sixteen_zeros() -> None:
    """An exchange without order ids leaves a column of zeros."""
    assert struct.unpack("<2Q", NO_ORDER) == (0, 0)
    assert issubclass(BUILT_IN["binance"], Exchange)
