"""Damaged frames: never an exception, never a row with a value that the frame does not say."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from exchanges_tools import RECV_NS, SYMBOLS, Case, Fed, Row, after, case_name, cases, text
from hypothesis import given, settings
from hypothesis import strategies as st


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
def test_damage_mutated_bytes(case: Case, data: st.DataObject) -> None:
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
        assert sum(fed.refused.values()) + sum(fed.ignored.values()) == 1


@pytest.mark.parametrize("name", sorted(SYMBOLS))
@given(frame=st.binary(max_size=80))
@settings(max_examples=100, deadline=None)
def test_damage_noise(name: str, frame: bytes) -> None:
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
def test_damage_any_value_in_any_field(case: Case, data: st.DataObject, value: Any) -> None:
    """Whatever stands in a field gives a row or is counted; the good frame after it gives its row."""
    message = json.loads(text(case.frame))
    holder = message.get("data", message) if data.draw(st.booleans()) else message
    holder[data.draw(st.sampled_from(sorted(holder)))] = value
    fed = after(case)
    frame = text(message).replace(b"NaN", b"null")
    fed.feed(frame)
    rows = fed.take()
    count = sum(map(len, rows.values()))
    assert count + sum(fed.refused.values()) + sum(fed.ignored.values()) == 1
    if count:
        _check_not_invented(rows, frame, set().union(*(_numbers(m, set()) for m in case.before)))
    fed.feed(case.frame)
    assert len(fed.take()[case.table]) == 1
