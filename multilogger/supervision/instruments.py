"""Keeps what an exchange lists over time: after each listing, what it has changed is appended and synced.

The format and what it means are :mod:`multilogger.symbols.history`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import structlog
import trio

from multilogger.stats import ExchangeStats
from multilogger.storage import disk
from multilogger.storage.blocking import RunBlocking
from multilogger.storage.layout import Paths
from multilogger.symbols.changes import apply_changes, changes_between, kinds_of
from multilogger.symbols.history import decode_history, encode_listing, unreadable_words
from multilogger.symbols.instruments import SymbolInfo

log = structlog.get_logger(__name__)


class InstrumentLog:
    """One exchange's instrument history, as long as the program runs; read at the first listing.

    Args:
        data: the data path.
        stats: the exchange's counters.
        clock: nanoseconds since the epoch, on the scale of event times.
        run_blocking: runs what blocks.
    """

    def __init__(
        self, data: Path, stats: ExchangeStats, clock: Callable[[], int], run_blocking: RunBlocking
    ) -> None:
        self._path = Paths(data).instrument_history(stats.name)
        self._stats = stats
        self._clock = clock
        self._run_blocking = run_blocking
        # Generations of an exchange, each with listings of its own, may overlap.
        self._lock = trio.Lock()
        self._known: dict[str, SymbolInfo] | None = None
        """What is listed as far as the file tells; None until it is read, and after a failure."""
        self._length = 0
        self._newest_ns = 0
        """When the newest listing came that is known: a change of the next one came after it."""
        self._doubtful = False
        """Whether lines of the file could not be read, and no listing has come since."""

    async def note(self, listed: Sequence[SymbolInfo]) -> None:
        """Make durable what a listing has changed.

        A disk that is full or fails does not end the exchange: it is logged and told in ``/health``, and the
        next listing brings what this one could not.
        """
        async with self._lock:
            try:
                await self._run_blocking(partial(self._note, listed, self._clock()))
            except OSError as error:
                self._known = None
                self._stats.instruments_problem = str(error)
                log.error("instruments not noted", exchange=self._stats.name, why=str(error))  # noqa: TRY400 - its words say it
            else:
                self._stats.instruments_problem = ""

    def _note(self, listed: Sequence[SymbolInfo], now_ns: int) -> None:
        if self._known is None:
            self._known = self._read()
        # The file's order is that of time, whatever a clock that was put right says now.
        at_ns = max(now_ns, self._newest_ns + 1)
        changes = changes_between(
            self._known, listed, at_ns=at_ns, after_ns=self._newest_ns, doubtful=self._doubtful
        )
        if changes:
            self._append(encode_listing(changes, len({info.symbol for info in listed})))
            apply_changes(self._known, changes)
            log.info("instruments", exchange=self._stats.name, **dict(kinds_of(changes)))
        self._newest_ns = at_ns
        self._doubtful = False

    def _read(self) -> dict[str, SymbolInfo]:
        """Read the file, and cut off what a crash has left of a listing."""
        self._make_ready()
        history = decode_history(self._stats.name, self._path.read_bytes())
        if history.unreadable:
            log.error(
                "instrument history has unreadable lines",
                path=str(self._path),
                lines=len(history.unreadable),
                why="; ".join(unreadable_words(history)),
            )
        self._cut(history.length)
        self._length, self._newest_ns = history.length, history.last_ns
        self._doubtful = bool(history.unreadable)
        return history.at()

    def _make_ready(self) -> None:
        if disk.length_of(self._path) is None:
            disk.make_directories(self._path.parent)
            disk.close(disk.open_file(self._path, create=True))
            for directory in (self._path.parent, self._path.parent.parent):
                disk.sync_directory(directory)

    def _cut(self, length: int) -> None:
        fd = disk.open_file(self._path)
        try:
            size = disk.length(fd)
            if size > length:
                log.warning("instrument history cut", path=str(self._path), bytes=size - length)
                disk.truncate(fd, length)
                disk.sync(fd)
        finally:
            disk.close(fd)

    def _append(self, lines: bytes) -> None:
        """Append and sync; what an earlier attempt has left is written over, or cut off."""
        fd = disk.open_file(self._path)
        try:
            disk.truncate(fd, self._length)
            disk.write(fd, lines, self._length)
            disk.sync(fd)
        finally:
            disk.close(fd)
        self._length += len(lines)
