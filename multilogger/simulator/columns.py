"""Column files read with nothing but NumPy, for the comparison: an independent account of the file format.

``{data}/{exchange}/{symbol}/{table}/{column}.{DD}.{MM}.{YY}.bin``: raw little-endian values without a header,
one a row; row i of every column of a table belongs together. A day that is sealed has a
``manifest.{DD}.{MM}.{YY}.json`` beside its columns, which tells its generation; one without has generation 0.
Rows that came too late for their file wait, in any order, in
``{data}/.multilogger/late/{exchange}/{symbol}/{table}/{column}.{DD}.{MM}.{YY}.{generation}.bin``.
Where ``{column}.{DD}.{MM}.{YY}.bin.{generation}.tmp`` exists, it is the column: a seal is about to rename it.
What else ends in ``tmp`` or ``json`` is no column. Written down here a second time on purpose.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

COMPATIBLE: Final = {
    "TRADES": {
        "trade_id": "<u8",
        "trade_time": "<u4",
        "trade_nanos": "<u4",
        "trade_price": "<f4",
        "trade_size": "<f4",
        "trade_side": "<u4",
        "maker_order_id": "V16",
        "taker_order_id": "V16",
    },
    "MD": {
        "time": "<u4",
        "nanos": "<u4",
        "price": "<f4",
        "volume": "<f4",
        "side": "<u4",
        "best_bid": "<f4",
        "best_ask": "<f4",
    },
}
EXACT: Final = {
    "TRADES": {"price_f64": "<f8", "size_f64": "<f8", "recv_ns": "<i8", "flags": "<u4"},
    "MD": {
        "price_f64": "<f8",
        "volume_f64": "<f8",
        "best_bid_f64": "<f8",
        "best_ask_f64": "<f8",
        "recv_ns": "<i8",
    },
}
TIME: Final = {"TRADES": ("trade_time", "trade_nanos"), "MD": ("time", "nanos")}
"""Columns of the seconds and of the nanoseconds within."""
_NANOS: Final = 1_000_000_000
_DAY_SECS: Final = 86_400


@attrs.frozen(eq=False)
class Stored:
    """One symbol's table as it is on disk, all days in order; of each, what came late stands last."""

    columns: dict[str, Array]
    """By name; exact columns only if every day has them."""
    faults: dict[str, int]
    """Rows that don't fit together, by what is wrong: lengths, bytes over, days, missing exact columns."""
    time_decreasing: int
    """Rows of live files whose time is before that of the row above."""
    late: int
    """Rows that wait in late files; the others are in live ones."""
    sealed: frozenset[date]
    """Days with a manifest."""
    unsealed: frozenset[date]
    """Days without one that have live files."""
    unclean: frozenset[date]
    """Sealed days whose live files are not in order of time, or have a trade twice."""

    @property
    def skew(self) -> int:
        """Rows that don't fit together."""
        return sum(self.faults.values())

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def directory(data: Path, exchange: str, symbol: str, table: str) -> Path:
    """Return where a symbol's table lies; for symbols of letters, digits and ``-._/``."""
    return data / exchange / symbol.replace("/", "_") / table


def late_directory(data: Path) -> Path:
    """Return where the late rows are: exchanges, symbols and tables below it as below the data path."""
    return data / ".multilogger" / "late"


