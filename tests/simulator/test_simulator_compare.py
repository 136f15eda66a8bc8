from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulator_files import ROWS, entered, move_late, seal, store, width

from multilogger.simulator.compare import Comparison, compare


def counts(comparison: Comparison, table: str) -> dict[str, int]:
    """Return the counts of a table that are not 0, without the first two."""
    result = comparison.tables[table]
    names = ("missing", "extra", "duplicates", "skew", "time_decreasing", "unclean")
    return {name: getattr(result, name) for name in names if getattr(result, name)}


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("timed", [True, False])
def test_faithful_files_compare_equal(tmp_path: Path, exact: bool, timed: bool) -> None:
    """Files with just the rows sent are found equal, with and without exact columns and ticker times."""
    ledger = entered(timed=timed)
    store(ledger, tmp_path, exact=exact)
    comparison = compare(ledger, tmp_path, "coinbase")
    assert comparison.ok
    for table in ("TRADES", "MD"):
        assert counts(comparison, table) == {}
        assert comparison.tables[table].sent == comparison.tables[table].on_disk == ROWS
        assert comparison.tables[table].samples == []


def edit(folder: Path, column: str, change: Callable[[bytearray], Any]) -> None:
    """Change a column file of the first day."""
    path = folder / f"{column}.22.11.26.bin"
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


def edit_rows(folder: Path, change: Callable[[Any], Any]) -> None:
    """Change the rows of the first day in all columns alike."""
    for path in folder.glob("*.22.11.26.bin"):
        change(np.fromfile(path, f"V{width(path)}")).tofile(path)


def flip(content: bytearray) -> None:
    """Change one bit of the second value, or of the first of eight bytes."""
    content[5] ^= 1


@pytest.mark.parametrize("table", ["TRADES", "MD"])
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda rows: rows[:-2], {"missing": 2}),
        (lambda rows: np.concatenate([rows, rows[-1:]]), {"duplicates": 1}),
        (lambda rows: rows[:0], {"missing": 15}),
        (lambda rows: rows[::-1].copy(), {"time_decreasing": 14}),
    ],
)
def test_wrong_rows_are_found(
    tmp_path: Path, table: str, change: Callable[[Any], Any], found: dict[str, int]
) -> None:
    """Lost, repeated and reordered rows are counted as what they are, in the table they are in."""
    ledger = entered()
    store(ledger, tmp_path)
    edit_rows(tmp_path / "coinbase" / "BTC-USD" / table, change)
    comparison = compare(ledger, tmp_path, "coinbase")
    assert counts(comparison, table) == found
    assert counts(comparison, "MD" if table == "TRADES" else "TRADES") == {}
    assert not comparison.ok
    assert compare(ledger, tmp_path, "coinbase", missing_ok=True).ok == (set(found) == {"missing"})


@pytest.mark.parametrize(
    "column",
    ["trade_price", "trade_size", "price_f64", "size_f64", "trade_nanos", "maker_order_id", "taker_order_id"],
)
def test_a_flipped_bit_of_a_trade_is_skew(tmp_path: Path, column: str) -> None:
    """One bit in any column of a trade makes one row of skew."""
    ledger = entered()
    store(ledger, tmp_path)
    edit(tmp_path / "coinbase" / "BTC-USD" / "TRADES", column, flip)
    assert counts(compare(ledger, tmp_path, "coinbase"), "TRADES") == {"skew": 1}


@pytest.mark.parametrize("column", ["price_f64", "best_ask_f64", "nanos", "side"])
def test_a_flipped_bit_of_a_ticker_is_another_ticker(tmp_path: Path, column: str) -> None:
    """A ticker with another value is one that was never sent, and the one that was is missing."""
    ledger = entered()
    store(ledger, tmp_path)
    edit(tmp_path / "coinbase" / "BTC-USD" / "MD", column, flip)
    found = counts(compare(ledger, tmp_path, "coinbase"), "MD")
    assert found.pop("skew", 0) == (1 if "f64" in column else 0)
    assert found == {"missing": 1, "extra": 1}


def test_a_flipped_32_bit_price_of_a_ticker_is_skew(tmp_path: Path) -> None:
    """The 32-bit columns have to be the rounded exact ones."""
    ledger = entered()
    store(ledger, tmp_path)
    edit(tmp_path / "coinbase" / "ETH-USD" / "MD", "volume", flip)
    assert counts(compare(ledger, tmp_path, "coinbase"), "MD") == {"skew": 1}


