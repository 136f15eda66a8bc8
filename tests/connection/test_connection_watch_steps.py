from __future__ import annotations

from itertools import groupby

import pytest
import trio
from connection_peer import Rig, calendar, until
from connection_watched import QUIET, fall_silent, traded, watched
from trio.testing import MockClock

from multilogger.connection.lane import LINGER_SECS
from multilogger.connection.watch import TRY_AGAIN_SECS, WATCH_SECS
from multilogger.exchanges.base import TradeIds


async def test_a_deaf_symbol_is_resubscribed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The exchange has a newer trade: it is asked for anew, and the others don't notice."""
    rig = watched(nursery)
    await rig.start(nursery, ["A", "B"])
    await rig.venue.publish("t", "A", 1)
    peer = rig.venue.peers[0]
    peer.carries.discard("A")
    await trio.sleep(60)
    traded(rig, "A", trade_id=2, ago=20)
    fall_silent(rig, "A")
    await until(lambda: rig.stats.resubscribes == 1)
    assert autojump_clock.current_time() < 60 + 3 * WATCH_SECS
    await until(lambda: "A" in peer.carries)
    await rig.venue.publish("t", "A", 3)
    rig.quality.quiet.clear()
    await trio.sleep(300)
    assert peer.heard == ["sub A", "sub B", "unsub A", "sub A"]
    assert (rig.stats.resubscribes, rig.stats.looks, rig.stats.deaf) == (1, 1, {})
    # With the trade a ticker should have come, too: that is a gap until the next row.
    assert rig.coverage.told[2:] == [
        ("lost MD: silent", "A"),
        ("lost: resubscribed", "A"),
        ("carried", "A"),
        ("carried", "A"),
    ]
    assert rig.stats.reconnects == 0


