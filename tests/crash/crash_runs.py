"""The other side of :mod:`crash_fork`: starts loggers, follows their reports, and kills them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import attrs
from crash_fork import PHASES, REPORT_BYTES, Command, Kind, Report, decode_reports

_PATIENCE_SECS: Final = 30.0
"""For what takes a moment on a quiet machine."""
_READ_BYTES: Final = 1000 * REPORT_BYTES
_TOKENS: Final = 251


@attrs.define(eq=False)
class Run:
    """One logger, as far as its reports tell."""

    command: Command
    pid: int = 0
    applier: int = 0
    """The process that writes its columns; 0 where it does so itself."""
    offered: int = -1
    """Its newest row, given to the store."""
    acknowledged: int = -1
    """Its newest row that is durable."""
    phase: Kind = Kind.STARTED
    """What its applying side was in last."""
    seen: set[Kind] = attrs.field(factory=set)
    status: int | None = None
    """Its wait status, once it has ended."""

    def take(self, report: Report) -> None:
        """Follow a report."""
        self.seen.add(report.kind)
        if report.kind is Kind.STARTED:
            self.pid = report.pid
        elif report.kind is Kind.APPLIER:
            self.applier = report.value
        elif report.kind is Kind.OFFERED:
            self.offered = report.value
        elif report.kind is Kind.ACKNOWLEDGED:
            self.acknowledged = report.value
        elif report.kind in PHASES:
            self.phase = report.kind

    @property
    def killed(self) -> bool:
        """Whether SIGKILL has ended it."""
        return self.status is not None and os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == 9

    @property
    def exit_status(self) -> int | None:
        """What it ended with by itself, None if it did not."""
        return os.WEXITSTATUS(self.status) if self.status is not None and os.WIFEXITED(self.status) else None


class Nursery:
    """The process that forks loggers; one at a time. A context manager, which ends it.

    Args:
        data: the data path of all loggers.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._count = 0
        self.appliers: set[int] = set()
        """Processes of loggers that were killed, which have not ended yet."""
        self._reports, reports = os.pipe()
        control, self._control = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("crash_fork.py")), str(reports), str(control)],
            stdin=subprocess.PIPE,
            pass_fds=(reports, control),
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )
        os.close(reports)
        os.close(control)
        self.run: Run | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.run is not None and self.run.status is None and self.run.pid:
            os.kill(self.run.pid, signal.SIGKILL)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(_PATIENCE_SECS)
        os.close(self._reports)
        os.close(self._control)

    def start(self, *, seed: int, serial: int, in_process: bool, close: bool = False) -> Run:
        """Start a logger; it waits for leave once its store is open."""
        self._count += 1
        token = 1 + self._count % _TOKENS
        command = Command(
            token=token,
            data=str(self._data),
            seed=seed,
            serial=serial,
            in_process=in_process,
            close=close,
        )
        run = self.run = Run(command)
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode())
        self._process.stdin.flush()
        self._follow(lambda: run.pid != 0, _PATIENCE_SECS)
        return run

    def let_go(self) -> None:
        """Let the logger go on from its start."""
        os.write(self._control, bytes([self._running.command.token]))

    def wait_for(self, kind: Kind, timeout: float = _PATIENCE_SECS) -> bool:
        """Wait until the logger has reported something for the first time; return whether it has."""
        run = self._running
        self._follow(lambda: kind in run.seen or run.status is not None, timeout)
        return kind in run.seen

    def wait_for_next(self, kind: Kind, timeout: float) -> bool:
        """Wait until it reports something from now on."""
        self.follow(0)
        self._running.seen.discard(kind)
        return self.wait_for(kind, timeout)

    def follow(self, seconds: float) -> None:
        """Let time pass; sooner over if the logger ends."""
        run = self._running
        self._follow(lambda: run.status is not None, seconds)

    def kill(self) -> None:
        """Kill the logger, and wait for its end; the process that writes its columns is left alone."""
        run = self._running
        if run.status is None:
            os.kill(run.pid, signal.SIGKILL)
        self.wait_for_end()
        if run.applier:
            self.appliers.add(run.applier)

    def wait_for_end(self) -> None:
        """Wait until the logger has ended."""
        run = self._running
        self._follow(lambda: run.status is not None, _PATIENCE_SECS)
        assert run.status is not None, f"process {run.pid} does not end"

    def wait_for_applier(self) -> None:
        """Wait until the process, if any, has ended that wrote the columns of the logger just killed."""
        applier = self._running.applier
        until = time.monotonic() + _PATIENCE_SECS
        while applier and _is_alive(applier):
            assert time.monotonic() < until, f"process {applier} outlives its logger"
            time.sleep(0.001)

    def wait_for_appliers(self) -> None:
        """Wait until the processes have ended that killed loggers left; only while a logger runs."""
        self._follow(lambda: not self.appliers, _PATIENCE_SECS)
        assert not self.appliers, f"processes {self.appliers} outlive their loggers"

    @property
    def _running(self) -> Run:
        assert self.run is not None
        return self.run

    def _follow(self, true: Callable[[], bool], seconds: float) -> None:
        """Read reports until something is true, or time is up."""
        until = time.monotonic() + seconds
        while not true():
            left = until - time.monotonic()
            if not select.select([self._reports], [], [], max(0.0, left))[0]:
                return
            for report in decode_reports(os.read(self._reports, _READ_BYTES)):
                self._take(report)

    def _take(self, report: Report) -> None:
        run = self._running
        if report.kind is not Kind.ENDED:
            run.take(report)
        elif report.pid == run.pid:
            run.status = report.value
        else:
            self.appliers.discard(report.pid)


def _is_alive(pid: int) -> bool:
    """Return whether a process does anything: one that nobody has asked for its end does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process around a block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


__all__ = ["Kind", "Nursery", "Run", "stopped"]
