"""What an exchange sent and the disk does not have, row by row, with nothing but NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from multilogger.simulator.columns import Stored, directory, late_directory, read_table, times
from multilogger.simulator.ledger import UNKNOWN_TIME

Array = npt.NDArray[Any]
TABLES: Final = ("MD", "TRADES")
_MD_VALUES: Final = ("price", "volume", "best_bid", "best_ask")
_TICKER: Final = np.dtype([("time_ns", "<i8"), *((name, "<f8") for name in _MD_VALUES), ("side", "<i8")])


@attrs.frozen(eq=False)
class Missing:
    """Rows of one symbol's table that were sent and are not on disk."""

    symbol: str
    table: str
    times: Array
    """Event times, in nanoseconds since the epoch."""
    ids: Array
    """Trade ids; of tickers nothing."""


def missing_rows(sent: dict[str, Array], data: Path, exchange: str) -> Iterator[Missing]:
    """Give what is missing of each symbol's tables, whether anything is or not.

    Args:
        sent: the ledger's rows by table.
        data: the data path.
        exchange: the exchange's name.
    """
    for table in TABLES:
        rows = sent[table]
        for name in sorted(set(rows["symbol"].tolist())):
            symbol = name.decode()
            live, late = (directory(root, exchange, symbol, table) for root in (data, late_directory(data)))
            of = _missing_trades if table == "TRADES" else _missing_tickers
            yield of(symbol, rows[rows["symbol"] == name], read_table(live, late, table))


def _missing_trades(symbol: str, sent: Array, stored: Stored) -> Missing:
    absent = ~np.isin(sent["trade_id"], stored.columns["trade_id"])
    return Missing(symbol, "TRADES", sent["time_ns"][absent], sent["trade_id"][absent])


def _missing_tickers(symbol: str, sent: Array, stored: Stored) -> Missing:
    """Compare as multisets: a ticker has no id on disk."""
    if np.any(sent["time_ns"] == UNKNOWN_TIME):
        raise ValueError("tickers without a time can't be told apart")
    wanted, first, often = np.unique(_keys(sent), return_index=True, return_counts=True)
    found, seen = np.unique(_stored_keys(stored), return_counts=True)
    place = np.searchsorted(found, wanted).clip(max=max(len(found) - 1, 0))
    there = np.where(found[place] == wanted, seen[place], 0) if len(found) else np.zeros(len(wanted), int)
    absent = there < often
    return Missing(symbol, "MD", sent["time_ns"][first[absent]], np.empty(0, np.int64))


def _keys(sent: Array) -> Array:
    keys = np.empty(len(sent), _TICKER)
    for name in ("time_ns", *_MD_VALUES, "side"):
        keys[name] = sent[name]
    return keys.view("S48")


def _stored_keys(stored: Stored) -> Array:
    keys = np.empty(len(stored), _TICKER)
    keys["time_ns"] = times(stored, "MD")
    for name in _MD_VALUES:
        keys[name] = stored.columns[f"{name}_f64"]
    keys["side"] = stored.columns["side"]
    return keys.view("S48")
