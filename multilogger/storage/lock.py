"""One writer a data path: a ``flock`` that the kernel drops with the process, however it ends."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from multilogger.errors import StartupError
from multilogger.storage import disk
from multilogger.storage.layout import Paths

_PID_BYTES: Final = 32
_LEFTOVER_SECS: Final = 10.0
"""The process that wrote a killed logger's column files ends when it notices."""
_LOOK_SECS: Final = 0.01


def prepare_directories(paths: Paths, alternate: Path | None = None) -> None:
    """Make the directories that the storage needs.

    Args:
        paths: below the data path.
        alternate: of the journal, if there is one.

    Raises:
        StartupError: the data path can't be written to.
    """
    try:
        disk.make_directories(paths.journal)
        for directory in (paths.data, paths.own):
            disk.sync_directory(directory)
    except OSError as error:
        raise StartupError(f"data path {paths.data} can't be written to: {error.strerror}") from error
    if alternate is not None:
        try:
            disk.make_directories(alternate)
            disk.sync_directory(alternate.parent)
        except OSError as error:
            raise StartupError(
                f"journal_alternate {alternate} can't be written to: {error.strerror}"
            ) from error
    if not all(disk.writable(path) for path in (paths.data, paths.own, paths.journal)):
        raise StartupError(
            f"data path {paths.data} can't be written to: give user {os.getuid()} the rights to"
        )


class WriterLock:
    """The lock, held from construction to :meth:`release`.

    Raises:
        StartupError: another process holds it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self.fd = disk.open_file(path, create=True)
            """Whoever inherits it holds the lock, too."""
        except OSError as error:
            raise StartupError(f"{path} can't be opened: {error.strerror}") from error
        if not self._take():
            holder = self._holder() or "unknown"
            disk.close(self.fd)
            raise StartupError(
                f"data path {path.parent.parent} is in use by process {holder} (it holds {path}): "
                f"stop it, or configure another data path"
            )
        try:
            self._write_pid()
        except BaseException:
            disk.close(self.fd)
            raise

    def _take(self) -> bool:
        """Take the lock; what a logger that is gone leaves behind has a moment to end by itself."""
        until = time.monotonic() + _LEFTOVER_SECS
        while not disk.try_lock(self.fd):
            holder = self._holder()
            if not holder.isdigit() or disk.process_exists(int(holder)) or time.monotonic() > until:
                return False
            time.sleep(_LOOK_SECS)
        return True

    def _holder(self) -> str:
        return disk.read(self.fd, _PID_BYTES, 0).decode(errors="replace").strip()

    def _write_pid(self) -> None:
        # The number only serves the message above; on a full disk the lock does without.
        with suppress(OSError):
            disk.truncate(self.fd, 0)
            disk.write(self.fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another writer in."""
        disk.let_go(self.fd)
