"""Past trades, against the simulation's REST side: the same as those of the stream, page after page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from contract_feeding import made
from contract_marks import subjects
from contract_subject import Subject
from contract_world import World, listening, open_world, symbols_of
from trio.testing import MockClock

from multilogger.exchanges.base import Exchange
from multilogger.records import Flag, Trade

TRADES = 2500
"""Of one symbol; more than two pages of most exchanges."""
MOST_PAGES = 1000

histories = {it: history for it in subjects() if (history := made(it.kind).history) is not None}
with_history = pytest.mark.parametrize("subject", histories, ids=str)
by_id = pytest.mark.parametrize(
    "subject", [it for it, history in histories.items() if history.by_id], ids=str
)


@asynccontextmanager
async def traded(subject: Subject, directory: Path) -> AsyncIterator[tuple[Exchange, str, dict[int, Any]]]:
    """Let a symbol trade that somebody listens to; give exchange, symbol, and its trades in the ledger."""
    async with open_world(subject, directory) as world:
        world.venue.pause()
        symbol = symbols_of(world)[0]
        async with listening(world, [symbol]):
            while len(sent := _sent(world, symbol)) < TRADES:
                world.venue.step(200)
        yield world.exchange(), symbol, sent


def _sent(world: World, symbol: str) -> dict[int, Any]:
    """Return the trades of a symbol that the ledger has, by id."""
    rows = world.venue.ledger.rows("TRADES")
    return {int(row["trade_id"]): row for row in rows[rows["symbol"] == symbol.encode()]}


def check(trades: Sequence[Trade], sent: dict[int, Any], exchange: Exchange) -> None:
    """Check that trades are those that were sent, bit for bit, but for orders."""
    for trade in trades:
        row = sent[trade.trade_id]
        assert (trade.price, trade.size, trade.side) == (row["price"], row["size"], row["side"])
        assert (trade.time_ns, trade.symbol) == (row["time_ns"], row["symbol"].decode())
        assert (trade.exchange, trade.flags, trade.recv_ns) == (exchange.id, Flag.BACKFILLED, 0)


@with_history
async def test_newest_trades(subject: Subject, tmp_path: Path, autojump_clock: MockClock) -> None:
    """The newest trades come oldest first, up to the last one."""
    async with traded(subject, tmp_path) as (exchange, symbol, sent):
        trades = await exchange.fetch_newest(symbol)
    check(trades, sent, exchange)
    assert exchange.history is not None
    assert 1 < len(trades) <= exchange.history.page
    ids = [trade.trade_id for trade in trades]
    assert ids == [trade_id for trade_id in sent if trade_id in set(ids)]
    assert ids[-1] == list(sent)[-1]


@by_id
async def test_a_hole_is_filled_page_by_page(
    subject: Subject, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Asking for what is left, page after page, gives every trade of a span once, and no others."""
    async with traded(subject, tmp_path) as (exchange, symbol, sent):
        ids = list(sent)
        wanted, got = set(ids[100:-100]), dict[int, Trade]()
        for _ in range(MOST_PAGES):
            first, last, since_ns = _newest_hole(ids, wanted - got.keys(), sent)
            page = await exchange.fetch_trades(symbol, first, last, since_ns)
            assert page, f"nothing of {first} to {last}"
            assert all(first <= trade.trade_id <= last for trade in page)
            got |= {trade.trade_id: trade for trade in page}
            if got.keys() >= wanted:
                break
    assert got.keys() == wanted
    check(list(got.values()), sent, exchange)


def _newest_hole(ids: list[int], left: set[int], sent: dict[int, Any]) -> tuple[int, int, int]:
    """Return first and last id of the newest run of what is left, and the time of the trade before it."""
    end = max(at for at, trade_id in enumerate(ids) if trade_id in left)
    start = end
    while ids[start - 1] in left:
        start -= 1
    return ids[start], ids[end], int(sent[ids[start - 1]]["time_ns"])


@by_id
async def test_a_history_that_has_nothing(
    subject: Subject, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Of ids that are still to come an empty page says that there are none."""
    async with traded(subject, tmp_path) as (exchange, symbol, sent):
        last = max(sent)
        since_ns = int(sent[last]["time_ns"])
        assert await exchange.fetch_trades(symbol, last + 1, last + 3, since_ns) == []
        (trade,) = await exchange.fetch_trades(symbol, last, last + 3, 0)
        assert trade.trade_id == last
