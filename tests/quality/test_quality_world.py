"""Whatever a feed does to its trades: each is kept once, and what never came is never said to be there."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from quality_world import STEPS, World


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=60))
@example(["drop", "drop", "trade", "hand_over", "page_from_above", "trade", "hand_over"])
@example(["lose", "trade", "carry", "trade", "hand_over", "page_from_below", "give_up", "hand_over"])
@example(["pause", "trade", "carry", "trade", "hand_over", "page_within", "repeat", "hand_over"])
def test_no_silent_hole(steps: list[str]) -> None:
    """At no time would a crash leave a trade missing where the ledger says that all is there."""
    world = World()
    for step in steps:
        world.step(step)
    world.hand_over()
    world.check_end()
    world.mend()


def test_the_property_is_put_to_the_test() -> None:
    """Missing trades are looked for in the ledger, and one that says too much is found out."""
    world = World()
    for step in ("drop", "trade", "hand_over"):
        world.step(step)
    assert world.checks > 0
    world.durable.notes = [note for note in world.durable.notes if note.first_id < 0]
    try:
        world.check()
    except AssertionError:
        return
    raise AssertionError("a hole without a note was not found")
