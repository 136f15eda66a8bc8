"""Readers beside a writer at work: whatever moment they read at, rows are whole, and stay.

``pytest tests/crash -s --reader-seconds 60`` reads for as long as asked.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from crash_reader import Reader, Stream
from crash_tree import Tree, check_once
from crash_writer import make_market

from multilogger.archive.verify import verify_archive
from multilogger.tables import TABLES

PATIENCE_SECS = 30.0
REST_SECS = 0.002
"""Between reads: the writer's cores are the reader's."""


def start_writer(data: Path, seconds: float) -> subprocess.Popen[str]:
    """Start the writer."""
    writer = Path(__file__).with_name("crash_writer.py")
    return subprocess.Popen(
        [sys.executable, str(writer), str(data), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for_streams(data: Path, streams: int, writer: subprocess.Popen[str]) -> None:
    """Wait until all symbols' tables have rows."""
    deadline = time.monotonic() + PATIENCE_SECS
    while len({it.parent for it in data.glob("*/*/*/*time.*.bin")}) < streams:
        assert time.monotonic() < deadline
        assert writer.poll() is None, "the writer has ended"
        time.sleep(0.02)


def sealed(data: Path) -> int:
    """Return how many days of a symbol's table are sealed."""
    return len(list(data.glob("*/*/*/manifest.*.json")))


def test_readers_beside_the_writer(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """No row is torn or skewed, none vanishes or changes, over a midnight and the seals after it."""
    seconds = pytestconfig.getoption("reader_seconds")
    market = make_market(seconds)
    streams = len(market.symbols) * len(TABLES)
    with start_writer(tmp_path, seconds) as writer:
        try:
            wait_for_streams(tmp_path, streams, writer)
            reader = Reader(tmp_path, market, random.Random(1))
            until = time.monotonic() + seconds
            deadline = until + PATIENCE_SECS
            while time.monotonic() < until or sealed(tmp_path) < streams:
                assert time.monotonic() < deadline, f"{sealed(tmp_path)} of {streams} days are sealed"
                reader.read()
                time.sleep(REST_SECS)
            output, _ = writer.communicate(timeout=PATIENCE_SECS)
        finally:
            writer.kill()
    assert writer.returncode == 0
    sent, late, _ = map(int, output.split())
    check_end(tmp_path, reader, sent)
    totals = reader.totals
    print(
        f"{sent} rows written, {late} of them late, {sealed(tmp_path)} days sealed; "
        f"{totals.plain} days read plainly ({totals.switching} passed over during a switch, "
        f"{totals.switched} found reordered after one), {totals.archive} ranges through the archive, "
        f"{totals.rows} rows checked: 0 violations"
    )
    assert late
    assert totals.archive > seconds
    assert totals.plain > seconds


def check_end(data: Path, reader: Reader, sent: int) -> None:
    """Check that all rows are there, once, and that all that was ever read is among them."""
    market = reader.market
    found = Tree(data, market).read(even=True)
    check_once(found, np.arange(sent) > 0, 0, market)
    for symbol in market.symbols:
        for table in TABLES:
            reader.read_archive(Stream(symbol, table))
    report = verify_archive(data)
    assert report.ok, "\n".join(map(str, report.problems))
