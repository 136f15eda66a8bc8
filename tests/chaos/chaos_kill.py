"""A logger that is killed while it fetches what it has missed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import trio
from chaos_run import DOWN_SECS, rest
from chaos_scenario import Scenario
from chaos_world import World

from multilogger.simulator.faults import Cut, Refuse
from multilogger.supervision.tree import run_tree

STRUCK: Final = "binance"
_CALM_SECS: Final = 200.0
_REFUSED_SECS: Final = 300.0
"""Long enough for all symbols to trade, and for holes in each."""
_ANSWER_SECS: Final = 12.0
"""So slow is the history that a kill can strike between two answers."""
_MOST_SECS: Final = 900.0


def kill_scenario(seed: int) -> Scenario:
    """Return the scenario; its faults are :func:`play_kill`'s."""
    return Scenario(seed=seed, secs=2400.0, kills=(0.0,))


def playing(after_secs: float) -> Callable[[World], object]:
    """Return what kills the logger so long after the first trades came from the history."""

    async def play_kill(world: World) -> None:
        async with world.open():
            async with trio.open_nursery() as nursery:
                await nursery.start(run_tree, world.plan(trio.Event()))
                await _miss_much(world)
                await _first_answer(world)
                await trio.sleep(after_secs)
                assert world.stats.exchange(STRUCK).missing, "nothing was left to be fetched at the kill"
                world.kill(nursery.cancel_scope)
            await trio.sleep(DOWN_SECS)
            await world.live(partial(rest, world))

    return play_kill


async def _miss_much(world: World) -> None:
    venue = world.venues[STRUCK]
    await trio.sleep(_CALM_SECS)
    venue.rest_delay_secs = _ANSWER_SECS
    venue.inject(Refuse(_REFUSED_SECS))
    venue.inject(Cut())


async def _first_answer(world: World) -> None:
    with trio.fail_after(_REFUSED_SECS + _MOST_SECS):
        while not world.stats.exchange(STRUCK).backfilled:  # noqa: ASYNC110 - a counter, made for being looked at
            await trio.sleep(1)
