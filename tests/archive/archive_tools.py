"""Hand-made archives: rows, column files, late partitions and manifests, written with plain NumPy."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import attrs
import numpy as np
import xxhash

from multilogger.archive.tree import Place
from multilogger.storage.fold import row_times
from multilogger.storage.manifest import ColumnFile, JournalRows, Manifest, encode_manifest
from multilogger.tables import MD, TABLES, TRADES, Array, Table

NANOS = 1_000_000_000
DAY = 20_300
DATE = date(1970, 1, 1) + timedelta(days=DAY)
MIDNIGHT = DAY * 86_400 * NANOS
SUFFIX = f"{DATE:%d.%m.%y}"


def rows_at(table: Table, times: Sequence[int], first_id: int = 1) -> dict[str, Array]:
    """Return rows of the given times, in nanoseconds after :data:`MIDNIGHT`; ids and values count up."""
    ids = np.arange(first_id, first_id + len(times))
    fields: dict[str, Array] = {
        "time_ns": MIDNIGHT + np.array(times, np.int64),
        "recv_ns": MIDNIGHT + np.array(times, np.int64) + 5,
        "flags": np.zeros(len(times), np.uint32),
        "side": ids % 2,
        "trade_id": ids,
        "price": 100_000.01 + ids,
        **dict.fromkeys(("size", "volume", "best_bid", "best_ask"), ids / 8),
        **{
            f"{who}_order_id": np.array([(int(n) + add).to_bytes(16, "big") for n in ids], "V16")
            for who, add in (("maker", 0), ("taker", 7))
        },
    }
    return {column.name: column.derive(fields).astype(column.dtype) for column in table.columns}


def without_exact(table: Table, columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return the compatible columns."""
    exact = {column.name for column in table.columns if column.exact}
    return {name: values for name, values in columns.items() if name not in exact}


def joined(*parts: Mapping[str, Array]) -> dict[str, Array]:
    """Return rows one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def taken(columns: Mapping[str, Array], rows: Sequence[int]) -> dict[str, Array]:
    """Return some of the rows."""
    return {name: values[list(rows)] for name, values in columns.items()}


@attrs.frozen
class Shelf:
    """A symbol's table in a data path that is being made by hand."""

    data: Path
    table: Table = TRADES
    exchange: str = "coinbase"
    symbol: str = "BTC-USD"
    name: str = "BTC-USD"
    """Of the directory."""

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.data, self.exchange, self.name, self.table)

    def file(self, column: str, day: int = DAY) -> Path:
        """Return a column's file."""
        return self.place.column(column, day)

    def live(self, columns: Mapping[str, Array], day: int = DAY) -> None:
        """Append rows to the column files."""
        self.place.live.mkdir(parents=True, exist_ok=True)
        for name, values in columns.items():
            _append(self.file(name, day), values)

    def late(self, columns: Mapping[str, Array], day: int = DAY, generation: int = 0) -> None:
        """Append rows to a late partition."""
        self.place.late.mkdir(parents=True, exist_ok=True)
        for name, values in columns.items():
            _append(self.place.late_column(name, day, generation), values)

    def switching(self, columns: Mapping[str, Array], generation: int) -> None:
        """Write columns under the names that they have until a seal is through."""
        self.place.live.mkdir(parents=True, exist_ok=True)
        for name, values in columns.items():
            path = self.file(name)
            path.with_name(f"{path.name}.{generation}.tmp").write_bytes(values.tobytes())

    def manifest(
        self,
        columns: Mapping[str, Array],
        generation: int = 1,
        change: Callable[[Manifest], Manifest] = lambda manifest: manifest,
    ) -> None:
        """Seal the day with what its columns ought to be."""
        times = row_times(self.table, columns)
        ids = columns.get("trade_id")
        manifest = Manifest(
            generation=generation,
            exchange=self.exchange,
            symbol=self.symbol,
            table=self.table.name,
            day=DATE.isoformat(),
            rows=len(times),
            first_time_ns=int(times.min()),
            last_time_ns=int(times.max()),
            first_trade_id=None if ids is None else int(ids.min()),
            last_trade_id=None if ids is None else int(ids.max()),
            columns={name: column_file(values) for name, values in columns.items()},
            journal=JournalRows(live=len(times), late=0),
            sealed="2025-08-01T00:30:00Z",
            program="multilogger 0",
        )
        self.place.manifest(DAY).write_bytes(encode_manifest(change(manifest)))

    def sealed(self, columns: Mapping[str, Array], generation: int = 1) -> None:
        """Write column files and their manifest."""
        self.live(columns)
        self.manifest(columns, generation)


def column_file(values: Array) -> ColumnFile:
    """Return what a manifest says of a column."""
    data = values.tobytes()
    return ColumnFile(
        dtype=values.dtype.str.replace("|V", "V"),
        bytes=len(data),
        crc32=f"{zlib.crc32(data):08x}",
        xxh3_128=xxhash.xxh3_128_hexdigest(data),
    )


def _append(path: Path, values: Array) -> None:
    with path.open("ab") as file:
        file.write(values.tobytes())


__all__ = ["MD", "TABLES", "TRADES"]
