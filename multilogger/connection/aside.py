"""Raw frames of symbols whose rows are being set aside, kept as recordings for ``multilogger replay``.

::

    {data_path}/.multilogger/set-aside/{exchange}/{YYYY-MM-DD}.jsonl

What an open breaker sets aside is in no column file. The frames it came in are kept as they came, so that it
can be looked at, and recorded after all if it was right. Best effort: the reading never waits for it, and
what does not fit is counted and said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

import attrs
import structlog
import trio

from multilogger.errors import RecordingError
from multilogger.exchanges.base import Frames
from multilogger.recording import Recorded, encode_recorded
from multilogger.storage.blocking import RunBlocking
from multilogger.storage.layout import Paths
from multilogger.tables import NANOS_PER_SECOND

log = structlog.get_logger(__name__)

MOST_FILE_BYTES: Final = 64 * 1024 * 1024
"""Of one exchange and day. It is evidence, and must not fill the disk that the rows need."""
MOST_WAITING_BYTES: Final = 8 * 1024 * 1024
"""Payloads that may wait for the disk."""
WRITE_SECS: Final = 0.5
"""Frames wait at most about this long for others to be written with them."""
MOST_SOUGHT: Final = 16
"""With more symbols to look for, all frames are kept: looking would cost more than parsing them does."""

_LAST_WRITE_SECS: Final = 1.0
_BLOCK_BYTES: Final = 64 * 1024


@attrs.frozen
class _Chunk:
    """Some frames of one chunk."""

    recv_ns: int
    conn: str | None
    payloads: Sequence[bytes]
    nbytes: int


@attrs.frozen
class _Written:
    """What became of some frames."""

    kept: int
    problems: dict[str, int]
    """How many frames were not written, by why."""


class _DayFiles:
    """The files of one exchange. Blocks."""

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self._directory = directory
        self._most_bytes = most_bytes
        self._sizes: dict[Path, int] = {}
        """Of the newest file, once its end has been looked at."""

    def write(self, chunks: Sequence[_Chunk]) -> _Written:
        """Append frames to their days' files."""
        kept, problems = 0, dict[str, int]()
        days: dict[Path, list[_Chunk]] = {}
        for chunk in chunks:
            day = datetime.fromtimestamp(chunk.recv_ns // NANOS_PER_SECOND, UTC).date()
            days.setdefault(self._directory / f"{day}.jsonl", []).append(chunk)
        for path, of_day in days.items():
            lines = self._lines(of_day, problems)
            try:
                fitting = self._append(path, lines)
            except OSError as error:
                # The next write looks at the file anew: it may end with half a line.
                self._sizes.clear()
                fitting = 0
                why = f"{path}: {error.strerror}"
            else:
                why = f"{path} holds {self._most_bytes >> 20} MiB"
            kept += fitting
            if fitting < len(lines):
                problems[why] = problems.get(why, 0) + len(lines) - fitting
        return _Written(kept, problems)

    def _lines(self, chunks: Iterable[_Chunk], problems: dict[str, int]) -> list[bytes]:
        lines = []
        for chunk in chunks:
            for payload in chunk.payloads:
                try:
                    lines.append(encode_recorded(Recorded(chunk.recv_ns, chunk.conn, payload)))
                except RecordingError:
                    problems["no text"] = problems.get("no text", 0) + 1
        return lines

    def _append(self, path: Path, lines: Sequence[bytes]) -> int:
        """Return how many of the lines fitted."""
        if path not in self._sizes:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sizes = {path: _whole_lines(path)}
        fitting, size = 0, self._sizes[path]
        for line in lines:
            if size + len(line) > self._most_bytes:
                break
            fitting, size = fitting + 1, size + len(line)
        if fitting:
            with path.open("ab") as file:
                file.write(b"".join(lines[:fitting]))
        self._sizes[path] = size
        return fitting


class AsideFrames:
    """Keeps frames of one exchange; shared by its connections.

    Args:
        exchange: its name.
        data_path: where the column files are.
        run_blocking: runs what writes.
        most_bytes: of each day's file.
    """

    def __init__(
        self,
        exchange: str,
        data_path: Path,
        *,
        run_blocking: RunBlocking = trio.to_thread.run_sync,
        most_bytes: int = MOST_FILE_BYTES,
    ) -> None:
        self.kept = 0
        """Frames written."""
        self.dropped = 0
        """Frames that did not fit, or could not be written."""
        self._exchange = exchange
        self._files = _DayFiles(Paths(data_path).own / "set-aside" / exchange, most_bytes)
        self._run_blocking = run_blocking
        self._waiting: list[_Chunk] = []
        self._waiting_bytes = 0
        self._filled = trio.Event()
        self._writing = trio.Lock()
        self._told: set[str] = set()
        """Problems that have been logged."""
        self._symbols: frozenset[str] = frozenset()
        self._names: tuple[bytes, ...] = ()

    def offer(self, frames: Frames, conn: str | None, symbols: frozenset[str]) -> None:
        """Keep those of a chunk's frames that name one of some symbols; returns at once.

        Args:
            frames: of a chunk.
            conn: the connection's address.
            symbols: those with an open breaker, in the exchange's spelling.
        """
        if symbols is not self._symbols:
            self._symbols, self._names = symbols, _spellings(symbols)
        payloads = frames.payloads
        if len(symbols) <= MOST_SOUGHT:
            payloads = [payload for payload in payloads if self._named(payload.lower())]
        if not payloads:
            return
        nbytes = sum(map(len, payloads))
        if self._waiting_bytes + nbytes > MOST_WAITING_BYTES:
            self._note_dropped("the disk is behind", len(payloads))
            return
        self._waiting.append(_Chunk(frames.recv_ns, conn, payloads, nbytes))
        self._waiting_bytes += nbytes
        self._filled.set()

    async def run(self) -> NoReturn:
        """Write what is offered, until cancelled; what waits then is still written."""
        try:
            while True:
                await self._filled.wait()
                await trio.sleep(WRITE_SECS)
                await self._write_waiting()
        finally:
            with trio.move_on_after(_LAST_WRITE_SECS, shield=True):
                await self._write_waiting()

    async def _write_waiting(self) -> None:
        # While an exchange's settings are replaced, two tasks run this.
        async with self._writing:
            chunks = tuple(self._waiting)
            if chunks:
                # If this is cancelled before it begins, they still wait.
                written = await self._run_blocking(partial(self._files.write, chunks))
                del self._waiting[: len(chunks)]
                self._waiting_bytes -= sum(chunk.nbytes for chunk in chunks)
                self.kept += written.kept
                for why, count in written.problems.items():
                    self._note_dropped(why, count)
            if not self._waiting:
                self._filled = trio.Event()

    def _note_dropped(self, why: str, count: int) -> None:
        self.dropped += count
        if why not in self._told:
            self._told.add(why)
            log.warning(
                "frames are not set aside; said once, then counted",
                exchange=self._exchange,
                why=why,
                frames=count,
            )

    def _named(self, lowered: bytes) -> bool:
        return any(name in lowered for name in self._names)


def _spellings(symbols: Iterable[str]) -> tuple[bytes, ...]:
    """Return what to look for in a lowered payload: each symbol plainly, and as JSON may escape it."""
    names = {
        spelling
        for symbol in symbols
        for spelling in (symbol, symbol.replace("/", r"\/"), json.dumps(symbol)[1:-1])
    }
    return tuple(sorted(name.encode().lower() for name in names))


def _whole_lines(path: Path) -> int:
    """Return a file's size, 0 without one, after cutting off what an interrupted write left of a line."""
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        while end:
            start = max(end - _BLOCK_BYTES, 0)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        file.truncate(end)
        return end
