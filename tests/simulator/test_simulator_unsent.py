"""Trades that nobody was sent: a recorder may have asked for them, and needn't have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import trio
from simulator_files import store
from simulator_peer import binance, coinbase

from multilogger.simulator.compare import compare
from multilogger.simulator.ledger import UNSENT, Ledger, TradeEntry
from multilogger.simulator.venue import Venue

ASKED = TradeEntry(
    symbol="BTC-USD",
    time_ns=1_795_391_940 * 10**9,
    trade_id=7,
    price="64000.1",
    size="0.5",
    maker=bytes(16),
    taker=bytes(16),
    bought=True,
)


@pytest.mark.parametrize("make", [coinbase, binance])
async def test_what_nobody_was_sent_is_entered_as_such(make: Callable[[], Venue[Any]]) -> None:
    """A market without clients enters its trades as unsent, once each, and nothing as sent."""
    await trio.lowlevel.checkpoint()
    venue = make()
    made = venue.step(20)
    unsent = venue.ledger.rows(UNSENT)
    ids = np.unique(unsent[["symbol", "trade_id"]])
    assert len(ids) == len(unsent) >= made
    assert not len(venue.ledger.rows("TRADES"))


@pytest.mark.parametrize(("price", "skew"), [("64000.1", 0), ("64000.2", 1)])
def test_an_unsent_trade_may_be_on_disk(tmp_path: Path, price: str, skew: int) -> None:
    """One on disk is no extra row, if all it says is right; one that is not on disk is not missing."""
    recorded, ledger = Ledger("coinbase"), Ledger("coinbase")
    recorded.trade(attrs.evolve(ASKED, price=price))
    for entry in (ASKED, attrs.evolve(ASKED, trade_id=8)):
        ledger.unsent(entry)
    store(recorded, tmp_path)
    found = compare(ledger, tmp_path, "coinbase").tables["TRADES"]
    assert (found.sent, found.on_disk) == (1, 1)
    assert (found.extra, found.missing, found.skew) == (0, 0, skew)
