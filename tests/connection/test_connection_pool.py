from __future__ import annotations

import pytest
import trio
from connection_peer import Rig, make_rig, until
from structlog.testing import capture_logs
from trio.testing import MockClock

from multilogger.connection.pool import Pool, check_capacity
from multilogger.connection.wanted import ASK_AGAIN_SECS
from multilogger.errors import StartupError
from multilogger.exchanges.base import Allowance, Limits
from multilogger.stats import LinkState


def names(count: int) -> list[str]:
    """Return so many symbols."""
    return [f"S{number}" for number in range(count)]


def heard(rig: Rig) -> list[list[str]]:
    """Return what each connection was told, in order."""
    return [peer.heard for peer in rig.venue.peers]


async def start(nursery: trio.Nursery, rig: Rig, symbols: list[str], buffer_size: int = 1000) -> Pool:
    """Run a pool until all its connections stream."""
    pool = rig.pool(buffer_size)
    nursery.start_soon(pool.run)
    assert pool.update(symbols) == []
    await until(lambda: all_streaming(rig))
    return pool


def all_streaming(rig: Rig) -> bool:
    """Whether there are connections, and all of them stream."""
    states = {link.state for link in rig.stats.links.values()}
    return states == {LinkState.STREAMING}


async def test_symbols_are_spread_over_connections(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Every connection is filled before the next is opened; every symbol is asked for once."""
    rig = make_rig(nursery, symbols_per_connection=3, max_connections=4)
    await start(nursery, rig, names(8))
    assert sorted(rig.stats.links) == ["words-0", "words-1", "words-2"]
    assert sorted(link.symbols for link in rig.stats.links.values()) == [2, 3, 3]
    assert sorted(word for words in heard(rig) for word in words) == sorted(f"sub {s}" for s in names(8))
    assert autojump_clock.current_time() < 1


async def test_the_exchange_limits_a_connection(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The exchange's hard limit counts where the configuration asks for more."""
    limits = Limits(messages_per_second=1000, connects=(Allowance(1000, 1.0),), symbols_per_connection=2)
    rig = make_rig(nursery, limits=limits, symbols_per_connection=100)
    await start(nursery, rig, names(4))
    assert len(rig.stats.links) == 2
    assert autojump_clock.current_time() < 1


async def test_capacity_names_the_numbers(nursery: trio.Nursery) -> None:
    """Too many symbols are refused at start, with the numbers and what to change."""
    rig = make_rig(nursery, symbols_per_connection=10, max_connections=3)
    check_capacity(rig.exchange, 30)
    await trio.lowlevel.checkpoint()
    with pytest.raises(StartupError) as caught:
        check_capacity(rig.exchange, 31)
    assert str(caught.value) == (
        "exchanges.words: 31 symbols do not fit: 3 connections of at most 10 symbols each carry 30; raise "
        "exchanges.words.max_connections to 4, or exchanges.words.symbols_per_connection, or choose fewer "
        "exchanges.words.symbols"
    )
    rig = make_rig(
        nursery, limits=Limits(symbols_per_connection=5), symbols_per_connection=10, max_connections=3
    )
    with pytest.raises(
        StartupError, match=r"5 symbols each \(the limit of the exchange\) carry 15; .* to 7, or choose"
    ):
        check_capacity(rig.exchange, 31)


async def test_an_update_moves_nothing_that_stays(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """New symbols fill the room, then open connections; gone ones are unsubscribed; no other is touched."""
    rig = make_rig(nursery, symbols_per_connection=2, max_connections=3)
    pool = await start(nursery, rig, ["A", "B", "C"])
    assert pool.update(["B", "C", "D", "E", "F"]) == []
    await until(lambda: len(rig.venue.peers) == 3 and all_streaming(rig))
    await trio.sleep(1)
    assert sorted(word for words in heard(rig) for word in words) == [
        *["sub A", "sub B", "sub C", "sub D", "sub E", "sub F"],
        "unsub A",
    ]
    assert rig.stats.reconnects == 0
    assert rig.stats.symbols == 5
    assert autojump_clock.current_time() < 5


async def test_a_connection_without_symbols_is_closed(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Removing all symbols of a connection closes it, and keeps what it counted."""
    rig = make_rig(nursery, symbols_per_connection=1)
    pool = await start(nursery, rig, ["A", "B"])
    pool.update(["B"])
    await until(lambda: len(rig.stats.links) == 1)
    await until(lambda: sum(peer.websocket.closed is not None for peer in rig.venue.peers) == 1)
    assert rig.stats.messages == 2
    assert rig.stats.symbols == 1
    pool.update([])
    await until(lambda: not rig.stats.links)
    pool.update(["C"])
    await until(lambda: all_streaming(rig))
    assert list(rig.stats.links) == ["words-2"]
    assert autojump_clock.current_time() < 10


async def test_symbols_without_room_are_named(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A listing that outgrows the connections later is logged, and the rest goes on."""
    rig = make_rig(nursery, symbols_per_connection=1, max_connections=2)
    pool = await start(nursery, rig, ["A", "B"])
    with capture_logs() as logs:
        assert pool.update(["A", "B", "C"]) == ["C"]
    assert [(line["event"], line["left_out"]) for line in logs] == [("no room for symbols", 1)]
    assert all_streaming(rig)
    assert autojump_clock.current_time() < 1


async def test_a_cut_loses_no_row_and_reconnects(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """All rows read before a cut are handed over, and the next connection goes on."""
    rig = make_rig(nursery)
    await start(nursery, rig, ["A"])
    for number in range(5):
        peer = await rig.venue.peer(number)
        await until(lambda: all_streaming(rig))
        await peer.say(f"t A {2 * number}", f"t A {2 * number + 1}")
        with capture_logs() as logs:
            await peer.cut()
            await rig.venue.peer(number + 1)
        ended = [line for line in logs if line["event"] == "connection ended"]
        assert [(line["connection"], line["error"], line["log_level"]) for line in ended] == [
            ("words-0", "ConnectionLost", "warning")
        ]
    assert rig.received_now() == list(range(10))
    assert rig.stats.reconnects == 5
    assert rig.stats.links["words-0"].last_error.startswith(
        "ConnectionLost: venue.test:9000: ended by the peer"
    )
    assert autojump_clock.current_time() < 30


async def test_delays_grow_while_the_exchange_is_down(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Attempts at a dead exchange become rare; a minute of health makes the next delay short again."""
    rig = make_rig(nursery, silence_secs=1000)
    await start(nursery, rig, ["A"])
    rig.venue.down = True
    await rig.venue.peers[0].cut()
    await trio.sleep(600)
    late = [at for at in rig.venue.attempts if at > 300]
    assert 10 <= len(late) <= 45
    assert rig.stats.links["words-0"].state is LinkState.WAITING
    rig.venue.down = False
    peer = await rig.venue.peer(1)
    await trio.sleep(61)
    assert all_streaming(rig)
    before = autojump_clock.current_time()
    await peer.cut()
    await rig.venue.peer(2)
    assert autojump_clock.current_time() - before <= 0.2


async def test_a_renewal_reconnects_at_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """An announced end has no backoff, however often it has been announced before."""
    rig = make_rig(nursery, silence_secs=1000)
    await start(nursery, rig, ["A"])
    for number in range(4):
        await trio.sleep(20)
        before = autojump_clock.current_time()
        await rig.venue.peers[number].say("renew soon down")
        await rig.venue.peer(number + 1)
        assert autojump_clock.current_time() - before < 0.01


async def test_renewals_without_streaming_back_off(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """An exchange that announces its end to every new connection is not hammered."""
    rig = make_rig(nursery, confirm_secs=500)
    rig.venue.greeting = "renew soon down"
    rig.venue.mute = True
    pool = rig.pool()
    nursery.start_soon(pool.run)
    pool.update(["A"])
    await trio.sleep(300)
    assert len(rig.venue.attempts) < 60
    assert autojump_clock.current_time() == pytest.approx(300)


async def test_connects_are_paced(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """All connections of an exchange share its allowance of new ones."""
    limits = Limits(messages_per_second=1000, connects=(Allowance(2, 1.0),))
    rig = make_rig(nursery, limits=limits, symbols_per_connection=1)
    await start(nursery, rig, names(5))
    assert rig.venue.attempts == pytest.approx([0, 0, 1, 1, 2], abs=0.01)
    assert autojump_clock.current_time() < 3


async def test_rejected_symbols_rest_for_an_hour(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A reconnect does not ask for them again at once, but after an hour; an acceptance clears the record."""
    rig = make_rig(nursery, silence_secs=86_400)
    rig.venue.rejected["B"] = "not a valid product"
    await start(nursery, rig, ["A", "B"])
    await rig.venue.peers[0].cut()
    second = await rig.venue.peer(1)
    await trio.sleep(10)
    assert second.heard == ["sub A"]
    assert rig.stats.set_aside == {"B": "not a valid product"}
    rig.venue.rejected.clear()
    await trio.sleep(ASK_AGAIN_SECS)
    await second.cut()
    third = await rig.venue.peer(2)
    await until(lambda: not rig.stats.set_aside)
    assert third.heard == ["sub A", "sub B"]
    assert autojump_clock.current_time() < ASK_AGAIN_SECS + 100


async def test_a_lane_of_rejected_symbols_waits(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """With nothing to ask for there is no connection, until new symbols come or the hour is over."""
    rig = make_rig(nursery, symbols_per_connection=2, silence_secs=86_400)
    rig.venue.rejected["A"] = "not a valid product"
    pool = rig.pool()
    nursery.start_soon(pool.run)
    pool.update(["A"])
    await trio.sleep(100)
    assert len(rig.venue.attempts) == 1
    assert rig.stats.links["words-0"].state is LinkState.WAITING
    pool.update(["A", "C"])
    await until(lambda: all_streaming(rig))
    assert rig.venue.peers[1].heard == ["sub C"]
    assert len(rig.venue.attempts) == 2
    assert autojump_clock.current_time() < 200


async def test_a_bug_leaves_the_pool(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What is no FeedError ends the pool; the exchange's supervisor deals with it."""
    rig = make_rig(nursery)
    caught: list[BaseException] = []
    pool = rig.pool()

    async def run() -> None:
        try:
            await pool.run()
        except ExceptionGroup as group:
            caught.append(group)

    nursery.start_soon(run)
    pool.update(["A"])
    await (await rig.venue.peer(0)).say("t A bug")
    await until(lambda: bool(caught))
    assert pytest.RaisesGroup(ValueError, flatten_subgroups=True).matches(caught[0])
    assert rig.stats.links == {}
    assert autojump_clock.current_time() < 10
