"""What is in a data path, by its names."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from archive_tools import DATE, DAY, MD, TRADES, Shelf, rows_at

from multilogger.archive.reader import open_archive
from multilogger.archive.tree import FileName, Kind, parse_name, stored_bytes
from multilogger.errors import ArchiveError


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("trade_time.31.07.25.bin", FileName(Kind.COLUMN, DAY, "trade_time")),
        ("price.31.07.25.bin.12.tmp", FileName(Kind.SWITCHING, DAY, "price", 12)),
        ("price.31.07.25.3.bin", FileName(Kind.LATE, DAY, "price", 3)),
        ("manifest.31.07.25.json", FileName(Kind.MANIFEST, DAY)),
        ("manifest.31.07.25.json.tmp", FileName(Kind.UNFINISHED, DAY)),
        ("manifest.31.07.25.removed.tmp", FileName(Kind.REMOVING, DAY)),
        ("price.32.07.25.bin", None),
        ("price.bin", None),
        ("price.31.07.25.bin.tmp", None),
        ("price.31.07.25.bin~", None),
    ],
)
def test_parse_name(name: str, parsed: FileName | None) -> None:
    """A name is understood completely, or not at all."""
    assert parse_name(name) == parsed


def test_exchanges_and_symbols(tmp_path: Path) -> None:
    """Live and late directories count; what has a dot, or is a filesystem's own, doesn't."""
    Shelf(tmp_path).live(rows_at(TRADES, [1]))
    Shelf(tmp_path, MD, symbol="X.Y", name="X%2EY").live(rows_at(MD, [1]))
    Shelf(tmp_path, exchange="kraken", name="ETH-EUR").late(rows_at(TRADES, [1]))
    for name in (".hidden/BTC-USD/TRADES", "lost+found/BTC-USD", "notes.d"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "README").touch()
    archive = open_archive(tmp_path)
    assert archive.exchanges() == ["coinbase", "kraken"]
    assert archive.symbols("coinbase") == ["BTC-USD", "X.Y"]
    assert archive.symbols("kraken") == ["ETH-EUR"]
    assert archive.tables("coinbase", "X.Y") == archive.tables("coinbase", "X%2EY") == ["MD"]
    assert archive.tables("kraken", "ETH-EUR") == ["TRADES"]


def test_days(tmp_path: Path) -> None:
    """Days are told by their time columns, late ones included if no seal folded them in."""
    shelf = Shelf(tmp_path)
    rows = rows_at(TRADES, [1])
    shelf.live(rows, DAY + 40)
    shelf.sealed(rows, generation=2)
    shelf.late(rows, DAY, generation=1)
    shelf.late(rows, DAY - 1, generation=0)
    shelf.late(rows, DAY - 2, generation=1)
    shelf.live({"price_f64": rows["price_f64"]}, DAY + 41)
    found = open_archive(str(tmp_path)).days("coinbase", "BTC-USD", "TRADES")
    assert found == [DATE - timedelta(days=1), DATE, DATE + timedelta(days=40)]


def test_symbols_with_a_slash(tmp_path: Path) -> None:
    """A sealed day tells what ``_`` stands for; both spellings lead to the directory, another's doesn't."""
    shelf = Shelf(tmp_path, symbol="BTC/USD", name="BTC_USD")
    shelf.live(rows_at(TRADES, [1]))
    archive = open_archive(tmp_path)
    assert archive.symbols("coinbase") == ["BTC_USD"]
    assert archive.directory("coinbase", "BTC/USD") == archive.directory("coinbase", "BTC_USD") == "BTC_USD"
    shelf.manifest(rows_at(TRADES, [1]))
    assert archive.symbols("coinbase") == ["BTC/USD"]
    assert archive.directory("coinbase", "BTC/USD") == archive.directory("coinbase", "BTC_USD") == "BTC_USD"
    Shelf(tmp_path, symbol="BTC_USD", name="BTC%5FUSD").live(rows_at(TRADES, [1]))
    assert archive.symbols("coinbase") == ["BTC/USD", "BTC_USD"]
    assert archive.directory("coinbase", "BTC_USD") == "BTC%5FUSD"
    assert archive.directory("coinbase", "BTC/USD") == "BTC_USD"


def test_a_symbol_is_not_taken_for_another(tmp_path: Path) -> None:
    """The directory of A_B is not A/B's if its manifest says so."""
    shelf = Shelf(tmp_path, symbol="A_B", name="A_B")
    shelf.sealed(rows_at(TRADES, [1]))
    with pytest.raises(ArchiveError, match=r"no symbol 'A/B' of coinbase in .*: did you mean A_B\?"):
        open_archive(tmp_path).directory("coinbase", "A/B")


def test_what_is_not_there(tmp_path: Path) -> None:
    """Each thing that is not there is named, with what is, and where it was looked for."""
    with pytest.raises(ArchiveError, match=r"no data in .*nowhere"):
        open_archive(tmp_path / "nowhere")
    archive = open_archive(tmp_path)
    with pytest.raises(ArchiveError, match=rf"no exchange 'coinbase' in {tmp_path}: it is empty"):
        archive.symbols("coinbase")
    Shelf(tmp_path).live(rows_at(TRADES, [1]))
    with pytest.raises(ArchiveError, match=r"no exchange '\.\./x' .*: there is coinbase"):
        archive.symbols("../x")
    with pytest.raises(ArchiveError, match=r"no symbol 'BTC-USDT' .*: did you mean BTC-USD\?"):
        archive.tables("coinbase", "BTC-USDT")
    with pytest.raises(ArchiveError, match=r"no symbol '\.\.' of coinbase"):
        archive.tables("coinbase", "..")
    with pytest.raises(ArchiveError, match=r"no table 'MD' of coinbase BTC-USD .*: there is TRADES"):
        archive.days("coinbase", "BTC-USD", "MD")


def test_stored_bytes(tmp_path: Path) -> None:
    """The size of a table is that of its files, live and late."""
    shelf = Shelf(tmp_path)
    rows = rows_at(TRADES, [1, 2])
    width = sum(values.itemsize for values in rows.values())
    shelf.live(rows)
    shelf.late(rows, DAY + 1)
    assert stored_bytes(shelf.place) == 4 * width
    assert stored_bytes(shelf.place, DAY) == 2 * width
