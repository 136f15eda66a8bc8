"""The catalog: the notes log once more as an SQLite file, for queries.

It has nothing that the log hasn't: whenever it is missing, damaged, or not of this log, it is made anew.
Other processes may read it while the logger writes (WAL mode).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

import attrs
import structlog
import xxhash

from multilogger.errors import StorageError
from multilogger.notes import CoverageState, LossNote, RetentionNote, SealNote
from multilogger.storage import disk
from multilogger.storage.catalog_tables import check_tables, clear_tables, insert_notes
from multilogger.storage.notes_log import NotesLog

log = structlog.get_logger()

_BATCH: Final = 10_000
"""Notes that are taken over at a time."""
_BUSY_SECONDS: Final = 1.0  # a reader that opens what a killed writer left blocks the writer for a moment
_WAL_BYTES: Final = 4 * 1024 * 1024
"""What a write-ahead file that grew longer is cut to."""
_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; the second where it quotes a damaged file."""
_NOT_DAMAGE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
    }
)
"""Primary error codes that a new file would not help against."""


class CatalogError(StorageError):
    """The catalog can't be brought up to date, or can't be read; all it would tell is in the notes log."""


@attrs.frozen
class CoverageInterval:
    """An interval of event time, and what is true of it."""

    exchange: str
    symbol: str
    """In the exchange's spelling; ``*`` for all, as in ``exchange`` and ``table``."""
    table: str
    state: CoverageState = attrs.field(converter=CoverageState)
    cause: str
    start_ns: int
    end_ns: int | None
    """Not part of it; None while it lasts."""
    position: int
    """Of its newest note in the log: of two that overlap, the higher one is the later word."""
    first_id: int = -1
    last_id: int = -1