def read_table(folder: Path, late_folder: Path, table: str) -> Stored:
    """Read all days of a table; a folder that does not exist is an empty table.

    Args:
        folder: of the live files.
        late_folder: of the late files.
        table: its name.
    """
    live = _days(folder, "*.bin")
    days = live | _days(folder, "manifest.*.json") | _days(late_folder, "*.bin")
    generations = {day: generation(folder, day) for day in days}
    exact = all(column_path(folder, next(iter(EXACT[table])), day).exists() for day in live)
    dtypes = {**COMPATIBLE[table], **(EXACT[table] if exact else {})}
    faults: dict[str, int] = {}
    parts: dict[str, list[Array]] = {name: [np.empty(0, dtype)] for name, dtype in dtypes.items()}
    decreasing = late = 0
    unclean = set()
    if not exact:
        _note(faults, "exact columns missing", sum(1 for _ in folder.glob("*_f64.*.bin")))
    for day, number in sorted(generations.items()):
        files = {name: column_path(folder, name, day, number) for name in dtypes}
        rows = _read_day(files, day, table, dtypes, faults)
        backward = int(np.count_nonzero(np.diff(row_times(rows, table)) < 0))
        decreasing += backward
        if number and (backward or _repeats(rows)):
            unclean.add(day)
        files = {name: late_folder / f"{name}.{day:%d.%m.%y}.{number}.bin" for name in dtypes}
        behind = _read_day(files, day, table, dtypes, faults)
        late += len(behind[TIME[table][0]])
        for name in dtypes:
            parts[name] += [rows[name], behind[name]]
    return Stored(
        columns={name: np.concatenate(values) for name, values in parts.items()},
        faults=faults,
        time_decreasing=decreasing,
        late=late,
        sealed=frozenset(day for day, number in generations.items() if number),
        unsealed=frozenset(day for day in live if not generations[day]),
        unclean=frozenset(unclean),
    )


def times(stored: Stored, table: str) -> Array:
    """Return the rows' times in nanoseconds since the epoch."""
    return row_times(stored.columns, table)


def row_times(columns: dict[str, Array], table: str) -> Array:
    """Return times in nanoseconds since the epoch, of the columns of a table."""
    seconds, nanos = (columns[name].astype(np.int64) for name in TIME[table])
    total: Array = seconds * _NANOS + nanos
    return total


def generation(folder: Path, day: date) -> int:
    """Return how many times a day was sealed; 0: never."""
    try:
        text = (folder / f"manifest.{day:%d.%m.%y}.json").read_text()
    except FileNotFoundError:
        return 0
    return int(json.loads(text)["generation"])


def column_path(folder: Path, column: str, day: date, generation: int = 0) -> Path:
    """Return the file of a column of a day, of which a seal may not have finished renaming."""
    path = folder / f"{column}.{day:%d.%m.%y}.bin"
    pending = path.with_name(f"{path.name}.{generation}.tmp")
    return pending if generation and pending.exists() else path


def _read_day(
    files: dict[str, Path], day: date, table: str, dtypes: dict[str, str], faults: dict[str, int]
) -> dict[str, Array]:
    columns: dict[str, Array] = {}
    for name, path in files.items():
        size = path.stat().st_size if path.exists() else 0
        _note(faults, "bytes over", size % np.dtype(dtypes[name]).itemsize)
        columns[name] = np.fromfile(path, dtypes[name]) if size else np.empty(0, dtypes[name])
    shortest = min(map(len, columns.values()))
    longest = max(map(len, columns.values()))
    _note(faults, "unequal lengths", longest - shortest)
    rows = {name: values[:shortest] for name, values in columns.items()}
    _note(faults, "other day", _of_other_days(rows[TIME[table][0]], day))
    return rows


def _of_other_days(seconds: Array, day: date) -> int:
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    since = seconds.astype(np.int64) - start
    return int(np.count_nonzero((since < 0) | (since >= _DAY_SECS)))


def _repeats(rows: dict[str, Array]) -> bool:
    """Return whether a trade id is there more than once; tickers have none."""
    ids = rows.get("trade_id", np.empty(0))
    return len(np.unique(ids)) < len(ids)


def _note(faults: dict[str, int], what: str, rows: int) -> None:
    if rows:
        faults[what] = faults.get(what, 0) + rows


def _days(folder: Path, pattern: str) -> set[date]:
    """Return the days of files named ``{column}.{DD}.{MM}.{YY}.`` and more."""
    texts = {".".join(path.name.split(".")[1:4]) for path in folder.glob(pattern)}
    return {datetime.strptime(text, "%d.%m.%y").replace(tzinfo=UTC).date() for text in texts}
