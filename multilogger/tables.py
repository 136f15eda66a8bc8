"""The tables: how a row is packed in memory, and which columns it becomes on disk.

A row in memory holds every value at full precision. The columns on disk are derived from it: the compatible
set with its 32-bit prices first, the exact ones beside it. Fields of one name mean the same in both tables.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

NANOS_PER_SECOND: Final = 1_000_000_000

Array = npt.NDArray[Any]
Fields = Mapping[str, Array]
"""The fields of some rows, one contiguous array each."""


@attrs.frozen(eq=False)
class Column:
    """One file of a table."""

    name: str
    dtype: np.dtype[Any]
    derive: Callable[[Fields], Array]
    """From the rows' fields to the values stored; the result may have to be cast to ``dtype``."""
    exact: bool = False
    """Beside the compatible set: left out where ``exact_columns = false``."""


@attrs.frozen
class Table:
    """A table: its rows in memory and its columns on disk."""

    number: int
    """As in the journal; never reused."""
    name: str
    """The directory's name."""
    fields: tuple[tuple[str, str, str], ...]
    """Name, NumPy dtype and :mod:`struct` code of each field of a packed row, in order."""
    columns: tuple[Column, ...]
    time_column: str
    """Grows last, so that a reader who sizes its read by it never passes another column's end."""
    row: np.dtype[Any] = attrs.field(init=False)
    pack: Callable[..., bytes] = attrs.field(init=False)
    stored_fields: tuple[str, ...] = attrs.field(init=False)
    """What the journal keeps of a row: every field but the symbol, which its section names."""
    raw_columns: tuple[Column, ...] = attrs.field(init=False)
    """The stored fields as columns of their own, the time last: for rows that fit in no day's files."""
    _every: tuple[Column, ...] = attrs.field(init=False)
    _compatible: tuple[Column, ...] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        packed = struct.Struct("<" + "".join(code for _, _, code in self.fields))
        row = np.dtype([(name, dtype) for name, dtype, _ in self.fields])
        if packed.size != row.itemsize:
            raise ValueError(f"table {self.name}: {packed.size} bytes packed, {row.itemsize} in NumPy")
        object.__setattr__(self, "row", row)
        object.__setattr__(self, "pack", packed.pack)
        names = tuple(name for name, _, _ in self.fields if name not in ("symbol", "pad"))
        object.__setattr__(self, "stored_fields", names)
        ordered = sorted(self.columns, key=lambda column: column.name == self.time_column)
        object.__setattr__(self, "_every", tuple(ordered))
        object.__setattr__(self, "_compatible", tuple(column for column in ordered if not column.exact))
        raw = [Column(name, row[name], _field(name)) for name in names]
        object.__setattr__(
            self, "raw_columns", tuple(sorted(raw, key=lambda column: column.name == "time_ns"))
        )

    def disk_columns(self, *, exact: bool) -> tuple[Column, ...]:
        """Return the columns to write, in writing order: the time column last."""
        return self._every if exact else self._compatible


def _field(name: str) -> Callable[[Fields], Array]:
    return lambda fields: fields[name]


def _seconds(fields: Fields) -> Array:
    seconds: Array = fields["time_ns"] // NANOS_PER_SECOND
    return seconds


def _nanos(fields: Fields) -> Array:
    nanos: Array = fields["time_ns"] % NANOS_PER_SECOND
    return nanos


def _column(name: str, dtype: str, derive: str | Callable[[Fields], Array], *, exact: bool = False) -> Column:
    return Column(name, np.dtype(dtype), _field(derive) if isinstance(derive, str) else derive, exact)


MD: Final = Table(
    number=0,
    name="MD",
    # The explicit padding keeps every 8-byte field of a run of rows aligned for NumPy.
    fields=(
        ("symbol", "<u4", "I"),
        ("flags", "<u4", "I"),
        ("time_ns", "<i8", "q"),
        ("recv_ns", "<i8", "q"),
        ("price", "<f8", "d"),
        ("volume", "<f8", "d"),
        ("best_bid", "<f8", "d"),
        ("best_ask", "<f8", "d"),
        ("side", "<u4", "I"),
        ("pad", "V4", "4x"),
    ),
    columns=(
        _column("time", "<u4", _seconds),
        _column("nanos", "<u4", _nanos),
        _column("price", "<f4", "price"),
        _column("volume", "<f4", "volume"),
        _column("side", "<u4", "side"),
        _column("best_bid", "<f4", "best_bid"),
        _column("best_ask", "<f4", "best_ask"),
        _column("price_f64", "<f8", "price", exact=True),
        _column("volume_f64", "<f8", "volume", exact=True),
        _column("best_bid_f64", "<f8", "best_bid", exact=True),
        _column("best_ask_f64", "<f8", "best_ask", exact=True),
        _column("recv_ns", "<i8", "recv_ns", exact=True),
    ),
    time_column="time",
)

TRADES: Final = Table(
    number=1,
    name="TRADES",
    fields=(
        ("symbol", "<u4", "I"),
        ("flags", "<u4", "I"),
        ("time_ns", "<i8", "q"),
        ("recv_ns", "<i8", "q"),
        ("trade_id", "<u8", "Q"),
        ("price", "<f8", "d"),
        ("size", "<f8", "d"),
        ("maker_order_id", "V16", "16s"),
        ("taker_order_id", "V16", "16s"),
        ("side", "<u4", "I"),
        ("pad", "V4", "4x"),
    ),
    columns=(
        _column("trade_id", "<u8", "trade_id"),
        _column("trade_time", "<u4", _seconds),
        _column("trade_nanos", "<u4", _nanos),
        _column("trade_price", "<f4", "price"),
        _column("trade_size", "<f4", "size"),
        _column("trade_side", "<u4", "side"),
        _column("maker_order_id", "V16", "maker_order_id"),
        _column("taker_order_id", "V16", "taker_order_id"),
        _column("price_f64", "<f8", "price", exact=True),
        _column("size_f64", "<f8", "size", exact=True),
        _column("recv_ns", "<i8", "recv_ns", exact=True),
        _column("flags", "<u4", "flags", exact=True),
    ),
    time_column="trade_time",
)

TABLES: Final = (MD, TRADES)
"""By number."""