class Catalog:
    """The catalog as the logger keeps it; for one thread at a time."""

    def __init__(self, path: Path, notes: NotesLog) -> None:
        self._path = path
        self._notes = notes
        self._connection: sqlite3.Connection | None = None

    def update(self) -> None:
        """Take over what the notes log has and the catalog hasn't: all of it, or nothing.

        Twice is once. To be called after each checkpoint: what is behind one may yet be cut off the log.
        It takes some 15 µs a note, and so seconds where a year's seals are taken over anew.

        Raises:
            CatalogError: it can't be done now; the next call tries again.
        """
        try:
            self._update()
        except (OSError, *_ERRORS) as error:
            self.close()
            raise CatalogError(f"{self._path} can't be brought up to date: {error}") from error

    def close(self) -> None:
        """Close the file; :meth:`update` opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _update(self) -> None:
        if disk.length_of(self._path) is None:
            # What may be left beside it is not of the new one.
            self._remove()
        try:
            self._take_over()
        except _ERRORS as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_DAMAGE:
                raise
            log.warning("the catalog is damaged, and made anew", path=str(self._path), error=str(error))
            self._remove()
            self._take_over()

    def _take_over(self) -> None:
        """Do it in one transaction; an exception on the way closes the connection, which rolls back."""
        connection = self._connection or self._connect()
        connection.execute("BEGIN IMMEDIATE")
        check_tables(connection, make=True)
        position, last = self._place(connection)
        end = self._notes.length
        notes = self._notes.read(position)
        while batch := [(offset, record.note) for offset, record in islice(notes, _BATCH)]:
            insert_notes(connection, batch)
            last = batch[-1][0]
        if end > position:
            connection.execute("UPDATE meta SET position = ?, last = ?, seal = ?", self._meta(end, last))
        connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        connection = self._connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        return connection

    def _place(self, connection: sqlite3.Connection) -> tuple[int, int | None]:
        """Return how far in the log the catalog is, and the last record there; clear one of another log."""
        found = connection.execute("SELECT position, last, seal FROM meta").fetchone()
        if found is not None:
            position, last, _ = found
            ours = found == self._meta(position, last)
            if ours and isinstance(position, int) and position <= self._notes.length:
                return position, last
            log.warning("the catalog is not of this notes log, and made anew", path=str(self._path))
        clear_tables(connection)
        connection.execute("INSERT INTO meta VALUES (?, ?, ?)", self._meta(0, None))
        return 0, None

    def _meta(self, position: Any, last: Any) -> tuple[Any, Any, str]:
        """Return the row that remembers the place; its seal holds in this log alone."""
        known = isinstance(last, int) and 0 <= last < self._notes.length
        digest = self._notes.hash_at(last) if known else None
        return position, last, xxhash.xxh3_64_hexdigest(f"{position} {last} {digest}".encode())

    def _remove(self) -> None:
        self.close()
        for suffix in ("", "-wal", "-shm"):
            disk.unlink(f"{self._path}{suffix}")


class CatalogReader:
    """A catalog to ask; made by :func:`open_catalog`.

    An argument that is None leaves open what it names. Each answer is of one moment. The methods raise
    :class:`CatalogError` if the file can't be read.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def coverage(
        self,
        exchange: str | None = None,
        symbol: str | None = None,
        table: str | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> list[CoverageInterval]:
        """Return the intervals that share time with ``start_ns`` to ``end_ns``, by name and start.

        Those of all symbols, tables or exchanges are among the answers for each one.
        """
        rows = self._rows(
            "SELECT exchange, symbol, table_name, state, cause, start_ns, end_ns, position, first_id, last_id"
            " FROM coverage"
            " WHERE (end_ns IS NULL OR end_ns > start_ns)",
            {
                "exchange IN (?, '*')": exchange,
                "symbol IN (?, '*')": symbol,
                "table_name IN (?, '*')": table,
                "(end_ns IS NULL OR end_ns > ?)": start_ns,
                "start_ns < ?": end_ns,
            },
            "exchange, symbol, table_name, start_ns, first_id, position",
        )
        try:
            return [CoverageInterval(*row) for row in rows]
        except ValueError as error:
            raise CatalogError(f"{self._path} can't be read: {error}") from error

    def seals(
        self,
        exchange: str | None = None,
        symbol: str | None = None,
        table: str | None = None,
        day: int | None = None,
    ) -> list[SealNote]:
        """Return the seals, by name, day and generation."""
        rows = self._days("SELECT * FROM seals", exchange, symbol, table, day, "generation")
        return [SealNote(*row[:-1]) for row in rows]

    def removals(
        self,
        exchange: str | None = None,
        symbol: str | None = None,
        table: str | None = None,
        day: int | None = None,
    ) -> list[RetentionNote]:
        """Return the days that the retention removed, by name and day."""
        rows = self._days("SELECT * FROM retention", exchange, symbol, table, day, "removed_ns")
        return [RetentionNote(*row[:-1]) for row in rows]

    def losses(
        self,
        exchange: str | None = None,
        symbol: str | None = None,
        table: str | None = None,
        day: int | None = None,
    ) -> list[LossNote]:
        """Return the rows that were lost, by name, day and number."""
        rows = self._days("SELECT * FROM losses", exchange, symbol, table, day, "first_row")
        return [LossNote(*row[:-1]) for row in rows]

    def _days(
        self,
        select: str,
        exchange: str | None,
        symbol: str | None,
        table: str | None,
        day: int | None,
        order: str,
    ) -> list[tuple[Any, ...]]:
        conditions = {"exchange = ?": exchange, "symbol = ?": symbol, "table_name = ?": table, "day = ?": day}
        return self._rows(f"{select} WHERE TRUE", conditions, f"exchange, symbol, table_name, day, {order}")

    def _rows(
        self, select: str, conditions: Mapping[str, str | int | None], order: str
    ) -> list[tuple[Any, ...]]:
        """Return rows; conditions without a value don't count."""
        given = {text: value for text, value in conditions.items() if value is not None}
        query = " AND ".join([select, *given]) + f" ORDER BY {order}"
        try:
            return self._connection.execute(query, tuple(given.values())).fetchall()
        except _ERRORS as error:
            raise CatalogError(f"{self._path} can't be read: {error}") from error


def open_catalog(path: Path) -> CatalogReader:
    """Open a catalog to read it only, while the logger of another process may write.

    Raises:
        CatalogError: there is none, or none that this version can read.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        try:
            return CatalogReader(path, _connect_checked(uri))
        except sqlite3.OperationalError:
            # SQLite wants to write beside it, even to read. Where it may not, and no logger is at work on
            # the file, nothing is lost by reading it as it stands.
            if disk.length_of(f"{path}-wal"):
                raise
            return CatalogReader(path, _connect_checked(f"{uri}&immutable=1"))
    except (OSError, *_ERRORS) as error:
        raise CatalogError(f"{path} can't be read: {error}") from error


def _connect_checked(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True)
    try:
        check_tables(connection)
    except _ERRORS:
        connection.close()
        raise
    return connection
