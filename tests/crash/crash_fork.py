"""A process that forks loggers to be killed: ``python crash_fork.py REPORTS CONTROL``, two descriptors.

Imports take longer than a logger lives here, so they are done once. Each line of the standard input is a
:class:`Command` and starts one logger; the next line is read when that has ended. Loggers write
:class:`Report` structures to REPORTS, and read from CONTROL that they may go on after their start.

Processes that a logger leaves behind become children of this one, which reports their ends, too.
"""

from __future__ import annotations

import ctypes
import enum
import json
import os
import random
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

import attrs
import structlog
from crash_rows import DAY_NANOS, EXCHANGE, Market

from multilogger.config import StorageConfig
from multilogger.config.policy import ExchangePolicy
from multilogger.errors import StorageError
from multilogger.stats import WriterStats
from multilogger.storage.store import Store

DAY_ROWS: Final = 4000
SEAL_SECS: Final = 1800.0
KEPT_DAYS: Final = 4
MARKET: Final = Market(
    ("BTC-USD", "ETH-USD", "A/B", "A_B", "X.RP", "SOL-USD"),
    20_300 * DAY_NANOS + DAY_NANOS // 3,
    DAY_NANOS // DAY_ROWS,
    late_steps=100,
    far_steps=int(1.5 * DAY_ROWS),
)
FAILED_STATUS: Final = 3
BROKEN_STATUS: Final = 4
_SUBREAPER: Final = 36
_REPORT: Final = struct.Struct("<iiq")
_COMMIT_ROWS: Final = (1, 140)
_ROWS_WHILE_SEALING: Final = (1, 8)
"""Fewer, for days to pass no faster than they can be sealed."""
_STEP_SECS: Final = 0.002
_CHECKPOINTS: Final = 3
"""After so many nothing is left of removed days."""


class Kind(enum.IntEnum):
    """What is reported."""

    STARTED = 1
    """A logger was forked."""
    RECOVERING = 2
    OPENED = 3
    """The store is open, and the logger waits to be let on."""
    APPLIER = 4
    """``value`` is the process that writes its columns."""
    OFFERED = 5
    """Rows up to serial ``value`` are being committed."""
    ACKNOWLEDGED = 6
    """They are durable."""
    APPLYING = 7
    SAVING = 8
    """A checkpoint is taken."""
    SEALING = 9
    RETAINING = 10
    RESTING = 11
    """The applying side has nothing to do for a moment."""
    REFUSED = 12
    """The store raised StorageError, and the logger ends."""
    ENDED = 13
    """The process ended with wait status ``value``."""


PHASES: Final = (
    Kind.RECOVERING,
    Kind.OPENED,
    Kind.APPLYING,
    Kind.SAVING,
    Kind.SEALING,
    Kind.RETAINING,
    Kind.RESTING,
)
"""What the applying side of a logger is in, from its report on."""


@attrs.frozen
class Report:
    """Something that happened in a process."""

    kind: Kind
    pid: int
    value: int

    def encode(self) -> bytes:
        """Return the bytes; few enough for a pipe to take them whole or not at all."""
        return _REPORT.pack(self.kind, self.pid, self.value)


def decode_reports(data: bytes) -> list[Report]:
    """Return the reports that were read from the pipe."""
    return [Report(Kind(kind), pid, value) for kind, pid, value in _REPORT.iter_unpack(data)]


REPORT_BYTES: Final = _REPORT.size


@attrs.frozen(kw_only=True)
class Command:
    """What a logger is to do."""

    token: int
    """What lets it go on."""
    data: str
    seed: int
    serial: int
    """Its first row."""
    in_process: bool
    close: bool
    """End in order instead of logging."""

    def encode(self) -> bytes:
        """Return a line."""
        return json.dumps(attrs.asdict(self)).encode() + b"\n"


