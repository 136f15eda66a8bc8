from __future__ import annotations

import math

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from multilogger.connection.budget import Budget, Budgets
from multilogger.connection.limits import Turns
from multilogger.exchanges.base import Allowance, Limits
from multilogger.stats import BudgetStats, ExchangeStats

APART = 1e-4
"""Between things that would happen at the same time: their order must not be a matter of chance."""


@attrs.frozen
class Asker:
    """Who asks for a turn."""

    number: int
    at: float
    weight: int
    gives_up_at: float


@attrs.frozen
class Hold:
    """A pause that the exchange asks for."""

    at: float
    secs: float


def askers() -> st.SearchStrategy[list[Asker]]:
    """Generate who asks when, in order, and who gives up."""
    one = st.tuples(st.integers(0, 4), st.integers(1, 5), st.none() | st.integers(0, 30))

    def line_up(drawn: list[tuple[int, int, int | None]]) -> list[Asker]:
        made, now = [], 0
        for number, (later, weight, patience) in enumerate(drawn):
            now += later
            at = now + number * APART
            gives_up_at = math.inf if patience is None else at + patience + APART / 2
            made.append(Asker(number, at, weight, gives_up_at))
        return made

    return st.lists(one, max_size=40).map(line_up)


ALLOWANCES = st.lists(
    st.builds(Allowance, st.integers(1, 8), st.sampled_from([1, 2, 5, 10, 30])), min_size=1, max_size=3
).map(tuple)
HOLDS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=2).map(
    lambda drawn: [Hold(at + APART / (3 + 2 * n), secs) for n, (at, secs) in enumerate(drawn)]
)


async def run(
    allowances: tuple[Allowance, ...], line: list[Asker], holds: list[Hold]
) -> list[tuple[int, float]]:
    """Return who got a turn, and when."""
    turns = Turns(allowances)
    given: list[tuple[int, float]] = []

    async def ask(asker: Asker) -> None:
        await trio.sleep_until(asker.at)
        with trio.CancelScope(deadline=asker.gives_up_at):
            await turns.take(asker.weight)
            given.append((asker.number, trio.current_time()))

    async def hold(one: Hold) -> None:
        await trio.sleep_until(one.at)
        turns.hold_back(one.secs)

    async with trio.open_nursery() as nursery:
        for asker in line:
            nursery.start_soon(ask, asker)
        for one in holds:
            nursery.start_soon(hold, one)
    return given


def expected(
    allowances: tuple[Allowance, ...], line: list[Asker], holds: list[Hold]
) -> list[tuple[int, float]]:
    """Return the same, by one look at each asker: its turn is after those before it, once there is room."""
    given: list[tuple[int, float, float]] = []
    free = 0.0
    for asker in line:
        at = max(asker.at, free)
        while (later := room_at(allowances, holds, given, at, asker.weight)) > at:
            at = later
        if at < asker.gives_up_at:
            given.append((asker.number, at, asker.weight))
        free = max(free, min(at, asker.gives_up_at))
    return [(number, at) for number, at, _ in given]


def room_at(
    allowances: tuple[Allowance, ...],
    holds: list[Hold],
    given: list[tuple[int, float, float]],
    at: float,
    weight: float,
) -> float:
    """Return ``at`` if there is room then, else the next time at which there may be."""
    times = [one.at + one.secs for one in holds if one.at <= at]
    for one in allowances:
        inside = [(then, used) for _, then, used in given if at - then < one.secs - APART / 100]
        if inside and sum(used for _, used in inside) + min(weight, one.amount) > one.amount:
            times.append(inside[0][0] + one.secs)
    return max([at, *times])


@settings(max_examples=150, deadline=None)
@given(ALLOWANCES, askers(), HOLDS)
def test_no_window_is_ever_exceeded(
    allowances: tuple[Allowance, ...], line: list[Asker], holds: list[Hold]
) -> None:
    """Whoever asks, waits and gives up: all get their turn in order, as early as the allowances let them."""
    given = trio.run(run, allowances, line, holds, clock=MockClock(autojump_threshold=0))
    assert [number for number, _ in given] == sorted(number for number, _ in given)
    wanted = expected(allowances, line, holds)
    assert [number for number, _ in given] == [number for number, _ in wanted]
    assert [at for _, at in given] == pytest.approx([at for _, at in wanted], abs=APART / 10)
    for one in allowances:
        for _, end in given:
            inside = [line[number].weight for number, at in given if end - one.secs < at - APART / 100 <= end]
            assert sum(inside) <= one.amount or len(inside) == 1


