"""Whether a logger runs on a data path, and until when one did."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from multilogger.archive.tree import names
from multilogger.errors import ArchiveError
from multilogger.storage.frame import ALIGNMENT, HEADER_BYTES, decode_header, span
from multilogger.storage.layout import Paths

_SEGMENT: Final = re.compile(r"(\d{12})\.wal", re.ASCII)


def logger_runs(data: Path) -> bool:
    """Return whether a logger holds the data path. Tried with a lock that is let go of at once.

    Raises:
        ArchiveError: the lock's file is there, but can't be opened.
    """
    try:
        fd = os.open(Paths(data).lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ArchiveError(f"{Paths(data).lock} can't be opened: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def last_written_ns(directories: Sequence[Path]) -> int | None:
    """Return when the newest frame of a journal was written, by the logger's clock; None if there is none.

    A running logger writes a frame at least every few seconds, so this tells when one that was killed died.
    Only headers are read: that a frame was begun is what counts here, not that it is whole.

    Args:
        directories: of the journal's segments; they need not exist.

    Raises:
        ArchiveError: a directory or a segment can't be read.
    """
    found = [
        (int(match[1]), directory / name)
        for directory in directories
        for name in names(directory)
        if (match := _SEGMENT.fullmatch(name))
    ]
    for number, path in sorted(found, reverse=True):
        newest = max(_wall_times(path, number), default=None)
        if newest is not None:
            return newest
    return None


def _wall_times(path: Path, number: int) -> Iterator[int]:
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            offset = 0
            while offset < size:
                header = decode_header(os.pread(file.fileno(), HEADER_BYTES, offset), number)
                offset += ALIGNMENT if header is None else span(header.length)
                if header is not None:
                    yield header.wall_ns
    except FileNotFoundError:
        return  # the running logger uses it again meanwhile, under another name
    except OSError as error:
        raise ArchiveError(f"{path} can't be read: {error.strerror}") from error
