"""What the tests of the catalog share: a notes log with a catalog, and everything that is in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from multilogger.notes import (
    CoverageNote,
    CoverageState,
    LossNote,
    Note,
    RetentionNote,
    SealNote,
    gap_note,
    offline_note,
    records_of,
)
from multilogger.storage.catalog import Catalog, CoverageInterval, open_catalog
from multilogger.storage.notes_log import NotesLog

OPEN = gap_note("binance", "disk full", 50, None)
NOTES: Sequence[Note] = (
    offline_note("coinbase", 10, 20),
    CoverageNote("coinbase", "BTC-USD", "MD", CoverageState.LIVE, "", 20, None),
    CoverageNote("coinbase", "ETH-USD", "TRADES", CoverageState.BACKFILLED, "", 12, 18),
    OPEN,
    SealNote("coinbase", "BTC-USD", "MD", 20_300, 1, 1000, 3, 1, 2**62),
    SealNote("coinbase", "BTC-USD", "MD", 20_300, 2, 1005, 8, 1, 2**62 + 5),
    SealNote("coinbase", "ETH-USD", "MD", 20_301, 1, 7, 0, 0, 2**62),
    LossNote("binance", "BTCUSDT", "TRADES", 20_300, 256, 2**32, "journal damaged"),
    RetentionNote("binance", "BTCUSDT", "TRADES", 20_000, 4096, 9),
)
Content = tuple[list[CoverageInterval], list[SealNote], list[RetentionNote], list[LossNote]]


@pytest.fixture(name="path")
def path_fixture(tmp_path: Path) -> Path:
    """Where the catalog is."""
    return tmp_path / "catalog.db"


@pytest.fixture(name="log")
def log_fixture(tmp_path: Path) -> Iterator[NotesLog]:
    """A log with some notes."""
    log = NotesLog(tmp_path / "notes.log")
    log.open(0)
    log.append(records_of(1, NOTES))
    yield log
    log.close()


@pytest.fixture(name="catalog")
def catalog_fixture(path: Path, log: NotesLog) -> Iterator[Catalog]:
    """Its catalog, up to date."""
    with closing(Catalog(path, log)) as catalog:
        catalog.update()
        yield catalog


def content(path: Path) -> Content:
    """Return everything in the catalog, as another process reads it."""
    with open_catalog(path) as reader:
        return reader.coverage(), reader.seals(), reader.removals(), reader.losses()


def updated(path: Path, log: NotesLog) -> Content:
    """Return everything in the catalog after a start."""
    with closing(Catalog(path, log)) as catalog:
        catalog.update()
        return content(path)


def made_anew(path: Path, log: NotesLog) -> Content:
    """Return what a new catalog has."""
    return updated(path.with_name("another.db"), log)
