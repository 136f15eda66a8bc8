"""Options and fixtures of the whole test suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the crash tests."""
    parser.addoption("--kills", type=int, default=3, help="rounds of kill -9 and restart (default: 3)")
    parser.addoption("--kill-seed", type=int, default=1, help="of the moments at which kills strike")


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
