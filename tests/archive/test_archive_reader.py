"""Rows by symbol and time, against plain NumPy over the same files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from archive_tools import DATE, DAY, MD, MIDNIGHT, NANOS, TRADES, Shelf, joined, rows_at, taken, without_exact
from hypothesis import example, given, settings
from hypothesis import strategies as st

from multilogger.archive.reader import Rows, open_archive
from multilogger.archive.snapshot import OpenColumn
from multilogger.errors import ArchiveError
from multilogger.storage.fold import merge_rows, row_times
from multilogger.tables import Array, Table

NEXT_DAY = 86_400 * NANOS
FILES = settings(max_examples=50, deadline=None)
LATE_TIMES = st.lists(st.integers(0, 9), min_size=1, max_size=6)


def read(shelf: Shelf, *arguments: Any, **options: Any) -> Rows:
    """Read a table."""
    archive = open_archive(shelf.data)
    return archive.read(shelf.exchange, shelf.symbol, shelf.table.name, *arguments, **options)


def assert_rows(found: Rows, expected: dict[str, Array], table: Table) -> None:
    """Compare all columns, their types and the times."""
    assert list(found.columns) == list(expected)
    for name, values in expected.items():
        assert found.columns[name].dtype == values.dtype
        assert found.columns[name].tobytes() == values.tobytes(), name
    assert found.time_ns.tolist() == row_times(table, expected).tolist()


@pytest.mark.parametrize("table", [MD, TRADES], ids=lambda table: table.name)
def test_all_days(tmp_path: Path, table: Table) -> None:
    """Days follow each other; every column is what NumPy reads from its files."""
    shelf = Shelf(tmp_path, table)
    today, tomorrow = rows_at(table, [5, 5, 7]), rows_at(table, [NEXT_DAY, NEXT_DAY + 3], 50)
    shelf.sealed(today)
    shelf.live(tomorrow, DAY + 1)
    found = read(shelf)
    assert_rows(found, joined(today, tomorrow), table)
    plain = np.fromfile(shelf.file(table.time_column), "<u4")
    assert found.columns[table.time_column][:3].tolist() == plain.tolist()
    assert (len(found), found.late, found.sealed) == (5, 0, False)
    assert [(day.day, day.rows, day.sealed, day.generation) for day in found.days] == [
        (DATE, 3, True, 1),
        (DATE + timedelta(days=1), 2, False, 0),
    ]


@FILES
@given(times=st.lists(st.integers(-2, 12), max_size=20), low=st.integers(-3, 13), width=st.integers(0, 9))
def test_ranges(times: Sequence[int], low: int, width: int) -> None:
    """A range is half-open, over one day or two, and the same as a mask over all rows."""
    step = NANOS // 2
    ordered = sorted(time * step for time in times)
    days = [[time for time in ordered if time < 0], [time for time in ordered if time >= 0]]
    with TemporaryDirectory() as directory:
        shelf = Shelf(Path(directory))
        parts = [rows_at(TRADES, days[0]), rows_at(TRADES, days[1], 1 + len(days[0]))]
        shelf.live(rows_at(TRADES, [NEXT_DAY], 100), DAY + 1)
        for number, part in enumerate(parts):
            if days[number]:
                shelf.live(part, DAY - 1 + number)
        found = read(shelf, MIDNIGHT + low * step, MIDNIGHT + (low + width) * step)
    rows = joined(*parts)
    times_ns = row_times(TRADES, rows) - MIDNIGHT
    assert_rows(
        found,
        taken(rows, np.flatnonzero((times_ns >= low * step) & (times_ns < (low + width) * step)).tolist()),
        TRADES,
    )


@example(live=[0], late=[0, 5], ids=[9] * 6, low=4)
@FILES
@given(
    live=LATE_TIMES,
    late=LATE_TIMES,
    ids=st.lists(st.integers(1, 12), min_size=6, max_size=6),
    low=st.integers(0, 9),
)
def test_late_trades(live: Sequence[int], late: Sequence[int], ids: Sequence[int], low: int) -> None:
    """Late trades are merged as the seal will do it, and a range of them is a range of that."""
    rows = rows_at(TRADES, sorted(live))
    late_rows = rows_at(TRADES, late)
    late_rows["trade_id"] = np.array(ids[: len(late)], np.uint64)
    with TemporaryDirectory() as directory:
        shelf = Shelf(Path(directory))
        shelf.live(rows)
        shelf.late(late_rows)
        found, part = read(shelf), read(shelf, MIDNIGHT + low, MIDNIGHT + low + 3, columns=["price_f64"])
        without = read(shelf, late=False)
    merged, dropped = merge_rows(TRADES, rows, late_rows)
    assert_rows(found, merged, TRADES)
    assert found.late == len(late) - dropped
    assert not found.sealed
    times = row_times(TRADES, merged) - MIDNIGHT
    inside = (times >= low) & (times < low + 3)
    assert part.columns["price_f64"].tolist() == merged["price_f64"][inside].tolist()
    assert_rows(without, rows, TRADES)


def test_late_market_data(tmp_path: Path) -> None:
    """Late market data stands behind live rows of its time, and repeats none of them."""
    shelf = Shelf(tmp_path, MD)
    live, late = rows_at(MD, [1, 2, 3]), rows_at(MD, [2, 9], 70)
    again = taken(live, [1])
    again["recv_ns"] = again["recv_ns"] + 1_000
    shelf.live(live)
    shelf.late(joined(late, again))
    expected = taken(joined(live, late), [0, 1, 3, 2, 4])
    assert_rows(read(shelf), expected, MD)
    found = read(shelf, MIDNIGHT + 2, MIDNIGHT + 3, columns=["best_bid"])
    assert found.columns["best_bid"].tolist() == expected["best_bid"][1:3].tolist()
    assert found.late == 1


def test_late_rows_only(tmp_path: Path) -> None:
    """A day may have nothing but late rows, in any order of time."""
    shelf = Shelf(tmp_path)
    late = rows_at(TRADES, [9, 4, 6])
    shelf.late(late)
    found = read(shelf)
    assert_rows(found, taken(late, [1, 2, 0]), TRADES)
    assert (found.late, [day.day for day in found.days]) == (3, [DATE])
    assert len(read(shelf, late=False)) == 0


def test_late_rows_of_a_sealed_day(tmp_path: Path) -> None:
    """Late rows after a seal count; those that it folded in don't."""
    shelf = Shelf(tmp_path)
    shelf.sealed(rows_at(TRADES, [1, 5]), generation=3)
    shelf.late(rows_at(TRADES, [2], 50), generation=2)
    assert read(shelf).sealed
    shelf.late(rows_at(TRADES, [3], 60), generation=3)
    found = read(shelf)
    assert found.columns["trade_id"].tolist() == [1, 60, 2]
    assert (found.sealed, found.late, found.days[0].generation) == (False, 1, 3)


