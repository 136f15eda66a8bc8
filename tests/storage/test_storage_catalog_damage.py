"""The catalog's file gone, damaged, foreign or of another log: it is made anew, or refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from catalog_tools import (  # noqa: F401 - pytest finds fixtures by name
    NOTES,
    catalog_fixture,
    content,
    log_fixture,
    made_anew,
    path_fixture,
    updated,
)
from structlog.testing import capture_logs

from multilogger.notes import (
    records_of,
)
from multilogger.storage import disk
from multilogger.storage.catalog import Catalog, CatalogError, open_catalog
from multilogger.storage.notes_log import NotesLog


@pytest.mark.parametrize("leave", [(), ("-wal", "-shm")])
def test_removed_file_is_made_anew(
    catalog: Catalog, log: NotesLog, path: Path, leave: tuple[str, ...]
) -> None:
    """It may go at any time, with or without the files beside it."""
    before = content(path)
    for suffix in {"", "-wal", "-shm"} - {*leave}:
        Path(f"{path}{suffix}").unlink()
    catalog.update()
    assert content(path) == before
    assert updated(path, log) == before


def test_garbage_is_made_anew(catalog: Catalog, log: NotesLog, path: Path) -> None:
    """What is no database, a cut one, and one of another version or program."""
    before = content(path)
    catalog.close()
    intact = path.read_bytes()

    def foreign() -> None:
        path.unlink()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE seals (other)")

    def newer() -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE seals ADD COLUMN further TEXT")

    for damage in (
        lambda: path.write_bytes(b"no database" * 1000),
        lambda: path.write_bytes(intact[: len(intact) // 2]),
        lambda: path.write_bytes(b""),
        foreign,
        newer,
    ):
        damage()
        assert updated(path, log) == before


def in_a_row(data: bytes, at: int) -> bool:
    """Return whether a byte of the file is part of a row's values, which SQLite has no checksum for."""
    page = at // 4096 * 4096
    return page > 0 and at - page >= int.from_bytes(data[page + 5 : page + 7], "big")


def test_flipped_bytes(catalog: Catalog, log: NotesLog, path: Path) -> None:
    """Damage to the file's structure is mended, and no damage at all crashes update or reader."""
    before = content(path)
    catalog.close()
    intact = path.read_bytes()
    written = [at for at, byte in enumerate(intact) if byte]
    for at in {*range(100), *written[::29], *range(0, len(intact), 1024)}:
        for suffix in ("-wal", "-shm"):
            disk.unlink(f"{path}{suffix}")
        path.write_bytes(intact[:at] + bytes([intact[at] ^ 0xFF]) + intact[at + 1 :])
        try:
            found = updated(path, log)
        except CatalogError:
            assert in_a_row(intact, at)
        else:
            assert found == before or in_a_row(intact, at)


def test_catalog_of_another_log_is_made_anew(catalog: Catalog, path: Path, tmp_path: Path) -> None:
    """Shorter, or of the same length with something else in it."""
    other = NotesLog(tmp_path / "other.log")
    with closing(other):
        other.open(0)
        with capture_logs() as logs:
            assert updated(path, other) == ([], [], [], [])
        assert [line["event"] for line in logs] == ["the catalog is not of this notes log, and made anew"]
        other.append(records_of(2, NOTES))
        expected = updated(path, other)
        assert expected == made_anew(path, other)
        other.cut(0)
        other.append(records_of(3, NOTES[::-1]))
        assert updated(path, other) == made_anew(path, other) != expected


def test_catalog_ahead_of_the_log_is_made_anew(catalog: Catalog, log: NotesLog, path: Path) -> None:
    """A start from an older checkpoint cuts the log; what was cut goes from the catalog, and comes again."""
    before = content(path)
    offset, _ = list(log.read())[-2]
    log.cut(offset)
    assert updated(path, log) == made_anew(path, log) == (*before[:2], [], [])
    log.append(records_of(1, NOTES)[-2:])
    assert updated(path, log) == before


def test_damaged_record_of_the_log_is_left_out(log: NotesLog, path: Path) -> None:
    """The rest of the notes is there, and the damage is not reported again by later updates."""
    offset, _ = list(log.read())[-1]
    with log.path.open("r+b") as file:
        file.seek(offset + 20)
        file.write(b"\xff")
    with closing(Catalog(path, log)) as catalog, capture_logs() as logs:
        catalog.update()
        catalog.update()
        assert content(path)[2] == []
        assert content(path)[3] == [NOTES[7]]
    assert [line["event"] for line in logs] == ["the notes log is damaged"]


def test_what_is_no_catalog_is_refused(tmp_path: Path) -> None:
    """A missing file is not made, and others are named."""
    path = tmp_path / "a ?#%41.db"
    with pytest.raises(CatalogError, match="unable to open"):
        open_catalog(path)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(CatalogError, match="not a database"):
        open_catalog(path)
    path.write_bytes(b"")
    with pytest.raises(CatalogError, match="not those of this version"):
        open_catalog(path)


def test_damaged_answers_are_errors(catalog: Catalog, path: Path) -> None:
    """A state or a text that can't be is not passed on."""
    for damage in ("state = 'nonsense'", "cause = CAST(x'ff' AS TEXT), state = 'live'"):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"UPDATE coverage SET {damage} WHERE symbol = 'BTC-USD'")  # noqa: S608
        with open_catalog(path) as reader, pytest.raises(CatalogError, match="can't be read"):
            reader.coverage()
