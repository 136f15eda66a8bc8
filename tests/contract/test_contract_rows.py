"""Each frame is the row that its fixture states, bit for bit, in the hot path and as a public record."""

from __future__ import annotations

import json
import random
from typing import Any
from uuid import UUID

import pytest
from contract_cases import Case
from contract_feeding import RECV_NS, Row
from contract_marks import by_case, by_exchange
from contract_paths import at, paths, replaced, without
from contract_subject import Subject
from contract_trials import SPOILT
from hypothesis import given, settings
from hypothesis import strategies as st

from multilogger.errors import FrameError
from multilogger.exchanges.base import Exchange
from multilogger.records import MERGED_SHIFT, MarketData, Trade
from multilogger.tables import MD, TRADES

NEW = "zz_new_field"
"""A field that no exchange has yet."""


def expected(subject: Subject, case: Case) -> list[Row]:
    """Return a case's rows as they are packed."""
    symbol = subject.symbols_of(case)[0]
    return [{"symbol": symbol, "recv_ns": RECV_NS, **row} for row in case.expected]


def records_of(exchange: Exchange, case: Case, frame: Any) -> list[Trade] | list[MarketData]:
    """Return the public records of a frame."""
    payload = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
    parse = exchange.parse_trade_data if case.table == "TRADES" else exchange.parse_market_data
    return parse(payload, RECV_NS)


def plain(record: Trade | MarketData, name: str) -> Any:
    """Return what a record says of a field of a row; order ids in hex, of the flags only the merged fills.

    That it tells the past may be known by the connection alone.
    """
    if name == "flags":
        return (record.count - 1) << MERGED_SHIFT if isinstance(record, Trade) else None
    value = getattr(record, name)
    return value.hex() if isinstance(value, bytes) else value


@by_case
def test_rows(subject: Subject, case: Case) -> None:
    """A frame is packed as exactly the rows that the case states, at the receive time, and is no event."""
    fed = subject.after(case)
    assert fed.feed(case.payload) == []
    rows = fed.take()
    assert rows.pop(case.table) == expected(subject, case)
    assert sum(map(len, rows.values())) == 0
    assert fed.refused == {}


@by_case
def test_rows_are_stated_completely(subject: Subject, case: Case) -> None:
    """A case states every field of its rows but symbol and receive time."""
    table = TRADES if case.table == "TRADES" else MD
    names = set(table.row.names or ()) - {"symbol", "recv_ns", "pad"}
    for row in case.expected:
        assert row.keys() - {"symbol"} == names


@by_case
def test_records(subject: Subject, case: Case) -> None:
    """The public record says what the row says; of a ticker, nothing where only the state knows it."""
    fed = subject.after(case)
    records = records_of(fed.exchange, case, case.payload)
    rows = [{**row, "flags": row["flags"] & -(1 << MERGED_SHIFT)} for row in expected(subject, case)]
    assert len(records) == len(rows)
    for record, row in zip(records, rows, strict=True):
        assert isinstance(record, Trade if case.table == "TRADES" else MarketData)
        assert record.exchange == subject.name
        told = {name: value for name in row if (value := plain(record, name)) is not None}
        assert told == {name: row[name] for name in told}
        if case.table == "TRADES":
            assert told.keys() == row.keys()
        assert record.recv_ns == RECV_NS


@by_case
def test_records_of_the_other_table(subject: Subject, case: Case) -> None:
    """A trade is no ticker, and a ticker no trade."""
    exchange = subject.after(case).exchange
    other = exchange.parse_market_data if case.table == "TRADES" else exchange.parse_trade_data
    assert other(case.payload, RECV_NS) == []


@by_case
def test_records_keep_every_other_field(subject: Subject, case: Case) -> None:
    """What has no place in the record is beside it as the exchange spelled it, new fields included."""
    exchange = subject.after(case).exchange
    usual = records_of(exchange, case, case.payload)
    holders = []
    for path in ((), *paths(case.frame)):
        if isinstance(at(case.frame, path), dict):
            more = records_of(exchange, case, replaced(case.frame, (*path, NEW), "7"))
            kept = [record.exchange_specific.get(NEW) for record in more]
            assert set(kept) <= {"7", None}
            if "7" in kept:
                holders.append((path, kept.index("7")))
    assert len({index for _, index in holders}) == len(usual), "no record keeps what it does not know"
    for path, index in holders:
        for field, value in at(case.frame, path).items():
            if usual[index].exchange_specific.get(field) != value:
                assert field not in usual[index].exchange_specific
                assert _is_read(exchange, case, (*path, field), usual), f"{field} is neither kept nor read"


