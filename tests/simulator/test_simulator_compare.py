from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multilogger.simulator.compare import Comparison, compare
from multilogger.simulator.ledger import UNKNOWN_TIME, Ledger, TickerEntry, TradeEntry

NANOS = 1_000_000_000
DAY = 1_795_305_600  # 2026-11-22 00:00 UTC
ROWS = 60


def entered(*, timed: bool = True) -> Ledger:
    """Return a ledger of trades and tickers of two symbols, over midnight."""
    ledger = Ledger("coinbase")
    for n in range(ROWS):
        symbol = "BTC-USD" if n % 2 else "ETH-USD"
        time_ns = (DAY + 86_340 + 2 * n) * NANOS + 123_456_000
        price, size = f"{64000 + n}.1{n}", f"0.{n + 1}"
        ledger.trade(
            TradeEntry(
                symbol=symbol, time_ns=time_ns, trade_id=n // 2, price=price, size=size,
                maker=n.to_bytes(16, "big"), taker=bytes(15) + b"\x07", bought=n % 3 == 0,
            )
        )  # fmt: skip
        ledger.ticker(
            TickerEntry(
                symbol=symbol, time_ns=time_ns if timed else UNKNOWN_TIME, sequence=n, price=price,
                volume=size, best_bid=price, best_ask=f"{64001 + n}.1{n}", bought=n % 3 == 0,
            )
        )  # fmt: skip
    return ledger


def store(ledger: Ledger, data: Path, *, exact: bool = True) -> None:
    """Write the ledger's rows as a recorder would."""
    for table in ("TRADES", "MD"):
        rows = ledger.rows(table)
        for symbol in np.unique(rows["symbol"]):
            own = rows[rows["symbol"] == symbol].copy()
            # A feed without a time is stored with the receive time.
            unknown = own["time_ns"] < 0
            own["time_ns"][unknown] = DAY * NANOS + np.arange(int(unknown.sum()))
            days = own["time_ns"] // NANOS // 86400
            for day in np.unique(days):
                write_day(data / "coinbase" / symbol.decode() / table, own[days == day], table, exact=exact)


def write_day(folder: Path, rows: Any, table: str, *, exact: bool) -> None:
    """Write the column files of one day."""
    folder.mkdir(parents=True, exist_ok=True)
    day = np.datetime64(int(rows["time_ns"][0]), "ns").astype("datetime64[D]").item()
    for name, values in columns(rows, table, exact=exact).items():
        values.tofile(folder / f"{name}.{day:%d.%m.%y}.bin")


def columns(rows: Any, table: str, *, exact: bool) -> dict[str, Any]:
    """Return the columns of some rows by name."""
    seconds = (rows["time_ns"] // NANOS).astype("<u4")
    nanos = (rows["time_ns"] % NANOS).astype("<u4")
    side = rows["side"].astype("<u4")
    recv = rows["time_ns"].astype("<i8")
    floats = ("price", "size") if table == "TRADES" else ("price", "volume", "best_bid", "best_ask")
    beside = {f"{name}_f64": rows[name] for name in floats} | {"recv_ns": recv}
    if table == "TRADES":
        compatible = {
            "trade_id": rows["trade_id"], "trade_time": seconds, "trade_nanos": nanos, "trade_side": side,
            "trade_price": rows["price"].astype("<f4"), "trade_size": rows["size"].astype("<f4"),
            "maker_order_id": rows["maker_order_id"].copy(), "taker_order_id": rows["taker_order_id"].copy(),
        }  # fmt: skip
        beside["flags"] = np.zeros(len(rows), "<u4")
    else:
        compatible = {"time": seconds, "nanos": nanos, "side": side}
        compatible |= {name: rows[name].astype("<f4") for name in floats}
    return compatible | beside if exact else compatible


def counts(comparison: Comparison, table: str) -> dict[str, int]:
    """Return the counts of a table that are not 0, without the first two."""
    result = comparison.tables[table]
    names = ("missing", "extra", "duplicates", "skew", "time_decreasing")
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
        width = 16 if "order_id" in path.name else 8 if ("64" in path.name or "_ns" in path.name) else 4
        width = 8 if path.name.startswith("trade_id") else width
        change(np.fromfile(path, f"V{width}")).tofile(path)


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
