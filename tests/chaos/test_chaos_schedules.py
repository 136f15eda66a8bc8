"""Hours of faults on a virtual clock: whatever happens, nothing is lost that is not known to be."""

from __future__ import annotations

import statistics

import pytest
from chaos_run import run_seeds


def test_chaos(request: pytest.FixtureRequest) -> None:
    """Nothing is lost unknown, doubled, changed or out of order in any of the seeded hours."""
    seed = request.config.getoption("--seed")
    seeds = range(1, request.config.getoption("--chaos-schedules") + 1) if seed is None else [seed]
    outcomes = []
    for outcome in run_seeds(seeds, loudly=seed is not None):
        outcomes.append(outcome)
        for line in outcome.wrong:
            print(f"seed {outcome.seed}: {line}", flush=True)
    bad = sorted(outcome.seed for outcome in outcomes if outcome.wrong)
    costs = [outcome.cpu_secs for outcome in outcomes]
    print(f"{len(outcomes)} hours, {statistics.mean(costs):.2f} s each, at most {max(costs):.2f} s")
    assert not bad, f"run again by pytest -k chaos --seed N: {bad}"
