"""Names on disk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilogger.records import ExchangeId
from multilogger.storage.layout import day_of, day_suffix, symbol_directory
from multilogger.storage.streams import Streams
from multilogger.tables import MD, TRADES


@pytest.mark.parametrize(
    ("symbol", "directory"),
    [
        ("BTC-USD", "BTC-USD"),
        ("XBT/USD", "XBT_USD"),
        ("..", "%2E%2E"),
        ("", "%"),
        ("A B%", "A%20B%25"),
        ("x\n\0", "x%0A%00"),
        ("币安USDT", "币安USDT"),
    ],
)
def test_symbol_directory(symbol: str, directory: str) -> None:
    """Names keep their spelling where it is safe."""
    assert symbol_directory(symbol) == directory


@given(st.text())
def test_symbol_directory_is_always_one_plain_name(symbol: str) -> None:
    """Whatever an exchange calls a symbol, it is one short directory name without a dot."""
    name = symbol_directory(symbol)
    assert name
    assert not set(name) & set("/.\0")
    assert len(name.encode()) <= 200


def test_long_symbols_stay_apart() -> None:
    """Two names that are cut at the same place differ by their hash."""
    assert symbol_directory("x" * 300 + "a") != symbol_directory("x" * 300 + "b")


def test_symbols_that_differ_in_a_slash_have_their_own_directories() -> None:
    """``A/B`` and ``A_B`` on one exchange never share files."""
    streams = Streams()
    exchange = ExchangeId("kraken")
    found = [streams.find(exchange, symbol, TRADES) for symbol in ("A/B", "A_B")]
    assert found[0].entry.directory != found[1].entry.directory
    assert streams.find(exchange, "A/B", MD).entry.directory == "A_B"


def test_day() -> None:
    """A day begins at midnight UTC, and is written day first."""
    assert day_of(20_113 * 86_400 * 10**9) == 20_113
    assert day_of(20_113 * 86_400 * 10**9 - 1) == 20_112
    assert day_suffix(20_113) == ".25.01.25.bin"