def _is_read(
    exchange: Exchange, case: Case, path: tuple[str | int, ...], usual: list[Trade] | list[MarketData]
) -> bool:
    """Return whether anything else in a field's place would make a difference."""
    others = (replaced(case.frame, path, value) for value in (*SPOILT, str(UUID(int=1))))
    for frame in (without(case.frame, path), *others):
        try:
            if records_of(exchange, case, frame) != usual:
                return True
        except FrameError:
            return True
    return False


def _spelled(value: Any, rng: random.Random, *, spaced: bool, escaped: bool) -> str:
    """Return JSON with names in another order, with spaces, and with letters escaped."""
    space = " " if spaced else ""
    if isinstance(value, dict):
        names = rng.sample(list(value), len(value))
        pairs = (
            f"{_escaped(name, rng, escaped=escaped)}{space}:{space}"
            f"{_spelled(value[name], rng, spaced=spaced, escaped=escaped)}"
            for name in names
        )
        return f"{{{space}{f',{space}'.join(pairs)}{space}}}"
    if isinstance(value, list):
        items = (_spelled(item, rng, spaced=spaced, escaped=escaped) for item in value)
        return f"[{space}{f',{space}'.join(items)}{space}]"
    return _escaped(value, rng, escaped=escaped) if isinstance(value, str) else json.dumps(value)


def _escaped(word: str, rng: random.Random, *, escaped: bool) -> str:
    if not escaped:
        return json.dumps(word)
    letters = (f"\\u{ord(it):04x}" if rng.random() < 0.3 else json.dumps(it)[1:-1] for it in word)
    return f'"{"".join(letters)}"'


@by_case
@given(seed=st.integers(0, 2**32), spaced=st.booleans(), escaped=st.booleans())
@settings(max_examples=6, deadline=None)
def test_spelling_does_not_matter(
    subject: Subject, case: Case, *, seed: int, spaced: bool, escaped: bool
) -> None:
    """Another order of names, spaces and escapes give the same rows, and the same records."""
    frame = _spelled(case.frame, random.Random(seed), spaced=spaced, escaped=escaped).encode()
    fed = subject.after(case)
    assert fed.feed(frame) == []
    assert fed.take()[case.table] == expected(subject, case)
    again = records_of(fed.exchange, case, frame)
    assert again == records_of(fed.exchange, case, case.payload)


@by_exchange
def test_one_bad_frame_in_a_chunk(subject: Subject) -> None:
    """What stands before and after a bad frame in one chunk is recorded."""
    case = next(case for case in subject.cases if case.table == "TRADES")
    fed = subject.after(case)
    fed.feed(case.payload, b"{", b"\xff\xfe", b"[]", b"null", case.payload)
    assert len(fed.take()["TRADES"]) == 2 * len(case.expected)
    assert fed.refused == {"malformed json": 2, "not an object": 2}
    assert fed.stats.refused_samples["not an object"] == "null"


@by_exchange
def test_frames_of_a_symbol_that_was_left(subject: Subject) -> None:
    """After an unsubscription what is still under way gives no row, and is counted."""
    for case in subject.cases:
        fed = subject.after(case)
        fed.adapter.unsubscribe(subject.symbols_of(case))
        assert fed.feed(case.payload) == []
        assert (len(fed.buffer), fed.refused, set(fed.ignored)) == (0, {}, {"unsubscribed symbol"}), str(case)


@pytest.mark.parametrize(
    "frame", [b"{}", b'{"type":"heartbeat"}', b'{"e":"kline"}', b'{"result":null,"id":1}']
)
@by_exchange
def test_frames_of_another_kind_are_no_records(subject: Subject, frame: bytes) -> None:
    """The public parsers give an empty list for what is neither ticker nor trade."""
    exchange = subject.kind(subject.kind.config_type())  # type: ignore[call-arg] # defaults
    assert exchange.parse_trade_data(frame) == []
    assert exchange.parse_market_data(frame) == []
