from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from powercut_rows import FIRST_DAY, Rows, read_all, symbol_table

from multilogger.config import StorageConfig
from multilogger.stats import WriterStats
from multilogger.storage.layout import day_suffix
from multilogger.storage.store import Store
from multilogger.tables import TRADES

ROWS = Rows(late=False)
END = 500


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data path with the rows before END."""
    settings = StorageConfig(journal_segment_bytes=64 * 1024)
    store = Store.open(tmp_path, settings, WriterStats(), lambda: ROWS.clock(END))
    store.commit([ROWS.batch(symbol_table(), 1, END)])
    store.close()
    return tmp_path


def file_of(data: Path, column: str) -> Path:
    """Return a column's file of some symbol and the first day."""
    return data / f"coinbase/BTC-USD/TRADES/{column}{day_suffix(FIRST_DAY)}"


def test_sound_files(data: Path) -> None:
    """Files as they should be have every row once, and no faults."""
    found = read_all(data, ROWS, END)
    assert (found.faults, found.late) == ([], 0)
    assert found.times.tolist() == [0] + [1] * (END - 1)


def test_a_hole_is_found(data: Path) -> None:
    """A zero in one column is a fault of that column; in the one that names the row, of all the others."""
    for column in ("trade_size", "price_f64"):
        file = file_of(data, column)
        content = bytearray(file.read_bytes())
        content[8:16] = bytes(8)
        file.write_bytes(content)
        found = read_all(data, ROWS, END)
        assert any("trade_size differs from row" in fault for fault in found.faults)
    assert found.times[0] == 1


def test_lost_and_doubled_rows_are_found(data: Path) -> None:
    """A row in another's place is there twice, and the other one is not."""
    for column in TRADES.columns:
        file, width = file_of(data, column.name), column.dtype.itemsize
        content = bytearray(file.read_bytes())
        content[width : 2 * width] = content[:width]
        file.write_bytes(content)
    found = read_all(data, ROWS, END)
    assert found.faults == []
    assert np.bincount(found.times).tolist() == [2, END - 3, 1]


def test_columns_of_unequal_lengths_are_found(data: Path) -> None:
    """A column that is one row shorter is a fault."""
    file = file_of(data, "trade_side")
    file.write_bytes(file.read_bytes()[:-4])
    assert "unequal lengths" in read_all(data, ROWS, END).faults[0]
