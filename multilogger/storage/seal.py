"""Sealing closed days."""

from __future__ import annotations

from collections.abc import Callable

from multilogger.storage.catalog import Catalog
from multilogger.storage.columns import Columns, Key
from multilogger.storage.extent import Position
from multilogger.storage.partition import Partition
from multilogger.storage.saver import Saver
from multilogger.storage.streams import ABSURD, LATE


class Sealer:
    """Seals days. Belongs to the applier."""

    def __init__(self, columns: Columns, saver: Saver, catalog: Catalog) -> None:
        self._columns = columns
        self._saver = saver
        self._catalog = catalog

    def step(
        self, closed_day: int, applied: Position, segment: int, monotonic: Callable[[], float], seconds: float
    ) -> tuple[int, int, int]:
        """Seal some days; return how many were sealed, how many failed, how many are left."""
        return 0, 0, 0

    def settle(self) -> None:
        """Remove what no checkpoint needs any more."""

    def is_done(self, key: Key, partition: Partition) -> bool:
        """Return whether nothing of a partition is left to seal."""
        if partition.kind == ABSURD:
            return True
        if partition.kind == LATE:
            return not partition.rows
        return partition.generation > 0

    def roll_forward(self) -> None:
        """Complete the seals that an earlier stop interrupted."""
