"""Tickers whose last trade nobody can name: some trade that was sent has to be in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulator_files import ROWS, entered, store, width

from multilogger.simulator.compare import compare
from multilogger.simulator.ledger import MD_ROW, Ledger, TickerEntry


def left_open(ledger: Ledger) -> Ledger:
    """Return a ledger of the same trades and tickers, the tickers' trades left open."""
    opened = entered()
    opened._kept["MD"].clear()
    opened._pending["MD"].clear()
    for row in ledger.rows("MD"):
        opened.ticker(
            TickerEntry(
                symbol=row["symbol"].decode(),
                time_ns=int(row["time_ns"]),
                sequence=int(row["sequence"]),
                price="nan",
                volume="nan",
                best_bid=repr(float(row["best_bid"])),
                best_ask=repr(float(row["best_ask"])),
                bought=False,
            )
        )
    assert len(opened.rows("MD")) == len(ledger.rows("MD")) == ROWS
    assert opened.rows("MD").dtype == MD_ROW
    return opened


def shift(data: Path, columns: tuple[str, ...], by: int) -> None:
    """Give rows of the first day the values of earlier ones, in some columns."""
    for column in columns:
        for path in (data / "coinbase" / "BTC-USD" / "MD").glob(f"{column}.22.11.26.bin"):
            values = np.fromfile(path, f"V{width(path)}")
            np.concatenate([values[:by], values[:-by]]).tofile(path)


TRADE = ("price", "price_f64", "volume", "volume_f64", "side")


@pytest.mark.parametrize("exact", [True, False])
def test_any_trade_that_was_sent_will_do(tmp_path: Path, exact: bool) -> None:
    """The last trade, or the one before it: which came first, nobody can say."""
    ledger = entered()
    store(ledger, tmp_path, exact=exact)
    for _ in range(2):
        result = compare(left_open(ledger), tmp_path, "coinbase").tables["MD"]
        assert (result.ok(), result.samples) == (True, [])
        shift(tmp_path, TRADE, 3)
    assert not compare(ledger, tmp_path, "coinbase").ok


def test_a_trade_that_nobody_sent(tmp_path: Path) -> None:
    """Price, size and side have to be of one trade."""
    ledger = entered()
    store(ledger, tmp_path)
    shift(tmp_path, ("volume", "volume_f64"), 1)
    result = compare(left_open(ledger), tmp_path, "coinbase").tables["MD"]
    # The first row keeps its own.
    assert (result.skew, result.missing, result.extra) == (14, 0, 0)
    assert all("ticker of no trade in row" in sample for sample in result.samples)


def test_quotes_and_times_are_compared(tmp_path: Path) -> None:
    """What is not the last trade's has to be as it was sent."""
    ledger = entered()
    store(ledger, tmp_path)
    shift(tmp_path, ("best_bid", "best_bid_f64"), 1)
    result = compare(left_open(ledger), tmp_path, "coinbase").tables["MD"]
    assert (result.skew, result.missing, result.extra) == (0, 14, 14)
    assert len(result.missing_times["BTC-USD"]) == 14
