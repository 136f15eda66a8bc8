"""A ledger of coverage for the tests of ``coverage``, and how they run it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from multilogger.cli.main import main
from multilogger.notes import CoverageNote, CoverageState, records_of
from multilogger.storage.catalog import Catalog
from multilogger.storage.layout import Paths
from multilogger.storage.notes_log import NotesLog

Capsys = pytest.CaptureFixture[str]
START = 1_753_920_000
"""2025-07-31, in seconds."""
LIVE, GAP, BACKFILLED = CoverageState.LIVE, CoverageState.GAP, CoverageState.BACKFILLED


def at(seconds: float) -> int:
    """Return a time, so many seconds after the start."""
    return round((START + seconds) * 1_000_000_000)


def note(
    symbol: str,
    table: str,
    state: CoverageState,
    start: float,
    end: float | None,
    cause: str = "",
    ids: int = 0,
) -> CoverageNote:
    """Return a note of coinbase."""
    first, last = (100, 99 + ids) if ids else (-1, -1)
    until = None if end is None else at(end)
    return CoverageNote("coinbase", symbol, table, state, cause, at(start), until, first, last)


def write_ledger(data: Path, notes: Sequence[CoverageNote]) -> Path:
    """Write a catalog; return the data path."""
    paths = Paths(data)
    paths.own.mkdir(parents=True)
    log = NotesLog(paths.notes)
    log.open(0)
    log.append(records_of(1, notes))
    with closing(Catalog(paths.catalog, log)) as catalog:
        catalog.update()
    log.close()
    return data


def told(capsys: Capsys, *arguments: str) -> tuple[int, list[str], list[str]]:
    """Run ``coverage``; return status, lines of output without spaces at their ends, and lines of errors."""
    status = main(["coverage", *arguments])
    found = capsys.readouterr()
    return status, [line.strip() for line in found.out.splitlines()], found.err.splitlines()
