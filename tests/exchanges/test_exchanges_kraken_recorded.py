"""Real messages of Kraken spot: single ones as the rows that they imply, and books as nothing at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from exchanges_kraken import RECV_NS, Fed

ROOT = Path(__file__).parents[2]
RECORDINGS = Path(os.environ.get("MULTILOGGER_RECORDINGS", ROOT.parent / "shared" / "recordings"))
DIRECTORY = RECORDINGS / "kraken" / "spot-v2"

pytestmark = pytest.mark.skipif(not DIRECTORY.is_dir(), reason=f"no recordings at {DIRECTORY}")


def recorded(name: str) -> list[bytes]:
    """Return the frames of a recording."""
    lines = (DIRECTORY / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"].encode() for line in lines]


@pytest.mark.parametrize("name", ["session_20260802_book_ethusd", "session_20260802_book_xrpusd"])
def test_kraken_recorded_books_are_ignored(name: str) -> None:
    """Greeting, acknowledgement, books and heartbeats give no row and no event, and none is refused."""
    frames = recorded(name)
    fed = Fed(["ETH/USD", "XRP/USD"])
    assert fed.feed(*frames) == []
    assert (len(fed.buffer), dict(fed.stats.refused)) == (0, {})
    kinds: dict[str, int] = {}
    for frame in frames:
        message = json.loads(frame)
        kind = message.get("channel", "answer without a request of ours")
        kinds[kind] = kinds.get(kind, 0) + 1
    assert kinds.pop("heartbeat") > 30
    assert kinds.pop("status") == 1
    assert dict(fed.stats.ignored) == kinds
    for frame in frames:
        assert fed.exchange.parse_trade_data(frame) == []
        assert fed.exchange.parse_market_data(frame) == []


def test_kraken_recorded_trades_and_tickers() -> None:
    """Single messages, some made by other people's hands, give the trades and tickers in them."""
    frames = recorded("fixtures_nautilus")
    fed = Fed(["BTC/USD"])
    fed.feed(*frames[:2])
    assert (fed.tickers(), dict(fed.stats.ignored)) == (
        [],
        {"ticker before the first trade": 1},  # the acknowledgement is under an id of ours
    )
    fed.feed(frames[2])
    assert fed.trades() == [
        (10218208, 105944.2, 0.00027625, 1, 0, 1_696_613_755_440_295_000),
        (10218209, 105910.5, 0.0001246, 0, 0, 1_696_613_756_123_456_000),
    ]
    fed.feed(*frames[1:2], *frames[3:])
    assert fed.tickers() == [(105899.4, 0.0001246, 0, 105944.2, 105944.3, 2, RECV_NS)]
    assert dict(fed.stats.refused) == {}
    assert {"book", "ohlc"} <= set(fed.stats.ignored)


def test_kraken_recorded_tickers_without_a_price() -> None:
    """Tickers that tell no price take the last trade's; of an instrument without quotes they are refused."""
    frames: list[Any] = recorded("singles_tardis_handmade")
    fed = Fed(["BTC/USD", "ANETx/USD"])
    fed.feed(*frames)
    trades = fed.buffer.take()
    fed.feed(*frames[:2], *frames[4:])
    assert len(trades) == 2
    assert fed.tickers() == [(100.1, 0.25, 1, 99.9, 100.1, 0, RECV_NS)]
    assert dict(fed.stats.refused) == {"bad quote": 2}
