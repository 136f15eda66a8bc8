"""The checks find each mechanism that is switched off, and nothing while it is on."""

from __future__ import annotations

import pytest
from chaos_mutants import MUTANTS
from chaos_run import run_scenario


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(name: str) -> None:
    """A logger without the mechanism violates the invariant; the logger as it is does not."""
    mutant = MUTANTS[name]
    assert not run_scenario(mutant.scenario).wrong
    with mutant.patch():
        found = run_scenario(mutant.scenario).wrong
    print(name, *found, sep="\n")
    assert any(line.startswith(mutant.finds) for line in found), found
