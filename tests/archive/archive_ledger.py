"""Ledgers for the tests of coverage: notes in a catalog, and a journal that says when a logger last wrote."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from archive_tools import MIDNIGHT, NANOS

from multilogger.notes import CoverageNote, CoverageState, Note, gap_note, records_of
from multilogger.storage.catalog import Catalog
from multilogger.storage.frame import ALIGNMENT, FrameType, Header, hash_payload
from multilogger.storage.layout import Paths
from multilogger.storage.notes_log import NotesLog

LIVE, BACKFILLED = CoverageState.LIVE, CoverageState.BACKFILLED
GAP, HALTED, NOT_LISTED = CoverageState.GAP, CoverageState.HALTED, CoverageState.NOT_LISTED


def at(seconds: float) -> int:
    """Return a time, in nanoseconds since the epoch: so many seconds after :data:`MIDNIGHT`."""
    return MIDNIGHT + round(seconds * NANOS)


def note(
    state: CoverageState,
    start: float,
    end: float | None,
    cause: str = "",
    *,
    symbol: str = "BTC-USD",
    table: str = "TRADES",
    exchange: str = "coinbase",
    ids: tuple[int, int] = (-1, -1),
) -> CoverageNote:
    """Return a note; its times are seconds after :data:`MIDNIGHT`."""
    until = None if end is None else at(end)
    return CoverageNote(exchange, symbol, table, state, cause, at(start), until, *ids)


def offline(start: float, end: float | None) -> CoverageNote:
    """Return what a start notes of the time before it, of all symbols and tables."""
    return gap_note("coinbase", "offline", at(start), None if end is None else at(end))


def write_ledger(data: Path, notes: Sequence[Note]) -> Path:
    """Write a catalog; return the data path."""
    paths = Paths(data)
    paths.own.mkdir(parents=True, exist_ok=True)
    log = NotesLog(paths.notes)
    log.open(0)
    log.append(records_of(1, notes))
    with closing(Catalog(paths.catalog, log)) as catalog:
        catalog.update()
    log.close()
    return data


def write_journal(data: Path, number: int, *seconds: float, sound: bool = True) -> Path:
    """Write a segment of marks at these times; return the journal's directory."""
    folder = Paths(data).journal
    folder.mkdir(parents=True, exist_ok=True)
    frames = [
        Header(
            type=FrameType.MARK,
            segment=number if sound else number + 1,
            sequence=place + 1,
            wall_ns=at(second),
            length=0,
            place=0,
            ordinal=place,
            previous=0,
            payload_hash=hash_payload(b"", place + 1),
        ).encode()
        for place, second in enumerate(seconds)
    ]
    content = b"".join(frame.ljust(ALIGNMENT, b"\0") for frame in frames)
    (folder / f"{number:012}.wal").write_bytes(content + bytes(2 * ALIGNMENT))
    return folder
