"""What holds for the adapter of every built-in exchange."""

from __future__ import annotations

import inspect
import json
import random
import struct
from typing import Any

import pytest
from exchanges_tools import RECV_NS, SYMBOLS, Case, Fed, after, case_name, cases, configured, text
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
    records: list[Trade | MarketData] = [*fed.exchange.parse_trade_data(frame, RECV_NS)]
    records += fed.exchange.parse_market_data(frame, RECV_NS)
    (record,) = records
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
