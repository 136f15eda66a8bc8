"""What every end-to-end test has."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """Collect the log, and print it for tests that fail."""
    with capture_logs() as entries:
        yield entries
    for entry in entries:
        print(entry)
