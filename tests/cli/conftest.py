"""What the tests of the commands share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from cli_tools import Endpoints, simulation


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which the simulated exchanges write down what they send."""
    return tmp_path_factory.mktemp("ledger")


@pytest.fixture(scope="module")
def endpoints(ledger: Path) -> Iterator[Endpoints]:
    """Endpoints of simulated exchanges in another process."""
    with simulation(ledger) as found:
        yield found


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty directory, without settings from outside, and leave logging as it was."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MULTILOGGER__")]:
        monkeypatch.delenv(name)
    yield
    structlog.reset_defaults()
