"""kill -9 while trades are fetched that were missed: the next run closes the gap, once."""

from __future__ import annotations

import pytest
from chaos_kill import kill_scenario, playing
from chaos_run import run_scenario


@pytest.mark.parametrize("after_secs", [0.0, 5.0, 14.0, 20.0])
def test_killed_while_fetching(after_secs: float) -> None:
    """Wherever the kill strikes, each missed trade is on disk once in the end, and no gap is left."""
    outcome = run_scenario(kill_scenario(int(after_secs)), playing=playing(after_secs))
    assert not outcome.wrong
