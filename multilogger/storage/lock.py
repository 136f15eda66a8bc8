"""One writer a data path: a ``flock`` that the kernel drops with the process, however it ends."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from multilogger.errors import StartupError
from multilogger.storage import disk
from multilogger.storage.layout import Paths

_PID_BYTES = 32


def prepare_directories(paths: Paths) -> None:
    """Make the directories that the storage needs.

    Raises:
        StartupError: the data path can't be written to.
    """
    try:
        disk.make_directories(paths.journal)
    except OSError as error:
        raise StartupError(f"data path {paths.data} can't be written to: {error.strerror}") from error
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
            self._fd = disk.open_file(path, create=True)
        except OSError as error:
            raise StartupError(f"{path} can't be opened: {error.strerror}") from error
        if not disk.try_lock(self._fd):
            holder = disk.read(self._fd, _PID_BYTES, 0).decode(errors="replace").strip() or "unknown"
            disk.close(self._fd)
            raise StartupError(
                f"data path {path.parent.parent} is in use by process {holder} (it holds {path}): "
                f"stop it, or configure another data path"
            )
        try:
            self._write_pid()
        except BaseException:
            disk.close(self._fd)
            raise

    def _write_pid(self) -> None:
        # The number only serves the message above; on a full disk the lock does without.
        with suppress(OSError):
            disk.truncate(self._fd, 0)
            disk.write(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another writer in."""
        disk.close(self._fd)
