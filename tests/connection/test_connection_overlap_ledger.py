"""Connections, checks, ledger and pages together: whatever happens, no trade is missing in the end."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from itertools import count

import attrs
import pytest
import trio
from connection_pages import uid
from connection_peer import Rig, calendar, make_rig, until
from trio.testing import MockClock

from multilogger.connection.feed import Feed
from multilogger.connection.overlap import run_overlap
from multilogger.connection.pool import Pool
from multilogger.exchanges.base import TradeHistory, TradeIds
from multilogger.notes import CoverageNote, CoverageState, Note
from multilogger.quality.coverage import CoverageBook
from multilogger.quality.filter import QualityFilter
from multilogger.quality.liveness import Liveness
from multilogger.records import Flag, Side, Trade
from multilogger.tables import TRADES

SYMBOLS = ("A", "B", "C")


@attrs.define(eq=False)
class Records:
    """All that a run publishes, records and notes."""

    rig: Rig
    feed: Feed
    notes: list[Note]
    lag_secs: float
    market: dict[str, list[tuple[int, int]]] = attrs.field(factory=lambda: {it: [] for it in SYMBOLS})
    """Id and time of the trades."""
    recorded: dict[str, list[int]] = attrs.field(factory=lambda: {it: [] for it in SYMBOLS})
    closed: bool = False

    async def publish(self) -> None:
        """Let the symbols tick, and trade: one every half second, one every three, one hardly ever."""
        for number in count(1):
            if self.closed:
                return
            for place, symbol in enumerate(SYMBOLS):
                await self.rig.venue.publish("m", symbol, number)
                if number % (1, 6, 120)[place] == 0:
                    trade_id = uid(1000 * number + place)
                    self.market[symbol].append((trade_id, calendar()))
                    await self.rig.venue.publish("t", symbol, trade_id)
            await trio.sleep(0.5)

    async def record(self) -> None:
        """Take what is handed over."""
        async for batch in self.rig.batches:
            for row in batch.rows.get(TRADES.number, ()):
                self.recorded[self.feed.symbols.names[row["symbol"]]].append(int(row["trade_id"]))
            self.notes += batch.notes

    async def fetch_newest(self, symbol: str) -> list[Trade]:
        """Return the newest trades, out of a cache."""
        until_ns = calendar() - round(self.lag_secs * 1e9)
        await trio.sleep(0.2)
        return [
            Trade(
                exchange=self.rig.exchange.id,
                symbol=symbol,
                trade_id=trade_id,
                time_ns=time_ns,
                recv_ns=0,
                price=1.0,
                size=1.0,
                side=Side.BUY,
                flags=Flag.BACKFILLED,
            )
            for trade_id, time_ns in self.market[symbol]
            if time_ns <= until_ns
        ][-400:]

    def gaps(self, symbol: str) -> list[CoverageNote]:
        """Return the gaps that were not taken back."""
        gaps = {
            note.start_ns: note
            for note in self.notes
            if isinstance(note, CoverageNote)
            and (note.symbol, note.table, note.state) == (symbol, TRADES.name, CoverageState.GAP)
        }
        return [note for note in gaps.values() if note.end_ns is None or note.end_ns > note.start_ns]


async def start(nursery: trio.Nursery, lag_secs: float) -> Records:
    """Run a pool with the real checks and the real ledger, under live trade."""
    rig = make_rig(nursery, silence_secs=20.0, receive_clock=calendar)
    symbols, notes = rig.feed.symbols, list[Note]()
    book = CoverageBook(
        "words",
        symbols,
        notes.extend,
        calendar,
        contiguous=False,
        pages=True,
        stopped_ns=0,
        seconds=trio.current_time,
    )
    quality = QualityFilter(
        symbols,
        rig.stats,
        last_trade_ids={},
        last_md={},
        trade_ids="unordered",
        coverage=book,
        clock=calendar,
        monotonic=trio.current_time,
        liveness=Liveness(10.0),
    )
    feed = Feed(
        symbols=symbols,
        stats=rig.stats,
        quality=quality,
        coverage=book,
        calendar=calendar,
        send=rig.feed.send,
    )
    records = Records(rig, feed, notes, lag_secs)
    rig.exchange.trade_ids = TradeIds.UNORDERED
    rig.exchange.history = TradeHistory(by_id=False, page=400)
    rig.exchange.fetch_newest = records.fetch_newest  # type: ignore[method-assign]  # of this one exchange
    pool = Pool(rig.exchange, feed, 1000, random.Random(1))
    nursery.start_soon(pool.run)
    nursery.start_soon(run_overlap, rig.exchange, feed, book.overlaps)
    nursery.start_soon(records.record)
    pool.update(SYMBOLS)
    await until(lambda: rig.all_streaming)
    nursery.start_soon(records.publish)
    await trio.sleep(61)
    return records


async def cut(rig: Rig) -> None:
    """Cut the connection; the next one takes some seconds."""
    rig.venue.down = True
    await rig.venue.open_peers[-1].cut()
    await trio.sleep(3)
    rig.venue.down = False


async def flap(rig: Rig) -> None:
    """Cut each connection a few seconds after it came."""
    for _ in range(4):
        await cut(rig)
        await until(lambda: rig.all_streaming)
        await trio.sleep(4)


async def renew(rig: Rig) -> None:
    """Let the exchange announce the end of the connection."""
    await rig.venue.open_peers[-1].say("renew going down")


async def forget(rig: Rig) -> None:
    """Let the exchange bring nothing of A any more, and after a minute all again."""
    rig.venue.forgotten.add("A")
    await trio.sleep(60)
    rig.venue.forgotten.clear()


async def half_open(rig: Rig) -> None:
    """Let the connection stand, and bring nothing at all."""
    await trio.lowlevel.checkpoint()
    rig.venue.open_peers[-1].carries.clear()


async def half_open_while_renewed(rig: Rig) -> None:
    """Let the connection die without a word just as it is renewed."""
    peer = rig.venue.open_peers[-1]
    await peer.say("renew going down")
    peer.carries.clear()
    rig.venue.mute = True
    await trio.sleep(3)
    rig.venue.mute = False
    successor = rig.venue.open_peers[-1]
    successor.carries.update(SYMBOLS)
    await successor.say(*(f"ok {symbol}" for symbol in SYMBOLS))


@pytest.mark.parametrize("lag_secs", [0.0, 6.0])
@pytest.mark.parametrize("disturb", [cut, flap, renew, forget, half_open, half_open_while_renewed])
async def test_nothing_is_missing_in_the_end(
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    disturb: Callable[[Rig], Awaitable[None]],
    lag_secs: float,
) -> None:
    """Every trade that was published is recorded once, and the ledger has no gap left."""
    records = await start(nursery, lag_secs)
    await disturb(records.rig)
    await trio.sleep(120)
    records.closed = True
    await trio.sleep(1)
    for symbol in SYMBOLS:
        recorded = records.recorded[symbol]
        assert sorted(recorded) == sorted(trade_id for trade_id, _ in records.market[symbol])
        assert records.gaps(symbol) == []
    assert (records.feed.stats.backfilled > 0) == (disturb is not renew)
    assert autojump_clock.current_time() < 300
