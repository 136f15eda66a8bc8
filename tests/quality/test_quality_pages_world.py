"""Whatever fails, and however old an answer is: what the ledger says is there is there, and nothing twice."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from quality_pages_mutants import MUTANTS
from quality_pages_world import STEPS, WHOLE, PagesWorld
from quality_rows import LIVE, SYMBOL

from multilogger.notes import CoverageNote
from multilogger.tables import TRADES


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=50), st.booleans())
@example(steps=["torn_burst", "lose", "carry", "trade", "short_page", "page"], replays=True)
@example(
    steps=["dies", "trade", "another", "trade", "trade", "lose", "trade", "trade", "page"], replays=False
)
@example(
    steps=["lose", *["burst"] * 3, "carry", "cached_page", "trade", "short_cached_page", "page"], replays=True
)
def test_no_silent_hole(steps: list[str], replays: bool) -> None:
    """At no time would a crash leave a trade missing where the ledger says that all is there."""
    world = PagesWorld(replays=replays)
    for step in steps:
        world.step(step)


@given(st.lists(st.sampled_from(WHOLE), max_size=40), st.booleans())
def test_pages_that_go_back_far_enough_fill_everything(steps: list[str], replays: bool) -> None:
    """Then every trade is there, and no gap is left; unless runs end one after the other without a page."""
    world = PagesWorld(replays=replays)
    ended = [at for at, step in enumerate(steps) if step in ("stop", "crash")]
    for at, step in enumerate(steps):
        if at not in ended[1:]:
            world.step(step)
    world.mend()
    missing = {it for it, time_ns in enumerate(world.happened) if time_ns >= world.first_ns} - {*world.kept}
    assert missing == set()
    assert world.holes() == []


def test_the_property_is_put_to_the_test() -> None:
    """Missing trades are looked for in the ledger, and one that says too much is found out."""
    world = PagesWorld()
    for step in ("lose", "trade", "carry", "trade"):
        world.step(step)
    assert world.checks > 0
    said = CoverageNote("binance", SYMBOL, TRADES.name, LIVE, "", world.first_ns, world.now_ns)
    world.durable.add([said])
    try:
        world.check()
    except AssertionError:
        return
    raise AssertionError("a ledger that says too much was not found out")


@pytest.mark.parametrize("name", MUTANTS)
def test_each_part_is_needed(name: str) -> None:
    """With any part of it switched off, the ledger says too much, or a trade is recorded twice."""
    mutant = MUTANTS[name]
    assert mutant.wrong() == ""
    with mutant.patch():
        assert mutant.wrong()
