"""Removing sealed days."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from multilogger.config.policy import ExchangePolicy
from multilogger.storage.columns import Columns
from multilogger.storage.saver import Saver


class Retention:
    """Removes days. Belongs to the applier."""

    def __init__(self, columns: Columns, saver: Saver, policies: Mapping[str, ExchangePolicy]) -> None:
        self._columns = columns
        self._saver = saver
        self._policies = policies

    def step(
        self, today: int, monotonic: Callable[[], float], seconds: float, needed_bytes: int
    ) -> tuple[int, int, bool]:
        """Remove some days; return how many, their bytes, and whether nothing is left to remove."""
        return 0, 0, True
