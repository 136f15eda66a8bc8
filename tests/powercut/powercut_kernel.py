"""The kernel's part of the rig: mounts and loop devices that can't outlive it.

All mounts are made in a mount namespace of the rig's own, and loop devices clear themselves when they are
unmounted: whatever kills the rig, the kernel takes both away with its last process.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_libc: Final = ctypes.CDLL(None, use_errno=True)

_NEW_MOUNTS: Final = 0x20000
_RECURSIVE, _PRIVATE, _NO_SUID, _NO_DEVICES = 0x4000, 1 << 18, 2, 4
_DETACH: Final = 2
_SYS_ADMIN: Final = 21
_PARENT_DEATH_SIGNAL: Final = 1
_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_AUTOCLEAR, _DIRECT_IO = 4, 16
_CONFIG: Final = struct.Struct("<II QQQQQ IIII 64s64s32s 16x 64x")
"""Backing descriptor, block size; the loop_info64: five numbers, number, two of encryption, flags, names."""
_MAX_SECTORS_KB: Final = 64
"""So that a request that fails at a cut is one write of the backing file, done or not."""


def missing() -> str | None:
    """Return what of this machine the rig lacks, None if it can run."""
    if not _may_mount():
        return "power cuts need root, for mounts"
    for device in ("/dev/fuse", "/dev/loop-control"):
        try:
            os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            return f"power cuts need {device}: {error.strerror}"
    for tool in ("mkfs.ext4", "e2fsck"):
        if not shutil.which(tool):
            return f"power cuts need {tool}"
    known = Path("/proc/filesystems").read_text(encoding="ascii").split()
    absent = [name for name in ("ext4", "fuse") if name not in known]
    return f"power cuts need a kernel with {absent[0]}" if absent else None


def _may_mount() -> bool:
    """Return whether this process has CAP_SYS_ADMIN; root in a container may lack it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    effective = next(line.split()[1] for line in lines if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _SYS_ADMIN & 1)


def die_with_parent() -> None:
    """Have this process killed when the thread that started it ends."""
    _libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def leave_the_hosts_mounts() -> None:
    """Move this process to a mount namespace of its own; nothing it mounts is seen outside.

    Raises:
        OSError: not permitted.
    """
    _checked(_libc.unshare(_NEW_MOUNTS), "unshare")
    _checked(_libc.mount(None, b"/", None, _RECURSIVE | _PRIVATE, None), "mount --make-rprivate")


def mount_fuse(target: Path) -> int:
    """Mount a FUSE filesystem whose root is a regular file over the file ``target``.

    Returns:
        The descriptor that its requests are read from.
    """
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={fd},rootmode=100000,user_id=0,group_id=0"
    try:
        mount("powercut", target, "fuse", options, flags=_NO_SUID | _NO_DEVICES)
    except OSError:
        os.close(fd)
        raise
    return fd


def mount(source: str, target: Path, kind: str, options: str, *, flags: int = 0) -> None:
    """Mount.

    Raises:
        OSError: the kernel refused, or a disk failed.
    """
    arguments = (source.encode(), os.fsencode(target), kind.encode(), flags, options.encode())
    _checked(_libc.mount(*arguments), f"mount {kind}")


def unmount(target: Path) -> None:
    """Unmount; at once, even if something is still open there."""
    if _libc.umount2(os.fsencode(target), _DETACH) != 0 and ctypes.get_errno() != errno.EINVAL:
        _checked(-1, f"umount {target}")


@contextmanager
def loop_device(backing: Path) -> Iterator[str]:
    """Attach a loop device to a file for as long as the block runs or the device is mounted.

    Direct I/O: otherwise its flushes would first have to find their way through the page cache.
    """
    fd = os.open(backing, os.O_RDWR | os.O_CLOEXEC)
    try:
        name, loop = _configure(fd)
    finally:
        os.close(fd)
    limit = Path("/sys/block") / name / "queue/max_sectors_kb"
    before = limit.read_text(encoding="ascii")
    try:
        limit.write_text(str(_MAX_SECTORS_KB), encoding="ascii")
        yield f"/dev/{name}"
    finally:
        limit.write_text(before, encoding="ascii")
        os.close(loop)


def _configure(fd: int) -> tuple[str, int]:
    while True:
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            name = f"loop{fcntl.ioctl(control, _GET_FREE)}"
        finally:
            os.close(control)
        loop = os.open(f"/dev/{name}", os.O_RDWR | os.O_CLOEXEC)
        flags = _AUTOCLEAR | _DIRECT_IO
        try:
            fcntl.ioctl(loop, _CONFIGURE, _CONFIG.pack(fd, 512, *(0,) * 8, flags, b"powercut", b"", b""))
        except OSError as error:
            os.close(loop)
            if error.errno != errno.EBUSY:  # another took it in between
                raise
            continue
        return name, loop


def wait_for_detach(device: str, seconds: float = 10.0) -> None:
    """Wait until a loop device has cleared itself.

    Raises:
        TimeoutError: something still holds it.
    """
    attached = Path("/sys/block") / Path(device).name / "loop"
    deadline = time.monotonic() + seconds
    while attached.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{device} is still attached")
        time.sleep(0.002)


def _checked(result: int, doing: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{doing}: {os.strerror(code)}")