@pytest.mark.parametrize("table", ["TRADES", "MD"])
def test_a_shorter_column_is_skew(tmp_path: Path, table: str) -> None:
    """A column that lacks its last row is skew, and so are bytes of a torn value."""
    ledger = entered()
    store(ledger, tmp_path)
    edit(tmp_path / "coinbase" / "BTC-USD" / table, "price_f64", lambda content: content.pop())
    comparison = compare(ledger, tmp_path, "coinbase", missing_ok=True)
    assert counts(comparison, table) == {"missing": 1, "skew": 8}
    assert "unequal lengths" in " ".join(comparison.tables[table].samples)


def test_rows_of_symbols_never_sent_are_extra(tmp_path: Path) -> None:
    """What lies in a directory of its own was not sent either."""
    ledger = entered()
    store(ledger, tmp_path)
    (tmp_path / "coinbase" / "BTC-USD").rename(tmp_path / "coinbase" / "BTC-EUR")
    comparison = compare(ledger, tmp_path, "coinbase")
    for table in ("TRADES", "MD"):
        assert counts(comparison, table) == {"missing": 30, "extra": 30}


def test_rows_of_another_day_are_skew(tmp_path: Path) -> None:
    """A row belongs into the file of its UTC day."""
    ledger = entered()
    store(ledger, tmp_path)
    for path in (tmp_path / "coinbase" / "BTC-USD" / "MD").glob("*.23.11.26.bin"):
        path.rename(path.with_name(path.name.replace("23.11", "24.11")))
    assert counts(compare(ledger, tmp_path, "coinbase"), "MD") == {"skew": 15}


def test_ledger_directories_do_as_well(tmp_path: Path) -> None:
    """The ledger may be given by its files' directory or directories; no ledger means nothing was sent."""
    ledger = entered()
    store(ledger, tmp_path)
    for table in ("TRADES", "MD"):
        (tmp_path / f"coinbase.{table}.ledger").write_bytes(ledger.rows(table).tobytes())
    assert compare(tmp_path, tmp_path, "coinbase").ok
    assert compare([tmp_path], tmp_path, "coinbase").ok
    assert counts(compare([], tmp_path, "coinbase"), "TRADES") == {"extra": ROWS}
    assert compare([], tmp_path, "binance").ok


@pytest.mark.parametrize("table", ["TRADES", "MD"])
@pytest.mark.parametrize("exact", [True, False])
def test_late_rows_are_found(tmp_path: Path, table: str, exact: bool) -> None:
    """Rows of late files count as those of live ones, in any order, and are told apart."""
    ledger = entered()
    store(ledger, tmp_path)
    move_late(tmp_path, "BTC-USD", table, slice(10, 3, -2))
    if not exact:
        for path in tmp_path.glob("coinbase/*/*/*_f64.*.bin"):
            path.unlink()
    comparison = compare(ledger, tmp_path, "coinbase")
    assert comparison.ok, comparison.tables
    assert (comparison.tables[table].on_disk, comparison.tables[table].late) == (ROWS, 4)
    assert comparison.tables["MD" if table == "TRADES" else "TRADES"].late == 0


def test_late_rows_alone_are_found(tmp_path: Path) -> None:
    """A symbol may have late files only; if nobody sent those rows they are extra."""
    ledger = entered()
    store(ledger, tmp_path)
    move_late(tmp_path, "BTC-USD", "TRADES", slice(0, None))
    for path in tmp_path.glob("coinbase/BTC-USD/TRADES/*.22.11.26.bin"):
        path.unlink()
    assert compare(ledger, tmp_path, "coinbase").ok
    for path in tmp_path.glob("coinbase/BTC-USD/*/*.bin"):
        path.unlink()
    assert counts(compare([], tmp_path, "coinbase"), "TRADES")["extra"] == ROWS // 2 + 15


def test_late_rows_of_another_generation_are_not_there(tmp_path: Path) -> None:
    """Late files belong to the generation of the day that the manifest tells."""
    ledger = entered()
    store(ledger, tmp_path)
    move_late(tmp_path, "BTC-USD", "TRADES", slice(3, 7))
    seal(tmp_path, "BTC-USD", "TRADES")
    assert counts(compare(ledger, tmp_path, "coinbase"), "TRADES") == {"missing": 4}
    move_late(tmp_path, "ETH-USD", "TRADES", slice(3, 7), generation=2)
    seal(tmp_path, "ETH-USD", "TRADES", generation=2)
    result = compare(ledger, tmp_path, "coinbase").tables["TRADES"]
    assert (result.missing, result.late, result.seals, len(result.sealed)) == (4, 4, 2, 1)


def test_a_row_both_live_and_late_is_a_duplicate(tmp_path: Path) -> None:
    """A trade may be in one file only."""
    ledger = entered()
    store(ledger, tmp_path)
    kept = {path: path.read_bytes() for path in tmp_path.glob("coinbase/BTC-USD/TRADES/*.bin")}
    move_late(tmp_path, "BTC-USD", "TRADES", slice(5, 6))
    for path, content in kept.items():
        path.write_bytes(content)
    assert counts(compare(ledger, tmp_path, "coinbase"), "TRADES") == {"duplicates": 1}


