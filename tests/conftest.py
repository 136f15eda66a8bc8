"""Options and fixtures of the whole test suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

# The same examples each time: a run that fails fails again. To look further: HYPOTHESIS_PROFILE=explore.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore", derandomize=False, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the crash and chaos tests."""
    parser.addoption("--kills", type=int, default=3, help="rounds of kill -9 and restart (default: 3)")
    parser.addoption("--kill-seed", type=int, default=1, help="of the moments at which kills strike")
    parser.addoption("--images", type=int, default=400, help="crash images to recover from (default: 400)")
    parser.addoption("--image-seed", type=int, default=1, help="of what a crash image keeps")
    parser.addoption("--store-kills", type=int, default=20, help="kill -9 rounds of the store (default: 20)")
    parser.addoption("--power-cuts", type=int, default=3, help="power cuts on a block device (default: 3)")
    parser.addoption("--power-cut-seed", type=int, default=1, help="of what a power cut keeps")
    parser.addoption("--reader-seconds", type=float, default=4.0, help="of reading at random while writing")
    parser.addoption("--chaos-schedules", type=int, default=200, help="virtual hours (default: 200)")
    parser.addoption("--seed", type=int, default=None, help="the only virtual hour to play, and to log")


@pytest.fixture
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def unconfigured_logging() -> Iterator[None]:
    """Undo what a test's command set up: the next test must not log into the last one's stream."""
    yield
    structlog.reset_defaults()
