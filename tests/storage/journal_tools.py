"""What the journal's tests share: small journals, reading them back, and disks that fail at a given call."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import numpy as np
import pytest

from multilogger.storage import disk
from multilogger.storage.extent import Position, Replayed
from multilogger.storage.frame import ALIGNMENT, FrameType
from multilogger.storage.journal import Journal
from multilogger.storage.payload import SECTION, TableRows
from multilogger.storage.replay import Damaged, Replay
from multilogger.storage.segments import MIN_SEGMENT_BYTES, Closed, SegmentPool, list_segments
from multilogger.tables import TRADES, Array, Table

START = Position(0, 0)
DICTIONARY = b"dictionary"


def open_journal(
    path: Path,
    *,
    first: int = 1,
    position: Position = START,
    closed: Sequence[Closed] = (),
    alternate: Path | None = None,
) -> tuple[Journal, SegmentPool]:
    """Return a journal of the smallest segments."""
    pool = SegmentPool(path, MIN_SEGMENT_BYTES, closed)
    other = SegmentPool(alternate, MIN_SEGMENT_BYTES, closed) if alternate else None
    return Journal(pool, first, position, lambda: [DICTIONARY], lambda: 7, other), pool


def write(journal: Journal, *groups: Sequence[bytes]) -> Position:
    """Append groups of rows frames, one by one."""
    for group in groups:
        for payload in group:
            journal.append([(FrameType.ROWS, payload)])
    return journal.position


def write_group(journal: Journal, payloads: Sequence[bytes]) -> Position:
    """Append rows frames that are synced together."""
    journal.append([(FrameType.ROWS, payload) for payload in payloads])
    return journal.position


@attrs.define
class Read:
    """What came back."""

    rows: list[bytes]
    """Payloads of rows frames."""
    damaged: list[Damaged]
    replay: Replay

    @property
    def end(self) -> Position:
        """Of the journal."""
        return self.replay.end


def read_back(*paths: Path, after: Position = START) -> Read:
    """Replay, and insist on an order that recovery can rely on."""
    found = Replay(list_segments(*paths), after)
    items = list(found.items())
    expected = after.sequence + 1
    for item in items:
        first, last = (item.first, item.last) if isinstance(item, Damaged) else (item.position.sequence,) * 2
        assert expected == first <= last
        expected = last + 1
    frames = [item for item in items if isinstance(item, Replayed)]
    return Read(
        [frame.payload for frame in frames if frame.type is FrameType.ROWS],
        [item for item in items if isinstance(item, Damaged)],
        found,
    )


def flip(path: Path, offset: int) -> None:
    """Change a byte."""
    with path.open("r+b") as file:
        file.seek(offset)
        value = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([value ^ 0x24]))


def wipe(path: Path, offset: int, size: int = ALIGNMENT) -> None:
    """Zero a place."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(size))


@attrs.define
class FailingDisk:
    """Lets the calls of some functions of the disk fail, from the k-th on, in some directory.

    Args:
        calls: how many calls go well first.
        fails: how many fail after them.
        below: only of files in this directory; descriptors are looked up.
        half: whether a failing write leaves its bytes behind all the same.
    """

    calls: int
    fails: int = 1
    below: Path | None = None
    half: bool = False
    code: int = errno.EIO
    failed: int = 0

    def install(self, patch: pytest.MonkeyPatch, *names: str) -> None:
        """Replace functions of :mod:`multilogger.storage.disk`."""
        for name in names:
            patch.setattr(disk, name, self._failing(getattr(disk, name)))

    def _failing(self, function: Callable[..., object]) -> Callable[..., object]:
        def call(place: int | Path, *arguments: object, **options: object) -> object:
            path = Path(f"/proc/self/fd/{place}").readlink() if isinstance(place, int) else Path(place)
            if self.below is not None and self.below not in (path, *path.parents):
                return function(place, *arguments, **options)
            self.calls -= 1
            if self.calls >= 0 or self.failed >= self.fails:
                return function(place, *arguments, **options)
            self.failed += 1
            if self.half:
                function(place, *arguments, **options)
            raise OSError(self.code, "made to fail", str(path))

        return call


NOON = (20_300 * 86_400 + 43_200) * 1_000_000_000
"""Of some day in 2025."""


def make_rows(table: Table, times: Sequence[int], *, serial: int = 1) -> Array:
    """Return rows of a table at these times; everything else follows from a serial number."""
    rows = np.zeros(len(times), table.row)
    rows["time_ns"] = times
    rows["recv_ns"] = rows["time_ns"] + 5
    rows["price"] = np.arange(serial, serial + len(times)) + 0.25
    rows["side"] = rows["price"].astype(np.int64) % 2
    if table is TRADES:
        rows["trade_id"] = np.arange(serial, serial + len(times))
    return rows


def table_rows(table: Table, *sections: tuple[int, int, int, int], serial: int = 1) -> TableRows:
    """Return rows for a payload: ``sections`` are stream, day, first row and number of rows."""
    found = np.array([(*section, 0) for section in sections], SECTION)
    rows = make_rows(table, [NOON] * int(found["rows"].sum()), serial=serial)
    return TableRows(table, found, {name: rows[name] for name in table.stored_fields})
