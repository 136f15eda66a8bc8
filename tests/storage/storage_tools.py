"""What the storage tests share: rows by the hundred, a reader, and a crash."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from multilogger.batch import Batch, RowBuffer, SymbolTable
from multilogger.config import StorageConfig
from multilogger.records import ExchangeId
from multilogger.stats import WriterStats
from multilogger.storage.checkpoint import load
from multilogger.storage.layout import day_suffix, symbol_directory
from multilogger.storage.store import Store
from multilogger.storage.streams import ABSURD, LATE
from multilogger.tables import MD, TABLES, TRADES, Array, Table

NANOS = 1_000_000_000
DAY = 20_300
"""Some day in 2025."""
NOON = (DAY * 86_400 + 43_200) * NANOS
SMALL = StorageConfig(journal_segment_bytes=64 * 1024)


@attrs.define
class Feed:
    """Makes batches of one exchange."""

    symbols: SymbolTable = attrs.field(factory=lambda: SymbolTable(ExchangeId("coinbase")))
    serial: int = 0

    def trades(self, symbol: str, times: Sequence[int]) -> Batch:
        """Return a batch of trades; ids, prices and the rest follow from a serial number."""
        buffer = RowBuffer()
        for time_ns in times:
            self.add_trade(buffer, symbol, time_ns)
        return Batch(self.symbols, buffer.take())

    def add_trade(self, buffer: RowBuffer, symbol: str, time_ns: int) -> None:
        """Pack one trade."""
        self.serial += 1
        buffer.add_trade(
            symbol=self.symbols.number(symbol),
            time_ns=time_ns,
            recv_ns=time_ns + 5,
            trade_id=self.serial,
            price=100_000.01 + self.serial,
            size=self.serial / 8,
            side=self.serial % 2,
            maker_order_id=self.serial.to_bytes(16, "big"),
            taker_order_id=(self.serial + 7).to_bytes(16, "big"),
            flags=self.serial % 3,
        )

    def quotes(self, symbol: str, times: Sequence[int]) -> Batch:
        """Return a batch of market data."""
        buffer = RowBuffer()
        for time_ns in times:
            self.serial += 1
            buffer.add_md(
                symbol=self.symbols.number(symbol),
                time_ns=time_ns,
                recv_ns=time_ns + 9,
                price=float(self.serial),
                volume=0.5,
                side=1,
                best_bid=self.serial - 0.25,
                best_ask=self.serial + 0.25,
            )
        return Batch(self.symbols, buffer.take())


def open_store(path: Path, settings: StorageConfig = SMALL, stats: WriterStats | None = None) -> Store:
    """Open a store whose clock stands at noon."""
    return Store.open(path, settings, stats or WriterStats(), lambda: NOON)


def crash(store: Store) -> None:
    """Let go of everything as a killed process does."""
    store._held.close()


def fork(path: Path, copy: Path) -> Path:
    """Copy a data directory as it is now, as if the machine had stopped."""
    shutil.copytree(path, copy, symlinks=True)
    return copy


def read_column(path: Path, symbol: str, table: Table, column: str, day: int = DAY) -> Array:
    """Read a column as a user does; empty if there is no file."""
    file = path / "coinbase" / symbol_directory(symbol) / table.name / f"{column}{day_suffix(day)}"
    dtype = next(found.dtype for found in table.columns if found.name == column)
    return np.fromfile(file, dtype) if file.exists() else np.empty(0, dtype)


def read_rows(
    path: Path, symbol: str, table: Table, *, exact: bool = True, day: int = DAY
) -> dict[str, Array]:
    """Read all columns, and insist that they have equal lengths."""
    names = [column.name for column in table.disk_columns(exact=exact)]
    columns = {name: read_column(path, symbol, table, name, day) for name in names}
    assert len({len(values) for values in columns.values()}) == 1, {n: len(v) for n, v in columns.items()}
    return columns


def read_late(
    path: Path, symbol: str, table: Table, column: str, day: int = DAY, generation: int = 0
) -> list[Any]:
    """Read a column of the rows that came too late, those after a seal by its generation."""
    directory = path / ".multilogger/late/coinbase" / symbol_directory(symbol) / table.name
    file = directory / f"{column}{day_suffix(day).removesuffix('.bin')}.{generation}.bin"
    dtype = next(found.dtype for found in table.columns if found.name == column)
    found: list[Any] = np.fromfile(file, dtype).tolist() if file.exists() else []
    return found


def column_files(path: Path) -> dict[str, bytes]:
    """Return every column file's content by its path."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted([*path.glob("*/*/*/*.bin"), *path.glob(".multilogger/*/*/*/*/*.bin")])
        if not file.is_symlink()
    }


def assert_checkpoint_is_true(path: Path) -> None:
    """Compare the checkpoint's row counts and checksums with the files."""
    found = load(path / ".multilogger/checkpoint")
    entries = {state.entry.number: state.entry for state in found.streams}
    assert found.partitions
    for state in found.partitions:
        entry = entries[state.stream]
        root = (path, path / ".multilogger/late", path / ".multilogger/quarantine/rows")[entry.kind]
        directory = root / entry.exchange / entry.directory / TABLES[entry.table].name
        suffix = day_suffix(state.day)
        if entry.kind == LATE:
            suffix = suffix.replace(".bin", f".{state.generation}.bin")
        if entry.kind == ABSURD:
            continue
        for name, crc in state.crcs.items():
            file = directory / f"{name}{suffix}"
            data = file.read_bytes() if state.rows else b""
            width = next(
                column.dtype.itemsize for column in TABLES[entry.table].columns if column.name == name
            )
            assert (len(data), zlib.crc32(data)) == (state.rows * width, crc), file


def expected_columns(batches: Iterable[Batch], symbol: str, table: Table, day: int = DAY) -> dict[str, Array]:
    """Return what the columns must hold, by plain Python over rows in order of arrival, stable by time."""
    rows = [
        row
        for batch in batches
        for row in batch.rows.get(table.number, np.empty(0, table.row))
        if batch.symbols.names[row["symbol"]] == symbol and row["time_ns"] // (86_400 * NANOS) == day
    ]
    rows.sort(key=lambda row: int(row["time_ns"]))
    stacked = np.array(rows, table.row)
    fields = {name: stacked[name] for name in table.stored_fields}
    return {column.name: column.derive(fields).astype(column.dtype) for column in table.columns}


__all__ = ["DAY", "MD", "NANOS", "NOON", "SMALL", "TABLES", "TRADES", "Feed"]
