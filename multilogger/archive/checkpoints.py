"""The checkpoints: that they can be read, and that the files hold what the newest says of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import msgspec
import xxhash

from multilogger.archive.report import Problem
from multilogger.archive.snapshot import generation_of
from multilogger.archive.tree import Place, read_manifest
from multilogger.errors import ArchiveError
from multilogger.storage.checkpoint import Checkpoint, PartitionState, previous_of
from multilogger.storage.layout import Paths, day_suffix
from multilogger.storage.manifest import temporary_column
from multilogger.storage.streams import ABSURD, LATE, LIVE, StreamEntry
from multilogger.tables import TABLES

_MAGIC: Final = b"MLCKPT02"
"""As ``docs/storage.md`` has it: a second account of the format, which must agree with the first."""
_HASH: Final = struct.Struct("<Q")
_CHUNK: Final = 1 << 22


def check_checkpoints(data: Path) -> tuple[int, list[Problem]]:
    """Return how many checkpoints there are, and what is wrong with them, or with the files they are about.

    Raises:
        ArchiveError: a file that is there can't be read.
    """
    paths = Paths(data)
    found: list[Checkpoint] = []
    problems: list[Problem] = []
    count = 0
    for path in (paths.checkpoint, previous_of(paths.checkpoint)):
        content = _content(path)
        if content is None:
            continue
        count += 1
        checkpoint = decode(content)
        if checkpoint is None:
            problems.append(Problem(path, None, "no checkpoint, or damaged"))
        else:
            found.append(checkpoint)
    if found:
        problems += _check_partitions(data, found[0])
    return count, problems


def decode(content: bytes) -> Checkpoint | None:
    """Return the checkpoint in a file, None if it is none."""
    start = len(_MAGIC) + _HASH.size
    body = content[start:]
    if content[:start] != _MAGIC + _HASH.pack(xxhash.xxh3_64_intdigest(body)):
        return None
    try:
        return msgspec.msgpack.decode(body, type=Checkpoint)
    except msgspec.MsgspecError:
        return None


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArchiveError(f"{path} can't be read: {error.strerror}") from error


def _check_partitions(data: Path, checkpoint: Checkpoint) -> Iterator[Problem]:
    streams = {state.entry.number: state.entry for state in checkpoint.streams}
    for state in checkpoint.partitions:
        entry = streams.get(state.stream)
        if entry is None or entry.table >= len(TABLES):
            yield Problem(
                Paths(data).checkpoint, None, f"a partition of stream {state.stream}, which is unknown"
            )
        elif state.rows:
            yield from _Partition(
                Place(data, entry.exchange, entry.directory, TABLES[entry.table]), entry, state
            ).check()


@attrs.frozen
class _Partition:
    """What a checkpoint says of a partition, and where that is."""

    place: Place
    entry: StreamEntry
    state: PartitionState

    def check(self) -> Iterator[Problem]:
        """Return what is wrong with its files; nothing if they are others by now, sealed or removed."""
        if not self._current():
            return
        table = self.place.table
        columns = table.raw_columns if self.entry.kind == ABSURD else table.columns
        widths = {column.name: column.dtype.itemsize for column in columns}
        found = [
            problem
            for name, crc in self.state.crcs.items()
            for problem in _check_file(self._path(name), self.state.rows, widths[name], crc)
        ]
        if self._current():
            yield from found

    def _current(self) -> bool:
        """Return whether the files are of the generation that the checkpoint knew."""
        if self.entry.kind == ABSURD:
            return True
        return generation_of(read_manifest(self.place.manifest(self.state.day))) == self.state.generation

    def _path(self, name: str) -> Path:
        day, generation = self.state.day, self.state.generation
        if self.entry.kind == LIVE:
            path = self.place.column(name, day)
            switching = Path(temporary_column(str(path), generation))
            return switching if generation and switching.exists() else path
        if self.entry.kind == LATE:
            return self.place.late_column(name, day, generation)
        folder = Paths(self.place.data).absurd / self.entry.exchange / self.entry.directory
        return folder / self.place.table.name / f"{name}{day_suffix(day)}"


def _check_file(path: Path, rows: int, width: int, crc: int) -> Iterator[Problem]:
    """Compare the rows of a file that a checkpoint knows with what it says; later ones may follow."""
    try:
        with path.open("rb") as file:
            left, found = rows * width, 0
            while left and (part := file.read(min(left, _CHUNK))):
                left -= len(part)
                found = zlib.crc32(part, found)
    except FileNotFoundError:
        yield Problem(path, None, f"missing, though the checkpoint knows {rows:,} rows of it")
        return
    except OSError as error:
        yield Problem(path, None, f"can't be read: {error.strerror}")
        return
    if left:
        have = rows - -(-left // width)
        yield Problem(path, have, f"ends here, the checkpoint knows {rows:,} rows")
    elif found != crc:
        yield Problem(
            path, None, f"CRC-32 {found:08x} of the first {rows:,} rows, the checkpoint says {crc:08x}"
        )
