"""All workloads."""

from __future__ import annotations

from typing import Final

from durability_days import DAYS
from durability_failing import FAILING
from durability_rows import ROWS
from durability_workload import Workload

WORKLOADS: Final[tuple[Workload, ...]] = (*ROWS, *DAYS, *FAILING)


def workload_named(name: str) -> Workload:
    """Return the workload of a name."""
    return next(it for it in WORKLOADS if it.name == name)


__all__ = ["FAILING", "WORKLOADS", "Workload", "workload_named"]
