"""What is cut out of the journal is kept for people to look at."""

from __future__ import annotations

from pathlib import Path

import structlog

from multilogger.storage import disk
from multilogger.storage.replay import Damaged

log = structlog.get_logger()


def keep_damaged(damaged: Damaged, quarantine: Path) -> None:
    """Log which frames are missing, and copy the damaged place to the quarantine, once."""
    said = {
        "segment": str(damaged.path),
        "offset": damaged.offset,
        "frames": f"{damaged.first} to {damaged.last}",
        "rows": None if damaged.sections is None else sum(it.rows for it in damaged.sections),
    }
    if damaged.acknowledged:
        log.error("frames of the journal are damaged", **said)
    else:
        log.warning(
            "journal ends in frames that are not whole, never acknowledged as far as can be told", **said
        )
    if damaged.size:
        try:
            _copy(damaged, quarantine)
        except OSError as error:
            # The rows are named above; that their bytes can't be kept too must not stop the start.
            log.warning("the damaged place can't be copied to the quarantine", error=str(error))


def _copy(damaged: Damaged, quarantine: Path) -> None:
    target = quarantine / f"journal.{damaged.path.stem}.from{damaged.offset}.frames"
    if disk.length_of(target) is not None:
        return
    fd = disk.open_file(damaged.path)
    try:
        data = disk.read(fd, damaged.size, damaged.offset)
    finally:
        disk.close(fd)
    disk.make_directories(quarantine)
    disk.write_file(target, data)
    disk.sync_directory(quarantine)
