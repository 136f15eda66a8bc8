"""Options of the whole test suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the crash tests."""
    parser.addoption("--kills", type=int, default=3, help="rounds of kill -9 and restart (default: 3)")
    parser.addoption("--kill-seed", type=int, default=1, help="of the moments at which kills strike")
