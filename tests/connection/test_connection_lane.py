from __future__ import annotations

import pytest
import trio
from connection_peer import Rig, make_rig, until
from structlog.testing import capture_logs
from trio.testing import MockClock

from multilogger.exchanges.base import Frames
from multilogger.notes import gap_note
from multilogger.stats import LinkState

LONG = 80_000.0


async def test_the_ledger_hears_of_a_cut_at_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Lost since the last data of that connection, carried again with the confirmation; others go on."""
    rig = make_rig(nursery, symbols_per_connection=2, silence_secs=LONG)
    await rig.start(nursery, ["A", "B", "C"])
    await trio.sleep(10)
    first = next(peer for peer in rig.venue.peers if "A" in peer.carries)
    await first.say("t A 1")
    await trio.sleep(5)
    heard_ns = rig.feed.calendar() - 5_000_000_000
    rig.venue.mute = True
    await first.cut()
    await trio.sleep(1)
    assert rig.coverage.told[3:] == [("lost: connection lost", "A", "B")]
    assert rig.coverage.heard_ns == [pytest.approx(heard_ns, abs=1e6)]
    again = await rig.venue.peer(2)
    await again.say("ok B", "ok A")
    await until(lambda: rig.all_streaming)
    assert rig.coverage.told[4:] == [("carried", "B"), ("carried", "A")]
    assert autojump_clock.current_time() < 20


@pytest.mark.parametrize("cause", ["silent", "no subscription"])
async def test_causes_of_gaps(nursery: trio.Nursery, autojump_clock: MockClock, cause: str) -> None:
    """The ledger says how a connection ended."""
    rig = make_rig(nursery, silence_secs=20.0, confirm_secs=5.0)
    rig.venue.mute = cause == "no subscription"
    pool = rig.pool()
    nursery.start_soon(pool.run)
    pool.update(["A", "B"])
    peer = await rig.venue.peer(0)
    await peer.say("ok A")
    await trio.sleep(25)
    assert rig.coverage.told[0] == ("carried", "A")
    assert next(word for word in rig.coverage.told if word[0] != "carried") == (
        (f"lost: {cause}", "A") if rig.venue.mute else (f"lost: {cause}", "A", "B")
    )
    assert autojump_clock.current_time() == pytest.approx(25)


async def test_an_orderly_end_is_no_loss(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Symbols that nobody wants any more, and a stop, leave no gap; the connection is closed politely."""
    rig = make_rig(nursery, symbols_per_connection=1)
    scope = trio.CancelScope()
    pool = rig.pool()

    async def run() -> None:
        with scope:
            await pool.run()

    nursery.start_soon(run)
    pool.update(["A", "B"])
    await until(lambda: rig.all_streaming)
    pool.update(["B"])
    gone = next(peer for peer in rig.venue.peers if "A" in peer.carries)
    await until(lambda: not gone.is_open)
    assert gone.websocket.closed is not None
    assert gone.websocket.closed.code == 1000
    scope.cancel()
    await until(lambda: not rig.stats.links)
    assert [word for word in rig.coverage.told if word[0] != "carried"] == [("released", "A")]
    assert rig.feed.carriers.carried == []
    assert autojump_clock.current_time() < 5


