from __future__ import annotations

import itertools
import struct

import pytest
from connection_wire import BINARY, CLOSE, PING, PONG, TEXT, frame
from hypothesis import given
from hypothesis import strategies as st

from multilogger.connection.frames import PROTOCOL_ERROR, TOO_BIG, Closed, FrameSplitter, is_close

LIMIT = 70_000


def split(data: bytes, cuts: list[int], limit: int = LIMIT) -> tuple[FrameSplitter, list[bytes]]:
    """Feed ``data`` cut at ``cuts``; return the splitter and all messages."""
    splitter = FrameSplitter(limit)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    messages: list[bytes] = []
    for start, stop in itertools.pairwise(edges):
        messages += splitter.feed(data[start:stop])
    return splitter, messages


payloads = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([bytes(size) for size in (0, 125, 126, 127, 65_535, 65_536)]),
)
controls = st.builds(frame, st.binary(max_size=125), st.sampled_from([PING, PONG]))


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes], list[bytes]]:
    """Draw bytes on the wire, the messages and the control frames in them."""
    wire: list[bytes] = []
    messages: list[bytes] = []
    pings: list[bytes] = []
    for _ in range(draw(st.integers(0, 8))):
        parts = draw(st.lists(payloads, min_size=1, max_size=3).filter(lambda p: sum(map(len, p)) <= LIMIT))
        for index, part in enumerate(parts):
            interleaved = draw(st.lists(controls, max_size=2))
            wire += interleaved
            pings += interleaved
            opcode = draw(st.sampled_from([TEXT, BINARY])) if index == 0 else 0
            wire.append(frame(part, opcode, fin=index == len(parts) - 1))
        messages.append(b"".join(parts))
    return b"".join(wire), messages, pings


@given(streams(), st.lists(st.integers(0, 100_000), max_size=20))
def test_any_cut_gives_the_same_messages_and_controls(
    stream: tuple[bytes, list[bytes], list[bytes]], cuts: list[int]
) -> None:
    """However the bytes arrive, messages and control frames come out whole and in order."""
    wire, messages, pings = stream
    splitter, got = split(wire, cuts)
    assert got == messages
    assert splitter.take_control() == pings
    assert splitter.violation is None


@given(streams())
def test_byte_by_byte(stream: tuple[bytes, list[bytes], list[bytes]]) -> None:
    """One byte at a time is a cut like any other."""
    wire, messages, pings = stream
    if len(wire) < 2000:
        splitter, got = split(wire, list(range(len(wire))))
        assert (got, splitter.take_control()) == (messages, pings)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=10))
def test_arbitrary_bytes_never_raise_and_never_depend_on_cuts(data: bytes, cuts: list[int]) -> None:
    """Garbage is judged alike however it arrives."""
    whole, messages = split(data, [], limit=50)
    parts, got = split(data, cuts, limit=50)
    assert got == messages
    assert b"".join(parts.take_control()) == b"".join(whole.take_control())
    assert (parts.violation, parts.closed) == (whole.violation, whole.closed)


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (b"\x81\x81mask!", "masked"),
        (b"\xc1\x01x", "reserved bits"),
        (b"\x83\x01x", "reserved opcode"),
        (b"\x8b\x01x", "reserved opcode"),
        (b"\x80\x01x", "continuation of nothing"),
        (b"\x09\x01x", "fragmented control"),
        (b"\x89\x7e\x00\x7e" + bytes(126), "over 125"),
        (b"\x88\x01x", "half a code"),
        (b"\x81\x7e\x00\x05hello", "longer form"),
        (b"\x81\x7f" + struct.pack(">Q", 5) + b"hello", "wrong form"),
        (b"\x81\x7f" + struct.pack(">Q", 1 << 63), "wrong form"),
        (b"\x01\x01a\x81\x01b", "within another"),
    ],
)
def test_malformed_input_is_left_as_it_came(wire: bytes, why: str) -> None:
    """What the protocol forbids, and everything after it, is passed on raw; messages before it are kept."""
    splitter = FrameSplitter(LIMIT)
    fragment = wire[:3] if why == "within another" else b""
    assert splitter.feed(frame(b"good") + wire) == [b"good"]
    assert splitter.feed(frame(b"later")) == []
    assert b"".join(splitter.take_control()) == wire.removeprefix(fragment) + frame(b"later")
    assert splitter.violation is not None
    assert splitter.violation.code == PROTOCOL_ERROR
    assert why in splitter.violation.reason


@pytest.mark.parametrize(
    "wire",
    [
        frame(bytes(101)),
        frame(bytes(60), fin=False) + frame(bytes(41), 0),
        b"\x82\x7f" + struct.pack(">Q", 1 << 40),
    ],
)
def test_an_oversized_message_is_a_violation(wire: bytes) -> None:
    """The header is enough to refuse a message; nothing of it is kept, and what came before is returned."""
    splitter = FrameSplitter(100)
    assert splitter.feed(frame(bytes(100)) + wire) == [bytes(100)]
    assert splitter.violation is not None
    assert splitter.violation.code == TOO_BIG
    assert splitter.feed(frame(b"later")) == []
    assert splitter.take_control() == []


def test_nothing_comes_after_a_close_frame() -> None:
    """Code and reason of the close frame are kept, data after it is dropped."""
    splitter = FrameSplitter(LIMIT)
    close = frame(struct.pack(">H", 1001) + "bye ✓".encode(), CLOSE)
    assert splitter.feed(frame(b"last") + close + frame(b"late")) == [b"last"]
    assert splitter.closed == Closed(1001, "bye ✓")
    control = splitter.take_control()
    assert control == [close]
    assert is_close(control[0])
    assert splitter.feed(frame(b"later")) == []


def test_a_long_message_in_small_chunks_is_joined_once() -> None:
    """A message of many chunks is looked at when it is whole, not at every chunk."""
    splitter = FrameSplitter(1 << 24)
    payload = bytes(range(256)) * 4096
    wire = frame(payload, BINARY) + frame(b"next")
    got = [m for start in range(0, len(wire), 1000) for m in splitter.feed(wire[start : start + 1000])]
    assert got == [payload, b"next"]
