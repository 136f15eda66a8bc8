"""Between the storage and its disk: notes every call that changes something, and lets chosen ones fail."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from durability_calls import (
    Call,
    Create,
    FailedSync,
    FailedSyncAll,
    Link,
    MakeDirectory,
    Rename,
    Sync,
    SyncAll,
    SyncDirectory,
    Truncate,
    Unlink,
    Write,
)
from durability_volume import Volume

from multilogger.storage import disk

Buffer = memoryview | bytes


@contextmanager
def replaced(owner: Any, functions: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Put functions in the place of a module's or class's own for a while."""
    before = {name: owner.__dict__[name] for name in functions}
    try:
        for name, function in functions.items():
            setattr(owner, name, function)
        yield
    finally:
        for name, function in before.items():
            setattr(owner, name, function)


@attrs.define
class Failure:
    """Calls that are to fail."""

    call: str
    """Name of the function of :mod:`multilogger.storage.disk`."""
    path: str
    """Part of the path concerned."""
    error: int
    """As in :mod:`errno`."""
    times: int = 1


class Recorder:
    """The functions of :mod:`multilogger.storage.disk`, watched below one root.

    Args:
        root: what happens elsewhere is not noted.
        volume: what is there at the beginning.
        syncs_all: whether the file system's ``syncfs`` does anything.
        boot: the machine's boot id.
    """

    def __init__(self, root: Path, volume: Volume, *, syncs_all: bool = True, boot: str = "first") -> None:
        self.calls: list[Call] = []
        self.failures: list[Failure] = []
        self._root = f"{root}/"
        self._names = dict(volume.names())
        self._count = volume.file_count
        self._open: dict[int, tuple[int, str]] = {}
        self._syncs_all = syncs_all
        self._boot = boot
        self._real: dict[str, Callable[..., Any]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Stand in for the disk."""
        own = {name: getattr(self, name) for name in _REPLACED}
        self._real = {name: getattr(disk, name) for name in _REPLACED}
        others = {
            "boot_id": lambda: self._boot,
            "filesystem_type": lambda _: "ext4" if self._syncs_all else "fuse",
        }
        with replaced(disk, own | others):
            yield

    def _relative(self, path: str | Path) -> str:
        text = os.path.normpath(path)
        return text.removeprefix(self._root) if text.startswith(self._root) else ""

    def _fail(self, call: str, path: str) -> None:
        for failure in self.failures:
            if failure.times and failure.call == call and failure.path in path:
                failure.times -= 1
                raise OSError(failure.error, os.strerror(failure.error), path)

    def open_file(self, path: str | Path, *, create: bool = False) -> int:
        """Open, and note a file that is made."""
        name = self._relative(path)
        self._fail("open_file", name)
        fd: int = self._real["open_file"](path, create=create)
        found = self._names.get(name)
        if name and found is None:
            found = self._names[name] = self._count
            self._count += 1
            self.calls.append(Create(name, found))
        if isinstance(found, int):
            self._open[fd] = found, name
        return fd

    def close(self, fd: int) -> None:
        """Close."""
        self._open.pop(fd, None)
        self._real["close"](fd)

    def write(self, fd: int, data: Buffer, offset: int) -> None:
        """Write; a failing write has written half."""
        number, name = self._open[fd]
        try:
            self._fail("write", name)
        except OSError:
            data = data[: len(data) // 2]
            self._written(fd, number, data, offset)
            raise
        self._written(fd, number, data, offset)

    def write_parts(self, fd: int, parts: Sequence[Buffer], offset: int) -> None:
        """Write; all parts are one call."""
        self.write(fd, b"".join(parts), offset)

    def _written(self, fd: int, number: int, data: Buffer, offset: int) -> None:
        self._real["write"](fd, data, offset)
        self.calls.append(Write(number, offset, bytes(data)))

    def truncate(self, fd: int, size: int) -> None:
        """Set the size."""
        number, name = self._open[fd]
        self._fail("truncate", name)
        self._real["truncate"](fd, size)
        self.calls.append(Truncate(number, size))

    def sync(self, fd: int) -> None:
        """Sync a file."""
        self._sync_file("sync", fd)

    def sync_data(self, fd: int) -> None:
        """Sync a file's data, and its size."""
        self._sync_file("sync_data", fd)

    def _sync_file(self, call: str, fd: int) -> None:
        number, name = self._open[fd]
        try:
            self._fail(call, name)
        except OSError:
            self.calls.append(FailedSync(number))
            raise
        self.calls.append(Sync(number))

    def sync_directory(self, path: Path) -> None:
        """Sync a directory's names."""
        name = self._relative(path)
        self._fail("sync_directory", name)
        if not path.is_dir():
            raise FileNotFoundError(path)
        self.calls.append(SyncDirectory(name))

    def sync_filesystem(self, _fd: int) -> None:
        """Sync everything on the data path's disk."""
        try:
            self._fail("sync_filesystem", "")
        except OSError:
            self.calls.append(FailedSyncAll("data"))
            raise
        if self._syncs_all:
            self.calls.append(SyncAll("data"))

    def rename(self, old: Path, new: Path) -> None:
        """Rename."""
        before, after = self._relative(old), self._relative(new)
        self._fail("rename", before)
        self._real["rename"](old, new)
        self._names[after] = self._names.pop(before)
        self.calls.append(Rename(before, after))

    def unlink(self, path: str | Path) -> None:
        """Remove a name, and note it if it was there."""
        name = self._relative(path)
        self._fail("unlink", name)
        self._real["unlink"](path)
        if self._names.pop(name, None) is not None:
            self.calls.append(Unlink(name))

    def symlink(self, target: str, path: str) -> None:
        """Make a symbolic link."""
        name = self._relative(path)
        self._fail("symlink", name)
        self._real["symlink"](target, path)
        if name not in self._names:
            self._names[name] = target
            self.calls.append(Link(name, target))

    def make_directory(self, path: str, mode: int | None, gid: int) -> None:
        """Make a directory."""
        name = self._relative(path)
        self._fail("make_directory", name)
        self._real["make_directory"](path, mode, gid)
        if name and name not in self._names:
            self._names[name] = None
            self.calls.append(MakeDirectory(name))


_REPLACED = (
    "open_file",
    "close",
    "write",
    "write_parts",
    "truncate",
    "sync",
    "sync_data",
    "sync_directory",
    "sync_filesystem",
    "rename",
    "unlink",
    "symlink",
    "make_directory",
)