async def test_a_bug_is_a_loss(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Until the exchange is started anew nothing is carried, and the ledger knows."""
    rig = make_rig(nursery, symbols_per_connection=1)
    pool = rig.pool()

    async def run() -> None:
        with pytest.RaisesGroup(ValueError, flatten_subgroups=True):
            await pool.run()

    nursery.start_soon(run)
    pool.update(["A", "B"])
    await until(lambda: rig.all_streaming)
    await rig.venue.peers[0].say("t A bug")
    await until(lambda: not rig.stats.links)
    lost = [word for word in rig.coverage.told if word[0] != "carried"]
    assert sorted(lost) == [("lost: restarted after a failure", name) for name in ("A", "B")]
    again = await rig.start(nursery, ["A", "B"])
    assert again.is_streaming
    assert sorted(rig.stats.links) == ["words-2", "words-3"]
    assert autojump_clock.current_time() < 5


async def test_rejected_symbols_cost_the_others_nothing(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Of a batch of symbols, those that are rejected are set aside; the others stream on one connection."""
    rig = make_rig(nursery, silence_secs=LONG)
    rig.venue.rejected.update(BAD="no such thing", WORSE="never was")
    pool = await rig.start(nursery, ["A", "BAD", "B", "WORSE"])
    assert rig.stats.set_aside == {"BAD": "no such thing", "WORSE": "never was"}
    assert rig.carried == {"A": 1, "B": 1}
    rig.venue.rejected["LATE"] = "not today"
    pool.update(["A", "BAD", "B", "WORSE", "C", "LATE"])
    await until(lambda: "C" in rig.carried)
    await trio.sleep(60)
    assert rig.carried == {"A": 1, "B": 1, "C": 1}
    assert len(rig.venue.attempts) == 1
    assert rig.coverage.told == [("carried", "A"), ("carried", "B"), ("carried", "C")]
    assert autojump_clock.current_time() < 70


async def test_a_symbol_that_the_successor_is_refused(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """It is recorded as long as the old connection carries it; then it is a gap."""
    rig = make_rig(nursery, silence_secs=LONG)
    await rig.start(nursery, ["A", "B"])
    rig.venue.rejected["B"] = "no longer"
    await rig.venue.peers[0].say("renew going down")
    await until(lambda: bool(rig.stats.set_aside))
    await rig.venue.peers[0].say("t B 1")
    await until(lambda: rig.stats.renewals == 1)
    assert rig.received_now() == [1]
    await until(lambda: rig.carried == {"A": 1})
    assert rig.coverage.told[2:] == [("lost: rejected by the exchange", "B")]
    assert autojump_clock.current_time() < 10


async def test_what_joins_and_is_not_confirmed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """It does not cost the others their connection: that is replaced, and goes on until it is."""
    rig = make_rig(nursery, confirm_secs=5.0, silence_secs=LONG)
    pool = await rig.start(nursery, ["A"])
    rig.venue.mute = True
    pool.update(["A", "B"])
    await until(lambda: "SubscriptionTimeout" in rig.stats.links["words-0"].last_error)
    assert rig.venue.peers[0].is_open
    rig.venue.mute = False
    await until(lambda: rig.stats.renewals == 1, step=0.1)
    assert rig.coverage.told == [("carried", "A"), ("carried", "B")]
    assert rig.venue.open_peers[-1].carries == {"A", "B"}
    assert autojump_clock.current_time() < 60


async def test_all_rejected_while_it_is_renewed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """With nothing left to ask for there is no successor; the old connection goes on until it ends."""
    rig = make_rig(nursery, silence_secs=LONG)
    await rig.start(nursery, ["A"])
    rig.venue.rejected["A"] = "no longer"
    await rig.venue.peers[0].say("renew going down")
    await trio.sleep(100)
    assert rig.carried == {"A": 1}
    assert len(rig.venue.attempts) == 2
    await rig.venue.peers[0].cut()
    await trio.sleep(1)
    assert rig.stats.links["words-0"].state is LinkState.WAITING
    assert rig.coverage.told[1:] == [("lost: connection lost", "A")]
    rig.venue.rejected.clear()
    await trio.sleep(3600)
    assert rig.carried == {"A": 1}
    assert rig.stats.set_aside == {}
    assert autojump_clock.current_time() < 4000


async def test_names_are_never_shared(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Two pools of an exchange at a time, as while settings are tried, count each on its own."""
    rig = make_rig(nursery)
    await rig.start(nursery, ["A"])
    other = rig.pool()
    nursery.start_soon(other.run)
    other.update(["A"])
    await until(lambda: other.is_streaming)
    assert sorted(rig.stats.links) == ["words-0", "words-1"]
    assert rig.coverage.told == [("carried", "A")]
    assert ("overlap", ("A",)) in rig.quality.told
    assert autojump_clock.current_time() < 1


def staged(rig: Rig) -> int:
    """Return how many notes a batch without rows would carry."""
    batch = rig.feed.stage({})
    return 0 if batch is None else len(batch.notes)


async def test_staging(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Notes go with the rows that make them true, or alone; whoever waits for holes hears of them."""
    rig = make_rig(nursery)
    assert staged(rig) == 0
    rig.quality.notes.append(gap_note("words", "silent", 1, 2))
    assert staged(rig) == 1
    assert staged(rig) == 0
    with trio.move_on_after(1) as scope:
        await rig.feed.wait_for_holes()
    assert scope.cancelled_caught

    async def find() -> None:
        await trio.lowlevel.checkpoint()
        rig.quality.found_holes = True
        rig.feed.stage({})
        rig.quality.found_holes = False

    nursery.start_soon(find)
    await rig.feed.wait_for_holes()
    with trio.move_on_after(1) as scope:
        await rig.feed.wait_for_holes()
    assert scope.cancelled_caught
    assert autojump_clock.current_time() == 2


class Shelf:
    """Keeps what it is offered."""

    def __init__(self) -> None:
        self.kept: list[tuple[list[bytes], str | None, frozenset[str]]] = []

    def offer(self, frames: Frames, conn: str | None, symbols: frozenset[str]) -> None:
        """Keep it."""
        self.kept.append((frames.payloads, conn, symbols))


async def test_frames_of_open_breakers(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Frames are set aside while some symbol's rows are, and only then."""
    rig = make_rig(nursery)
    rig.feed.aside = shelf = Shelf()
    await rig.start(nursery, ["A"])
    peer = rig.venue.peers[0]
    await peer.say("t A 1")
    await trio.sleep(0.1)
    assert shelf.kept == []
    rig.quality.open_symbols = frozenset({"A"})
    with capture_logs():
        await peer.say("t A 2")
        await trio.sleep(0.1)
    assert shelf.kept == [([b"t A 2"], "ws://venue.test:9000/feed?x=1", frozenset({"A"}))]
    assert autojump_clock.current_time() < 1
