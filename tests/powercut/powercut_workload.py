"""The program whose power is cut: it opens the store, checks what is there, and writes until it is stopped.

A job comes as a line of JSON on standard input, so that a process can be started before its turn. On standard
output, which leads out of the failing disk, it tells at once what it does:

``checked {...}``, ``ready``, ``try END``, ``ack END`` (all rows with serial numbers below END are handed
over, or durable), ``failed WHY``, ``closed``.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import attrs
import numpy as np
from powercut_kernel import die_with_parent
from powercut_rows import Rows, read_all, symbol_table

from multilogger.config import StorageConfig
from multilogger.errors import MultiloggerError
from multilogger.stats import WriterStats
from multilogger.storage import disk
from multilogger.storage.store import Store

_SETTINGS: Final = StorageConfig(journal_segment_bytes=256 * 1024, disk_reserve_bytes=0, accept_days_back=30)
_MOST_ROWS: Final = 200
_RIG: Final = os.dup(1)
"""Standard output, while what others print, such as log lines, goes to standard error."""


@attrs.frozen
class Job:
    """What one process has to do."""

    data: str
    end: int
    """Serial numbers below this have been tried before."""
    promised: str
    """A file of booleans by serial number: rows that must be there."""
    found: str
    """Where to write the same for what is there."""
    boot: str
    """What the kernel's boot id would be after a real power cut."""
    seed: int
    late: bool
    without: str | None
    """A function of the disk module that does nothing: a mistake that the rig has to notice."""
    work: bool
    """False: only check, and close in good order."""


def tell(line: str) -> None:
    """Say something to the rig, in one piece."""
    os.write(_RIG, line.encode() + b"\n")


def check(job: Job, rows: Rows) -> None:
    """Compare the files with what was promised, and tell."""
    there = read_all(Path(job.data), rows, job.end)
    promised = np.load(job.promised)
    np.save(job.found, there.times > 0)
    lost = np.flatnonzero(promised & (there.times == 0))
    report = {
        "rows": int(there.times[1:].sum()),
        "late": there.late,
        "promised": int(promised.sum()),
        "lost": len(lost),
        "first_lost": lost[:5].tolist(),
        "doubled": int(np.sum(there.times[1:] > 1)),
        "alien": int(there.times[0]),
        "faults": there.faults,
        "sealed": sum(1 for _ in Path(job.data).glob("*/*/*/manifest.*.json")),
    }
    tell(f"checked {json.dumps(report)}")


@attrs.define
class Clock:
    """Wall clock of the rows' world."""

    rows: Rows
    serial: int

    def __call__(self) -> int:
        """Return nanoseconds since the epoch."""
        return self.rows.clock(self.serial)


def write_out_some_file(data: Path, chance: random.Random) -> None:
    """Start writing a file's cached pages to the disk, without a flush: what a kernel does as it likes."""
    patterns = (".multilogger/journal/*.wal", ".multilogger/late/*/*/*/*.bin", "*/*/*/*.bin")
    files = [file for pattern in patterns for file in data.glob(pattern)]
    for file in chance.sample(files, min(3, len(files))):
        try:
            fd = os.open(file, os.O_RDONLY)
        except FileNotFoundError:  # recycled, or sealed
            continue
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def tend(store: Store, job: Job) -> None:
    """Apply, checkpoint and seal at random, and let pages out, for ever."""
    chance = random.Random(job.seed + 1)
    with failures_told():
        while True:
            time.sleep(chance.uniform(0, 0.02))
            store.apply()
            if chance.random() < 0.2:
                store.checkpoint()
                store.prepare()
            if chance.random() < 0.2:
                seal(store, chance.uniform(0, 0.05))
            if chance.random() < 0.3:
                write_out_some_file(Path(job.data), chance)


def seal(store: Store, seconds: float) -> None:
    """Close a day that is over, and seal for some time what is not sealed."""
    day = store.day_to_close()
    if day is not None:
        store.close_day(day)
    store.seal_step(seconds)


@contextmanager
def failures_told() -> Iterator[None]:
    """Tell the rig of an error of the disk or the store, and end the process at once."""
    try:
        yield
    except (MultiloggerError, OSError) as error:
        tell(f"failed {type(error).__name__}: {error}".replace("\n", " "))
        os._exit(1)


def commit_for_ever(store: Store, job: Job, clock: Clock) -> NoReturn:
    """Commit rows in batches of random size."""
    chance, known = random.Random(job.seed), symbol_table()
    while True:
        end = clock.serial + chance.randint(1, _MOST_ROWS)
        batch = clock.rows.batch(known, clock.serial, end)
        tell(f"try {end}")
        store.commit([batch])
        tell(f"ack {end}")
        clock.serial = end
        time.sleep(chance.uniform(0, 0.004))


def nothing(*_: object) -> None:
    """Claim to have done it."""


def run(job: Job) -> None:
    """Do the job."""
    rows = Rows(late=job.late)
    clock = Clock(rows, job.end)
    disk.boot_id = lambda: job.boot
    if job.without is not None:
        assert hasattr(disk, job.without), job.without
        setattr(disk, job.without, nothing)
    with failures_told():
        store = Store.open(Path(job.data), _SETTINGS, WriterStats(), clock)
        check(job, rows)
        if job.work:
            threading.Thread(target=tend, args=(store, job), daemon=True).start()
            tell("ready")
            commit_for_ever(store, job, clock)
        store.close()
        check(job, rows)
        tell("closed")


if __name__ == "__main__":
    die_with_parent()
    os.dup2(2, 1)
    if line := sys.stdin.readline():
        run(Job(**json.loads(line)))
