"""What verifying found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

Progress = Callable[[int, int, str], None]
"""Called with the bytes looked at, the bytes there are, and what is being looked at."""


@attrs.frozen
class Problem:
    """Something that is not as it has to be."""

    path: Path
    row: int | None
    """The first row that is wrong, from 0; None where it is not about rows."""
    words: str

    def __str__(self) -> str:
        place = f"{self.path}" if self.row is None else f"{self.path}: row {self.row}"
        return f"{place}: {self.words}"


@attrs.define
class Counts:
    """How much was looked at."""

    partitions: int = 0
    """Days of a symbol's table."""
    files: int = 0
    """Columns of these, late ones included."""
    rows: int = 0
    """In column files; late rows are counted apart."""
    bytes: int = 0
    sealed_days: int = 0
    late_rows: int = 0
    days_without_manifest: int = 0
    journal_frames: int = 0
    checkpoints: int = 0


@attrs.frozen
class VerifyReport:
    """All that was found."""

    counts: Counts
    problems: tuple[Problem, ...]
    logger_running: bool
    """Whether a logger held the data path: days that still grow were then judged less strictly."""

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems
