"""What befalls one exchange never costs the other a row, and /health tells of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from e2e_tree import EXCHANGES, assert_stored, recording, simulated, wait_until

from multilogger.simulator.faults import Cut, Fault, Garbage, Stall

OTHER = {"coinbase": "binance", "binance": "coinbase"}

pytestmark = pytest.mark.parametrize("struck", EXCHANGES)


def is_healthy(report: dict[str, Any]) -> bool:
    """Whether everything is."""
    return bool(report["status"] == "healthy")


@pytest.mark.parametrize("fault", [Cut(reset=True), Cut(reset=False)])
async def test_cut(struck: str, fault: Cut, tmp_path: Path) -> None:
    """A cut exchange is connected anew; what had arrived before is kept, and an orderly cut loses nothing."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    async with simulated(ledger) as venues, recording(venues, data) as run:
        await run.flowing(*EXCHANGES)
        venues[struck].inject(fault)
        await wait_until(lambda: run.stats.exchange(struck).reconnects == 1)
        await run.more_rows(struck)
        await run.each_traded(struck)
        report = await run.health_when(is_healthy)
        assert report["exchanges"][struck]["reconnects"] == 1
        assert run.stats.exchange(OTHER[struck]).reconnects == 0
    assert_stored(ledger, data, OTHER[struck])
    assert_stored(ledger, data, struck, missing_ok=fault.reset)


async def test_stall(struck: str, tmp_path: Path) -> None:
    """An exchange that stands but is silent makes the status degraded until its data return."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    fault: Fault = Stall(1.8)
    settings = {f"exchanges.{struck}.silence_secs": 1.0}
    async with simulated(ledger) as venues, recording(venues, data, settings) as run:
        await run.flowing(*EXCHANGES)
        await run.health_when(is_healthy)
        venues[struck].inject(fault)
        report = await run.health_when(lambda now: bool(now["status"] == "degraded"))
        assert any(struck in reason for reason in report["reasons"])
        assert report["exchanges"][OTHER[struck]]["status"] == "healthy"
        await run.health_when(is_healthy)
        assert run.stats.exchange(struck).reconnects >= 1
        await run.more_rows(struck)
        await run.each_traded(struck)
    for exchange in EXCHANGES:
        assert_stored(ledger, data, exchange)


async def test_garbage(struck: str, tmp_path: Path) -> None:
    """Malformed frames are refused and counted by reason; the good ones between them are all kept."""
    data, ledger = tmp_path / "data", tmp_path / "ledger"
    async with simulated(ledger) as venues, recording(venues, data) as run:
        await run.flowing(*EXCHANGES)
        venues[struck].inject(Garbage(0.3))
        await wait_until(lambda: len(run.stats.exchange(struck).refused) >= 4)
        await run.settle()
        counted = run.stats.exchange(struck)
        garbage = venues[struck].garbage_messages
        # A Binance ticker before the symbol's first trade is no garbage, though ignored for want of a side.
        ignored = counted.ignored.total() - counted.ignored["ticker before the first trade"]
        assert counted.refused.total() + ignored == garbage > 0
        report = (await run.get("/health")).json()
        assert report["exchanges"][struck]["refused"] == dict(counted.refused)
        assert report["exchanges"][OTHER[struck]]["refused"] == {}
        assert counted.reconnects == 0
    for exchange in EXCHANGES:
        assert_stored(ledger, data, exchange)