async def test_deaf_to_the_end(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Resubscribed, the connection replaced, degraded, tried again every ten minutes; data end all that."""
    rig = watched(nursery)
    await rig.start(nursery, ["A", "B"])
    rig.venue.forgotten.add("A")
    number = rig.feed.symbols.number("A")
    rig.quality.late["TRADES"] = {number}
    begun = autojump_clock.current_time()
    await until(lambda: rig.stats.resubscribes == 1)
    assert autojump_clock.current_time() - begun <= WATCH_SECS + 0.1
    await until(lambda: rig.stats.links["words-0"].last_error.startswith("Deaf: A/TRADES"))
    assert QUIET <= autojump_clock.current_time() - begun <= QUIET + 3 * WATCH_SECS
    await until(lambda: rig.stats.renewals == 1)
    assert rig.stats.deaf == {}
    await until(lambda: bool(rig.stats.deaf))
    assert set(rig.stats.deaf) == {"A/TRADES", "A/MD"}
    assert rig.stats.deaf["A/TRADES"].startswith("since 20")
    assert autojump_clock.current_time() - begun <= 2 * QUIET + 6 * WATCH_SECS
    first = rig.stats.resubscribes
    await trio.sleep(3 * TRY_AGAIN_SECS + 60)
    assert rig.stats.resubscribes == first + 3
    assert rig.stats.renewals == 1
    rig.venue.forgotten.clear()
    rig.quality.late.clear()
    await rig.venue.publish("t", "A", 9)
    await trio.sleep(2 * WATCH_SECS)
    assert rig.stats.deaf == {}
    # The next time it begins from the beginning.
    rig.quality.late["TRADES"] = {number}
    await until(lambda: rig.stats.resubscribes == first + 4)
    assert rig.stats.renewals == 1


async def test_repeated_rows_are_no_life(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What an exchange repeats at each subscription does not count as data: the next step follows."""
    rig = watched(nursery)
    await rig.start(nursery, ["A"])
    rig.quality.late["TRADES"] = {rig.feed.symbols.number("A")}
    for number in (1, 2):
        await until(lambda number=number: rig.stats.resubscribes == number or rig.stats.renewals == 1)  # type: ignore[misc]
        await rig.venue.publish("r", "A", 1)
    await until(lambda: rig.stats.renewals == 1)
    assert autojump_clock.current_time() < QUIET + 10 * WATCH_SECS


async def tick(rig: Rig) -> None:
    """Let tickers of A go on."""
    while True:
        await rig.venue.publish("m", "A", 1)
        await trio.sleep(1)


@pytest.mark.parametrize("table", ["MD", "TRADES"])
@pytest.mark.parametrize("ids", [TradeIds.CONTIGUOUS, TradeIds.UNORDERED])
async def test_what_the_ledger_is_told(
    nursery: trio.Nursery, autojump_clock: MockClock, table: str, ids: TradeIds
) -> None:
    """A deaf table is a gap since its last row, unless the ids will tell; it ends when data come."""
    rig = watched(nursery)
    rig.exchange.trade_ids = ids
    await rig.start(nursery, ["A"])
    word = "m" if table == "MD" else "t"
    await rig.venue.publish(word, "A", 1)
    last_ns = calendar()
    await trio.sleep(60)
    if table == "TRADES":
        nursery.start_soon(tick, rig)
    number = rig.feed.symbols.number("A")
    rig.quality.late[table] = {number}
    await until(lambda: rig.stats.renewals == 1)
    rig.quality.late.clear()
    await rig.venue.publish(word, "A", 2)
    await trio.sleep(2 * WATCH_SECS)
    noted = table == "MD" or ids is not TradeIds.CONTIGUOUS
    silent = [(f"lost {table}: silent", "A")] if noted else []
    resubscribed = [("lost: resubscribed", "A"), ("carried", "A")]
    end = [("carried", "A")] if noted else []
    # Again for the subscription that proved to be deaf, too.
    told = [word for word, _ in groupby(rig.coverage.told[1:])]
    assert told == [*silent, *resubscribed, *silent, *end]
    if noted:
        assert rig.coverage.heard_ns[0] == pytest.approx(last_ns, abs=1e8)
    assert autojump_clock.current_time() < 200


async def test_ids_that_rise_without_trades(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Ids named by heartbeats are passed on, each once; those beyond what came show that it is deaf."""
    rig = watched(nursery)
    rig.quality.by_ids = True
    await rig.start(nursery, ["A", "B"])
    peer = rig.venue.peers[0]
    await peer.say("n A 100", "n B 7")
    await trio.sleep(4 * WATCH_SECS)
    # What was named at first may have been traded long ago.
    assert rig.stats.resubscribes == 0
    await peer.say("t B 8", "n B 8", "n A 101")
    await until(lambda: rig.stats.resubscribes == 1)
    assert rig.coverage.newest == [("A", 100), ("B", 7), ("A", 101), ("B", 8)]
    await until(lambda: peer.heard[2:] == ["unsub A", "sub A"])
    # It is asked for anew: what is named first then is no evidence either.
    await peer.say("n A 101")
    await trio.sleep(3 * QUIET)
    assert (rig.stats.resubscribes, rig.stats.reconnects) == (1, 0)
    await peer.say("n A 102")
    await until(lambda: rig.stats.renewals == 1)
    assert autojump_clock.current_time() < 200


async def test_a_silent_symbol_leaves(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What is no longer wanted, and what lost its connection, is deaf no more."""
    rig = watched(nursery)
    pool = await rig.start(nursery, ["A", "B"])
    rig.quality.late["TRADES"] = {rig.feed.symbols.number("A")}
    await until(lambda: bool(rig.stats.deaf), step=1)
    pool.update(["B"])
    await trio.sleep(2 * WATCH_SECS)
    assert rig.stats.deaf == {}
    assert autojump_clock.current_time() < 200


async def test_a_zombie_that_answers_pings(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Pings and the data of others prove nothing: the deaf symbol is found, and gets another connection."""
    rig = watched(nursery)
    await rig.start(nursery, ["A", "B"])
    zombie = rig.venue.peers[0]
    zombie.carries.discard("A")
    rig.quality.late["TRADES"] = {rig.feed.symbols.number("A")}
    for _ in range(100):
        await zombie.websocket.ping(b"still here")
        await zombie.say("t B 1")
        # It confirms whatever it is asked, and brings nothing.
        zombie.carries.discard("A")
        await trio.sleep(1)
        if rig.stats.renewals:
            break
    assert rig.venue.peers[1].carries == {"A", "B"}
    rig.quality.late.clear()
    await rig.venue.publish("t", "A", 5)
    await trio.sleep(3 * WATCH_SECS)
    assert rig.stats.deaf == {}
    assert not zombie.is_open
    assert autojump_clock.current_time() < QUIET + 60 + LINGER_SECS + 2
