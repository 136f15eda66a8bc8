"""The catalog: always what the notes log says, whatever happened to its file."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from catalog_tools import (  # noqa: F401 - pytest finds fixtures by name
    NOTES,
    OPEN,
    catalog_fixture,
    content,
    log_fixture,
    made_anew,
    path_fixture,
    updated,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from multilogger.notes import (
    CoverageNote,
    CoverageState,
    LossNote,
    closed,
    records_of,
)
from multilogger.storage import catalog as catalog_module
from multilogger.storage import disk
from multilogger.storage.catalog import Catalog, CatalogError, open_catalog
from multilogger.storage.notes_log import NotesLog


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
