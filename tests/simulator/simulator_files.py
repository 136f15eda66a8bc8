"""Ledgers and column files made by hand, as a recorder would have left them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from multilogger.simulator.ledger import Ledger, TickerEntry, TradeEntry, untold

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
                symbol=symbol, time_ns=time_ns if timed else untold(time_ns), sequence=n, price=price,
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


def move_late(data: Path, symbol: str, table: str, rows: slice, *, generation: int = 0) -> None:
    """Move rows of the first day from the live files to the late ones."""
    folder = data / "coinbase" / symbol / table
    late = data / ".multilogger" / "late" / "coinbase" / symbol / table
    late.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.22.11.26.bin"):
        values = np.fromfile(path, f"V{width(path)}")
        values[rows].tofile(late / f"{path.name.removesuffix('.bin')}.{generation}.bin")
        np.delete(values, rows).tofile(path)


def seal(data: Path, symbol: str, table: str, *, generation: int = 1, day: date = date(2026, 11, 22)) -> Path:
    """Put a manifest beside the columns of a day."""
    path = data / "coinbase" / symbol / table / f"manifest.{day:%d.%m.%y}.json"
    path.write_text(json.dumps({"format": 1, "generation": generation}))
    return path


def width(path: Path) -> int:
    """Return the bytes of a value, by the name of the column."""
    column = path.name.split(".")[0]
    if "order_id" in column:
        return 16
    return 8 if "64" in column or column in ("recv_ns", "trade_id") else 4
