"""A block device's contents as a file of FUSE, served by a process of its own, that can lose its power.

It speaks the kernel's FUSE protocol itself: the mounted "filesystem" is one regular file, so seven requests
are all there is, and no library is needed. A loop device on top of the file turns it into a disk: the loop
device's flush arrives here as FSYNC.

Started with three descriptors: ``/dev/fuse`` as mounted, the file that receives what is durable, and a
socket. By the socket come ``arm N`` (cut after N more writes and flushes) and ``cut``; the answer to both,
once the cut has struck, is one line of JSON. From then on every request fails.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import stat
import struct
import sys
from typing import Final

import attrs
from powercut_image import Loss, VolatileImage
from powercut_kernel import die_with_parent

_HEADER: Final = struct.Struct("<IIQQIIIHH")
"""Length, operation, unique, node, uid, gid, pid, length of extensions, padding."""
_REPLY: Final = struct.Struct("<IiQ")
"""Length, negative error, unique."""
_ATTR: Final = struct.Struct("<QII QQQ QQQ III IIIIIII")
"""Valid seconds, nanoseconds, padding; inode, size, blocks; times; their nanoseconds; mode, links, uid, gid,
device, block size, flags."""
_INIT: Final = struct.Struct("<IIIIHHIIHHI28x")
_RANGE: Final = struct.Struct("<QQI")
"""Handle, offset, size: what a READ and a WRITE begin with."""
_WRITE_BODY: Final = 40
_MAX_WRITE: Final = 128 * 1024

_GETATTR, _OPEN, _READ, _WRITE, _RELEASE, _FSYNC, _INIT_OPERATION = 3, 14, 15, 16, 18, 20, 26
_WITHOUT_REPLY: Final = frozenset({2, 36, 42})
"""FORGET, INTERRUPT, BATCH_FORGET."""
_DIRECT_IO: Final = 1
_BIG_WRITES, _ASYNC_DIO, _MAX_PAGES = 1 << 5, 1 << 15, 1 << 22


@attrs.define
class Disk:
    """The device: its contents, and whether it has power."""

    image: VolatileImage
    size: int
    loss: Loss
    announce: socket.socket
    armed: int | None = None
    """Writes and flushes until the cut; None as long as none is set."""
    powered: bool = True
    writes: int = 0
    flushes: int = 0

    def answer(self, operation: int, body: memoryview) -> bytes:
        """Return a reply's body.

        Raises:
            OSError: the request fails.
        """
        if operation == _INIT_OPERATION:
            flags = _BIG_WRITES | _ASYNC_DIO | _MAX_PAGES
            return _INIT.pack(7, 31, 0, flags, 16, 12, _MAX_WRITE, 1, _MAX_WRITE // 4096, 0, 0)
        if operation == _GETATTR:
            mode = stat.S_IFREG | 0o600
            return _ATTR.pack(
                60, 0, 0, 1, self.size, self.size // 512, *(0,) * 6, mode, 1, *(0,) * 3, 4096, 0
            )
        if operation == _OPEN:
            return struct.pack("<QII", 0, _DIRECT_IO, 0)
        if operation == _RELEASE:
            return b""
        if operation in (_READ, _WRITE, _FSYNC):
            return self._transfer(operation, body)
        raise OSError(errno.ENOSYS, "not needed by a loop device")

    def _transfer(self, operation: int, body: memoryview) -> bytes:
        struck = operation != _READ and self._count_down()
        if self.powered and operation == _WRITE:
            self._write(body)
        if struck:  # a write under way may be done in part; a flush is not done
            self.cut("armed")
        if not self.powered:
            raise OSError(errno.EIO, "no power")
        if operation == _FSYNC:
            self.flushes += 1
            self.image.flush()
            return b""
        _, offset, size = _RANGE.unpack_from(body)
        return self.image.read(offset, size) if operation == _READ else struct.pack("<II", size, 0)

    def _write(self, body: memoryview) -> None:
        _, offset, size = _RANGE.unpack_from(body)
        self.writes += 1
        self.image.write(offset, bytes(body[_WRITE_BODY : _WRITE_BODY + size]))

    def _count_down(self) -> bool:
        if self.armed is None:
            return False
        self.armed -= 1
        return self.armed < 0

    def cut(self, why: str) -> None:
        """Take the power away, and tell what that did."""
        if not self.powered:
            return
        self.powered = False
        remains = attrs.asdict(self.image.cut(self.loss))
        report = {"why": why, "writes": self.writes, "flushes": self.flushes, **remains}
        self.announce.sendall(json.dumps(report).encode() + b"\n")

    def obey(self, commands: bytes) -> None:
        """Do as the rig says."""
        for command in commands.decode().splitlines():
            if command == "cut":
                self.cut("commanded")
            else:
                self.armed = int(command.removeprefix("arm "))


def serve_one(fuse: int, buffer: bytearray, disk: Disk) -> bool:
    """Answer one request; False if the file has been unmounted."""
    try:
        length = os.readv(fuse, [buffer])
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ECONNABORTED):  # the latter if a request was just being read
            return False
        if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
            return True
        raise
    _, operation, unique, *_ = _HEADER.unpack_from(buffer)
    if operation in _WITHOUT_REPLY:
        return True
    try:
        code, body = 0, disk.answer(operation, memoryview(buffer)[_HEADER.size : length])
    except OSError as error:
        code, body = -(error.errno or errno.EIO), b""
    try:
        os.writev(fuse, [_REPLY.pack(_REPLY.size + len(body), code, unique), body])
    except OSError as error:
        if error.errno != errno.ENOENT:  # who asked was killed and does not wait any more
            raise
    return True


def serve(fuse: int, disk: Disk) -> None:
    """Answer requests until the file is unmounted, or the rig is gone."""
    buffer = bytearray(_MAX_WRITE + 4096)
    poll = select.poll()
    poll.register(fuse, select.POLLIN)
    poll.register(disk.announce, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if disk.announce.fileno() in ready:
            commands = disk.announce.recv(4096)
            if not commands:
                return
            disk.obey(commands)
        if fuse in ready and not serve_one(fuse, buffer, disk):
            break
    if disk.powered:  # an orderly end: a disk writes its cache out before it is switched off
        disk.image.flush()


def main(fuse: int, durable: int, control: int, loss: Loss) -> None:
    """Serve the descriptors given."""
    die_with_parent()
    size = os.fstat(durable).st_size
    serve(fuse, Disk(VolatileImage(durable, size), size, loss, socket.socket(fileno=control)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Loss(**json.loads(sys.argv[4])))
