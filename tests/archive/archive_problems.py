"""What verifying tells, in a form for comparisons."""

from __future__ import annotations

from pathlib import Path

from multilogger.archive.verify import VerifyReport, verify_archive


def told(report: VerifyReport, data: Path) -> list[tuple[str, int | None, str]]:
    """Return the problems, with paths below the data path."""
    return [(str(it.path.relative_to(data)), it.row, it.words) for it in report.problems]


def problems(data: Path) -> list[tuple[str, int | None, str]]:
    """Verify without waiting; return the problems."""
    return told(verify_archive(data), data)


def only(data: Path) -> tuple[str, int | None, str]:
    """Return the only problem there is, its path without the directories."""
    ((path, row, words),) = problems(data)
    return path.rpartition("/")[2], row, words
