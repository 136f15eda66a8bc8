"""Where images are built: in memory if the machine has a file system there."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - only where to make a directory of our own


@contextmanager
def scratch(otherwise: Path) -> Iterator[Path]:
    """Make a directory for a while, and keep the storage from logging what it meets in there."""
    base = _MEMORY if os.access(_MEMORY, os.W_OK) else otherwise
    directory = Path(tempfile.mkdtemp(prefix="multilogger-", dir=base))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
