"""Messages a second over a sliding window."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from multilogger.health.rates import RateMeter
from multilogger.stats import LinkStats, Stats

SECOND = 1_000_000_000


def fed(messages: list[tuple[float, int]]) -> RateMeter:
    """Return a meter that saw these numbers of messages at these seconds."""
    stats = Stats(started_ns=0)
    times = iter([int(secs * SECOND) for secs, _ in messages])
    meter = RateMeter(stats, lambda: next(times))
    link = stats.exchange("alpha").links["alpha-1"] = LinkStats("alpha-1")
    for _, count in messages:
        link.messages = count
        meter.sample()
    return meter


@pytest.mark.parametrize(
    ("messages", "rate"),
    [
        ([(1, 500)], 0.0),
        ([(1, 500), (2, 1500)], 1000.0),
        ([(1, 0), (2, 100), (5, 400)], 100.0),
        ([(float(secs), 0 if secs < 20 else (secs - 20) * 50) for secs in range(40)], 50.0),
        ([(float(secs), min(secs, 10) * 50) for secs in range(21)], 0.0),
        ([(100, 10), (50, 20)], 0.0),
        ([(100, 10), (50, 20), (51, 25)], 5.0),
        ([(1, 10), (1, 10)], 0.0),
    ],
    ids=["one", "two", "mean", "window", "stalled", "set back", "set back and on", "same time"],
)
def test_rates(messages: list[tuple[float, int]], rate: float) -> None:
    """The rate is the mean of the last ten seconds, and 0 where nothing can be told."""
    meter = fed(messages)
    assert meter.rates() == {"alpha": rate}
    assert meter.rate("alpha") == rate
    assert meter.rate("beta") == 0.0


def test_memory_is_bounded() -> None:
    """However often it samples, a meter keeps its window alone."""
    meter = fed([(float(secs), secs) for secs in range(1000)])
    assert len(meter._samples["alpha"]) == 11


async def test_the_task_samples_each_second(autojump_clock: MockClock) -> None:
    """The task follows a counter that grows."""
    stats = Stats(started_ns=0)
    meter = RateMeter(stats, lambda: int(autojump_clock.current_time() * SECOND))
    link = stats.exchange("alpha").links["alpha-1"] = LinkStats("alpha-1")
    with trio.move_on_after(30.5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(meter.run)
            while True:
                await trio.sleep(0.1)
                link.messages += 7
    assert meter.rate("alpha") == pytest.approx(70, rel=0.05)
