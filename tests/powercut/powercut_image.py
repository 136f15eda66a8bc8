"""A disk with a volatile write cache, in memory: what is not flushed may survive a power cut, or not."""

from __future__ import annotations

import mmap
import random
from typing import Final

import attrs

_SUPERBLOCK_END: Final = 4096


@attrs.frozen
class Loss:
    """How a power cut struck."""

    sector: int
    """Bytes that survive or vanish together; at the beginning of the disk it is 4,096 in any case."""
    keep: float
    """Chance of an unflushed sector to survive."""
    seed: int

    def sector_at(self, offset: int) -> tuple[int, int]:
        """Return begin and end of the sector that a byte is in."""
        # ext4 writes its superblock in place, two sectors of 512 bytes with one checksum. A disk that tears
        # them leaves nothing to mount, whatever was stored; that is not what this rig is to find.
        size = _SUPERBLOCK_END if offset < _SUPERBLOCK_END else self.sector
        begin = offset // size * size
        return begin, begin + size


@attrs.frozen
class Remains:
    """What a power cut left of the unflushed sectors."""

    kept: int
    """Sectors of which a version survived, the newest or an older one."""
    dropped: int
    """Sectors that stand as they were at the last flush."""


class VolatileImage:
    """Sectors of which only the flushed ones are certain.

    Args:
        fd: of a file that receives what is durable; it is mapped, and its length is the disk's size.
        size: bytes.
    """

    def __init__(self, fd: int, size: int) -> None:
        self._durable = mmap.mmap(fd, size)
        # A private mapping copies a page when it is first written; until then it shows the durable one, which
        # can't change before, as every write comes here first.
        self._current = mmap.mmap(fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        self._unflushed: list[tuple[int, bytes]] = []

    def read(self, offset: int, size: int) -> bytes:
        """Return what was written last, flushed or not."""
        return self._current[offset : offset + size]

    def write(self, offset: int, data: bytes) -> None:
        """Take ``data`` into the cache."""
        self._current[offset : offset + len(data)] = data
        self._unflushed.append((offset, data))

    def flush(self) -> None:
        """Make all that was written before durable."""
        for offset, data in self._unflushed:
            self._durable[offset : offset + len(data)] = data
        self._unflushed.clear()

    def cut(self, loss: Loss) -> Remains:
        """Let each unflushed sector survive or vanish by itself.

        A sector that was written several times since the last flush survives in any one of its versions: a
        disk may write a sector out at any moment, and as often as it likes.
        """
        chance = random.Random(loss.seed)
        versions: dict[int, list[tuple[int, bytes]]] = {}
        for start, data in self._unflushed:
            at = 0
            while at < len(data):
                sector, following = loss.sector_at(start + at)
                end = min(len(data), following - start)
                versions.setdefault(sector, []).append((start + at, data[at:end]))
                at = end
        kept = 0
        for candidates in versions.values():
            if chance.random() < loss.keep:
                offset, data = chance.choice(candidates)
                self._durable[offset : offset + len(data)] = data
                kept += 1
        self._unflushed.clear()
        return Remains(kept, len(versions) - kept)
