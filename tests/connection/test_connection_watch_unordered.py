"""Silent or deaf, where trade ids have no order: a trade that is known has come, whatever the clocks say."""

from __future__ import annotations

import pytest
import trio
from connection_peer import Rig, until
from connection_watched import fall_silent, traded, watched
from trio.testing import MockClock

from multilogger.exchanges.base import TradeIds

AHEAD = -30.0
"""The exchange's clock is ahead by so much: its trades seem to be younger than they are."""


async def silent(nursery: trio.Nursery, *, known: bool, table: str = "TRADES", ago: float = AHEAD) -> Rig:
    """Return a rig whose symbol is silent, and of which the exchange tells a trade."""
    rig = watched(nursery)
    rig.exchange.trade_ids = TradeIds.UNORDERED
    await rig.start(nursery, ["A"])
    await trio.sleep(60)
    traded(rig, "A", trade_id=2**64 - 5, ago=ago)
    if known:
        rig.quality.known.add((rig.feed.symbols.number("A"), 2**64 - 5))
    fall_silent(rig, "A", table=table)
    await until(lambda: rig.stats.looks > 0)
    await trio.sleep(20)
    return rig


async def test_a_known_trade_shows_nothing(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """It was sent again at the subscription, or got from the history; the market is quiet."""
    rig = await silent(nursery, known=True)
    assert (rig.stats.looks, rig.stats.resubscribes) == (1, 0)
    assert ("excused TRADES", (rig.feed.symbols.number("A"),)) in rig.quality.told
    assert rig.coverage.newest == []


@pytest.mark.parametrize("ago", [AHEAD, 10.0])
async def test_an_unknown_trade_shows_deafness(
    nursery: trio.Nursery, autojump_clock: MockClock, ago: float
) -> None:
    """It should have come, and did not."""
    rig = await silent(nursery, known=False, ago=ago)
    assert rig.stats.resubscribes == 1


async def test_an_unknown_trade_from_before(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A trade from before the subscription need not have come."""
    rig = await silent(nursery, known=False, ago=100.0)
    assert (rig.stats.looks, rig.stats.resubscribes) == (1, 0)


async def test_a_known_trade_shows_that_tickers_are_missing(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """With a trade there should have been a ticker, whether the trade has come or not."""
    rig = await silent(nursery, known=True, table="MD", ago=10.0)
    assert rig.stats.resubscribes == 1
