"""Past trades, against the simulation's REST side: the same as those of the stream, page after page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from contract_feeding import made
from contract_marks import subjects
from contract_subject import Subject
from contract_world import World, listening, open_world, symbols_of
from trio.testing import MockClock

from multilogger.exchanges.base import Exchange, TradeIds
from multilogger.records import Flag, Trade
from multilogger.simulator.market import Fill

TRADES = 2500
"""Of one symbol; more than two pages of most exchanges."""
MOST_PAGES = 1000

histories = {it: history for it in subjects() if (history := made(it.kind).history) is not None}
with_history = pytest.mark.parametrize("subject", histories, ids=str)
by_id = pytest.mark.parametrize(
    "subject", [it for it, history in histories.items() if history.by_id], ids=str
)


@attrs.frozen
class Past:
    """A symbol that has traded, and what is known of it."""

    exchange: Exchange
    symbol: str
    sent: dict[int, Any]
    """Its trades in the ledger, by id, in order."""
    fills: dict[int, Fill]
    """The same as the market made them, before any were merged."""

    def check(self, trades: Iterable[Trade]) -> None:
        """Check that trades are those that were sent, or single fills of them, bit for bit but for orders."""
        for trade in trades:
            known = []
            if (row := self.sent.get(trade.trade_id)) is not None:
                known.append((row["price"], row["size"], row["side"], row["time_ns"]))
            if (fill := self.fills.get(trade.trade_id)) is not None:
                known.append((float(fill.price), float(fill.size), int(fill.bought), fill.time_ns))
            assert (trade.price, trade.size, trade.side, trade.time_ns) in known
            assert (trade.exchange, trade.symbol) == (self.exchange.id, self.symbol)
            assert (trade.flags, trade.recv_ns) == (Flag.BACKFILLED, 0)


@asynccontextmanager
async def traded(subject: Subject, directory: Path) -> AsyncIterator[Past]:
    """Let a symbol trade that somebody listens to."""
    async with open_world(subject, directory) as world:
        world.venue.pause()
        symbol = symbols_of(world)[0]
        async with listening(world, [symbol]):
            while len(sent := _sent(world, symbol)) < TRADES:
                world.venue.step(200)
        fills = {fill.trade_id: fill for fill in world.venue.market.markets[symbol].recent}
        yield Past(world.exchange(), symbol, sent, fills)


def _sent(world: World, symbol: str) -> dict[int, Any]:
    rows = world.venue.ledger.rows("TRADES")
    return {int(row["trade_id"]): row for row in rows[rows["symbol"] == symbol.encode()]}


@with_history
async def test_newest_trades(subject: Subject, tmp_path: Path, autojump_clock: MockClock) -> None:
    """The newest trades come oldest first, up to the last one."""
    async with traded(subject, tmp_path) as past:
        trades = await past.exchange.fetch_newest(past.symbol)
    past.check(trades)
    history = past.exchange.history
    assert history is not None
    assert 1 < len(trades) <= history.page
    times = [trade.time_ns for trade in trades]
    assert times == sorted(times)
    if past.exchange.trade_ids is not TradeIds.UNORDERED:
        ids = [trade.trade_id for trade in trades]
        assert ids == sorted(set(ids))
    assert trades[-1].trade_id == list(past.sent)[-1]


@by_id
async def test_a_hole_is_filled_page_by_page(
    subject: Subject, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Asking for what is left, page after page, gives every trade of a span."""
    async with traded(subject, tmp_path) as past:
        ids = list(past.sent)
        wanted, got = set(ids[100:-100]), dict[int, Trade]()
        for _ in range(MOST_PAGES):
            first, last, since_ns = _newest_hole(past, wanted - got.keys())
            page = await past.exchange.fetch_trades(past.symbol, first, last, since_ns)
            assert page, f"nothing of {first} to {last}"
            assert all(first <= trade.trade_id <= last for trade in page)
            got |= {trade.trade_id: trade for trade in page}
            if got.keys() >= wanted:
                break
    assert got.keys() >= wanted
    past.check(got.values())


def _newest_hole(past: Past, left: set[int]) -> tuple[int, int, int]:
    """Return first and last id of the newest run of what is left, and the time of the trade before it."""
    ids = list(past.sent)
    end = max(at for at, trade_id in enumerate(ids) if trade_id in left)
    start = end
    while ids[start - 1] in left:
        start -= 1
    return ids[start - 1] + 1, ids[end], int(past.sent[ids[start - 1]]["time_ns"])


@by_id
async def test_a_history_that_has_nothing(
    subject: Subject, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Of ids that are still to come an empty page says that there are none."""
    async with traded(subject, tmp_path) as past:
        last = max(past.sent)
        since_ns = int(past.sent[last]["time_ns"])
        assert await past.exchange.fetch_trades(past.symbol, last + 1, last + 3, since_ns) == []
        (trade,) = await past.exchange.fetch_trades(past.symbol, last, last + 3, 0)
        assert trade.trade_id == last