def test_a_column_about_to_be_renamed_counts(tmp_path: Path) -> None:
    """Once the manifest is there, the temporary files of its generation are the columns, no others."""
    ledger = entered()
    store(ledger, tmp_path)
    for path in (tmp_path / "coinbase" / "BTC-USD" / "TRADES").glob("*_f64.22.11.26.bin"):
        path.with_name(f"{path.name}.1.tmp").write_bytes(path.read_bytes())
        path.with_name(f"{path.name}.2.tmp").write_bytes(b"leftover")
        path.write_bytes(b"")
    assert not compare(ledger, tmp_path, "coinbase").ok
    seal(tmp_path, "BTC-USD", "TRADES")
    assert compare(ledger, tmp_path, "coinbase").ok


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda rows: rows[[1, 0, *range(2, len(rows))]], {"time_decreasing": 1, "unclean": 1}),
        (lambda rows: np.concatenate([rows, rows[-1:]]), {"duplicates": 1, "unclean": 1}),
    ],
)
def test_sealed_days_are_clean(tmp_path: Path, change: Callable[[Any], Any], found: dict[str, int]) -> None:
    """A sealed day in disorder, or with a trade twice, is told; the unsealed ones are told apart."""
    ledger = entered()
    store(ledger, tmp_path)
    seal(tmp_path, "BTC-USD", "TRADES")
    assert counts(compare(ledger, tmp_path, "coinbase"), "TRADES") == {}
    edit_rows(tmp_path / "coinbase" / "BTC-USD" / "TRADES", change)
    result = compare(ledger, tmp_path, "coinbase")
    assert counts(result, "TRADES") == found
    assert [day.day for day in sorted(result.tables["TRADES"].sealed)] == [22]
    assert [day.day for day in sorted(result.tables["TRADES"].unsealed)] == [22, 23]
    assert any("sealed day in disorder" in sample for sample in result.tables["TRADES"].samples)


def flag_backfilled(folder: Path) -> None:
    """Flag all trades of the first day as fetched afterwards."""
    edit(folder, "flags", lambda content: content.__setitem__(slice(None), b"\1\0\0\0" * (len(content) // 4)))


@pytest.mark.parametrize("column", ["maker_order_id", "taker_order_id"])
def test_fetched_trades_have_no_orders(tmp_path: Path, column: str) -> None:
    """The history tells no order ids: trades flagged so have none, and one that has any is skewed."""
    ledger = entered()
    store(ledger, tmp_path)
    folder = tmp_path / "coinbase" / "BTC-USD" / "TRADES"
    flag_backfilled(folder)
    assert counts(compare(ledger, tmp_path, "coinbase"), "TRADES") == {"skew": 15}
    for name in ("maker_order_id", "taker_order_id"):
        edit(folder, name, lambda content: content.__setitem__(slice(None), bytes(len(content))))
    assert counts(compare(ledger, tmp_path, "coinbase"), "TRADES") == {}
    edit(folder, column, flip)
    assert counts(compare(ledger, tmp_path, "coinbase"), "TRADES") == {"skew": 1}


def test_nanoseconds_count_for_the_order(tmp_path: Path) -> None:
    """Time must not decrease within a second either."""
    ledger = entered()
    store(ledger, tmp_path)
    folder = tmp_path / "coinbase" / "BTC-USD" / "MD"
    edit(folder, "time", lambda content: content.__setitem__(slice(4, 8), content[0:4]))
    edit(folder, "nanos", lambda content: content.__setitem__(slice(4, 8), bytes(4)))
    assert compare(ledger, tmp_path, "coinbase").tables["MD"].time_decreasing == 1


def test_rows_sent_late_are_counted(tmp_path: Path) -> None:
    """Late is what has an earlier time than something sent before it for the symbol."""
    ledger = entered()
    rows = ledger.rows("TRADES")
    for table in ("TRADES", "MD"):
        (tmp_path / f"coinbase.{table}.ledger").write_bytes(ledger.rows(table).tobytes())
    rows[[0, 1, 10, 2, 3, 4, 6, 5, 7, 8, 9, *range(11, ROWS)]].tofile(tmp_path / "coinbase.TRADES.ledger")
    comparison = compare(tmp_path, tmp_path, "coinbase")
    assert comparison.tables["TRADES"].sent_late == 4  # ETH-USD: 2, 4, 6 and 8 after 10
    assert comparison.tables["MD"].sent_late == 0
