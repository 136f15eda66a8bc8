"""The rows of one day within a range of time, the late ones among them, out of its open files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from multilogger.archive.snapshot import DayFiles, Rows, generation_of
from multilogger.errors import ArchiveError
from multilogger.storage.fold import RECEIVED, first_of_each, merge_rows, nanos_column, row_times
from multilogger.storage.layout import NANOS_PER_DAY, day_suffix
from multilogger.tables import TRADES, Array, Table

_TRADE_ID = "trade_id"


@attrs.frozen(eq=False)
class DayPart:
    """Rows of one day, in order of time."""

    day: int
    """UTC, in days since the epoch."""
    columns: dict[str, Array]
    time_ns: Array
    late: int
    """How many of the rows were in the late partition."""
    generation: int
    sealed: bool


def day_rows(
    files: DayFiles, wanted: Sequence[str] | None, start_ns: int, end_ns: int, *, late: bool
) -> DayPart | None:
    """Return the rows of a day from ``start_ns`` to ``end_ns`` (exclusive); None if the day has no files.

    Args:
        files: the day's.
        wanted: which columns, None for all that the day has.
        start_ns: the range's beginning.
        end_ns: the range's end.
        late: whether late rows are wanted.

    Raises:
        ArchiveError: the day doesn't have a wanted column, or its files are damaged.
    """
    _check_sealed(files)
    source = files.live or files.late
    if source is None or (files.live is None and not late):
        return None
    names = _available(files, source, wanted)
    fresh = _late_rows(files, start_ns, end_ns) if late and files.late else None
    if fresh is None:
        columns, count = _live_rows(files, names, start_ns, end_ns), 0
    else:
        columns, count = _merged(files, names, fresh, start_ns, end_ns)
    times = row_times(files.place.table, columns)
    if len(times) > 1 and (np.diff(times) < 0).any():
        order = np.argsort(times, kind="stable")
        columns, times = {name: values[order] for name, values in columns.items()}, times[order]
    generation = generation_of(files.manifest)
    sealed = generation > 0 and files.late is None
    return DayPart(files.day, {name: columns[name] for name in names}, times, count, generation, sealed)


def _check_sealed(files: DayFiles) -> None:
    rows = len(files.live or ())
    if files.manifest and files.manifest.rows != rows:
        raise ArchiveError(
            f"{files.place.manifest(files.day)} says {files.manifest.rows} rows, the columns have {rows}: "
            f"multilogger verify tells what is damaged"
        )


def _available(files: DayFiles, source: Rows, wanted: Sequence[str] | None) -> list[str]:
    if wanted is None:
        return list(source.columns)
    missing = [name for name in wanted if name not in source.columns]
    if missing:
        raise ArchiveError(
            f"no column {missing[0]!r} on {day_suffix(files.day)[1:9]} in {files.place.live}: "
            f"that day was recorded without exact columns"
        )
    return list(wanted)


def _live_rows(files: DayFiles, names: Sequence[str], start_ns: int, end_ns: int) -> dict[str, Array]:
    """Return the range of the column files; times are always among the columns."""
    table = files.place.table
    needed = dict.fromkeys([*names, table.time_column, nanos_column(table)])
    if files.live is None:
        return {column.name: np.empty(0, column.dtype) for column in table.columns if column.name in needed}
    day_ns = files.day * NANOS_PER_DAY
    first = files.live.first_row_at(start_ns) if start_ns > day_ns else 0
    last = files.live.first_row_at(end_ns) if end_ns < day_ns + NANOS_PER_DAY else len(files.live)
    return files.live.read(list(needed), first, max(first, last))


def _late_rows(files: DayFiles, start_ns: int, end_ns: int) -> dict[str, Array] | None:
    """Return the late rows in the range, all columns; None if there are none."""
    if files.late is None:
        return None
    table = files.place.table
    columns = files.late.read(list(files.late.columns), 0, len(files.late))
    chosen = np.arange(len(files.late))
    if table is TRADES:
        # Over the whole day: which of equal ids is kept must not depend on the range.
        chosen = np.sort(first_of_each(columns[_TRADE_ID]))
    times = row_times(table, columns)[chosen]
    chosen = chosen[(times >= start_ns) & (times < end_ns)]
    if table is TRADES and files.live and len(chosen):
        known = files.live.columns[_TRADE_ID].read(0, len(files.live))
        chosen = chosen[~np.isin(columns[_TRADE_ID][chosen], known)]
    return {name: values[chosen] for name, values in columns.items()} if len(chosen) else None


def _merged(
    files: DayFiles, names: Sequence[str], late: Mapping[str, Array], start_ns: int, end_ns: int
) -> tuple[dict[str, Array], int]:
    """Return the range of the column files with late rows among them, and how many these are."""
    table = files.place.table
    live = _live_rows(files, _compared(files, names), start_ns, end_ns)
    merged, _ = merge_rows(table, live, late)
    return merged, len(merged[table.time_column]) - _live_kept(table, live)


def _compared(files: DayFiles, names: Sequence[str]) -> list[str]:
    """Return the columns that merging needs beside those that are wanted."""
    if files.place.table is TRADES:
        return [*names, _TRADE_ID]
    source = files.live or files.late
    everything = source.columns if source else {}
    return [name for name in everything if name != RECEIVED or name in names]


def _live_kept(table: Table, live: Mapping[str, Array]) -> int:
    if table is TRADES:
        return len(first_of_each(live[_TRADE_ID]))
    return len(live[table.time_column])