async def test_a_cancelled_wait_uses_up_nothing(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Who gives up leaves its turn to the next, and the gauges forget it."""
    stats = ExchangeStats("words")
    budget = Budget(Limits(connects=(Allowance(1, 10.0),)), stats)
    await budget.connect()
    with trio.move_on_after(1) as first:
        await budget.connect()
    assert first.cancelled_caught
    gauge = stats.budgets["connects/10s"]
    assert (gauge.waiting, gauge.used, gauge.total) == (0, 1, 1)
    impatient = trio.CancelScope()
    got: list[float] = []

    async def ask(scope: trio.CancelScope) -> None:
        with scope:
            await budget.connect()
            got.append(trio.current_time())

    for scope in (impatient, trio.CancelScope()):
        nursery.start_soon(ask, scope)
        await wait_all_tasks_blocked()
    assert gauge.waiting == 2
    impatient.cancel()
    await trio.sleep(20)
    assert got == [pytest.approx(10)]
    assert gauge.waiting == 0


async def test_what_weighs_more_than_all_waits_for_all(autojump_clock: MockClock) -> None:
    """A request heavier than the allowance is made once nothing else is in the window, and fills it."""
    turns = Turns((Allowance(10, 60.0),))
    await turns.take(1)
    times = []
    for weight in (25, 1):
        await turns.take(weight)
        times.append(trio.current_time())
    assert times == [pytest.approx(60), pytest.approx(120)]


async def test_the_word_of_the_exchange_counts_if_it_is_more(autojump_clock: MockClock) -> None:
    """What others used of the same address is counted from when it is heard of; less than our own is not."""
    gauge = BudgetStats(10, 60.0)
    turns = Turns((Allowance(10, 60.0),), [gauge])
    await turns.take(4)
    turns.note_used(3)
    assert gauge.used == 4
    turns.note_used(9)
    assert gauge.used == 9
    await trio.sleep(30)
    await turns.take(1)
    assert trio.current_time() == pytest.approx(30)
    await turns.take(2)
    assert trio.current_time() == pytest.approx(60)


async def test_a_pause_holds_whoever_waits(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A pause that begins during a wait prolongs it; a shorter one afterwards does not end it sooner."""
    stats = ExchangeStats("words")
    budget = Budget(Limits(rest=(Allowance(1, 5.0),)), stats)
    await budget.rest()
    got: list[float] = []

    async def ask() -> None:
        await budget.rest()
        got.append(trio.current_time())

    nursery.start_soon(ask)
    await trio.sleep(1)
    budget.hold_back(30)
    budget.hold_back(2)
    assert stats.budgets["rest/5s"].held_back_secs == pytest.approx(30)
    await trio.sleep(100)
    assert got == [pytest.approx(31)]


async def test_gauges_follow_the_time(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What was used becomes free again in the gauges, too, and a pause runs out."""
    stats = ExchangeStats("words")
    budgets = Budgets()
    limits = Limits(rest=(Allowance(10, 60.0), Allowance(5, 1.0)), messages_per_host=(Allowance(80, 1.0),))
    budget = budgets.of("words", limits, "Api.test", stats)
    nursery.start_soon(budgets.run)
    await budget.rest(3)
    await budget.message()
    budget.hold_back(10)
    assert {name: gauge.used for name, gauge in stats.budgets.items()} == {
        "rest/60s": 3,
        "rest/1s": 3,
        "messages/1s": 1,
    }
    await trio.sleep(4.5)
    assert stats.budgets["rest/60s"].held_back_secs == pytest.approx(6)
    assert [gauge.used for gauge in stats.budgets.values()] == [3, 0, 0]
    await trio.sleep(60)
    gauge = stats.budgets["rest/60s"]
    assert (gauge.used, gauge.total, gauge.held_back_secs) == (0, 3, 0)


async def test_one_budget_for_each_exchange_and_host() -> None:
    """Whoever asks for an exchange's host gets the same budget; its gauges follow to new counters."""
    budgets, limits = Budgets(), Limits()
    stats = ExchangeStats("words")
    budget = budgets.of("words", limits, "api.test", stats)
    await budget.rest()
    assert budgets.of("words", limits, "API.test", stats) is budget
    other = budgets.of("words", limits, "stream.test", stats)
    assert other is not budget
    assert budgets.of("letters", limits, "api.test", ExchangeStats("letters")) is not budget
    await other.rest()
    assert list(stats.budgets) == ["rest/1s", "rest/1s stream.test"]
    again = ExchangeStats("words")
    assert budgets.of("words", limits, "api.test", again) is budget
    await budget.rest()
    assert again.budgets["rest/1s"].total == 2
