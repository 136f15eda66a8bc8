"""Late rows folded into the rows of their day: one rule, for the seal that does it and for the reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from multilogger.tables import NANOS_PER_SECOND, TRADES, Array, Table

RECEIVED: Final = "recv_ns"
"""The one column in which two records of the same event may differ."""


def row_times(table: Table, columns: Mapping[str, Array]) -> Array:
    """Return the times of rows, i8, in nanoseconds since the epoch; the two time columns have to be there."""
    times: Array = columns[table.time_column].astype(np.int64)
    times *= NANOS_PER_SECOND
    times += columns[nanos_column(table)]
    return times


def nanos_column(table: Table) -> str:
    """Return the name of the column that holds the nanoseconds within the second."""
    return table.time_column.replace("time", "nanos")


def merge_rows(
    table: Table, live: Mapping[str, Array], late: Mapping[str, Array]
) -> tuple[dict[str, Array], int]:
    """Return the rows of a day, in order of time, each once.

    Trades are ordered by time and id; of those with the same id the first is kept, and live ones come before
    late ones. Market data has no id: it is ordered by time (stable, live before late), and a late row that a
    live one equals bit for bit in all but its receive time is left out.

    Args:
        table: whose rows.
        live: columns of the day's own files, all of one length.
        late: columns of the late partition, all of one length; in any order of time.

    Returns:
        The columns that both have, in the table's order, with their dtypes; and how many rows were left out.
    """
    names = [column.name for column in table.columns if column.name in live and column.name in late]
    columns = {name: np.concatenate([live[name], late[name]]) for name in names}
    times = row_times(table, columns)
    if table is TRADES:
        kept = first_of_each(columns["trade_id"])
        order = kept[np.lexsort((columns["trade_id"][kept], times[kept]))]
    else:
        rows = len(live[table.time_column])
        fresh = ~_repeated(columns, times, rows)
        kept = np.concatenate([np.arange(rows), rows + np.flatnonzero(fresh)])
        order = kept[np.argsort(times[kept], kind="stable")]
    return {name: values[order] for name, values in columns.items()}, len(times) - len(order)


def first_of_each(ids: Array) -> Array:
    """Return the indices of the first row of each id, ascending by id."""
    firsts: Array = np.unique(ids, return_index=True)[1]
    return firsts


def _repeated(columns: Mapping[str, Array], times: Array, live_rows: int) -> Array:
    """Return of each late row whether one of the live rows before it has the same time and values."""
    live, late = times[:live_rows], times[live_rows:]
    # Late rows are few: only live rows of their times have to be looked at.
    candidates = np.flatnonzero(np.isin(live, late))
    if not len(candidates):
        return np.zeros(len(late), np.bool_)
    compared = [name for name in columns if name != RECEIVED]
    known = _packed([columns[name][candidates] for name in compared])
    return np.isin(_packed([columns[name][live_rows:] for name in compared]), known)


def _packed(columns: list[Array]) -> Array:
    """Return the bytes of each row as one value."""
    width = sum(values.itemsize for values in columns)
    rows = np.empty((len(columns[0]), width), np.uint8)
    offset = 0
    for values in columns:
        raw = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), values.itemsize)
        rows[:, offset : offset + values.itemsize] = raw
        offset += values.itemsize
    packed: Array = rows.view(f"V{width}")[:, 0]
    return packed
