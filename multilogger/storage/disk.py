"""Every file system call of the storage, and nothing else: the one place where faults come in.

The functions raise :class:`OSError` as the kernel gives it; :func:`storage_errors` turns it into
:class:`multilogger.errors.StorageError`, once, around what the store was doing. They block, so they run in
the writer's threads.
"""

# The plain calls of os take the str paths of the hot path, and each is one system call:
# ruff: noqa: PTH103, PTH104, PTH108, PTH116, PTH208, PTH211
from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from multilogger.errors import StorageError

_ZEROS: Final = bytes(1024 * 1024)
_libc: Final = ctypes.CDLL(None, use_errno=True)

SYNCFS_KNOWN: Final = frozenset({"ext4", "xfs", "btrfs", "overlay", "tmpfs"})
"""Filesystems whose ``syncfs`` is known to reach the device (tmpfs: to have nothing to reach)."""


def open_file(path: str | Path, *, create: bool = False) -> int:
    """Open for reading and writing; ``create`` if it doesn't exist."""
    flags = os.O_RDWR | os.O_CLOEXEC
    return os.open(path, flags | os.O_CREAT if create else flags, 0o644)


def open_directory(path: Path) -> int:
    """Open a directory, to sync it or its filesystem."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def close(fd: int) -> None:
    """Close a descriptor."""
    os.close(fd)


def length(fd: int) -> int:
    """Return the file's size in bytes; cheaper than a full ``fstat``."""
    return os.lseek(fd, 0, os.SEEK_END)


def length_of(path: str | Path) -> int | None:
    """Return a file's size in bytes, None if it doesn't exist."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return None


def read(fd: int, size: int, offset: int) -> bytes:
    """Return up to ``size`` bytes at ``offset``; fewer only at the end of the file."""
    data = os.pread(fd, size, offset)
    while 0 < len(data) < size:
        more = os.pread(fd, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def write(fd: int, data: memoryview | bytes, offset: int) -> None:
    """Write all of ``data`` at ``offset``."""
    written = os.pwrite(fd, data, offset)
    while written < len(data):
        written += os.pwrite(fd, memoryview(data)[written:], offset + written)


def write_parts(fd: int, parts: Sequence[memoryview | bytes], offset: int) -> None:
    """Write ``parts`` one after the other at ``offset``, in one call unless the kernel takes less."""
    written = os.pwritev(fd, parts, offset)
    if written < sum(len(part) for part in parts):
        write(fd, memoryview(b"".join(parts))[written:], offset + written)


def write_zeros(fd: int, size: int) -> None:
    """Fill the first ``size`` bytes with zeros: really written, so that later syncs change no metadata."""
    for offset in range(0, size, len(_ZEROS)):
        write(fd, memoryview(_ZEROS)[: size - offset], offset)


def truncate(fd: int, size: int) -> None:
    """Set the file's size."""
    os.ftruncate(fd, size)


def sync_data(fd: int) -> None:
    """Make the file's data durable."""
    os.fdatasync(fd)


def sync(fd: int) -> None:
    """Make the file's data and metadata durable."""
    os.fsync(fd)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = open_directory(path)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_filesystem(fd: int) -> None:
    """Make everything on the filesystem of ``fd`` durable (``syncfs(2)``)."""
    if _libc.syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def filesystem_type(path: Path) -> str:
    """Return the type of the filesystem that holds ``path``, such as ``ext4``; empty if unknown."""
    best, found = "", ""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    resolved = path.resolve()
    for line in lines:
        left, _, right = line.partition(" - ")
        mount = left.split(" ")[4].replace("\\040", " ")
        if len(mount) >= len(best) and resolved.is_relative_to(mount):
            best, found = mount, right.split(" ")[0]
    return found


def rename(old: Path, new: Path) -> None:
    """Rename, replacing ``new``."""
    os.rename(old, new)


def unlink(path: str | Path) -> None:
    """Remove a file, if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def symlink(target: str, path: str) -> None:
    """Make a symbolic link, unless something has that name."""
    try:
        os.symlink(target, path)
    except FileExistsError:
        return


def make_directories(path: str | Path) -> None:
    """Make a directory and its parents, where missing."""
    os.makedirs(path, exist_ok=True)


def names(directory: Path) -> list[str]:
    """Return the sorted names in a directory."""
    return sorted(os.listdir(directory))


def writable(directory: Path) -> bool:
    """Return whether this process may create files there."""
    return os.access(directory, os.W_OK | os.X_OK)


def try_lock(fd: int) -> bool:
    """Take the exclusive ``flock`` of a file; False if another holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def boot_id() -> str:
    """Return the kernel's id of this boot; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn a failing system call into a :class:`StorageError` that says what it was for."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{doing}: {error}") from error
