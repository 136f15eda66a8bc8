"""Every rule for rows and manifests has something that only it finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from archive_problems import only, problems
from archive_tools import (
    DAY,
    MD,
    NANOS,
    TRADES,
    Shelf,
    column_file,
    rows_at,
    without_exact,
)

from multilogger.storage.manifest import Manifest
from multilogger.tables import Array, Table

ROWS = rows_at(TRADES, [1, 5, 5, 9])


def change(column: str, row: int, value: float) -> Callable[[dict[str, Array]], None]:
    """Return what sets one value."""

    def at(columns: dict[str, Array]) -> None:
        columns[column][row] = value

    return at


VALUES = [
    (TRADES, change("trade_nanos", 1, 0), "trade_time", 1, "time decreases: 2025-07-31T00:00:00.000000000Z"),
    (
        TRADES,
        change("trade_nanos", 3, NANOS),
        "trade_nanos",
        3,
        "the nanoseconds of a second are a second or more",
    ),
    (MD, change("nanos", 3, 4_000_000_000), "nanos", 3, "a second or more: 4000000000"),
    (
        TRADES,
        change("trade_time", 3, (DAY + 1) * 86_400),
        "trade_time",
        3,
        "time is of another day: 2025-08-01T",
    ),
    (MD, change("time", 0, DAY * 86_400 - 1), "time", 0, "time is of another day: 2025-07-30T23:59:59."),
    (TRADES, change("trade_side", 2, 2), "trade_side", 2, "side is neither 0 nor 1: 2"),
    (MD, change("side", 2, 7), "side", 2, "side is neither 0 nor 1: 7"),
    (TRADES, change("trade_price", 1, 5), "trade_price", 1, "not price_f64 rounded to 32 bits: 5.0"),
    (TRADES, change("trade_size", 1, np.inf), "trade_size", 1, "not size_f64 rounded to 32 bits: inf"),
    (MD, change("best_bid", 1, np.nan), "best_bid", 1, "not best_bid_f64 rounded to 32 bits: nan"),
    (TRADES, change("trade_id", 2, 1), "trade_id", 2, "this trade id is there already: 1"),
]


@pytest.mark.parametrize(
    ("table", "spoil", "column", "row", "words"), VALUES, ids=[words for *_, words in VALUES]
)
def test_values(
    tmp_path: Path, table: Table, spoil: Callable[[dict[str, Array]], None], column: str, row: int, words: str
) -> None:
    """A wrong value is told, with file and row."""
    columns = rows_at(table, [1, 5, 5, 9])
    spoil(columns)
    Shelf(tmp_path, table).live(columns)
    file, at, said = only(tmp_path)
    assert (file, at) == (f"{column}.31.07.25.bin", row)
    assert words in said


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("exact", [False, True])
def test_numbers(tmp_path: Path, value: float, *, exact: bool) -> None:
    """Prices and sizes are finite and above 0, in 32 bits and in 64."""
    columns = rows_at(MD, [1, 2])
    columns["best_ask"][1] = columns["best_ask_f64"][1] = value
    Shelf(tmp_path, MD).live(columns if exact else without_exact(MD, columns))
    column = "best_ask_f64" if exact else "best_ask"
    assert only(tmp_path) == (f"{column}.31.07.25.bin", 1, f"not a finite number above 0: {value}")


def test_numbers_beyond_32_bits(tmp_path: Path) -> None:
    """What only 64 bits can hold is infinite or 0 in 32, and no problem."""
    columns = rows_at(TRADES, [1, 2])
    columns["price_f64"][:], columns["trade_price"][:] = (1e39, 1e-60), (np.inf, 0)
    Shelf(tmp_path).live(columns)
    assert problems(tmp_path) == []


def test_many_wrong_rows_are_one_problem(tmp_path: Path) -> None:
    """Of rows with the same thing wrong the first is told, and how many there are."""
    columns = rows_at(TRADES, range(600_000))
    columns["trade_side"][500_000:] = 3
    Shelf(tmp_path).live(columns)
    words = "side is neither 0 nor 1: 3 (and in 99,999 more rows)"
    assert only(tmp_path) == ("trade_side.31.07.25.bin", 500_000, words)


def test_order_across_chunks(tmp_path: Path) -> None:
    """Time must not decrease from one piece that is looked at to the next, either."""
    rows = 1 << 18
    columns = rows_at(MD, [*range(1, rows + 1), 0])
    Shelf(tmp_path, MD).live(columns)
    assert only(tmp_path)[:2] == ("time.31.07.25.bin", rows)


def evolve(**changes: object) -> Callable[[Manifest], Manifest]:
    """Return what changes a manifest."""
    return lambda manifest: msgspec.structs.replace(manifest, **changes)


def of_column(name: str, **changes: object) -> Callable[[Manifest], Manifest]:
    """Return what changes what a manifest says of a column."""

    def change(manifest: Manifest) -> Manifest:
        column = msgspec.structs.replace(manifest.columns[name], **changes)
        return msgspec.structs.replace(manifest, columns={**manifest.columns, name: column})

    return change


MANIFESTS = [
    (evolve(exchange="kraken"), "manifest.31.07.25.json", "says exchange kraken, the files coinbase"),
    (evolve(symbol="ETH-USD"), "manifest.31.07.25.json", "says symbol ETH-USD, which is not of BTC-USD"),
    (evolve(table="MD"), "manifest.31.07.25.json", "says table MD, the files TRADES"),
    (evolve(day="2025-08-01"), "manifest.31.07.25.json", "says day 2025-08-01, the files 2025-07-31"),
    (evolve(first_time_ns=5), "manifest.31.07.25.json", "says first_time_ns 5, the rows 1753920000000000001"),
    (evolve(last_time_ns=6), "manifest.31.07.25.json", "says last_time_ns 6, the rows 1753920000000000009"),
    (evolve(first_trade_id=2), "manifest.31.07.25.json", "says first_trade_id 2, the rows 1"),
    (evolve(last_trade_id=None), "manifest.31.07.25.json", "says last_trade_id 0, the rows 4"),
    (of_column("flags", dtype="<i4"), "flags.31.07.25.bin", "the day's manifest says <i4, the column is <u4"),
    (
        of_column("flags", crc32="0badcafe"),
        "flags.31.07.25.bin",
        "CRC-32 {crc}, the day's manifest says 0badcafe",
    ),
    (of_column("flags", xxh3_128="00"), "flags.31.07.25.bin", "XXH3-128 {xxh}, the day's manifest says 00"),
]


@pytest.mark.parametrize(("spoil", "file", "words"), MANIFESTS, ids=[words for *_, words in MANIFESTS])
def test_manifest(tmp_path: Path, spoil: Callable[[Manifest], Manifest], file: str, words: str) -> None:
    """Each thing that a manifest says is compared with the files."""
    shelf = Shelf(tmp_path)
    shelf.live(ROWS)
    shelf.manifest(ROWS, change=spoil)
    flags = column_file(ROWS["flags"])
    assert only(tmp_path) == (file, None, words.format(crc=flags.crc32, xxh=flags.xxh3_128))


def test_manifest_rows_and_bytes(tmp_path: Path) -> None:
    """A manifest's rows and bytes are those of the files."""
    shelf = Shelf(tmp_path)
    shelf.sealed(ROWS)
    shelf.live({"flags": np.zeros(1, np.uint32)})
    assert only(tmp_path) == ("flags.31.07.25.bin", None, "20 bytes, the day's manifest says 16")
    other = Shelf(tmp_path / "other")
    other.live(ROWS)
    other.manifest(ROWS, change=evolve(rows=3))
    found = problems(other.data)
    assert found[0][1:] == (None, "says rows 3, the files 4")
    assert {words for _, _, words in found[1:]} >= {"the day's manifest says 16 bytes for 3 rows"}
    assert len(found) == 1 + len(ROWS)