@attrs.define(eq=False)
class Logger:
    """A logger in a forked process."""

    command: Command
    reports: int
    control: int
    chance: random.Random
    store: Store | None = None
    stats: WriterStats = attrs.field(factory=WriterStats)
    now_ns: int = 0
    sealing: bool = True

    def run(self) -> None:
        """Recover, and then log until killed, or only end in order."""
        command = self.command
        self.now_ns = MARKET.now_ns(command.serial)
        self.report(Kind.RECOVERING)
        self.store = Store.open(
            Path(command.data),
            StorageConfig(journal_segment_bytes=64 * 1024, seal_after_secs=SEAL_SECS, accept_days_back=3),
            self.stats,
            time.time_ns,
            calendar=lambda: self.now_ns,
            policies={EXCHANGE: ExchangePolicy(retention_days=KEPT_DAYS)},
            in_process=command.in_process,
        )
        if not command.in_process:
            (applier,) = children()
            self.report(Kind.APPLIER, applier)
        self.check_stats()
        self.report(Kind.OPENED)
        if command.close:
            self.close(self.store)
            return
        self.wait_for_leave()
        threading.Thread(target=self.guarded, args=(self.apply,), daemon=True).start()
        self.commit()

    def close(self, store: Store) -> None:
        """Finish what earlier runs have begun, and end in order."""
        self.retain(store)
        for _ in range(_CHECKPOINTS):
            store.mark()
            store.finish()
        store.close()

    def report(self, kind: Kind, value: int = 0) -> None:
        """Tell the test something."""
        os.write(self.reports, Report(kind, os.getpid(), value).encode())

    def wait_for_leave(self) -> None:
        """Wait until this logger may go on; what was meant for ones that were killed is passed over."""
        while os.read(self.control, 1)[0] != self.command.token:
            pass

    def check_stats(self) -> None:
        """Fail where rows were lost, or files are not what was written: nothing here is a reason for it."""
        stats = self.stats
        counted = stats.lost_rows, stats.repaired_partitions, stats.seal_failures, stats.absurd_rows
        if any(counted):
            raise AssertionError(f"rows lost, partitions repaired, seals failed, rows absurd: {counted}")

    def commit(self) -> NoReturn:
        """Commit rows for ever."""
        assert self.store is not None
        serial = self.command.serial
        while True:
            rows = _ROWS_WHILE_SEALING if self.sealing else _COMMIT_ROWS
            first, serial = serial, serial + self.chance.randint(*rows)
            self.now_ns = MARKET.now_ns(serial)
            self.report(Kind.OFFERED, serial - 1)
            self.store.commit([MARKET.batch(first, serial)])
            self.report(Kind.ACKNOWLEDGED, serial - 1)
            time.sleep(self.chance.choice((0, 0.001, 0.004)))

    def apply(self) -> NoReturn:
        """Do all the rest for ever, as the writer does, but in a hurry."""
        assert self.store is not None
        store, chance = self.store, random.Random(self.command.seed + 1)
        while True:
            self.report(Kind.APPLYING)
            store.apply()
            if chance.random() < 0.4:
                self.report(Kind.SAVING)
                store.checkpoint()
                store.prepare()
            day = store.day_to_close()
            if day is not None:
                store.close_day(day)
                self.sealing = True
            if self.sealing:
                self.report(Kind.SEALING)
                self.sealing = store.seal_step(_STEP_SECS) > 0
                self.check_stats()
                if not self.sealing:
                    self.retain(store)
            self.report(Kind.RESTING)
            time.sleep(chance.choice((0, 0.002, 0.01)))

    def retain(self, store: Store) -> None:
        """Remove what is not to be kept."""
        finished = False
        while not finished:
            self.report(Kind.RETAINING)
            finished = store.retain_step(_STEP_SECS)

    def guarded(self, work: Callable[[], None]) -> NoReturn:
        """Do work, and end the process if it raises; never returns."""
        status = BROKEN_STATUS
        try:
            work()
            status = 0
        except StorageError as error:
            # Expected where the applier was killed; the test knows.
            print(f"process {os.getpid()}: {error}", file=sys.stderr)
            self.report(Kind.REFUSED)
            status = FAILED_STATUS
        finally:
            # Whatever it was, a thread's end must be the process's.
            if status == BROKEN_STATUS:
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(status)


def children() -> list[int]:
    """Return the processes that this one has started and that live."""
    me = os.getpid()
    found = Path(f"/proc/{me}/task").glob("*/children")
    return [int(pid) for path in found for pid in path.read_text(encoding="ascii").split()]


def serve(reports: int, control: int) -> None:
    """Fork loggers as the standard input says."""
    # Orphans, such as the appliers of killed loggers, come to this process.
    if ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("error"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    for line in sys.stdin.buffer:
        command = Command(**json.loads(line))
        logger = os.fork()
        if not logger:
            me = Logger(command, reports, control, random.Random(command.seed))
            me.guarded(me.run)
        os.write(reports, Report(Kind.STARTED, logger, 0).encode())
        ended = 0
        while ended != logger:
            ended, status = os.waitpid(-1, 0)
            os.write(reports, Report(Kind.ENDED, ended, status).encode())


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
