"""The other end of :mod:`multilogger.storage.remote`: ``python -m multilogger.storage.applying``.

Requests come on the standard input, replies go to the standard output. When the input ends, so does the
process, at once and wherever it is.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import IO, Any, Final, NoReturn

import msgspec
import structlog

from multilogger.config import StorageConfig
from multilogger.config.policy import ExchangePolicy
from multilogger.errors import StorageError
from multilogger.storage.applier import Applier
from multilogger.storage.layout import Paths
from multilogger.storage.remote import (
    Apply,
    Begin,
    Failure,
    Reply,
    Request,
    Retain,
    Seal,
    TakeCheckpoint,
    read_message,
    write_message,
)

_LEVELS: Final = frozenset({"debug", "info", "warning", "error", "critical"})


class Events:
    """Collects what is logged, for the next reply."""

    def __init__(self) -> None:
        self._events: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> NoReturn:
        """Take an event; a structlog processor."""
        level = method if method in _LEVELS else "error"
        fields = {str(name): _plain(value) for name, value in event.items() if name != "event"}
        self._events.append((level, str(event.get("event", "")), fields))
        raise structlog.DropEvent

    def take(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Return what has come since the last call."""
        found, self._events = self._events, []
        return found


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def open_applier(begin: Begin) -> Applier:
    """Return the applier that a first request asks for, standing at the checkpoint."""
    settings = StorageConfig(
        exact_columns=begin.exact_columns,
        trade_aliases=begin.trade_aliases,
        journal_alternate=Path(begin.journal_alternate) if begin.journal_alternate else None,
    )
    names = ("file_mode", "directory_mode", "gid", "retention_days", "retention_bytes")
    policies = {
        exchange: ExchangePolicy(**dict(zip(names, values, strict=True)))
        for exchange, values in begin.policies.items()
    }
    applier = Applier(Paths(Path(begin.data_path)), settings, policies)
    applier.resume()
    return applier


def perform(applier: Applier, request: Request) -> msgspec.Struct:
    """Do what a request asks for."""
    if isinstance(request, Apply):
        return applier.apply(request.extents)
    if isinstance(request, TakeCheckpoint):
        return applier.checkpoint(request.segment, request.oldest_day)
    if isinstance(request, Seal):
        return applier.seal(request.closed_day, request.seconds, request.round_)
    if isinstance(request, Retain):
        return applier.retain(request.today, request.seconds, request.needed_bytes)
    raise TypeError(f"not a request of an applier that has begun: {type(request).__name__}")


def serve(requests: queue.SimpleQueue[bytes], replies: IO[bytes]) -> NoReturn:
    """Answer requests, for ever."""
    events = Events()
    structlog.configure(processors=[events])
    applier: Applier | None = None
    while True:
        request = msgspec.msgpack.decode(requests.get(), type=Request)
        failure = None
        result: msgspec.Struct | None = None
        try:
            if isinstance(request, Begin):
                applier = open_applier(request)
            elif applier is not None:
                result = perform(applier, request)
        except StorageError as error:
            failure = Failure(type(error).__name__, str(error))
        except OSError as error:
            failure = Failure(StorageError.__name__, f"applier: {error}")
        try:
            write_message(replies, Reply(events.take(), failure, msgspec.Raw(msgspec.msgpack.encode(result))))
        except BrokenPipeError:
            os._exit(0)  # the logger was killed, and this thread noticed before the one that listens


def listen(stream: IO[bytes], requests: queue.SimpleQueue[bytes]) -> NoReturn:
    """Read requests; at the end of the stream, end the process."""
    while (data := read_message(stream)) is not None:
        requests.put(data)
    # Nobody is left to answer to, and every point is as good as a kill: a start repairs what is half done.
    os._exit(0)


def main() -> NoReturn:
    """Serve one logger."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    serve(requests, replies)


if __name__ == "__main__":
    main()