def test_a_flipped_bit(tmp_path: Path) -> None:
    """A bit that flipped in a sealed column is found, whatever the column."""
    for name in ROWS:
        shelf = Shelf(tmp_path / name)
        shelf.sealed(ROWS)
        data = bytearray(shelf.file(name).read_bytes())
        data[-3] ^= 1
        shelf.file(name).write_bytes(data)
        assert any(words.startswith("CRC-32") for *_, words in problems(shelf.data)), name


def test_columns_of_a_manifest(tmp_path: Path) -> None:
    """A sealed day has the columns of its manifest, no more and no fewer."""
    shelf = Shelf(tmp_path)
    shelf.live(ROWS)
    shelf.manifest(without_exact(TRADES, ROWS))
    assert {words for *_, words in problems(tmp_path)} == {"the day's manifest doesn't know this column"}
    other = Shelf(tmp_path / "other")
    other.sealed(ROWS)
    other.file("flags").unlink()
    assert only(other.data) == ("flags.31.07.25.bin", None, "missing, though the day's manifest has it")


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    """A manifest that can't be understood is told, and what is wrong with it."""
    shelf = Shelf(tmp_path)
    shelf.sealed(ROWS)
    shelf.place.manifest(DAY).write_text("{")
    file, _, words = only(tmp_path)
    assert file == "manifest.31.07.25.json"
    assert words.startswith("is no manifest: ")
