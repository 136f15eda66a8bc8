from __future__ import annotations

import pytest
import trio
from connection_peer import make_rig, until
from connection_run import Run
from connection_wire import NOW_NS
from trio.testing import MockClock

from multilogger.errors import (
    ConnectFailed,
    Renewal,
    Silent,
    SubscriptionTimeout,
)
from multilogger.exchanges.base import Limits


async def test_open_subscribe_confirm_stream(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Rows reach the channel 20 ms after the first of them, and the counters tell of it."""
    run = Run(make_rig(nursery))
    peer = await run.streaming(nursery)
    assert peer.heard == ["sub A", "sub B"]
    start = autojump_clock.current_time()
    await peer.say("t A 1", "t B 2")
    batch = await run.rig.batches.receive()
    assert autojump_clock.current_time() - start == pytest.approx(0.02)
    assert batch.rows[1]["trade_id"].tolist() == [1, 2]
    assert run.rig.stats.rows == {"TRADES": 2}
    assert run.stats.messages == 4
    assert run.stats.bytes == len("ok Aok Bt A 1t B 2")
    assert run.stats.last_data_ns == NOW_NS
    assert run.stats.symbols == 2


async def test_a_full_buffer_is_handed_over_at_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """buffer_size rows do not wait for the 20 ms."""
    run = Run(make_rig(nursery), buffer_size=2)
    peer = await run.streaming(nursery)
    start = autojump_clock.current_time()
    await peer.say("t A 1", "t A 2")
    assert len(await run.rig.batches.receive()) == 2
    assert autojump_clock.current_time() == start


async def test_no_wake_up_without_rows(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """An idle session sleeps: nothing happens until its silence is over."""
    run = Run(make_rig(nursery))
    await run.streaming(nursery)
    wakes = 0

    class Count(trio.abc.Instrument):
        def task_scheduled(self, task: trio.lowlevel.Task) -> None:
            nonlocal wakes
            wakes += task is not trio.lowlevel.current_root_task()

    with trio.move_on_after(20):
        trio.lowlevel.add_instrument(counter := Count())
        await trio.sleep_forever()
    trio.lowlevel.remove_instrument(counter)
    assert wakes <= 3
    assert autojump_clock.current_time() >= 20


async def test_subscriptions_must_be_confirmed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Without a confirmation in time the session ends, naming the symbols."""
    rig = make_rig(nursery, confirm_secs=5)
    rig.venue.mute = True
    run = Run(rig)
    await run.go()
    assert isinstance(run.ended, SubscriptionTimeout)
    assert "2 of 2 subscriptions not confirmed: A, B" in str(run.ended)
    assert autojump_clock.current_time() == pytest.approx(5, abs=0.1)


async def test_a_connect_has_a_deadline(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A server that takes the connection but never answers is given up after 15 s."""
    rig = make_rig(nursery)
    rig.venue.deaf = True
    run = Run(rig)
    await run.go()
    assert isinstance(run.ended, ConnectFailed)
    assert "no connection within 15 s" in str(run.ended)
    assert autojump_clock.current_time() == pytest.approx(15)


async def test_rejected_symbols_are_set_aside(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The exchange's own words are kept, and the others go on."""
    rig = make_rig(nursery)
    rig.venue.rejected["B"] = "B is not a valid product"
    run = Run(rig)
    peer = await run.streaming(nursery)
    assert rig.stats.set_aside == {"B": "B is not a valid product"}
    assert run.stats.symbols == 1
    await peer.say("t A 1")
    assert len(await rig.batches.receive()) == 1
    assert run.set_aside.without(("A", "B")) == ("A",)
    assert autojump_clock.current_time() < 1


async def test_nothing_left_after_rejections(nursery: trio.Nursery) -> None:
    """A session whose every symbol was rejected ends."""
    rig = make_rig(nursery)
    rig.venue.rejected["A"] = "no such thing"
    run = Run(rig, ("A",))
    await run.go()
    assert isinstance(run.ended, Renewal)
    assert "no such thing" in str(run.ended)


async def test_silence(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A connection that stands but is silent is given up after silence_secs, whatever its pings."""
    run = Run(make_rig(nursery, silence_secs=30))
    peer = await run.streaming(nursery)
    await trio.sleep(20)
    await peer.say("t A 1")
    spoke = autojump_clock.current_time()
    await peer.websocket.ping(b"still here")
    await until(lambda: run.ended is not None)
    assert isinstance(run.ended, Silent)
    assert autojump_clock.current_time() - spoke == pytest.approx(30, abs=0.1)
    assert run.rig.received_now() == [1]


async def test_a_stalled_writer_is_no_silence(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """While the writer is behind, the socket is not read, and the exchange is not blamed for it."""
    run = Run(make_rig(nursery, silence_secs=30, channel_size=0), buffer_size=1)
    peer = await run.streaming(nursery)
    for trade in range(5):
        await peer.say(f"t A {trade}")
    await trio.sleep(100)
    assert run.ended is None
    assert autojump_clock.current_time() >= 100
    ids: list[int] = []
    while len(ids) < 5:
        ids += (await run.rig.batches.receive()).rows[1]["trade_id"].tolist()
    assert ids == [0, 1, 2, 3, 4]
    await until(lambda: run.ended is not None)
    assert isinstance(run.ended, Silent)


async def test_renewal_before_the_planned_cut(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A connection asks for a successor up to a twentieth of its life early, and goes on."""
    limits = Limits(messages_per_second=1000, lifetime_secs=1000)
    run = Run(make_rig(nursery, limits=limits, silence_secs=10_000))
    peer = await run.streaming(nursery)
    await run.session.due.wait()
    assert isinstance(run.session.due_to, Renewal)
    assert 950 <= autojump_clock.current_time() <= 991
    await peer.say("t A 1")
    assert len(await run.rig.batches.receive()) == 1
    assert run.ended is None
    run.session.retire()
    await run.session.over.wait()
    assert run.session.ended_by is None
    assert peer.websocket.closed is not None
    assert peer.websocket.closed.code == 1000


async def test_app_pings_and_answers(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The adapter's ping goes out every ping_secs; its answer to a frame goes out at once."""
    limits = Limits(messages_per_second=1000, ping_secs=20)
    run = Run(make_rig(nursery, limits=limits, silence_secs=50))
    peer = await run.streaming(nursery)
    await peer.say("say what you want")
    await until(lambda: run.ended is not None)
    assert peer.heard == ["sub A", "sub B", "what you want", "hello?", "hello?"]
    assert autojump_clock.current_time() == pytest.approx(50, abs=0.5)


async def test_a_quiet_connection_is_asked_for_a_sign_of_life(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """It is pinged after half of the silence that ends it, not before; who answers is not silent."""
    limits = Limits(messages_per_second=1000, pings_when_quiet=True)
    run = Run(make_rig(nursery, limits=limits, silence_secs=50))
    peer = await run.streaming(nursery)
    for _ in range(4):
        await trio.sleep(24)
        await peer.say("t A 1")
    assert peer.heard == ["sub A", "sub B"]
    for questions in range(1, 5):
        await until(lambda: peer.heard[2:] == ["hello?"] * questions)  # noqa: B023 - awaited at once
        await peer.say("t A 1")
    assert autojump_clock.current_time() == pytest.approx(96 + 4 * 25, abs=1)
    assert not run.session.over.is_set()
    await until(lambda: run.ended is not None)
    assert isinstance(run.ended, Silent)
    assert peer.heard[2:] == ["hello?"] * 5
    assert autojump_clock.current_time() == pytest.approx(96 + 4 * 25 + 50, abs=1)


async def test_changes_are_followed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Symbols that join are subscribed, those that leave are unsubscribed, on the running connection."""
    run = Run(make_rig(nursery))
    peer = await run.streaming(nursery)
    run.wanted.change(("B", "C"))
    await until(lambda: len(peer.heard) == 4)
    run.wanted.change(("B", "C"))
    run.wanted.change(("C",))
    await until(lambda: len(peer.heard) == 5)
    assert peer.heard == ["sub A", "sub B", "unsub A", "sub C", "unsub B"]
    assert run.stats.symbols == 1
    assert autojump_clock.current_time() < 1
