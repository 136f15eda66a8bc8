"""Late rows folded into their day: the vectorised rule against plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from multilogger.storage.fold import first_of_each, merge_rows, nanos_column, row_times
from multilogger.tables import MD, TRADES, Array, Table

Row = tuple[int, ...]
"""Time in ns, what tells rows apart (the trade id, or the price), what else they hold, receive time."""

rows = st.lists(st.tuples(*[st.integers(0, 3)] * 4), max_size=12)


def columns_of(table: Table, found: Sequence[Row], *, exact: bool = True) -> dict[str, Array]:
    """Return rows as columns: few times, ids and values, so that many are equal."""
    time_ns, key, value, recv_ns = (np.array([row[field] for row in found], np.int64) for field in range(4))
    fields = {
        "time_ns": time_ns // 2 * 1_000_000_000 + time_ns % 2,
        "recv_ns": recv_ns,
        "flags": value,
        "side": value % 2,
        "trade_id": key,
        **dict.fromkeys(("size", "volume", "best_bid", "best_ask"), value + 0.5),
        "price": key + 0.25 if table is MD else value,
        "maker_order_id": np.zeros(len(found), "V16"),
        "taker_order_id": np.zeros(len(found), "V16"),
    }
    return {
        column.name: column.derive(fields).astype(column.dtype) for column in table.disk_columns(exact=exact)
    }


def as_rows(columns: Mapping[str, Array]) -> list[Row]:
    """Return columns as rows of Python values, in the columns' order."""
    return list(zip(*(values.tolist() for values in columns.values()), strict=True))


def in_order(table: Table, columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return columns in the table's order."""
    return {column.name: columns[column.name] for column in table.columns if column.name in columns}


@given(live=rows, late=rows)
def test_trades_by_id(live: Sequence[Row], late: Sequence[Row]) -> None:
    """Trades come out by time and id, the first of each id; live ones come before late ones."""
    merged, dropped = merge_rows(TRADES, columns_of(TRADES, live), columns_of(TRADES, late))
    kept: dict[int, Row] = {}
    for row in [*live, *late]:
        kept.setdefault(row[1], row)
    expected = sorted(kept.values(), key=lambda row: row[:2])
    assert as_rows(merged) == as_rows(in_order(TRADES, columns_of(TRADES, expected)))
    assert dropped == len(live) + len(late) - len(expected)


@given(live=rows, late=rows)
def test_market_data_by_value(live: Sequence[Row], late: Sequence[Row]) -> None:
    """Market data comes out by time, live before late; what only the receive time tells apart comes once."""
    merged, dropped = merge_rows(MD, columns_of(MD, live), columns_of(MD, late))
    known = {row[:3] for row in live}
    fresh = [row for row in late if row[:3] not in known]
    expected = sorted([*live, *fresh], key=lambda row: row[0])
    assert as_rows(merged) == as_rows(in_order(MD, columns_of(MD, expected)))
    assert dropped == len(late) - len(fresh)


def test_columns_that_both_have() -> None:
    """A day without exact columns stays without them, and no dtype changes."""
    for table in (MD, TRADES):
        late = columns_of(table, [(1, 2, 3, 0)])
        merged, _ = merge_rows(table, columns_of(table, [(3, 1, 1, 1)], exact=False), late)
        assert list(merged) == [column.name for column in table.columns if not column.exact]
        assert [values.dtype for values in merged.values()] == [
            column.dtype for column in table.columns if not column.exact
        ]


def test_large_ids_stay_apart() -> None:
    """Ids beyond what a double tells apart are no duplicates."""
    live, late = columns_of(TRADES, [(0, 1, 0, 0)]), columns_of(TRADES, [(0, 1, 0, 0)])
    live["trade_id"][:], late["trade_id"][:] = 2**64 - 2, 2**64 - 1
    merged, dropped = merge_rows(TRADES, live, late)
    assert merged["trade_id"].tolist() == [2**64 - 2, 2**64 - 1]
    assert not dropped
    assert first_of_each(merged["trade_id"]).tolist() == [0, 1]


def test_times() -> None:
    """A time is its seconds and nanoseconds, beyond 32 bits."""
    for table in (MD, TRADES):
        columns = {
            table.time_column: np.array([4_000_000_000], np.uint32),
            nanos_column(table): np.array([999_999_999], np.uint32),
        }
        assert row_times(table, columns).tolist() == [4_000_000_000_999_999_999]
