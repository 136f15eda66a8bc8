"""Binance futures recorded by the whole program: single trades, which the contract suite does not ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exchanges_tools import ROOT

# isort: split
# Found since the tools told where the contract suite is.
from contract_subject import Subject
from contract_world import open_world
from trio.testing import MockClock

from multilogger.exchanges.catalog import BUILT_IN
from multilogger.simulator.binance.coinm import BinanceCoinmVenue
from multilogger.simulator.binance.usdm import BinanceUsdmVenue
from multilogger.simulator.venue import Venue

SECS = 120.0


@pytest.mark.parametrize("kind", [BinanceUsdmVenue, BinanceCoinmVenue])
async def test_single_trades(kind: type[Venue[Any]], tmp_path: Path, autojump_clock: MockClock) -> None:
    """Trades and quotes of one connection are on disk as they were sent, each row with its last trade."""
    asked = type("Asked", (kind,), {"settings": {"trades_stream": "trade"}})
    subject = Subject(BUILT_IN[kind.name], asked, ROOT)
    async with open_world(subject, tmp_path) as world:
        result = await world.record(SECS)
    assert all(table.ok() for table in result.tables.values()), result
    assert not np.isnan(world.venue.ledger.rows("MD")["price"]).any()
    assert min(table.sent for table in result.tables.values()) > 100
    assert world.venue.violations == []
