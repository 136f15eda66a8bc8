"""What an exchange sent and the disk does not have, row by row, with nothing but NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from multilogger.simulator.columns import Stored, directory, late_directory, read_table, times

Array = npt.NDArray[Any]
TABLES: Final = ("MD", "TRADES")
FILLS: Final = "FILLS"
"""What the trades that an exchange merged consist of."""
_COUNT_BIT: Final = 8
"""From this bit on, flags tell how many more fills than one a trade stands for."""
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
        sent: the ledger's rows by table, and the fills of its merged trades.
        data: the data path.
        exchange: the exchange's name.
    """
    for table in TABLES:
        rows = sent[table]
        for name in sorted(set(rows["symbol"].tolist())):
            symbol = name.decode()
            live, late = (directory(root, exchange, symbol, table) for root in (data, late_directory(data)))
            stored, own = read_table(live, late, table), rows[rows["symbol"] == name]
            if table == "TRADES":
                fills = sent[FILLS][sent[FILLS]["symbol"] == name]
                yield _missing_trades(symbol, own, fills, stored)
            else:
                yield _missing_tickers(symbol, own, stored)


def _missing_trades(symbol: str, sent: Array, fills: Array, stored: Stored) -> Missing:
    """A merged trade is there if it is, or if all its fills are; one of them alone is not enough."""
    ids = set(stored.columns["trade_id"].tolist())
    whole = set(stored.columns["trade_id"][stored.columns["flags"] >> _COUNT_BIT > 0].tolist())
    parts: dict[int, set[int]] = {}
    for merged_id, trade_id in zip(fills["merged_id"].tolist(), fills["trade_id"].tolist(), strict=True):
        parts.setdefault(merged_id, set()).add(trade_id)
    absent = np.array(
        [not (it in whole or parts.get(it, {it}) <= ids) for it in sent["trade_id"].tolist()], np.bool_
    )
    return Missing(symbol, "TRADES", sent["time_ns"][absent], sent["trade_id"][absent])


def _missing_tickers(symbol: str, sent: Array, stored: Stored) -> Missing:
    """Compare as multisets: a ticker has no id on disk."""
    timed = bool(np.all(sent["time_ns"] > 0))
    if np.isnan(sent["price"]).any():
        # The last trade came by another connection than the quotes: which one it was, nobody can say.
        sent, stored = _without_trade(sent), attrs.evolve(stored, columns=dict(stored.columns))
        for name in ("price_f64", "volume_f64", "side"):
            stored.columns[name] = np.zeros_like(stored.columns[name])
    wanted, first, often = np.unique(_keys(sent, timed), return_index=True, return_counts=True)
    found, seen = np.unique(_stored_keys(stored, timed), return_counts=True)
    place = np.searchsorted(found, wanted).clip(max=max(len(found) - 1, 0))
    there = np.where(found[place] == wanted, seen[place], 0) if len(found) else np.zeros(len(wanted), int)
    absent = there < often
    return Missing(symbol, "MD", np.abs(sent["time_ns"][first[absent]]), np.empty(0, np.int64))


def _without_trade(sent: Array) -> Array:
    blank = sent.copy()
    for name in ("price", "volume", "side"):
        blank[name] = 0
    return blank


def _keys(sent: Array, timed: bool) -> Array:
    """Return what tells tickers apart; feeds without a time are stored with that of their receipt."""
    keys = np.empty(len(sent), _TICKER)
    keys["time_ns"] = sent["time_ns"] if timed else 0
    for name in (*_MD_VALUES, "side"):
        keys[name] = sent[name]
    return keys.view("S48")


def _stored_keys(stored: Stored, timed: bool) -> Array:
    keys = np.empty(len(stored), _TICKER)
    keys["time_ns"] = times(stored, "MD") if timed else 0
    for name in _MD_VALUES:
        keys[name] = stored.columns[f"{name}_f64"]
    keys["side"] = stored.columns["side"]
    return keys.view("S48")
