from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from multilogger.errors import RecordingError
from multilogger.recording import Recorded, _recorded, encode_recorded, read_recording

LINES = (
    b'{"recv":1723161253.937085768,"conn":"wss://x","text":"{\\"a\\":1}"}\n'
    b"\n"
    b'{"recv":null,"conn":null,"text":"\\u5e01"}\n'
    b'{"text":"","recv":1617.5}'
)
FRAMES = [
    Recorded(1723161253937085768, "wss://x", b'{"a":1}'),
    Recorded(None, None, "币".encode()),
    Recorded(1617500000000, None, b""),
]


@pytest.mark.parametrize("name", ["frames.jsonl", "frames.jsonl.zst"])
def test_recordings_are_read_to_the_nanosecond(tmp_path: Path, name: str) -> None:
    """Plain and compressed recordings give the same frames; no digit of the time is lost."""
    path = tmp_path / name
    # Two zstd frames in one file, as a recorder that was restarted leaves them.
    compress = zstandard.ZstdCompressor().compress
    path.write_bytes(compress(LINES[:50]) + compress(LINES[50:]) if path.suffix == ".zst" else LINES)
    assert list(read_recording(path)) == FRAMES


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b'{"recv":1}',
        b'{"recv":"soon","text":"a"}',
        b'{"recv":-1,"text":"a"}',
        b'{"recv":1e300,"text":"a"}',
        b'{"recv":1,"text":5}',
        b'{"recv":1,"text":"\\ud800"}',
        b"\xff",
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes) -> None:
    """Frames before a bad line are given, then the error names file and line."""
    path = tmp_path / "frames.jsonl"
    path.write_bytes(LINES + b"\n" + line + b"\n")
    frames = read_recording(path)
    assert [next(frames) for _ in FRAMES] == FRAMES
    with pytest.raises(RecordingError, match=r"frames\.jsonl, line 5: "):
        next(frames)


def test_damaged_compression_is_named(tmp_path: Path) -> None:
    """A file that is no zstd is an error with its name."""
    path = tmp_path / "frames.jsonl.zst"
    path.write_bytes(LINES)
    with pytest.raises(RecordingError, match=r"frames\.jsonl\.zst.*zstd"):
        list(read_recording(path))


@given(st.integers(0, 2**63 - 10**9), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_time_and_text_survive(recv_ns: int, text: str) -> None:
    """Whatever was recorded comes back, exactly."""
    seconds = str(Decimal(recv_ns).scaleb(-9))
    line = f'{{"recv":{seconds},"text":{json.dumps(text)}}}'.encode()
    assert _recorded(line) == Recorded(recv_ns, None, text.encode())


@given(
    st.none() | st.integers(0, 2**63 - 10**9),
    st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_what_is_written_is_read(recv_ns: int | None, conn: str | None, text: str) -> None:
    """A frame is one line, whatever is in it, and comes back as it was."""
    frame = Recorded(recv_ns, conn, text.encode())
    line = encode_recorded(frame)
    assert line.index(b"\n") == len(line) - 1
    assert _recorded(line) == frame


def test_the_written_format_is_the_documented_one() -> None:
    """Seconds with nine digits, the address, the message as JSON text, in this order."""
    line = encode_recorded(Recorded(1723161253000000068, "wss://x", b'{"type":"match"}'))
    assert line == b'{"recv":1723161253.000000068,"conn":"wss://x","text":"{\\"type\\":\\"match\\"}"}\n'


def test_bytes_that_are_no_text_are_refused() -> None:
    """The format has text only; what is none is an error, not a changed frame."""
    with pytest.raises(RecordingError, match="no text"):
        encode_recorded(Recorded(1, None, b"\xff"))
