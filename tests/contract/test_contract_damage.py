"""Damaged frames: never an exception, never a row with a value that the frame does not say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from contract_cases import Case, Words
from contract_feeding import Fed, made, text
from contract_marks import by_case, by_exchange, by_words
from contract_paths import at, paths
from contract_subject import Subject
from contract_trials import Trial, try_frame
from contract_values import check_not_invented, said
from hypothesis import given, settings
from hypothesis import strategies as st

from multilogger.errors import FrameError
from multilogger.exchanges.base import Confirmed, Rejected

BYTES = b'0129.-e+"{}[]:,\\ xtn\x00\xff'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
DEEP = b"[" * 100_000 + b"]" * 100_000


def damage(frame: bytes, data: st.DataObject) -> bytes:
    """Return a frame with some bytes replaced."""
    damaged = bytearray(frame)
    spots = st.tuples(st.integers(0, len(frame) - 1), st.sampled_from(BYTES))
    for at_, byte in data.draw(st.lists(spots, min_size=1, max_size=4)):
        damaged[at_] = byte
    return bytes(damaged)


def check(trial: Trial) -> None:
    """Check that a damaged frame gave no row of its own making, no event, and did not vanish."""
    check_not_invented(trial.rows, said(trial.said), md_has_time=trial.fed.exchange.md_has_time)
    assert trial.events == []
    assert trial.count <= len(trial.case.expected)
    assert trial.count + sum(trial.reasons.values()) + sum(trial.ignored.values()) >= 1


@by_case
def test_truncated_at_every_byte(subject: Subject, case: Case) -> None:
    """A frame that ends early gives no row and no exception, and is counted once as malformed."""
    frame = case.payload
    fed = subject.after(case)
    for end in range(len(frame)):
        assert fed.feed(frame[:end]) == []
    assert len(fed.buffer) == 0
    assert fed.refused == {"malformed json": len(frame)}
    for end in range(len(frame)):
        for parse in (fed.exchange.parse_trade_data, fed.exchange.parse_market_data):
            with pytest.raises(FrameError, match="malformed json"):
                parse(frame[:end])


@by_case
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_damaged_bytes(subject: Subject, case: Case, data: st.DataObject) -> None:
    """Of damaged frames there is never an exception, nor a row with a value that the frame does not say."""
    check(try_frame(subject, case, damage(case.payload, data)))


@by_case
@given(data=st.data(), value=JSON)
@settings(max_examples=15, deadline=None)
def test_any_value_in_any_field(subject: Subject, case: Case, data: st.DataObject, value: Any) -> None:
    """Whatever stands in a field gives a row or is counted; the good frame after it is a row all the same."""
    message = json.loads(case.payload)
    path = data.draw(st.sampled_from(list(paths(message))))
    at(message, path[:-1])[path[-1]] = value
    trial = try_frame(subject, case, text(message), path, value)
    if value != []:
        check(trial)
    trial.fed.feed(case.payload)
    # Where the spoilt frame was a row, this one may tell nothing new.
    assert trial.count or len(trial.fed.take()[case.table]) == len(case.expected)


@by_words
@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_damaged_words(subject: Subject, words: Words, data: st.DataObject) -> None:
    """Damaged words are no rows, and speak of no symbol that was not asked for."""
    fed = subject.listening(words)
    for event in fed.feed(damage(words.payload, data)):
        if isinstance(event, Confirmed | Rejected):
            assert set(event.symbols) <= set(words.symbols)
    assert len(fed.buffer) == 0


@by_words
def test_truncated_words(subject: Subject, words: Words) -> None:
    """Words that end early say nothing."""
    fed = subject.listening(words)
    for end in range(len(words.payload)):
        assert fed.feed(words.payload[:end]) == []
    assert len(fed.buffer) == 0
    assert sum(fed.refused.values()) == len(words.payload)


@by_exchange
@given(frame=st.binary(max_size=80))
@settings(max_examples=100, deadline=None)
def test_noise(subject: Subject, frame: bytes) -> None:
    """Any bytes are refused or ignored, each frame once, and no row comes of them."""
    fed = Fed(made(subject.kind), subject.symbols)
    assert fed.feed(frame) == []
    assert len(fed.buffer) == 0
    # Hypothesis also tries what it has found in the code, such as a heartbeat.
    assert fed.counted == 1 or frame in {words.payload for words in subject.all_words}


@by_exchange
@given(message=JSON)
@settings(max_examples=100, deadline=None)
def test_any_message(subject: Subject, message: Any) -> None:
    """Any JSON is refused or ignored, and no row comes of it; the public parsers have one error."""
    fed = Fed(made(subject.kind), subject.symbols)
    assert fed.feed(text(message)) == []
    assert len(fed.buffer) == 0
    assert fed.counted == 1
    for parse in (fed.exchange.parse_trade_data, fed.exchange.parse_market_data):
        try:
            assert parse(text(message)) == []
        except FrameError as error:
            assert error.reason  # noqa: PT017 - whether it is raised is the exchange's choice


@by_exchange
def test_nesting_deeper_than_the_decoder_goes(subject: Subject) -> None:
    """A frame nested too deep is malformed, in known kinds as in unknown ones."""
    for case in subject.cases:
        fed = subject.after(case)
        fed.feed(case.payload[:-1] + b',"x":%s}' % DEEP, b'{"x":%s}' % DEEP, DEEP)
        assert fed.refused == {"malformed json": 3}, str(case)
        assert len(fed.buffer) == 0
