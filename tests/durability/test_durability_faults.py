"""Disks that fail at any call: the store tells, goes on when they work again, and has every row once."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest
from durability_faults import CALLS, Fault, check_fault, faults
from durability_scratch import scratch
from durability_workloads import WORKLOADS, Workload

from multilogger.storage import disk

_PROGRESS_SECS = 5.0


def test_faults(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Wherever a call fails, once or for a while, no acknowledged row is lost or doubled."""
    count = request.config.getoption("--images") // 2
    failures: list[str] = []
    told = time.monotonic()
    with scratch(tmp_path) as directory:
        every = faults(WORKLOADS, directory / "disk", request.config.getoption("--image-seed"))
        chosen = every[:count]
        for number, (workload, fault) in enumerate(chosen, 1):
            wrong = check_fault(workload, fault, directory / "disk")
            if wrong:
                failures.append(f"{workload.name} fault {fault}: {wrong[0]}")
                print(failures[-1])
            if time.monotonic() - told > _PROGRESS_SECS:
                told = time.monotonic()
                print(f"{number} of {len(chosen)} faults, {len(failures)} of them bad", flush=True)
    print(f"{len(chosen)} of {len(every)} faults, {len(failures)} bad")
    assert not failures, "\n".join(failures[:10])


@pytest.mark.parametrize("workload", WORKLOADS[:2], ids=lambda it: it.name)
def test_short_writes_are_completed(
    workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that never takes more than half of what is written at a time changes nothing."""
    real = os.pwrite

    def write_half(fd: int, data: memoryview | bytes, offset: int) -> int:
        return real(fd, data[: len(data) // 2 + 1], offset)

    def write_half_of_parts(fd: int, parts: list[memoryview | bytes], offset: int) -> int:
        return write_half(fd, b"".join(parts), offset)

    monkeypatch.setattr(os, "pwrite", write_half)
    monkeypatch.setattr(os, "pwritev", write_half_of_parts)
    with scratch(tmp_path) as directory:
        assert not check_fault(workload, Fault(-1, errno.EIO), directory / "disk")


def test_every_call_can_fail() -> None:
    """No function that makes a system call is left out."""
    spared = {"boot_id", "filesystem_type", "free_space", "process_exists", "try_lock", "writable"}
    spared.add("write_back")  # nothing relies on it
    composed = {"let_go", "make_directories", "write_file", "write_zeros", "storage_errors"}
    functions = {
        name
        for name, found in vars(disk).items()
        if callable(found) and getattr(found, "__module__", "") == disk.__name__ and not name.startswith("_")
    }
    assert functions - spared - composed == set(CALLS)
