"""Holes of earlier runs are taken over; what is on disk of them is neither asked for nor recorded again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from supervision_repairs import DAY, NAME, intervals, on_disk, started, time_of

from multilogger.archive.reader import open_archive
from multilogger.batch import SymbolTable
from multilogger.notes import CoverageNote, CoverageState, Note
from multilogger.records import ExchangeId, Flag
from multilogger.storage.layout import Paths
from multilogger.supervision.holes import OpenHoles, open_holes

MIDNIGHT = 43_200
"""Id of the trade at midnight."""


def found(path: Path) -> OpenHoles:
    """Return the open holes."""
    return open_holes(path, SymbolTable(ExchangeId(NAME)))


def spans(opened: OpenHoles) -> list[tuple[int, int]]:
    """Return their ids."""
    return [(hole.first, hole.last) for hole in opened.holes]


def gap(symbol: str, first: int, last: int, **fields: object) -> CoverageNote:
    """Return the note of a hole; ``fields`` replace others."""
    values = {
        "exchange": NAME,
        "symbol": symbol,
        "table": "TRADES",
        "state": CoverageState.GAP,
        "cause": "ids missing",
        "start_ns": time_of(first - 1),
        "end_ns": time_of(last + 1),
        "first_id": first,
        "last_id": last,
    }
    return CoverageNote(**{**values, **fields})  # type: ignore[arg-type] # the fields of the note


def test_holes_of_an_earlier_run(tmp_path: Path) -> None:
    """A hole outlives an orderly stop as it was noted: ids, times around it and cause."""
    run = started(tmp_path)
    run.record("A", 1, 2, 6)
    run.record("B", 1, 4)
    run.store.close()
    opened = found(tmp_path)
    assert spans(opened) == [(3, 5), (2, 3)]
    assert len(opened.found) == 0
    hole = opened.holes[0]
    assert (hole.before_ns, hole.after_ns, hole.cause) == (time_of(2), time_of(6), "ids missing")
    run = started(tmp_path)
    assert (run.holes("A"), run.holes("B"), run.stats.missing) == ([(3, 5)], [(2, 3)], 5)
    run.fill("A", 3, 4, 5)
    run.store.close()
    assert spans(found(tmp_path)) == [(2, 3)]


def test_holes_of_which_trades_are_on_disk(tmp_path: Path) -> None:
    """Trades that were durable without the note that they fill a hole are taken out of it, and noted."""
    run = started(tmp_path)
    run.record("A", 1, 2, 3, 9)
    run.fill_torn("A", 5, 6)
    run.kill()
    run = started(tmp_path)
    assert run.holes() == [(4, 4), (7, 8)]
    assert (run.stats.missing, run.stats.duplicates) == (3, 0)
    run.note()
    run.store.close()
    assert spans(found(tmp_path)) == [(4, 4), (7, 8)]
    (backfilled,) = [it for it in intervals(tmp_path) if it.state is CoverageState.BACKFILLED]
    assert (backfilled.start_ns, backfilled.end_ns) == (time_of(5), time_of(6))
    assert on_disk(tmp_path) == [1, 2, 3, 5, 6, 9]


@pytest.mark.parametrize("seed", range(6))
def test_holes_are_repaired_however_often_the_process_is_killed(tmp_path: Path, seed: int) -> None:
    """Killed before, in or after each write, the runs together record every trade once, and say so."""
    rng = random.Random(seed)
    run = started(tmp_path)
    run.record("A", 1, 15, 16, 40)
    while run.holes():
        first, last = rng.choice(run.holes())
        page = range(max(first, last - rng.randrange(9)), last + 1)
        match rng.randrange(5):
            case 0:
                run.stage("A", page, Flag.BACKFILLED)
                run.kill()
                run = started(tmp_path)
            case 1:
                run.fill_torn("A", *page)
                run.kill()
                run = started(tmp_path)
            case 2:
                run.fill("A", *page)
                run.kill()
                run = started(tmp_path)
            case 3:
                run.store.apply()
                run.store.checkpoint()
            case _:
                run.fill("A", *page)
    run.note()
    run.store.close()
    assert on_disk(tmp_path) == list(range(1, 41))
    assert found(tmp_path).holes == ()
    assert [it for it in intervals(tmp_path) if it.state is CoverageState.GAP and it.symbol != "*"] == []


def test_holes_over_midnight(tmp_path: Path) -> None:
    """Trades of a hole that spans days are found on each of them, and other days are not read."""
    run = started(tmp_path)
    run.record("A", MIDNIGHT - 3, MIDNIGHT + 3)
    run.fill_torn("A", MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 1)
    run.store.close()
    # Files of a day that can't be read: a time column that stands alone.
    open_archive(tmp_path).place(NAME, "A", "TRADES").column("trade_time", DAY - 2).write_bytes(bytes(8))
    opened = found(tmp_path)
    assert opened.found["trade_id"].tolist() == [MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 1]
    assert spans(opened) == [(MIDNIGHT - 2, MIDNIGHT + 2)]


def test_holes_that_are_none(tmp_path: Path) -> None:
    """Gaps without ids, those taken back, and those of other tables and exchanges are not asked for."""
    run = started(tmp_path)
    run.record("A", 1)
    notes: list[Note] = [
        gap("A", 5, 9),
        gap("A", 5, 9, end_ns=time_of(4)),
        gap("A", 20, 29, first_id=-1, last_id=-1),
        gap("A", 30, 39, end_ns=None, first_id=-1, last_id=-1),
        gap("A", 40, 49, table="MD"),
        gap("A", 50, 59, exchange="binance"),
        gap("A", 60, 69, state=CoverageState.BACKFILLED),
        gap("A", 70, 69),
    ]
    run.store.add_notes(notes)
    run.store.close()
    assert found(tmp_path).holes == ()


def test_holes_without_exact_columns(tmp_path: Path) -> None:
    """Where flags are not on disk, what was filled without a note counts as backfilled."""
    run = started(tmp_path, exact=False)
    run.record("A", 1, 5)
    run.fill_torn("A", 3)
    run.kill()
    run = started(tmp_path, exact=False)
    assert run.holes() == [(2, 2), (4, 4)]
    run.store.close()
    (row,) = found(tmp_path).found
    assert (row["trade_id"], row["time_ns"], row["flags"]) == (3, time_of(3), Flag.BACKFILLED)


def test_holes_of_a_symbol_without_files(tmp_path: Path) -> None:
    """A hole of a symbol whose days are all removed is taken over whole."""
    run = started(tmp_path)
    run.record("B", 1)
    run.store.add_notes([gap("A", 5, 9)])
    run.store.close()
    opened = found(tmp_path)
    assert (spans(opened), len(opened.found)) == ([(5, 9)], 0)


def test_holes_of_a_symbol_whose_files_are_damaged(tmp_path: Path) -> None:
    """A symbol that can't be read is left alone, for its trades could come twice; others are taken over."""
    run = started(tmp_path)
    run.record("A", 1, 5)
    run.record("B", 1, 5)
    run.store.close()
    open_archive(tmp_path).place(NAME, "A", "TRADES").column("trade_id", DAY).unlink()
    with capture_logs() as logs:
        opened = found(tmp_path)
    assert [hole.first for hole in opened.holes] == [2]
    assert len(opened.found) == 0
    (line,) = logs
    assert (line["event"], line["symbol"]) == ("missed trades are not asked for", "A")


def test_holes_without_a_catalog(tmp_path: Path) -> None:
    """Without a catalog nothing is taken over, and the log tells why."""
    run = started(tmp_path)
    run.record("A", 1, 5)
    run.store.close()
    Paths(tmp_path).catalog.unlink()
    with capture_logs() as logs:
        opened = found(tmp_path)
    assert (opened.holes, len(opened.found)) == ((), 0)
    (line,) = logs
    assert line["event"] == "missed trades of earlier runs are not asked for"
