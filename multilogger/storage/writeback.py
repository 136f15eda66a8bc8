"""Writing dirty column files out ahead of the checkpoint, where they are very many.

A visit to 240,000 files leaves a gigabyte of dirty pages behind. Left to the checkpoint, its ``syncfs`` keeps
the disk busy for many seconds, and the journal's syncs wait behind it; written out in portions, they wait for
one portion at most. Nothing relies on it: what makes the files durable is the checkpoint's own sync.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from multilogger.storage import disk

_MANY: Final = 50_000
"""Below so many files in one visit, a checkpoint is short enough by itself."""
_PORTION: Final = 15_000
"""Files that are written out at once: about 60 MB of pages."""


class WriteBack:
    """Counts the files written to in one visit, and writes them out in portions. Belongs to the applier.

    Args:
        path: on the filesystem of the column files.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._left = 0

    @contextmanager
    def visit(self, files: int) -> Iterator[None]:
        """Surround a visit to about so many files."""
        if files < _MANY:
            yield
            return
        # Of its own: an error that it is told must be told the checkpoint's descriptor, too (see fsync(2)).
        self._fd, self._left = disk.open_directory(self._path), _PORTION
        try:
            yield
        finally:
            fd, self._fd = self._fd, -1
            disk.let_go(fd)

    def note(self, files: int) -> None:
        """Note that so many files have been written to."""
        if self._fd < 0:
            return
        self._left -= files
        if self._left <= 0:
            self._left = _PORTION
            # A failure is the checkpoint's to find: only there anything is claimed to be durable.
            disk.write_back(self._fd)
