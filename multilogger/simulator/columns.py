"""Column files read with nothing but NumPy, for the comparison: an independent account of the file format.

``{data}/{exchange}/{symbol}/{table}/{column}.{DD}.{MM}.{YY}.bin``: raw little-endian values without a header,
one a row; row i of every column of a table belongs together. Written down here a second time on purpose.
"""

from __future__ import annotations

from datetime import UTC, datetime
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
    """One symbol's table as it is on disk, all days in order."""

    columns: dict[str, Array]
    """By name; exact columns only if every day has them."""
    faults: dict[str, int]
    """Rows that don't fit together, by what is wrong: lengths, bytes over, days, missing exact columns."""
    time_decreasing: int
    """Rows whose second is before that of the row above it in the same file."""

    @property
    def skew(self) -> int:
        """Rows that don't fit together."""
        return sum(self.faults.values())

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def directory(data: Path, exchange: str, symbol: str, table: str) -> Path:
    """Return where a symbol's table lies; for symbols of letters, digits and ``-._/``."""
    return data / exchange / symbol.replace("/", "_") / table


def read_table(folder: Path, table: str) -> Stored:
    """Read all days of a table; a folder that does not exist is an empty table."""
    time_column = TIME[table][0]
    days = sorted({_day(path) for path in folder.glob("*.bin")})
    exact = bool(days) and all(_path(folder, next(iter(EXACT[table])), day).exists() for day in days)
    dtypes = {**COMPATIBLE[table], **(EXACT[table] if exact else {})}
    faults: dict[str, int] = {}
    parts: dict[str, list[Array]] = {name: [np.empty(0, dtype)] for name, dtype in dtypes.items()}
    decreasing = 0
    if not exact:
        _note(faults, "exact columns missing", sum(1 for _ in folder.glob("*_f64.*.bin")))
    for day in days:
        rows = _read_day(folder, day, dtypes, faults)
        seconds = rows[time_column].astype(np.int64)
        start = int(day.timestamp())
        _note(faults, "other day", int(np.count_nonzero((seconds < start) | (seconds >= start + _DAY_SECS))))
        decreasing += int(np.count_nonzero(np.diff(seconds) < 0))
        for name, values in rows.items():
            parts[name].append(values)
    return Stored({name: np.concatenate(values) for name, values in parts.items()}, faults, decreasing)


def times(stored: Stored, table: str) -> Array:
    """Return the rows' times in nanoseconds since the epoch."""
    seconds, nanos = (stored.columns[name].astype(np.int64) for name in TIME[table])
    total: Array = seconds * _NANOS + nanos
    return total


def _read_day(
    folder: Path, day: datetime, dtypes: dict[str, str], faults: dict[str, int]
) -> dict[str, Array]:
    columns: dict[str, Array] = {}
    for name, dtype in dtypes.items():
        path = _path(folder, name, day)
        size = path.stat().st_size if path.exists() else 0
        _note(faults, "bytes over", size % np.dtype(dtype).itemsize)
        columns[name] = np.fromfile(path, dtype) if size else np.empty(0, dtype)
    shortest = min(map(len, columns.values()))
    longest = max(map(len, columns.values()))
    _note(faults, "unequal lengths", longest - shortest)
    return {name: values[:shortest] for name, values in columns.items()}


def _note(faults: dict[str, int], what: str, rows: int) -> None:
    if rows:
        faults[what] = faults.get(what, 0) + rows


def _day(path: Path) -> datetime:
    return datetime.strptime(path.name.split(".", 1)[1], "%d.%m.%y.bin").replace(tzinfo=UTC)


def _path(folder: Path, column: str, day: datetime) -> Path:
    return folder / f"{column}.{day:%d.%m.%y}.bin"
