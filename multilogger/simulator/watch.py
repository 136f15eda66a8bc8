"""A reader that looks at the live files while they are written, again and again, and judges what it sees.

In a live file time never decreases, and what was seen once stays as it was, unless a seal made a new
generation of the day.
"""

from __future__ import annotations

import zlib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from multilogger.simulator.columns import COMPATIBLE, TIME, column_path, generation, row_times

Times = npt.NDArray[Any]

_TRIES: Final = 100
"""Looks at a file before it counts as one that no reader gets hold of: a seal renames within microseconds."""
_FAULTS: Final = 20
"""Kept in words; the others are counted."""


@attrs.frozen
class _Seen:
    """A file as it was at the last look."""

    state: tuple[int, ...]
    """By which a look tells that nothing has changed."""
    generation: int
    rows: int
    crc32: int
    """Of the rows' times."""


@attrs.define
class FileWatch:
    """What has been seen of all live files below a data path; :meth:`look` looks anew."""

    data: Path
    looks: int = 0
    reads: int = 0
    """Files read, at all looks together; files that had not changed are not read again."""
    found: int = 0
    """Faults."""
    faults: list[str] = attrs.field(factory=list)
    """The first of them, in words."""
    _seen: dict[Path, _Seen] = attrs.field(factory=dict)

    def look(self) -> None:
        """Read the times of all files that have changed; blocks for as long as that takes."""
        self.looks += 1
        present = set()
        for table, (seconds, _) in TIME.items():
            for path in self.data.glob(f"[!.]*/*/{table}/{seconds}.*.bin"):
                present.add(path)
                self._look_at(path, table)
        for path in self._seen.keys() - present:
            self._fault(path, "is gone")
            del self._seen[path]

    def _look_at(self, path: Path, table: str) -> None:
        seen = self._seen.get(path)
        state = _state(path)
        if state is None or (seen is not None and seen.state == state):
            return
        self.reads += 1
        found = _read(path.parent, table, _day(path))
        if found is None:
            self._fault(path, f"could not be read in {_TRIES} tries")
            return
        number, times = found
        backward = np.flatnonzero(np.diff(times) < 0)
        if len(backward):
            self._fault(path, f"time decreases after row {backward[0]}")
        if seen is not None and seen.generation == number:
            self._compare(path, seen, times)
        self._seen[path] = _Seen(state, number, len(times), zlib.crc32(times.tobytes()))

    def _compare(self, path: Path, seen: _Seen, times: Times) -> None:
        if len(times) < seen.rows:
            self._fault(path, f"had {seen.rows} rows, and has {len(times)}")
        elif zlib.crc32(times[: seen.rows].tobytes()) != seen.crc32:
            self._fault(path, f"has other times in its first {seen.rows} rows")

    def _fault(self, path: Path, words: str) -> None:
        self.found += 1
        if len(self.faults) < _FAULTS:
            self.faults.append(f"{path} {words}")


def _read(folder: Path, table: str, day: date) -> tuple[int, Times] | None:
    """Return the generation and the times of a day, of one moment; None if a seal was always in between."""
    for _ in range(_TRIES):
        number = generation(folder, day)
        try:
            columns = {
                name: np.fromfile(column_path(folder, name, day, number), COMPATIBLE[table][name])
                for name in TIME[table]
            }
        except FileNotFoundError:
            continue
        if generation(folder, day) == number:
            # The seconds grow last and were read first: the nanoseconds can only be more.
            rows = min(map(len, columns.values()))
            return number, row_times({name: values[:rows] for name, values in columns.items()}, table)
    return None


def _state(path: Path) -> tuple[int, ...] | None:
    """Return what changes whenever the file or its manifest does; None if the file is gone."""
    day = path.name.split(".", 1)[1].removesuffix(".bin")
    file = _stat(path)
    return file and (*file, *(_stat(path.with_name(f"manifest.{day}.json")) or ()))


def _stat(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _day(path: Path) -> date:
    return datetime.strptime(path.name.split(".", 1)[1], "%d.%m.%y.bin").replace(tzinfo=UTC).date()
