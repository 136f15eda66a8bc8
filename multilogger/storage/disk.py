"""Every file system call of the storage, and nothing else: the one place where faults come in.

The functions raise :class:`OSError` as the kernel gives it; :func:`storage_errors` turns it into
:class:`multilogger.errors.StorageError`, once, around what the store was doing. They block, so they run in
the writer's threads.
"""

# The plain calls of os take the str paths of the hot path, and each is one system call:
# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH112, PTH116, PTH120, PTH208, PTH211
from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from multilogger.errors import StorageError

_ZEROS: Final = bytes(1024 * 1024)
_DIRECT_ALIGNMENT: Final = 4096
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


def let_go(fd: int) -> None:
    """Close a descriptor behind which nothing unsynced counts: an error of that changes nothing."""
    with suppress(OSError):
        close(fd)


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


def read_past_cache(path: str | Path, size: int) -> bytes | None:
    """Return a file's first ``size`` bytes as the device has them, not the page cache.

    Returns:
        The bytes; None where the filesystem can't tell.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise
    try:
        length = -(-max(size, 1) // _DIRECT_ALIGNMENT) * _DIRECT_ALIGNMENT
        with mmap.mmap(-1, length) as buffer:  # aligned, as O_DIRECT wants it
            found = os.preadv(fd, [buffer], 0)
            return buffer[: min(found, size)]
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise
    finally:
        os.close(fd)


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


def write_file(path: Path, data: bytes) -> None:
    """Write a small file and sync it; its name may not be durable yet."""
    fd = open_file(path, create=True)
    try:
        truncate(fd, 0)
        write(fd, data, 0)
        sync(fd)
    finally:
        close(fd)


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


def write_back(fd: int) -> None:
    """Write out what is dirty on the filesystem of ``fd``, as well as that goes: nothing may rely on it."""
    _libc.syncfs(fd)


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


def make_directories(path: str | Path, mode: int | None = None, gid: int = -1) -> None:
    """Make a directory and its parents, where missing.

    Args:
        path: the directory.
        mode: permissions of those made; None for what the process's umask leaves.
        gid: their group; -1 for the process's own.
    """
    missing = []
    at = os.path.normpath(path)
    while not os.path.isdir(at):
        missing.append(at)
        at = os.path.dirname(at) or "."
    for directory in reversed(missing):
        make_directory(directory, mode, gid)


def make_directory(path: str, mode: int | None, gid: int) -> None:
    """Make one directory, unless it is there."""
    try:
        os.mkdir(path)
    except FileExistsError:
        return
    if mode is not None:
        os.chmod(path, mode)
    if gid >= 0:
        os.chown(path, -1, gid)


def copy_permissions(source: int, target: int) -> None:
    """Give a file the permissions and, where this process may, the group of another."""
    found = os.fstat(source)
    os.fchmod(target, found.st_mode & 0o7777)
    if found.st_gid != os.fstat(target).st_gid:
        with suppress(PermissionError):
            os.fchown(target, -1, found.st_gid)


def set_permissions(fd: int, mode: int, gid: int) -> None:
    """Set a file's permissions, and its group unless ``gid`` is -1."""
    os.fchmod(fd, mode)
    if gid >= 0:
        os.fchown(fd, -1, gid)


def names(directory: Path) -> list[str]:
    """Return the sorted names in a directory."""
    return sorted(os.listdir(directory))


def writable(directory: Path) -> bool:
    """Return whether this process may create files there."""
    return os.access(directory, os.W_OK | os.X_OK)


def free_space(path: Path) -> tuple[int, int]:
    """Return the bytes that this user may still write to the disk of ``path``, and the disk's size."""
    state = os.statvfs(path)
    return state.f_bavail * state.f_frsize, state.f_blocks * state.f_frsize


def try_lock(fd: int) -> bool:
    """Take the exclusive ``flock`` of a file; False if another holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def process_exists(pid: int) -> bool:
    """Return whether there is a process of that number that still runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return not state.rpartition(")")[2].startswith(" Z")


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
