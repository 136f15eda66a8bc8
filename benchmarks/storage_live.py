"""What the whole writer costs in real time, beside a parser that keeps the interpreter busy.

Run: ``python -m benchmarks.storage_live [--rows-per-second 100000] [--symbols 1100] [--seconds 40]``.
Batches come at a steady rate, a thread takes ``--busy`` of the interpreter's lock, a midnight passes after a
third of the time and the day is sealed soon after (not with ``--steady``), checkpoints are taken every few
seconds. Printed are the CPU of committing and applying as shares of one core, how long commits took and rows
waited, and how many syncs there were: all as medians or maxima of the run. The CPU of the busy thread and of
making the rows is left out.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import attrs
import numpy as np
import trio

from benchmarks.rig import NeverPaused
from benchmarks.storage import Source
from multilogger.batch import Batch, SymbolTable
from multilogger.config import Config, LoggerConfig, StorageConfig
from multilogger.records import ExchangeId
from multilogger.stats import WriterStats
from multilogger.storage.remote import RemoteApplier
from multilogger.storage.store import Store
from multilogger.storage.writer import run_writer

_BEAT_SECS = 0.02
_SPAN_SECS = 5.0
_DAY_NS = 86_400 * 1_000_000_000
_PREPARED = 64
"""Beats of rows that are made beforehand, and used again with later times."""


@attrs.define
class Load:
    """A thread that computes in Python for a share of the time, as a parser does."""

    share: float
    cpu: float = 0.0
    stop: threading.Event = attrs.field(factory=threading.Event)

    def run(self) -> None:
        """Compute and rest, until told to stop."""
        while not self.stop.is_set():
            until = time.perf_counter() + 0.01 * self.share
            while time.perf_counter() < until:
                sum(range(200))
            time.sleep(0.01 * (1 - self.share))
            self.cpu = time.thread_time()


@attrs.define
class Figures:
    """What was measured."""

    waits: list[float] = attrs.field(factory=list)
    """Seconds that the oldest row not durable had waited, at each look."""
    lags: list[float] = attrs.field(factory=list)
    """The same of the oldest commit not in the column files."""
    generating: float = 0.0
    """CPU seconds of making batches."""
    applying: list[float] = attrs.field(factory=list)
    """CPU seconds of the applier's process in each five seconds."""
    warm: tuple[float, float, float] | None = None
    """CPU seconds of both processes after the warm-up, and when that was."""


def prepared(names: SymbolTable, symbols: int, rows_per_second: float) -> list[Batch]:
    """Return the batches of some beats."""
    source = Source(symbols, np.random.default_rng(1))
    rows = int(rows_per_second * _BEAT_SECS)
    return [source.batches(names, rows, _BEAT_SECS, handovers=1)[0] for _ in range(_PREPARED)]


async def feed(
    send: trio.MemorySendChannel[Batch], beats: list[Batch], calendar: Calendar, seconds: float, made: Figures
) -> None:
    """Send batches at their pace."""
    with send:
        started = trio.current_time()
        for number in range(int(seconds / _BEAT_SECS)):
            await trio.sleep_until(started + number * _BEAT_SECS)
            began = time.thread_time()
            batch = moved(beats[number % len(beats)], calendar())
            made.generating += time.thread_time() - began
            await send.send(batch)


def moved(batch: Batch, now_ns: int) -> Batch:
    """Return a batch whose rows are of now."""
    rows = {}
    for number, found in batch.rows.items():
        fresh = found.copy()
        fresh["time_ns"] = np.linspace(now_ns - 1_000_000, now_ns, len(found)).astype(np.int64)
        fresh["recv_ns"] = time.time_ns()
        if "trade_id" in (fresh.dtype.names or ()):
            fresh["trade_id"] = np.arange(now_ns // 1000, now_ns // 1000 + len(fresh))
        rows[number] = fresh
    return Batch(batch.symbols, rows)


@attrs.define
class Calendar:
    """Event time: the real one, moved so that a midnight comes when it is wanted."""

    midnight_in: float
    started: float = attrs.field(factory=time.monotonic)

    def __call__(self) -> int:
        """Return nanoseconds since the epoch."""
        return 20_500 * _DAY_NS + int((time.monotonic() - self.started - self.midnight_in) * 1e9)


def cpu_of_process(pid: int) -> float:
    """Return the CPU seconds that another process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def watch_applier(pid: int, figures: Figures) -> None:
    """Note the CPU that the applier's process uses."""
    before = cpu_of_process(pid)
    while True:
        await trio.sleep(_SPAN_SECS)
        now = cpu_of_process(pid)
        figures.applying.append(now - before)
        before = now


async def watch(stats: WriterStats, figures: Figures) -> None:
    """Look often at how long rows wait."""
    while True:
        await trio.sleep(0.05)
        now = time.time_ns()
        figures.waits.append((now - stats.oldest_pending_ns) / 1e9 if stats.oldest_pending_ns else 0.0)
        figures.lags.append((now - stats.oldest_unapplied_ns) / 1e9 if stats.oldest_unapplied_ns else 0.0)


async def mark_warm(args: Args, load: Load, figures: Figures, pid: int) -> None:
    """Note the CPU used until the first files of a day are made: that happens once a day."""
    await trio.sleep(args.warm_up)
    made = load.cpu + figures.generating
    figures.warm = (cpu_of(resource.RUSAGE_SELF) - made, cpu_of_process(pid), time.perf_counter())


async def drive(
    store: Store, config: Config, stats: WriterStats, beats: list[Batch], args: Args, load: Load
) -> Figures:
    """Run writer and feed."""
    figures = Figures()
    send, receive = trio.open_memory_channel[Batch](64)
    async with trio.open_nursery() as watching:
        watching.start_soon(watch, stats, figures)
        if isinstance(store._follower._applier, RemoteApplier):  # noqa: SLF001 - nobody else needs to know
            pid = store._follower._applier.pid  # noqa: SLF001
            watching.start_soon(watch_applier, pid, figures)
            watching.start_soon(mark_warm, args, load, figures, pid)
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(run_writer, store, receive, config, stats, gate=NeverPaused()))
            nursery.start_soon(feed, send, beats, args.calendar, args.seconds, figures)
        watching.cancel_scope.cancel()
    return figures


