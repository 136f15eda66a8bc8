"""An exchange's failure stays its own, and does not loop hot."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from multilogger.config import SupervisionConfig
from multilogger.errors import StartupError
from multilogger.stats import ExchangeState, ExchangeStats
from multilogger.supervision.restart import Intensity, causes, keep_alive

POLICY = SupervisionConfig()


class Life:
    """An exchange's life that fails a number of times, then goes on; ``began`` holds when it was tried."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.began: list[float] = []

    async def __call__(self) -> None:
        """Live once."""
        self.began.append(trio.current_time())
        if self.failures:
            raise self.failures.pop(0)
        await trio.sleep_forever()


async def lived(life: Life, secs: float, policy: SupervisionConfig = POLICY) -> ExchangeStats:
    """Keep a life alive for some virtual seconds; return its exchange's counters."""
    stats = ExchangeStats("coinbase")
    with trio.move_on_after(secs):
        await keep_alive(life, stats, policy)
    return stats


async def test_a_bug_is_contained_and_the_exchange_starts_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """One failure costs a second."""
    life = Life(KeyError("price"))
    stats = await lived(life, 10)
    assert len(life.began) == 2
    assert life.began[1] - life.began[0] == pytest.approx(1.0)
    assert (stats.restarts, stats.state) == (1, ExchangeState.STARTING)


async def test_groups_of_failures_are_contained_too(autojump_clock: trio.testing.MockClock) -> None:
    """What a nursery raises is a group; its leaves are told."""
    life = Life(ExceptionGroup("nursery", [ExceptionGroup("inner", [KeyError("x")]), ValueError("y")]))
    stats = await lived(life, 0.5)
    assert stats.detail == "KeyError: 'x'; ValueError: y"


async def test_too_many_restarts_mark_the_exchange_down(autojump_clock: trio.testing.MockClock) -> None:
    """After the quick restarts it waits, and comes back when the fault is gone."""
    failures = [KeyError(str(number)) for number in range(POLICY.quick_restarts + 1)]
    life = Life(*failures)
    stats = await lived(life, 30)
    assert stats.state is ExchangeState.DOWN
    assert len(life.began) == POLICY.quick_restarts + 1
    again = Life(*failures)
    stats = await lived(again, 30 + POLICY.down_secs)
    assert stats.state is ExchangeState.STARTING
    assert len(again.began) == POLICY.quick_restarts + 2


async def test_a_fault_of_the_configuration_is_down_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """No quick restart mends a configuration; its words are kept for the health page."""
    life = Life(StartupError("900 symbols do not fit"))
    stats = await lived(life, 30)
    assert (stats.state, len(life.began)) == (ExchangeState.DOWN, 1)
    assert "900 symbols do not fit" in stats.detail


async def test_the_intensity_is_configured(autojump_clock: trio.testing.MockClock) -> None:
    """Without quick restarts the first failure marks it down, for as long as configured."""
    policy = SupervisionConfig(quick_restarts=0, down_secs=7)
    life = Life(KeyError("a"), KeyError("b"))
    stats = await lived(life, 10, policy)
    assert life.began == [life.began[0], pytest.approx(life.began[0] + 7)]
    assert stats.state is ExchangeState.DOWN


async def test_cancellation_passes(autojump_clock: trio.testing.MockClock) -> None:
    """A cancelled exchange is not restarted."""
    life = Life()
    with trio.move_on_after(5) as scope:
        await keep_alive(life, ExchangeStats("coinbase"), POLICY)
    assert scope.cancelled_caught
    assert len(life.began) == 1


async def test_old_restarts_are_forgotten(autojump_clock: trio.testing.MockClock) -> None:
    """Only restarts within the window count."""
    intensity = Intensity(POLICY)
    for _ in range(3 * POLICY.quick_restarts):
        assert not intensity.exceeded()
        await trio.sleep(100)


def test_causes_of_a_plain_failure() -> None:
    """A failure that is no group is its own cause."""
    failure = KeyError("x")
    assert causes(failure) == [failure]
