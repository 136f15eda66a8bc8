from __future__ import annotations

import random

import attrs
import pytest
import trio
from connection_fakes import FakeQuality
from connection_peer import make_rig
from structlog.testing import capture_logs
from trio.testing import MockClock

from multilogger.connection.backoff import HEALTHY_SECS, Backoff
from multilogger.connection.refusals import report_refusals
from multilogger.stats import ExchangeStats
from multilogger.tables import MD, TRADES, Array


class Longest(random.Random):
    """Jitter that always takes the longest delay."""

    def uniform(self, a: float, b: float) -> float:
        """Return the upper end."""
        del a
        return b


def test_backoff_doubles_up_to_the_cap() -> None:
    """Delays double from 0.1 s to 30 s and stay there."""
    backoff = Backoff(Longest())
    delays = [backoff.next() for _ in range(12)]
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 30])
    backoff.reset()
    assert backoff.next() == pytest.approx(0.1)


def test_backoff_has_full_jitter() -> None:
    """Delays spread over everything from nothing to the doubled value, and a seed fixes them."""
    late = Backoff(random.Random(7))
    delays = [late.next() for _ in range(1010)][10:]
    assert min(delays) < 1
    assert 29 < max(delays) <= 30
    assert sum(delays) / len(delays) == pytest.approx(15, abs=1)
    again = Backoff(random.Random(7))
    assert [again.next() for _ in range(1010)][10:] == delays


def test_backoff_resets_after_a_minute_of_health() -> None:
    """A short recovery does not count as health."""
    backoff = Backoff(Longest())
    for _ in range(5):
        backoff.next()
    backoff.reset_after(HEALTHY_SECS - 1)
    assert backoff.next() == pytest.approx(3.2)
    backoff.reset_after(HEALTHY_SECS)
    assert backoff.next() == pytest.approx(0.1)


async def test_refusals_are_logged_once_a_minute_and_reason(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A thousand refusals are one line, none are none, and the rest is told at the end."""
    stats = ExchangeStats("words")
    with capture_logs() as logs:
        nursery.start_soon(report_refusals, stats)
        await trio.sleep(1)
        stats.refused["bad price"] += 1000
        stats.refused_samples["bad price"] = "{...}"
        stats.refused["no id"] += 1
        await trio.sleep(180)
        assert [(line["reason"], line["count"], line["sample"]) for line in logs] == [
            ("bad price", 1000, "{...}"),
            ("no id", 1, ""),
        ]
        stats.refused["no id"] += 2
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked()
        assert [(line["reason"], line["count"]) for line in logs[2:]] == [("no id", 2)]
    assert autojump_clock.current_time() == pytest.approx(181)


class DropAll(FakeQuality):
    """Quality checks that keep nothing."""

    def apply(self, rows: dict[int, Array]) -> dict[int, Array]:
        """Keep nothing."""
        return {number: table[:0] for number, table in rows.items()}


async def test_dropped_rows_are_not_counted_and_not_sent(nursery: trio.Nursery) -> None:
    """Duplicates are no accepted rows, and an empty batch is none."""
    rig = make_rig(nursery)
    feed = attrs.evolve(rig.feed, quality=DropAll())
    collector = feed.make_collector()
    collector.rows.add_trade(symbol=0, time_ns=1, recv_ns=1, trade_id=1, price=1, size=1, side=1)
    await collector.hand_over()
    assert rig.received_now() == []
    assert rig.stats.rows == {"TRADES": 0}


async def test_tickers_that_are_kept_back_have_come(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What is left to another connection is not sent; but this one is known to bring it."""
    rig = make_rig(nursery)
    collector = rig.feed.make_collector()
    collector.muted.add(1)
    for symbol in (0, 1):
        collector.rows.add_md(
            symbol=symbol, time_ns=1, recv_ns=1, price=7 + symbol, volume=1, side=1, best_bid=1, best_ask=1
        )
    await collector.hand_over()
    assert rig.prices_now() == [7]
    assert [collector.arrivals.last(symbol, MD) for symbol in (0, 1)] == [trio.current_time()] * 2


async def test_a_cancelled_hand_over_sends_once(nursery: trio.Nursery) -> None:
    """A hand-over that is cancelled while the channel is full keeps its batch for the next, in order."""
    rig = make_rig(nursery, channel_size=0)
    collector = rig.feed.make_collector()
    for trade_id in range(3):
        collector.rows.add_trade(symbol=0, time_ns=1, recv_ns=1, trade_id=trade_id, price=1, size=1, side=1)
        with trio.move_on_after(0):
            await collector.hand_over()
    got: list[int] = []

    async def receive() -> None:
        async for batch in rig.batches:
            got.extend(batch.rows[TRADES.number]["trade_id"].tolist())

    nursery.start_soon(receive)
    await collector.hand_over()
    await trio.testing.wait_all_tasks_blocked()
    nursery.cancel_scope.cancel()
    assert got == [0, 1, 2]
