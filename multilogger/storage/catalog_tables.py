"""The catalog's tables, and how a note becomes a row."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from multilogger.notes import CoverageNote, LossNote, Note, RetentionNote, SealNote

# Each table has its note's fields in order, and the offset of the note in the log.
_SCHEMA: Final = (
    "CREATE TABLE meta (position INTEGER, last INTEGER, seal TEXT)",
    """CREATE TABLE coverage (
        exchange TEXT, symbol TEXT, table_name TEXT, state TEXT, cause TEXT, start_ns INTEGER, end_ns INTEGER,
        first_id INTEGER, last_id INTEGER, position INTEGER,
        PRIMARY KEY (exchange, symbol, table_name, state, start_ns, first_id)) WITHOUT ROWID""",
    """CREATE TABLE seals (
        exchange TEXT, symbol TEXT, table_name TEXT, day INTEGER, generation INTEGER, rows INTEGER,
        late_rows INTEGER, duplicates INTEGER, sealed_ns INTEGER,
        position INTEGER, PRIMARY KEY (exchange, symbol, table_name, day, generation)) WITHOUT ROWID""",
    """CREATE TABLE retention (
        exchange TEXT, symbol TEXT, table_name TEXT, day INTEGER, bytes INTEGER, removed_ns INTEGER,
        position INTEGER, PRIMARY KEY (exchange, symbol, table_name, day, removed_ns)) WITHOUT ROWID""",
    """CREATE TABLE losses (
        exchange TEXT, symbol TEXT, table_name TEXT, day INTEGER, first_row INTEGER, rows INTEGER, cause TEXT,
        position INTEGER, PRIMARY KEY (exchange, symbol, table_name, day, first_row)) WITHOUT ROWID""",
)
_CLEAR: Final = (
    "DELETE FROM meta",
    "DELETE FROM coverage",
    "DELETE FROM seals",
    "DELETE FROM retention",
    "DELETE FROM losses",
)
_INSERT: Final[dict[type[Note], str]] = {
    CoverageNote: "REPLACE INTO coverage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    SealNote: "REPLACE INTO seals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    RetentionNote: "REPLACE INTO retention VALUES (?, ?, ?, ?, ?, ?, ?)",
    LossNote: "REPLACE INTO losses VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
}


def check_tables(connection: sqlite3.Connection, *, make: bool = False) -> None:
    """See that the file has these tables, and no others; ``make`` them in a new one.

    Raises:
        sqlite3.DatabaseError: it hasn't.
    """
    found = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master")}
    if make and not found:
        for statement in _SCHEMA:
            connection.execute(statement)
    elif found != {*_SCHEMA}:
        raise sqlite3.DatabaseError("its tables are not those of this version")


def clear_tables(connection: sqlite3.Connection) -> None:
    """Remove all rows."""
    for statement in _CLEAR:
        connection.execute(statement)


def insert_notes(connection: sqlite3.Connection, notes: Sequence[tuple[int, Note]]) -> None:
    """Insert notes, each with its offset in the log, in that order; a later one replaces what it corrects."""
    for kind, statement in _INSERT.items():
        connection.executemany(statement, [_row(*item) for item in notes if type(item[1]) is kind])


def _row(offset: int, note: Note) -> tuple[Any, ...]:
    _tag, *values = msgspec.to_builtins(note)
    return (*values, offset)
