"""The demo's live table."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from multilogger.cli.live import LiveTable, last_price, rows_on_disk
from multilogger.health.rates import RateMeter
from multilogger.stats import Stats


def write_prices(folder: Path, name: str, prices: list[float]) -> Path:
    """Write a column of prices."""
    folder.mkdir(parents=True, exist_ok=True)
    np.array(prices, "<f4").tofile(folder / name)
    return folder / name


def test_last_price_is_of_the_last_day(tmp_path: Path) -> None:
    """The newest day counts, even if a seal has just written an older one anew."""
    assert last_price(tmp_path) == ""
    write_prices(tmp_path, "price.02.01.26.bin", [3.5, 4.25])
    sealed = write_prices(tmp_path, "price.31.12.25.bin", [1.5])
    os.utime(sealed, (2e9, 2e9))
    write_prices(tmp_path, "price.31.12.25.bin.2.tmp", [9.0])
    assert last_price(tmp_path) == "4.25"


def test_rows_are_those_of_column_files(tmp_path: Path) -> None:
    """All days count, and nothing that is no column."""
    for name in (
        "time.31.12.25.bin",
        "time.01.01.26.bin",
        "time.31.12.25.bin.1.tmp",
        "manifest.31.12.25.json",
    ):
        write_prices(tmp_path / "BTC-USD" / "MD", name, [1, 2, 3])
    assert rows_on_disk(tmp_path, "MD") == {"BTC-USD": 6}


def test_many_exchanges_fit_a_screen(tmp_path: Path) -> None:
    """Symbols are shown while there is room for some of each exchange; else the sums alone."""
    stats = Stats(started_ns=0)
    for name in (f"exchange_{number}" for number in range(10)):
        stats.exchange(name)
        for symbol in ("A", "B", "C", "D"):
            write_prices(tmp_path / name / symbol / "MD", "time.31.12.25.bin", [1, 2])
    table = LiveTable(stats, tmp_path, RateMeter(stats, lambda: 0), "title")
    assert table.render(24).row_count == 10
    assert table.render(56).row_count == 10 * (1 + 3)
    assert table.render(200).row_count == 10 * (1 + 4)
