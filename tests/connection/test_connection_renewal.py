from __future__ import annotations

from functools import partial
from itertools import count

import pytest
import trio
from connection_peer import Rig, make_rig, until
from structlog.testing import capture_logs
from trio.testing import MockClock

from multilogger.connection.catching_up import CATCH_UP_SECS, SETTLE_SECS
from multilogger.connection.lane import LINGER_SECS
from multilogger.exchanges.base import Allowance, Limits

LONG = 10_000.0


async def trade(rig: Rig, *symbols: str, every: float = 0.1) -> None:
    """Publish trades of some symbols, the ids rising over all of them."""
    for number in count():
        await rig.venue.publish("t", symbols[number % len(symbols)], number)
        await trio.sleep(every)


def is_gapless(ids: list[int]) -> bool:
    """Whether no id is missing and none comes twice."""
    return sorted(ids) == list(range(min(ids), max(ids) + 1))


async def test_renewed_without_a_lost_or_doubled_row(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The successor streams before the old one closes, politely; nothing is missing and nothing is lost."""
    limits = Limits(messages_per_second=1000, connects=(Allowance(1000, 1.0),), lifetime_secs=100)
    rig = make_rig(nursery, limits=limits, silence_secs=LONG)
    rig.quality.once = True
    await rig.start(nursery, ["A", "B", "QUIET"])
    nursery.start_soon(partial(trade, rig, "A", "B", every=0.3))
    await until(lambda: rig.carried == {"A": 2, "B": 2, "QUIET": 2}, step=0.2)
    assert 94 < autojump_clock.current_time() < 100
    assert rig.stats.renewals == 0
    await until(lambda: rig.carried == {"A": 1, "B": 1, "QUIET": 1})
    assert rig.stats.renewals == 1
    await until(lambda: rig.stats.renewals == 3, step=0.2)
    assert is_gapless(rig.received_now())
    assert rig.quality.doubles > 0
    assert rig.coverage.told == [("carried", "A"), ("carried", "B"), ("carried", "QUIET")]
    assert [peer.websocket.closed.code for peer in rig.venue.peers[:2] if peer.websocket.closed] == [1000] * 2
    assert (rig.stats.reconnects, rig.stats.links["words-0"].symbols) == (3, 3)


async def test_the_checks_know_of_the_overlap(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """They are told before the first row comes twice, and some seconds after the last may have."""
    rig = make_rig(nursery, silence_secs=LONG)
    await rig.start(nursery, ["A"])
    rig.quality.told.clear()
    await rig.venue.peers[0].say("renew going down")
    second = await rig.venue.peer(1)
    await until(lambda: bool(second.heard))
    assert rig.quality.told == [("overlap", ("A",))]
    await until(lambda: rig.stats.renewals == 1)
    retired = autojump_clock.current_time()
    assert len(rig.quality.told) == 1
    await until(lambda: len(rig.quality.told) > 1)
    assert rig.quality.told[1:] == [("single", ("A",))]
    assert autojump_clock.current_time() - retired >= 4.9


async def test_what_is_quiet_on_both_holds_up_nothing(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A symbol that neither connection brings is waited for until it has settled, and no longer."""
    rig = make_rig(nursery, silence_secs=LONG)
    await rig.start(nursery, ["A"])
    await trio.sleep(1)
    begun = autojump_clock.current_time()
    await rig.venue.peers[0].say("renew going down")
    await until(lambda: rig.stats.renewals == 1)
    took = autojump_clock.current_time() - begun
    assert took == pytest.approx(SETTLE_SECS + LINGER_SECS, abs=0.5)


async def test_what_only_the_old_brings_is_asked_for_again(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A symbol that the successor does not bring is asked for anew; the old one stays until it comes."""
    rig = make_rig(nursery, silence_secs=LONG)
    rig.quality.once = True
    await rig.start(nursery, ["A", "B"])
    nursery.start_soon(trade, rig, "A", "B")
    await trio.sleep(1)
    first = rig.venue.peers[0]
    await first.say("renew going down")
    second = await rig.venue.peer(1)
    await until(lambda: "B" in second.carries)
    # The exchange forgets half of what it has confirmed.
    second.carries.discard("B")
    await trio.sleep(CATCH_UP_SECS)
    assert first.is_open
    await until(lambda: rig.stats.renewals == 1)
    assert second.heard == ["sub A", "sub B", "unsub B", "sub B"]
    assert autojump_clock.current_time() < CATCH_UP_SECS + 5
    await trio.sleep(1)
    assert is_gapless(rig.received_now())


async def test_a_symbol_that_never_comes_does_not_hold_up_the_others(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """After a second chance the successor takes over all the same, and that is logged."""
    rig = make_rig(nursery, silence_secs=LONG)
    await rig.start(nursery, ["A", "B"])
    first = rig.venue.peers[0]
    with capture_logs() as logs:
        await first.say("renew going down")
        while first.is_open:
            await first.say("t B 1")
            await trio.sleep(0.5)
    assert rig.stats.renewals == 1
    silent = [line for line in logs if line["event"] == "symbols are silent on a new connection"]
    assert [line["symbols"] for line in silent] == [["B"]]
    assert autojump_clock.current_time() == pytest.approx(2 * CATCH_UP_SECS + LINGER_SECS, abs=3)


async def test_the_old_one_ends_meanwhile(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The successor just goes on: streaming already, and nothing is lost; or not yet, and that is told."""
    rig = make_rig(nursery, silence_secs=LONG)
    await rig.start(nursery, ["A"])
    first = rig.venue.peers[0]
    await first.say("renew going down")
    second = await rig.venue.peer(1)
    await until(lambda: "A" in second.carries)
    await first.say("t A 1")
    await trio.sleep(0.5)
    await first.cut()
    await until(lambda: rig.stats.reconnects == 1)
    assert rig.coverage.told == [("carried", "A")]
    assert rig.stats.renewals == 1
    await trio.sleep(10)
    rig.venue.mute = True
    await second.say("renew going down, too")
    third = await rig.venue.peer(2)
    await trio.sleep(1)
    await second.cut()
    await until(lambda: rig.stats.reconnects == 2)
    await third.say("ok A")
    await until(lambda: rig.all_streaming)
    assert rig.coverage.told == [("carried", "A"), ("lost: connection lost", "A"), ("carried", "A")]
    assert (len(rig.venue.attempts), rig.stats.renewals) == (3, 1)
    assert autojump_clock.current_time() < 30


async def test_a_zombie_is_not_believed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """If the old connection ends and was not heard of since before its successor streamed, that is a gap."""
    rig = make_rig(nursery, silence_secs=LONG)
    await rig.start(nursery, ["A"])
    first = rig.venue.peers[0]
    await first.say("renew going down")
    rig.venue.mute = True
    second = await rig.venue.peer(1)
    await trio.sleep(1)
    await second.say("ok A")
    await trio.sleep(1)
    await first.cut()
    await until(lambda: rig.stats.reconnects == 1)
    assert rig.coverage.told == [("carried", "A"), ("lost: connection lost", "A"), ("carried", "A")]
    assert autojump_clock.current_time() < 5


async def test_the_successor_is_refused(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """It is tried again with a backoff, while the old one goes on; nothing is lost."""
    rig = make_rig(nursery, silence_secs=LONG)
    await rig.start(nursery, ["A"])
    rig.venue.down = True
    await rig.venue.peers[0].say("renew going down")
    await trio.sleep(300)
    assert 10 < len(rig.venue.attempts) < 40
    await rig.venue.peers[0].say("t A 1")
    await trio.sleep(0.1)
    assert rig.received_now() == [1]
    assert rig.all_streaming
    assert rig.stats.links["words-0"].last_error.startswith("ConnectFailed")
    rig.venue.down = False
    await until(lambda: rig.stats.renewals == 1)
    assert rig.coverage.told == [("carried", "A")]
    assert autojump_clock.current_time() < 350


async def test_the_successor_dies_while_it_catches_up(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Another one follows it; the old one has been there all the time."""
    rig = make_rig(nursery, silence_secs=LONG)
    rig.quality.once = True
    await rig.start(nursery, ["A"])
    nursery.start_soon(trade, rig, "A")
    await rig.venue.peers[0].say("renew going down")
    second = await rig.venue.peer(1)
    await until(lambda: "A" in second.carries)
    await trio.sleep(0.1)
    await second.cut()
    await until(lambda: rig.stats.renewals == 1)
    await trio.sleep(1)
    assert is_gapless(rig.received_now())
    assert len(rig.venue.peers) == 3
    assert rig.coverage.told == [("carried", "A")]
    assert autojump_clock.current_time() < 10


async def test_a_storm_of_renewals(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Fifty connections that have to go at once are renewed at the exchange's pace; nothing is lost."""
    limits = Limits(messages_per_second=1000, connects=(Allowance(10, 5.0),))
    symbols = [f"S{number}" for number in range(50)]
    rig = make_rig(nursery, limits=limits, symbols_per_connection=1, max_connections=50, silence_secs=LONG)
    rig.quality.once = True
    await rig.start(nursery, symbols)
    nursery.start_soon(trade, rig, *symbols)
    await trio.sleep(5)
    for peer in rig.venue.open_peers:
        await peer.say("renew serverShutdown")
    asked = autojump_clock.current_time()
    await until(lambda: rig.stats.renewals == 50, step=0.2)
    await trio.sleep(3)
    assert is_gapless(rig.received_now())
    assert {word[0] for word in rig.coverage.told} == {"carried"}
    assert len(rig.coverage.told) == 50
    assert max(rig.carried.values()) == min(rig.carried.values()) == 1
    attempts = rig.venue.attempts[50:]
    assert len(attempts) == 50
    assert all(later - earlier >= 5 for earlier, later in zip(attempts, attempts[10:], strict=False))
    assert autojump_clock.current_time() - asked < 60


async def test_md_without_a_time_is_taken_from_one(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Where two connections' tickers can't be told apart, the successor is mute until it is alone."""
    rig = make_rig(nursery, silence_secs=LONG)
    rig.exchange.md_has_time = False
    await rig.start(nursery, ["A", "B"])
    first = rig.venue.peers[0]
    await first.say("renew going down")
    second = await rig.venue.peer(1)
    await until(lambda: "B" in second.carries)
    await rig.venue.publish("m", "A", 1)
    await rig.venue.publish("t", "A", 1)
    await trio.sleep(0.1)
    assert rig.stats.rows == {"MD": 1, "TRADES": 2}
    await until(lambda: rig.stats.renewals == 1)
    await second.say("m A 2")
    await trio.sleep(0.1)
    assert rig.prices_now() == [1, 2]
    assert autojump_clock.current_time() < 10
