"""Workloads of disks that fail for a while."""

from __future__ import annotations

import errno
from typing import Final

from durability_recorder import Failure
from durability_run import Run
from durability_workload import Fail, Workload, work


def _journal_fails(run: Run, fail: Fail) -> None:
    """The journal's segments fail, each in another way; the next one takes the rows."""
    run.start()
    work(run, rounds=2)
    for call in ("sync_data", "write"):
        fail(Failure(call, ".wal", errno.EIO))
        work(run, rounds=2)
    fail(Failure("sync_directory", "journal", errno.EIO))
    work(run, rounds=4)
    run.checkpoint()
    fail(Failure("write", ".wal", errno.ENOSPC, times=2))
    work(run, rounds=2)
    run.checkpoint()
    run.checkpoint()
    work(run)
    run.stop()


def _alternate(run: Run, fail: Fail) -> None:
    """The journal's directory fails for a while, the alternate one takes over."""
    run.start()
    work(run, rounds=2)
    fail(Failure("write", "data/.multilogger/journal", errno.EROFS, times=3))
    fail(Failure("rename", "data/.multilogger/journal", errno.EROFS, times=3))
    work(run, rounds=6)
    run.checkpoint(spares=False)
    fail(Failure("sync_data", "alternate", errno.EIO, times=2))
    work(run, rounds=2)
    run.checkpoint()
    run.kill()
    run.start()
    work(run, rounds=2)
    run.stop()


def _columns_fail(run: Run, fail: Fail) -> None:
    """Syncs and writes of column files fail; the files are replaced by copies."""
    run.start()
    work(run)
    run.checkpoint()
    work(run)
    fail(Failure("sync_filesystem", "", errno.EIO))
    run.checkpoint()
    fail(Failure("write", "trade_price", errno.EIO))
    work(run)
    fail(Failure("write", "/MD/", errno.ENOSPC))
    work(run)
    run.checkpoint()
    work(run)
    fail(Failure("sync_filesystem", "", errno.EIO))
    run.stop()


FAILING: Final = (
    Workload("journal-fails", _journal_fails),
    Workload("alternate", _alternate, alternate=True),
    Workload("columns-fail", _columns_fail),
)