def test_rows_that_all_columns_have(tmp_path: Path) -> None:
    """A row is there once every column has it, wanted or not; torn values are none."""
    shelf = Shelf(tmp_path)
    rows = rows_at(TRADES, [1, 2, 3, 4])
    shelf.live(rows)
    with shelf.file("flags").open("r+b") as file:
        file.truncate(3 * 4 - 1)
    assert read(shelf, columns=["price_f64"]).columns["price_f64"].tolist() == rows["price_f64"][:2].tolist()
    shelf.late({name: values[:1] for name, values in rows_at(TRADES, [1], 9).items()})
    shelf.late({"trade_id": np.array([77], np.uint64)})
    assert read(shelf).columns["trade_id"].tolist() == [1, 9, 2]


def test_a_day_that_begins(tmp_path: Path) -> None:
    """Before the time column is there, the day has no rows."""
    shelf = Shelf(tmp_path)
    shelf.live({name: values for name, values in rows_at(TRADES, [1]).items() if name != "trade_time"})
    assert len(read(shelf)) == 0


def test_columns(tmp_path: Path) -> None:
    """Columns are those that all days have, or those that are asked for."""
    shelf = Shelf(tmp_path)
    shelf.live(without_exact(TRADES, rows_at(TRADES, [1])))
    shelf.live(rows_at(TRADES, [NEXT_DAY], 2), DAY + 1)
    assert "price_f64" not in read(shelf).columns
    assert "price_f64" in read(shelf, "2025-08-01").columns
    found = read(shelf, columns=["trade_size", "trade_id", "trade_size"])
    assert list(found.columns) == ["trade_size", "trade_id"]
    structured = found.to_structured()
    assert structured.dtype.names == ("time_ns", "trade_size", "trade_id")
    assert structured["trade_id"].tolist() == [1, 2]
    assert structured["time_ns"].tolist() == [MIDNIGHT + 1, MIDNIGHT + NEXT_DAY]
    with pytest.raises(ArchiveError, match=r"no column 'flags' on 31\.07\.25 in .*TRADES: .*without exact"):
        read(shelf, columns=["flags"])
    with pytest.raises(ArchiveError, match="no column 'best_bid' in TRADES: there is trade_id, trade_time"):
        read(shelf, columns=["best_bid"])


