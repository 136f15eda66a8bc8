"""Notes: what is known beside rows, such as gaps, seals and losses.

A note is journalled in a note frame, and at the next checkpoint appended to the notes log
(:mod:`multilogger.storage.notes_log`), which keeps all of them. It stands here and not in ``storage`` because
whoever finds something out says it in a note, and a :class:`~multilogger.batch.Batch` can carry notes.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

import msgspec

from multilogger.errors import StorageDamaged

ANY: Final = "*"
"""In a note's exchange, symbol or table: all of them."""
OFFLINE: Final = "offline"
DISK_FULL: Final = "disk full"
JOURNAL_DAMAGED: Final = "journal damaged"

Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class CoverageState(enum.Enum):
    """What is true of an interval."""

    LIVE = "live"
    BACKFILLED = "backfilled"
    GAP = "gap"
    HALTED = "halted"
    """The exchange did not trade it."""
    NOT_LISTED = "not-listed"


class CoverageNote(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """An interval of event time, and what is true of it.

    A later note of the same exchange, symbol, table, state, start and first id replaces the earlier one: so
    is an open interval closed, and a wrong one corrected. One that ends where it starts takes the interval
    back. Where intervals overlap, the latest word counts, whatever the state.
    """

    exchange: str
    symbol: str
    """In the exchange's spelling, or :data:`ANY`."""
    table: str
    """Its name, or :data:`ANY`."""
    state: CoverageState
    cause: str
    """A few words, such as :data:`OFFLINE`; may be empty."""
    start_ns: Int64
    end_ns: Int64 | None
    """Not part of the interval; None while it lasts."""
    first_id: Int64 = -1
    """Of a gap in trades: the trade ids that are missing, and may yet be had; -1 where no ids tell."""
    last_id: Int64 = -1


class SealNote(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """A day of a symbol's table was sealed."""

    exchange: str
    symbol: str
    table: str
    day: Int64
    """UTC, in days since the epoch; so in all notes."""
    generation: Int64
    rows: Int64
    late_rows: Int64
    """As in the manifest: over all generations; so are ``duplicates``."""
    duplicates: Int64
    sealed_ns: Int64


class RetentionNote(msgspec.Struct, array_like=True, frozen=True, tag=3):
    """A day of a symbol's table was removed."""

    exchange: str
    symbol: str
    table: str
    day: Int64
    bytes: Int64
    """Size of the files that went."""
    removed_ns: Int64


class LossNote(msgspec.Struct, array_like=True, frozen=True, tag=4):
    """Rows that had been accepted and are gone."""

    exchange: str
    symbol: str
    table: str
    day: Int64
    first_row: Int64
    """Its number in the journal's count of that day."""
    rows: Int64
    cause: str


# A tag is never used again for another kind, and a kind only ever gets fields with defaults at its end.
Note: TypeAlias = CoverageNote | SealNote | RetentionNote | LossNote


class NoteRecord(msgspec.Struct, array_like=True, frozen=True):
    """A note in the log."""

    sequence: int
    """Of the journal frame it came in."""
    index: int
    """Its place there."""
    note: Note


def offline_note(exchange: str, stopped_ns: int, started_ns: int) -> CoverageNote:
    """Return that nothing of an exchange was recorded between a stop and the start after it.

    A clock that was set back in between gives an interval without extent.
    """
    end_ns = max(stopped_ns, started_ns)
    return gap_note(exchange, OFFLINE, stopped_ns, end_ns)


def gap_note(
    exchange: str, cause: str, start_ns: int, end_ns: int | None, *, symbol: str = ANY, table: str = ANY
) -> CoverageNote:
    """Return that rows are missing, as a rule of all symbols and tables of an exchange."""
    return CoverageNote(str(exchange), str(symbol), table, CoverageState.GAP, cause, start_ns, end_ns)


def closed(note: CoverageNote, end_ns: int) -> CoverageNote:
    """Return the note that ends the interval of an earlier one; never before its start."""
    return msgspec.structs.replace(note, end_ns=max(note.start_ns, end_ns))


UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError)
"""What decoding raises, given something else."""


def encode_notes(notes: Sequence[Note]) -> bytes:
    """Return the payload of a note frame: msgpack."""
    return msgspec.msgpack.encode(notes)


def decode_notes(payload: bytes | memoryview) -> list[Note]:
    """Return the notes of a note frame.

    Raises:
        StorageDamaged: it is none, or has a note that this version doesn't know.
    """
    try:
        return msgspec.msgpack.decode(payload, type=list[Note])
    except UNREADABLE as error:
        raise StorageDamaged(f"journal: a note frame can't be read: {error}") from error


def records_of(sequence: int, notes: Sequence[Note]) -> list[NoteRecord]:
    """Return the log's records for the notes of the frame with that sequence."""
    return [NoteRecord(sequence, index, note) for index, note in enumerate(notes)]
