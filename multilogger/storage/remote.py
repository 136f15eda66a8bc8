"""The applier in a process of its own: the same calls, each a message there and one back.

What the logger's process computes holds the interpreter's lock most of the time; writing many small files in
a thread beside it would wait for the lock at every call. The other process holds the data path's lock too,
so that a new logger waits for it, and ends at once when its logger does, at whatever point: a start repairs
what it left.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import msgspec
import structlog

from multilogger.config import StorageConfig
from multilogger.config.policy import ExchangePolicy
from multilogger.errors import ColumnsUnavailable, StorageDamaged, StorageError
from multilogger.storage.applier import Applied, RetentionStep, Saved, SealStep
from multilogger.storage.extent import Extent
from multilogger.storage.lock import WriterLock

log = structlog.get_logger()

_LENGTH: Final = struct.Struct("<I")
_CLOSE_SECS: Final = 30.0
T = TypeVar("T")


class Begin(msgspec.Struct, tag=True, frozen=True):
    """The first request: what the other process is to work on."""

    data_path: str
    journal_alternate: str | None
    exact_columns: bool
    trade_aliases: bool
    policies: dict[str, tuple[int, int, int, int, int]]
    """Arguments of each exchange's policy, in order."""


class Apply(msgspec.Struct, tag=True, frozen=True):
    """Ask for :meth:`Applier.apply`."""

    extents: list[Extent]


class TakeCheckpoint(msgspec.Struct, tag=True, frozen=True):
    """Ask for :meth:`Applier.checkpoint`."""

    segment: int
    oldest_day: int


class Seal(msgspec.Struct, tag=True, frozen=True):
    """Ask for :meth:`Applier.seal`."""

    closed_day: int
    seconds: float
    round_: int | None


class Retain(msgspec.Struct, tag=True, frozen=True):
    """Ask for :meth:`Applier.retain`."""

    today: int
    seconds: float
    needed_bytes: int


class Failure(msgspec.Struct, frozen=True):
    """What a call raised."""

    kind: str
    words: str


class Reply(msgspec.Struct, frozen=True):
    """The answer to a request."""

    events: list[tuple[str, str, dict[str, Any]]]
    """Logged meanwhile: level, event, and what belongs to it."""
    failure: Failure | None = None
    result: msgspec.Raw = msgspec.Raw(b"\xc0")
    """Nil where there is none."""


Request = Begin | Apply | TakeCheckpoint | Seal | Retain
_ERRORS: Final[Mapping[str, type[StorageError]]] = {
    error.__name__: error for error in (ColumnsUnavailable, StorageDamaged, StorageError)
}


def write_message(stream: IO[bytes], message: Request | Reply) -> None:
    """Write a message with its length before it."""
    data = msgspec.msgpack.encode(message)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def read_message(stream: IO[bytes]) -> bytes | None:
    """Read a message; None at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    return data if len(data) == length else None


class RemoteApplier:
    """Starts the other process and talks to it; used by one thread at a time, like :class:`Applier`.

    Args:
        data_path: whose columns to write, recovered.
        settings: ``[storage]``.
        policies: permissions and retention by exchange.
        lock: of the data path; the other process holds it, too.

    Raises:
        StorageError: the process can't be started.
    """

    def __init__(
        self,
        data_path: Path,
        settings: StorageConfig,
        policies: Mapping[str, ExchangePolicy],
        lock: WriterLock,
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "multilogger.storage.applying"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(lock.fd,),
            # A signal to the terminal's group is for the logger, which then drains through this process.
            start_new_session=True,
        )
        alternate = settings.journal_alternate
        try:
            self._ask(
                Begin(
                    os.fspath(data_path),
                    os.fspath(alternate) if alternate else None,
                    settings.exact_columns,
                    settings.trade_aliases,
                    {
                        name: (
                            it.file_mode,
                            it.directory_mode,
                            it.gid,
                            it.retention_days,
                            it.retention_bytes,
                        )
                        for name, it in policies.items()
                    },
                ),
                type(None),
            )
        except BaseException:
            self._end()
            raise

    @property
    def pid(self) -> int:
        """The other process's."""
        return self._process.pid

    def apply(self, extents: Sequence[Extent]) -> Applied:
        """As :meth:`Applier.apply`."""
        return self._ask(Apply(list(extents)), Applied)

    def checkpoint(self, segment: int, oldest_day: int) -> Saved:
        """As :meth:`Applier.checkpoint`."""
        return self._ask(TakeCheckpoint(segment, oldest_day), Saved)

    def seal(self, closed_day: int, seconds: float, round_: int | None = None) -> SealStep:
        """As :meth:`Applier.seal`."""
        return self._ask(Seal(closed_day, seconds, round_), SealStep)

    def retain(self, today: int, seconds: float, needed_bytes: int = 0) -> RetentionStep:
        """As :meth:`Applier.retain`."""
        return self._ask(Retain(today, seconds, needed_bytes), RetentionStep)

    def _ask(self, request: Request, answer: type[T]) -> T:
        requests, replies = self._process.stdin, self._process.stdout
        if requests is None or replies is None:
            raise RuntimeError("the applier's process has no pipes")
        try:
            write_message(requests, request)
            data = read_message(replies)
        except BrokenPipeError:
            data = None
        if data is None:
            status = self._process.wait()
            raise StorageError(f"the process that writes the column files has ended with status {status}")
        reply = msgspec.msgpack.decode(data, type=Reply)
        for level, event, fields in reply.events:
            getattr(log, level)(event, **fields)
        if reply.failure is not None:
            raise _ERRORS.get(reply.failure.kind, StorageError)(reply.failure.words)
        return msgspec.msgpack.decode(reply.result, type=answer)

    def close(self) -> None:
        """End the other process, and wait until it has."""
        self._end()

    def _end(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_CLOSE_SECS)
        except subprocess.TimeoutExpired:
            log.warning("the process that writes the column files does not end: it is killed", pid=self.pid)
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