def test_empty_ranges(tmp_path: Path) -> None:
    """A range without rows has all columns, with their types; one that ends before it starts is refused."""
    shelf = Shelf(tmp_path)
    shelf.live(rows_at(TRADES, [5]))
    for start, end in (("2030-01-01", None), (None, "2020-01-01"), (MIDNIGHT + 5, MIDNIGHT + 5)):
        found = read(shelf, start, end)
        assert_rows(found, rows_at(TRADES, []), TRADES)
        assert (found.days, found.sealed) == ((), True)
    with pytest.raises(
        ArchiveError, match=r"ends at 2025-07-31T00:00:00\.000000004Z, before it starts at 2025"
    ):
        read(shelf, MIDNIGHT + 5, MIDNIGHT + 4)
    noon = datetime.fromtimestamp(MIDNIGHT // NANOS, UTC)
    assert len(read(shelf, noon, noon + timedelta(seconds=1))) == 1


def test_old_files_out_of_order(tmp_path: Path) -> None:
    """Rows of a file whose time decreases come in order, equal times as they lie."""
    shelf = Shelf(tmp_path)
    rows = rows_at(TRADES, [4, 9, 2, 4])
    shelf.live(rows)
    assert_rows(read(shelf), taken(rows, [2, 0, 3, 1]), TRADES)


def test_a_short_range_reads_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a big day only the rows of the range are read, and some to find them."""
    shelf = Shelf(tmp_path, MD)
    shelf.live(rows_at(MD, range(0, 400_000, 2)))
    asked: list[int] = []
    plain = OpenColumn.read_into

    def counting(self: OpenColumn, buffer: Array, offset: int) -> None:
        asked.append(len(buffer))
        plain(self, buffer, offset)

    monkeypatch.setattr(OpenColumn, "read_into", counting)
    found = read(shelf, MIDNIGHT + 200_001, MIDNIGHT + 200_011)
    assert (found.time_ns - MIDNIGHT).tolist() == [200_002, 200_004, 200_006, 200_008, 200_010]
    assert sum(asked) < 1_000


def test_damage_is_told(tmp_path: Path) -> None:
    """A missing column, a sealed day with other rows than its manifest says, a manifest that is none."""
    shelf = Shelf(tmp_path)
    rows = rows_at(TRADES, [1, 2])
    shelf.sealed(rows)
    moved = shelf.file("trade_size").rename(tmp_path / "moved")
    with pytest.raises(ArchiveError, match=r"trade_size\.31\.07\.25\.bin is missing, though others? "):
        read(shelf)
    moved.rename(shelf.file("trade_size"))
    shelf.manifest(rows_at(TRADES, [1, 2, 3]))
    with pytest.raises(ArchiveError, match=r"manifest\.31\.07\.25\.json says 3 rows, the columns have 2"):
        read(shelf)
    shelf.place.manifest(DAY).write_text("{}")
    with pytest.raises(ArchiveError, match=r"manifest\.31\.07\.25\.json is no manifest"):
        read(shelf)
