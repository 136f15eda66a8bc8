"""What the storage costs: commit, apply and checkpoint at a steady rate, as a share of one core.

Run: ``python benchmarks/storage.py [--rows-per-second 100000] [--symbols 1100] [--commit-seconds 0.25]``.
Times are of the process's CPU; nothing is paced, each second's rows are prepared beforehand.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np

from multilogger.batch import Batch, SymbolTable
from multilogger.config import StorageConfig
from multilogger.records import ExchangeId
from multilogger.stats import WriterStats
from multilogger.storage.store import Store
from multilogger.tables import MD, TABLES, TRADES, Array, Table

_START = 1_760_000_000 * 1_000_000_000
_HANDOVERS = 10
"""Batches in a commit."""


@attrs.define
class Source:
    """Rows of random symbols, half of them trades, in time order."""

    symbols: int
    rng: np.random.Generator
    now: int = _START
    serial: int = 0

    def batches(
        self, table_symbols: SymbolTable, rows: int, seconds: float, *, handovers: int = _HANDOVERS
    ) -> list[Batch]:
        """Return the batches of one commit."""
        made = []
        for _ in range(handovers):
            count = max(rows // handovers // 2, 1)
            tables = {table.number: self._rows(table, count, seconds / handovers) for table in (MD, TRADES)}
            self.now += int(seconds / handovers * 1e9)
            made.append(Batch(table_symbols, tables))
        return made

    def _rows(self, table: Table, count: int, seconds: float) -> Array:
        rows = np.zeros(count, table.row)
        rows["symbol"] = self.rng.integers(0, self.symbols, count)
        rows["time_ns"] = self.now + np.sort(self.rng.integers(0, int(seconds * 1e9), count))
        rows["recv_ns"] = rows["time_ns"] + 1_000_000
        rows["price"] = self.rng.random(count) * 100_000
        if table is TRADES:
            rows["trade_id"] = np.arange(self.serial, self.serial + count)
            self.serial += count
        return rows


@attrs.define
class Timer:
    """CPU and wall seconds of repeated work."""

    cpu: list[float] = attrs.field(factory=list)
    wall: list[float] = attrs.field(factory=list)

    def run(self, work: Callable[[], None]) -> None:
        """Do it and note what it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)

    def line(self, name: str, per_second: float) -> str:
        """Return the median, and the share of a core at so many calls a second."""
        cpu, wall = statistics.median(self.cpu), statistics.median(self.wall)
        return (
            f"{name:10} {len(self.cpu):4} times  median {cpu * 1e3:7.1f} ms CPU {wall * 1e3:7.1f} ms wall  "
            f"max {max(self.wall) * 1e3:7.1f} ms  {cpu * per_second:6.1%} of a core"
        )


def measure(path: Path, args: argparse.Namespace) -> None:
    """Run, and print the figures."""
    names = SymbolTable(ExchangeId("binance"))
    for number in range(args.symbols):
        names.number(f"SYM{number}USDT")
    source = Source(args.symbols, np.random.default_rng(1))
    stats = WriterStats()
    store = Store.open(path, StorageConfig(), stats, lambda: source.now)
    commit, apply, checkpoint = Timer(), Timer(), Timer()
    rows = int(args.rows_per_second * args.commit_seconds)
    commits_per_apply = max(round(args.apply_seconds / args.commit_seconds), 1)
    for _ in range(args.seconds):
        for _ in range(commits_per_apply):
            batches = source.batches(names, rows, args.commit_seconds)
            commit.run(lambda batches=batches: store.commit(batches))  # type: ignore[misc]
        apply.run(store.apply)
    checkpoint.run(store.checkpoint)
    print(f"{args.rows_per_second} rows/s, {args.symbols} symbols, {len(TABLES)} tables, {path}")
    print(commit.line("commit", 1 / args.commit_seconds))
    print(apply.line("apply", 1 / (commits_per_apply * args.commit_seconds)))
    print(checkpoint.line("checkpoint", 1 / 30))
    print(f"journal {stats.journal_bytes / stats.rows:.0f} bytes a row, late rows {stats.late_rows}")
    restart(path, store, source, names, rows)


def restart(path: Path, store: Store, source: Source, names: SymbolTable, rows: int) -> None:
    """Print how long the recovery of rows takes that are not in the columns, and the close before it."""
    for _ in range(40):
        store.commit(source.batches(names, rows, 0.25))
    store._held.close()  # noqa: SLF001 - as a killed process: nothing is applied
    stats = WriterStats()
    started = time.perf_counter()
    reopened = Store.open(path, StorageConfig(), stats, lambda: source.now)
    print(f"recovery of {stats.recovered_rows} rows: {time.perf_counter() - started:.2f} s")
    reopened.close()


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows-per-second", type=int, default=100_000)
    parser.add_argument("--symbols", type=int, default=1_100)
    parser.add_argument("--commit-seconds", type=float, default=0.25)
    parser.add_argument("--apply-seconds", type=float, default=1.0)
    parser.add_argument("--seconds", type=int, default=8, help="applies to do")
    parser.add_argument("--path", type=Path, default=None, help="a directory on the disk to measure")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.path) as path:
        measure(Path(path), args)


if __name__ == "__main__":
    main()