@attrs.define
class Args:
    """Of the command."""

    symbols: int
    rows_per_second: float
    seconds: float
    calendar: Calendar
    warm_up: float


def cpu_of(who: int) -> float:
    """Return the CPU seconds of this process or of those that have ended."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def measure(path: Path, options: argparse.Namespace) -> None:
    """Run, and print the figures."""
    names = SymbolTable(ExchangeId("binance"))
    for number in random.Random(1).sample(range(options.symbols), options.symbols):
        names.number(f"SYM{number}USDT")
    settings = StorageConfig(
        applier=options.applier,
        journal_sync_secs=options.sync_seconds,
        checkpoint_secs=options.checkpoint_seconds,
        seal_after_secs=options.seconds / 6,
        disk_reserve_bytes=0,
    )
    config = Config(logger=LoggerConfig(data_path=path), storage=settings)
    calendar = Calendar(_DAY_NS / 2e9 if options.steady else options.seconds / 3)
    beats = prepared(names, options.symbols, options.rows_per_second)
    stats = WriterStats()
    store = Store.open(
        path,
        settings,
        stats,
        time.time_ns,
        calendar=calendar,
        in_process=options.applier == "thread",
    )
    load = Load(options.busy)
    thread = threading.Thread(target=load.run)
    thread.start()
    before, began = cpu_of(resource.RUSAGE_SELF), time.perf_counter()
    calendar.started = time.monotonic()
    args = Args(options.symbols, options.rows_per_second, options.seconds, calendar, options.warm_up)
    figures = trio.run(drive, store, config, stats, beats, args, load)
    ended = time.perf_counter()
    took = ended - began
    here = cpu_of(resource.RUSAGE_SELF) - before - load.cpu - figures.generating
    load.stop.set()
    thread.join()
    store.close()
    there = cpu_of(resource.RUSAGE_CHILDREN)
    print(f"{options.rows_per_second:,} rows/s, {options.symbols:,} symbols, applier in a {options.applier}")
    print(f"  {stats.rows:,} rows in {took:.1f} s, {stats.sealed_days:,} sealed, {stats.late_rows} late")
    shares = f"committing {here / took:.1%} of a core, applying {there / took:.1%}"
    print(f"  {shares}, together {(here + there) / took:.1%}")
    if figures.warm is not None:
        here_before, there_before, since = figures.warm
        warm = ended - since
        here_then, there_then = (here - here_before + before) / warm, (there - there_before) / warm
        shares = (
            f"committing {here_then:.1%}, applying {there_then:.1%}, together {here_then + there_then:.1%}"
        )
        print(f"  after the first {options.warm_up:.0f} s: {shares}")
    if figures.applying:
        spans = [cpu / _SPAN_SECS for cpu in figures.applying]
        print(f"  applying, of each {_SPAN_SECS:.0f} s: " + " ".join(f"{share:.0%}" for share in spans))
        steady = statistics.median(spans)
        print(f"  median of these {steady:.1%}; with committing {here / took + steady:.1%}")
    mean = stats.commit_times.total / stats.commits
    print(f"  commits: mean {mean * 1e3:.1f} ms, longest {stats.commit_times.longest * 1e3:.0f} ms")
    here_mib, there_mib = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(
        f"  memory at most: {here_mib:.0f} MiB here, prepared rows included, {there_mib:.0f} MiB the applier"
    )
    for name, found in (("row to durable", figures.waits), ("commit to visible", figures.lags)):
        print(f"  {name}: median {statistics.median(found):.2f} s, longest {max(found):.2f} s")
    syncs = f"{stats.journal_syncs / took:.1f} journal syncs"
    print(f"  {syncs} and {stats.checkpoints / took:.2f} checkpoints a second")


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows-per-second", type=int, default=100_000)
    parser.add_argument("--symbols", type=int, default=1_100)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--sync-seconds", type=float, default=0.25)
    parser.add_argument("--checkpoint-seconds", type=float, default=10)
    parser.add_argument("--warm-up", type=float, default=10, help="seconds in which a day's files are made")
    parser.add_argument("--busy", type=float, default=0.7, help="of the interpreter's lock")
    parser.add_argument("--steady", action="store_true", help="no midnight, no seal")
    parser.add_argument("--applier", choices=["process", "thread"], default="process")
    parser.add_argument("--path", type=Path, default=None, help="a directory on the disk to measure")
    options = parser.parse_args()
    sys.setswitchinterval(0.0002)  # as the logger does
    with tempfile.TemporaryDirectory(dir=options.path) as path:
        measure(Path(path), options)


if __name__ == "__main__":
    main()
