"""What the values of a partition's rows have to be: one look at each row, a chunk after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import numpy as np

from multilogger.archive.instants import describe
from multilogger.storage.fold import nanos_column, row_times
from multilogger.storage.layout import NANOS_PER_DAY
from multilogger.tables import NANOS_PER_SECOND, Array, Column, Table

TRADE_ID = "trade_id"


@attrs.define
class Finding:
    """Rows of a column with the same thing wrong."""

    column: str
    row: int
    """The first of them."""
    words: str
    """About the first."""
    count: int = 0

    def __str__(self) -> str:
        more = self.count - 1
        return f"{self.words} (and in {more:,} more row{'s' if more > 1 else ''})" if more else self.words


class RowChecks:
    """Checks the rows of one partition.

    Args:
        table: whose rows.
        day: the UTC day that they have to be of.
        ordered: whether time must not decrease.
    """

    def __init__(self, table: Table, day: int, *, ordered: bool) -> None:
        self._table = table
        self._day = day
        self._ordered = ordered
        self._found: dict[tuple[str, str], Finding] = {}
        self._newest_ns: int | None = None
        self.rows = 0
        self.times: tuple[int, int] | None = None
        """The lowest and the highest, in nanoseconds since the epoch; None before the first row."""

    @property
    def findings(self) -> list[Finding]:
        """What was wrong, a finding for each column and rule."""
        return list(self._found.values())

    def feed(self, columns: Mapping[str, Array]) -> None:
        """Check the next rows, at least one: all columns of the partition."""
        self._check_times(columns)
        for column in self._table.columns:
            if column.name not in columns:
                continue
            values = columns[column.name]
            if column.name.removeprefix("trade_") == "side":
                self._flag(column.name, "side is neither 0 nor 1", values > 1, values)
            elif column.dtype.kind == "f":
                self._check_number(column, values, columns.get(_exact_name(column)))
        self.rows += len(columns[self._table.time_column])

    def _check_times(self, columns: Mapping[str, Array]) -> None:
        nanos = columns[nanos_column(self._table)]
        times = row_times(self._table, columns)
        lowest, highest = int(times.min()), int(times.max())
        rule = "the nanoseconds of a second are a second or more"
        self._flag(nanos_column(self._table), rule, nanos >= NANOS_PER_SECOND, nanos)
        if not lowest // NANOS_PER_DAY == self._day == highest // NANOS_PER_DAY:
            strange = times // NANOS_PER_DAY != self._day
            self._flag(self._table.time_column, "time is of another day", strange, times, describe)
        if self._ordered:
            newest = lowest if self._newest_ns is None else self._newest_ns
            decreasing = np.append(times[0] < newest, times[1:] < times[:-1])
            self._flag(self._table.time_column, "time decreases", decreasing, times, describe)
            self._newest_ns = int(times[-1])
        if self.times is not None:
            lowest, highest = min(lowest, self.times[0]), max(highest, self.times[1])
        self.times = lowest, highest

    def _check_number(self, column: Column, values: Array, exact: Array | None) -> None:
        if exact is None:
            wrong = ~(np.isfinite(values) & (values > 0))
            self._flag(column.name, "not a finite number above 0", wrong, values)
            return
        # What 32 bits can't hold is infinite or 0 there, and nowhere else.
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            rounded = exact.astype(column.dtype)
        wrong = rounded.view(np.uint32) != values.view(np.uint32)
        self._flag(column.name, f"not {_exact_name(column)} rounded to 32 bits", wrong, values)

    def _flag(
        self, column: str, rule: str, wrong: Array, values: Array, show: Callable[[int], str] = str
    ) -> None:
        count = int(np.count_nonzero(wrong))
        if not count:
            return
        row = int(np.argmax(wrong))
        first = Finding(column, self.rows + row, f"{rule}: {show(values[row].item())}")
        self._found.setdefault((column, rule), first).count += count


def _exact_name(column: Column) -> str:
    """Return the name of the exact column of a 32-bit one; of other columns, one that is not there."""
    return f"{column.name.removeprefix('trade_')}_f64"


def repeated(ids: Array) -> Finding | None:
    """Return what is wrong with trade ids that should each be there once."""
    if len(ids) < 2 or (ids[1:] > ids[:-1]).all():  # noqa: PLR2004 - one row repeats nothing
        return None
    order = np.argsort(ids, kind="stable")
    again = order[1:][ids[order][1:] == ids[order][:-1]]
    return _ids_finding(ids, again, "this trade id is there already")


def known_before(late: Array, live: Array) -> Finding | None:
    """Return what is wrong with the trade ids of late rows if the day's own rows have them too."""
    again = np.flatnonzero(np.isin(late, live))
    return _ids_finding(late, again, "this trade id is in the day's own file already")


def _ids_finding(ids: Array, rows: Array, rule: str) -> Finding | None:
    if not len(rows):
        return None
    row = int(rows.min())
    return Finding(TRADE_ID, row, f"{rule}: {ids[row]}", len(rows))
