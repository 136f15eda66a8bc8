"""A year of planned cuts costs less than an hour's coverage."""

from __future__ import annotations

from chaos_checks import check
from chaos_clock import run_virtually
from chaos_run import scratch
from chaos_world import World
from chaos_year import DULL, percentages, play_year, year_of

LEAST_PERCENT = 99.99


def test_year() -> None:
    """With 24-hour connections and a weekly maintenance, 99.99 % of MD and TRADES is recorded."""
    with scratch() as directory:
        world = World(year_of(), directory, DULL)
        run_virtually(1, play_year, world)
        assert not check(world)
        found = percentages(world)
    print(found)
    assert len(found) == 4
    assert min(found.values()) >= LEAST_PERCENT
