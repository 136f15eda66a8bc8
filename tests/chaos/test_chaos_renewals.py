"""Connections that are replaced as planned cost nothing."""

from __future__ import annotations

from chaos_run import play, run_scenario
from chaos_scenario import Scenario
from chaos_world import World

RENEWALS = Scenario(seed=7, secs=3600.0, struck=(), lifetime_secs=600.0)


def test_renewals() -> None:
    """Each connection is replaced every few minutes; nothing is missing, and there is no gap."""
    renewals: list[int] = []

    async def playing(world: World) -> None:
        await play(world)
        renewals.extend(exchange.renewals for exchange in world.stats.exchanges.values())

    assert not run_scenario(RENEWALS, playing=playing).wrong
    assert min(renewals) >= 5, renewals
