from __future__ import annotations

import pytest
import trio
from connection_peer import make_rig, until
from connection_run import Run
from structlog.testing import capture_logs
from trio.testing import MockClock

from multilogger.errors import ConnectionLost, Renewal


@pytest.mark.parametrize(("cancelled", "expected"), [(True, [1, 2]), (False, [1, 2, 3])])
async def test_the_end_hands_over_what_was_accepted(
    nursery: trio.Nursery, autojump_clock: MockClock, cancelled: bool, expected: list[int]
) -> None:
    """A batch that waits for the writer survives a stop and a cut; what was never read was not accepted."""
    run = Run(make_rig(nursery, channel_size=0), buffer_size=2)
    peer = await run.streaming(nursery)
    await peer.say("t A 1", "t A 2")
    await trio.sleep(0.1)
    # The session waits for the channel, so this one stays in the socket.
    await peer.say("t A 3")
    await trio.sleep(0.1)
    if cancelled:
        run.scope.cancel()
    else:
        await peer.cut()
    await trio.sleep(1)
    ids: list[int] = []
    with trio.move_on_after(3):
        async for batch in run.rig.batches:
            ids += batch.rows[1]["trade_id"].tolist()
    assert ids == expected
    assert run.rig.stats.rows["TRADES"] == len(ids)
    assert autojump_clock.current_time() < 10


async def test_rows_in_the_buffer_survive_a_stop(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Rows still within their 20 ms are handed over under cancellation."""
    run = Run(make_rig(nursery))
    peer = await run.streaming(nursery)
    await peer.say("t A 1", "t A 2")
    await trio.testing.wait_all_tasks_blocked()
    assert run.rig.received_now() == []
    run.scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert run.rig.received_now() == [1, 2]
    assert autojump_clock.current_time() < 0.02


async def test_the_end_does_not_wait_for_a_hanging_writer(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The last hand-over has a deadline of 5 s, and the loss is logged."""
    run = Run(make_rig(nursery, channel_size=0))
    peer = await run.streaming(nursery)
    await peer.say("t A 1")
    await trio.sleep(1)
    before = autojump_clock.current_time()
    run.scope.cancel()
    with capture_logs() as logs:
        await until(lambda: peer.websocket.closed is not None)
    assert autojump_clock.current_time() - before == pytest.approx(5, abs=0.1)
    assert [(line["log_level"], line["rows"]) for line in logs if "rows" in line] == [("error", 1)]


async def test_a_writer_that_is_gone(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Without a receiver the end of a session is quick, and the loss is logged."""
    run = Run(make_rig(nursery))
    peer = await run.streaming(nursery)
    await peer.say("t A 1", "t A 2")
    await trio.testing.wait_all_tasks_blocked()
    with capture_logs() as logs:
        run.rig.batches.close()
        run.scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
    assert [(line["event"], line["rows"]) for line in logs] == [("rows lost: the writer is gone", 2)]
    assert autojump_clock.current_time() < 1


@pytest.mark.parametrize("polite", [True, False])
async def test_ends(nursery: trio.Nursery, polite: bool) -> None:
    """Whichever way the peer ends it, rows before that are handed over, and its symbols are lost at once."""
    run = Run(make_rig(nursery))
    peer = await run.streaming(nursery)
    await peer.say("t A 1")
    if polite:
        nursery.start_soon(peer.websocket.aclose, 1001, "going away")
    else:
        await peer.cut()
    await until(lambda: run.ended is not None)
    assert isinstance(run.ended, ConnectionLost)
    assert run.rig.received_now() == [1]
    assert run.rig.coverage.told[-1] == ("lost: connection lost", "A", "B")


async def test_an_announced_end(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A connection whose end is announced goes on until it is relieved; one that never streamed gives up."""
    run = Run(make_rig(nursery))
    peer = await run.streaming(nursery)
    await trio.sleep(1)
    await peer.say("renew shutting down")
    await run.session.due.wait()
    assert run.ended is None
    assert str(run.session.due_to) == "shutting down"
    rig = make_rig(nursery)
    rig.venue.mute = True
    rig.venue.greeting = "renew shutting down"
    early = Run(rig)
    await early.go()
    assert isinstance(early.ended, Renewal)
    assert autojump_clock.current_time() < 3


async def test_bugs_are_not_swallowed(nursery: trio.Nursery) -> None:
    """What is no FeedError comes out as it is, after the hand-over."""
    run = Run(make_rig(nursery))
    caught: list[BaseException] = []

    async def go() -> None:
        try:
            await run.session.run()
        except ExceptionGroup as group:
            caught.append(group)

    nursery.start_soon(go)
    peer = await run.rig.venue.peer(0)
    await peer.say("t A 1", "t A bug")
    await until(lambda: bool(caught))
    assert pytest.RaisesGroup(ValueError, flatten_subgroups=True).matches(caught[0])
    assert run.rig.received_now() == [1]
