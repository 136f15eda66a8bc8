"""The catalog: always what the notes log says, whatever happened to its file."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from multilogger.storage import catalog as catalog_module
from multilogger.storage import disk
from multilogger.storage.catalog import Catalog, CatalogError, CoverageInterval, open_catalog
from multilogger.storage.notes import (
    CoverageNote,
    CoverageState,
    LossNote,
    Note,
    RetentionNote,
    SealNote,
    closed,
    gap_note,
    offline_note,
    records_of,
)
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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the catalog is."""
    return tmp_path / "catalog.db"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[NotesLog]:
    """A log with some notes."""
    log = NotesLog(tmp_path / "notes.log")
    log.open(0)
    log.append(records_of(1, NOTES))
    yield log
    log.close()


@pytest.fixture
def catalog(path: Path, log: NotesLog) -> Iterator[Catalog]:
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


def test_queries_find_by_name_and_time(catalog: Catalog, path: Path) -> None:
    """Intervals of everything are found for each symbol; seals, removals and losses by name and day."""
    with open_catalog(path) as reader:

        def causes(
            exchange: str | None = None,
            symbol: str | None = None,
            table: str | None = None,
            start_ns: int | None = None,
            end_ns: int | None = None,
        ) -> list[str]:
            found = reader.coverage(exchange, symbol, table, start_ns, end_ns)
            return [interval.cause or interval.state.value for interval in found]

        assert causes() == ["disk full", "offline", "live", "backfilled"]
        assert causes("coinbase") == ["offline", "live", "backfilled"]
        assert causes("coinbase", "BTC-USD") == ["offline", "live"]
        assert causes("coinbase", "ETH-USD", "MD") == ["offline"]
        assert causes(None, None, "TRADES") == ["disk full", "offline", "backfilled"]
        assert causes("coinbase", start_ns=20) == ["live"]
        assert causes("coinbase", start_ns=18, end_ns=20) == ["offline"]
        assert causes("binance", start_ns=10**18) == ["disk full"]
        assert causes(end_ns=10) == []
        assert reader.seals("coinbase", "BTC-USD", "MD", 20_300) == list(NOTES[4:6])
        assert reader.seals(day=20_301) == [NOTES[6]]
        assert reader.losses("binance") == [NOTES[7]]
        assert reader.losses("coinbase") == []
        assert reader.removals(symbol="BTCUSDT") == [NOTES[8]]


def test_later_note_corrects(catalog: Catalog, log: NotesLog, path: Path) -> None:
    """An open interval is closed, a closed one takes another end, and one without extent is no more."""
    for end_ns, expected in ((80, 80), (70, 70), (50, None)):
        log.append(records_of(2, [closed(OPEN, end_ns)]))
        catalog.update()
        with open_catalog(path) as reader:
            found = reader.coverage("binance")
        assert [interval.end_ns for interval in found] == ([] if expected is None else [expected])
        assert content(path) == made_anew(path, log)


def test_twice_is_once(catalog: Catalog, log: NotesLog, path: Path) -> None:
    """Updating again, after a restart too, changes nothing; what comes later is added."""
    before = content(path)
    catalog.update()
    assert content(path) == before
    with capture_logs() as logs:
        assert updated(path, log) == before
        log.append(records_of(2, [LossNote("a", "b", "c", 1, 2, 3, "d")]))
        catalog.update()
    assert logs == []
    assert content(path)[3] == [LossNote("a", "b", "c", 1, 2, 3, "d"), NOTES[7]]


@given(st.data())
@settings(max_examples=25)
def test_any_order_of_updates_gives_the_same(data: st.DataObject) -> None:
    """However notes are spread over appends, updates and restarts, the last word of each key stands."""
    names = st.sampled_from(["a", "b", "*"])
    times = st.integers(0, 5)
    note = st.builds(
        CoverageNote,
        exchange=names,
        symbol=names,
        table=names,
        state=st.sampled_from(CoverageState),
        cause=st.text(max_size=3),
        start_ns=times,
        end_ns=st.none() | times,
    )
    expected: dict[tuple[object, ...], CoverageNote] = {}
    with TemporaryDirectory() as directory, closing(NotesLog(Path(directory, "notes.log"))) as log:
        log.open(0)
        path = Path(directory, "catalog.db")
        for notes in data.draw(st.lists(st.lists(note, max_size=5), min_size=1, max_size=4)):
            log.append(records_of(0, notes))
            updated(path, log)
            expected |= {(n.exchange, n.symbol, n.table, n.state, n.start_ns): n for n in notes}
        symbol, start_ns, end_ns = data.draw(names), data.draw(times), data.draw(times)
        with open_catalog(path) as reader:
            found = {
                (i.exchange, i.symbol, i.table, i.state, i.cause, i.start_ns, i.end_ns)
                for i in reader.coverage(symbol=symbol, start_ns=start_ns, end_ns=end_ns)
            }
    assert found == {
        (n.exchange, n.symbol, n.table, n.state, n.cause, n.start_ns, n.end_ns)
        for n in expected.values()
        if n.symbol in (symbol, "*")
        and n.start_ns < end_ns
        and (n.end_ns is None or (n.end_ns > start_ns and n.end_ns > n.start_ns))
    }


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


def test_reader_beside_the_writer(catalog: Catalog, log: NotesLog, path: Path) -> None:
    """A reader in the middle of its answer neither stops an update nor sees half of it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, open_catalog(path) as reader:
        connection.execute("BEGIN")
        assert connection.execute("SELECT count(*) FROM losses").fetchone() == (1,)
        log.append(records_of(2, [LossNote("a", "b", "c", day, 2, 3, "d") for day in range(100)]))
        catalog.update()
        assert connection.execute("SELECT count(*) FROM losses").fetchone() == (1,)
        assert len(reader.losses()) == 101


def test_another_writer_is_waited_for_and_told(
    catalog: Catalog, log: NotesLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who locks the file delays the catalog, and nothing is lost by it."""
    catalog.close()
    monkeypatch.setattr(catalog_module, "_BUSY_SECONDS", 0.0)
    log.append(records_of(2, [LossNote("a", "b", "c", 1, 2, 3, "d")]))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(CatalogError, match="locked"):
            catalog.update()
    assert len(content(path)[3]) == 1
    catalog.update()
    assert len(content(path)[3]) == 2


def test_what_fails_is_repeatable(
    catalog: Catalog, log: NotesLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that can't be read for a while, or a directory in the way, is an error and no crash."""
    log.append(records_of(2, [LossNote("a", "b", "c", 1, 2, 3, "d")]))

    def fails(fd: int, size: int, offset: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "read", fails)
        with pytest.raises(CatalogError, match="Input/output"):
            catalog.update()
    catalog.update()
    assert len(content(path)[3]) == 2
    catalog.close()
    path.unlink()
    path.mkdir()
    with pytest.raises(CatalogError, match=r"catalog\.db"):
        catalog.update()
    path.rmdir()
    catalog.update()
    assert len(content(path)[3]) == 2


def test_many_notes_are_taken_over_in_parts(
    log: NotesLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size of a part changes nothing."""
    expected = made_anew(path, log)
    monkeypatch.setattr(catalog_module, "_BATCH", 2)
    assert updated(path, log) == expected


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


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_directory_that_can_only_be_read(catalog: Catalog, path: Path, tmp_path: Path) -> None:
    """An archive that is mounted read-only can be asked while no logger is at work."""
    before = content(path)
    catalog.close()
    archive = tmp_path / "archive"
    archive.mkdir()
    shutil.copy(path, archive)
    archive.chmod(0o555)
    assert content(archive / path.name) == before
    archive.chmod(0o755)
