"""Connections, checks and ledger together: whatever happens, what is not recorded is in a gap."""

from __future__ import annotations

import random
from itertools import count

import attrs
import pytest
import trio
from connection_peer import Rig, calendar, make_rig, until
from trio.testing import MockClock

from multilogger.batch import Batch
from multilogger.connection.feed import Feed
from multilogger.connection.pool import Pool
from multilogger.notes import CoverageNote, CoverageState, Note
from multilogger.quality.coverage import CoverageBook
from multilogger.quality.filter import QualityFilter
from multilogger.quality.liveness import Liveness
from multilogger.tables import MD, TABLES, TRADES, Table

SYMBOLS = ("A", "B", "C")
EVERY_SECS = 0.5


@attrs.define(eq=False)
class Records:
    """All that a run publishes, records and notes."""

    rig: Rig
    feed: Feed
    notes: list[Note]
    published: dict[tuple[str, str], list[int]] = attrs.field(factory=dict)
    """Event times by symbol and table."""
    closed: bool = False
    """Whether the market is."""
    recorded: dict[tuple[str, str], list[int]] = attrs.field(factory=dict)

    async def publish(self) -> None:
        """Let each symbol trade and tick twice a second, and a heartbeat name its newest trade."""
        for number in count(1):
            if self.closed:
                return
            for symbol in SYMBOLS:
                for word, table in (("t", TRADES), ("m", MD)):
                    self.published.setdefault((symbol, table.name), []).append(calendar())
                    await self.rig.venue.publish(word, symbol, number)
                for peer in self.rig.venue.open_peers:
                    if symbol in peer.carries:
                        await self.rig.venue.tell(peer, f"n {symbol} {number}")
            await trio.sleep(EVERY_SECS)

    async def record(self) -> None:
        """Take what is handed over."""
        async for batch in self.rig.batches:
            self._take(batch)

    def _take(self, batch: Batch) -> None:
        for table in TABLES:
            for row in batch.rows.get(table.number, ()):
                key = self.feed.symbols.names[row["symbol"]], table.name
                self.recorded.setdefault(key, []).append(int(row["time_ns"]))
        self.notes += batch.notes

    def state_at(self, symbol: str, table: Table, time_ns: int) -> CoverageState | None:
        """Return what the ledger says of a moment: the latest word counts."""
        said = set()
        for note in reversed(self.notes):
            assert isinstance(note, CoverageNote)
            key = note.symbol, note.table, note.state, note.start_ns, note.first_id
            if note.symbol == symbol and note.table == table.name and key not in said:
                said.add(key)
                if note.start_ns <= time_ns and (note.end_ns is None or time_ns < note.end_ns):
                    return note.state
        return None

    def missed(self, symbol: str, table: Table) -> list[int]:
        """Return the event times of what was published and not recorded."""
        recorded = sorted(self.recorded[symbol, table.name])
        assert len(set(recorded)) == len(recorded)
        return sorted(set(self.published[symbol, table.name]).difference(recorded))

    def gaps(self, symbol: str, table: Table) -> list[str]:
        """Return the causes of the gaps that were not taken back."""
        gaps = {
            (note.start_ns, note.first_id): note
            for note in self.notes
            if isinstance(note, CoverageNote)
            and (note.symbol, note.table, note.state) == (symbol, table.name, CoverageState.GAP)
        }
        return [note.cause for note in gaps.values() if note.end_ns is None or note.end_ns > note.start_ns]


async def start(nursery: trio.Nursery) -> Records:
    """Run a pool with the real checks and the real ledger, under live trade."""
    rig = make_rig(nursery, silence_secs=20.0, receive_clock=calendar)
    symbols, notes = rig.feed.symbols, list[Note]()
    book = CoverageBook(
        "words", symbols, notes.extend, calendar, contiguous=True, stopped_ns=0, seconds=trio.current_time
    )
    quality = QualityFilter(
        symbols,
        rig.stats,
        last_trade_ids={},
        last_md={},
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
    records = Records(rig, feed, notes)
    pool = Pool(rig.exchange, feed, 1000, random.Random(1))
    nursery.start_soon(pool.run)
    nursery.start_soon(records.record)
    pool.update(SYMBOLS)
    await until(lambda: rig.all_streaming)
    nursery.start_soon(records.publish)
    await trio.sleep(60)
    return records


async def cut(rig: Rig) -> None:
    """Cut the connection; the next one takes some seconds."""
    rig.venue.down = True
    await rig.venue.open_peers[-1].cut()
    await trio.sleep(3)
    rig.venue.down = False


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


@pytest.mark.parametrize("disturb", [cut, renew, forget, half_open, half_open_while_renewed])
async def test_what_is_missed_is_in_a_gap(
    nursery: trio.Nursery, autojump_clock: MockClock, disturb: object
) -> None:
    """Every row that was published is recorded once, or lies where the ledger says that it may be missing."""
    records = await start(nursery)
    assert callable(disturb)
    await disturb(records.rig)
    await trio.sleep(120)
    records.closed = True
    await trio.sleep(1)
    for symbol in SYMBOLS:
        for table in TABLES:
            missed = records.missed(symbol, table)
            states = {records.state_at(symbol, table, time_ns) for time_ns in missed}
            assert states <= {CoverageState.GAP}, (symbol, table.name)
            assert bool(missed) == bool(records.gaps(symbol, table))
        assert records.state_at(symbol, MD, calendar()) is CoverageState.LIVE
        assert records.state_at(symbol, TRADES, calendar()) is CoverageState.LIVE
    assert bool(records.missed("A", TRADES)) == (disturb is not renew)
    assert autojump_clock.current_time() < 260
