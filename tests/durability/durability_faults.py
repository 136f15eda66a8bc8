"""A disk that fails at one call, and what a store must make of it."""

from __future__ import annotations

import errno
import inspect
import itertools
import os
import random
import shutil
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
from durability_checks import check_store, check_tree
from durability_ledger import Ledger
from durability_reader import read_tree
from durability_recorder import replaced
from durability_run import Run, UnhealedError
from durability_workload import Workload

from multilogger.errors import MultiloggerError
from multilogger.storage import disk

_READS: Final = frozenset({"read", "names", "length", "length_of", "read_past_cache", "open_directory"})
_SYNCS: Final = frozenset({"sync", "sync_data", "sync_directory", "sync_filesystem"})
_GROWS: Final = frozenset({"open_file", "write", "write_parts", "rename", "symlink", "make_directory"})
"""What may find the disk full."""
_OTHERS: Final = frozenset({"close", "truncate", "unlink", "copy_permissions", "set_permissions"})
CALLS: Final = sorted(_READS | _SYNCS | _GROWS | _OTHERS)
Site = tuple[str, ...]
_BEYOND: Final = 1 << 40


@attrs.frozen
class Fault:
    """What fails, and when."""

    call: int
    """Which of a workload's calls, from 0."""
    error: int
    """As in :mod:`errno`."""
    lasting: bool = False
    """Whether all calls of the kind fail until the store has been told often enough."""
    half: bool = False
    """Whether a write has written half before it fails."""

    def __str__(self) -> str:
        flags = "+lasting" * self.lasting + "+half" * self.half
        return f"{self.call}:{errno.errorcode[self.error]}{flags}"


class FaultyDisk:
    """The functions of :mod:`multilogger.storage.disk`, one call of which fails."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.made: list[str] = []
        """Names of the calls so far."""
        self.sites: list[Site] = []
        """Where each was made, if there is no fault."""
        self._fault = fault
        self._lasting: frozenset[str] = frozenset()

    def relieve(self) -> None:
        """Repair the disk."""
        self._lasting = frozenset()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Stand in for the disk."""
        with replaced(disk, {name: self._standing_in(name) for name in CALLS}):
            yield

    def _standing_in(self, name: str) -> Callable[..., Any]:
        real: Callable[..., Any] = getattr(disk, name)

        def call(*args: Any, **named: Any) -> Any:
            number = len(self.made)
            self.made.append(name)
            fault = self._fault
            if fault is None:
                self.sites.append(_site(name))
            if fault is not None and (number == fault.call or name in self._lasting):
                if fault.lasting and number == fault.call:
                    self._lasting = _like(name, fault.error)
                if fault.half:
                    _write_half(real, name, args)
                if name == "close":
                    real(*args)
                raise OSError(fault.error, os.strerror(fault.error))
            return real(*args, **named)

        return call


def _like(name: str, error: int) -> frozenset[str]:
    """Return the calls that fail as long as one of them does."""
    if error == errno.ENOSPC:
        return _GROWS
    return next((kind for kind in (_SYNCS, _READS) if name in kind), frozenset({name}))


def _write_half(real: Callable[..., Any], name: str, args: Sequence[Any]) -> None:
    fd, data, offset = args
    if name == "write_parts":
        data = [b"".join(data)[: sum(map(len, data)) // 2]]
        real(fd, data, offset)
    else:
        real(fd, data[: len(data) // 2], offset)


def _site(name: str) -> Site:
    """Return the call, and the lines of the storage that led to it."""
    lines: list[str] = []
    frame = inspect.currentframe()
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.parent.name == "storage":
            lines.append(f"{path.name}:{frame.f_lineno}")
        frame = frame.f_back
    return name, *lines


def faults(workloads: Iterable[Workload], scratch: Path, seed: int) -> list[tuple[Workload, Fault]]:
    """Return every fault there is to try: first one at each place in the code, then the next at each."""
    by_site: dict[tuple[Site, Fault], list[tuple[Workload, Fault]]] = {}
    for workload in workloads:
        faulty = FaultyDisk()
        _work(workload, scratch, faulty)
        for call, site in enumerate(faulty.sites):
            for kind in _kinds(site[0]):
                by_site.setdefault((site, kind), []).append((workload, attrs.evolve(kind, call=call)))
    rng = random.Random(seed)
    for found in by_site.values():
        rng.shuffle(found)
    rounds = [list(filter(None, it)) for it in itertools.zip_longest(*by_site.values())]
    for found in rounds:
        rng.shuffle(found)
    return [fault for found in rounds for fault in found]


def _kinds(name: str) -> list[Fault]:
    found = [Fault(0, errno.EIO), Fault(0, errno.EIO, lasting=True)]
    if name in _GROWS:
        found += [Fault(0, errno.ENOSPC), Fault(0, errno.ENOSPC, lasting=True)]
    if name in ("write", "write_parts"):
        found.append(Fault(0, errno.ENOSPC, half=True))
    return found


def check_fault(workload: Workload, fault: Fault, scratch: Path) -> list[str]:
    """Run a workload on a disk that fails, start once more, and return what is wrong."""
    try:
        run = _work(workload, scratch, FaultyDisk(fault))
        run.start()
        tree = read_tree(run.root)
        expected = run.ledger.at(_BEYOND)
        wrong = check_tree(tree, run.ledger, expected, {})
        wrong += check_store(run.root, run.store, tree, run.ledger, expected)
        if run.lost_rows:
            wrong.append(f"I8 {run.lost_rows} rows were reported lost")
        run.kill()
    except UnhealedError as error:
        return [f"does not go on: {error}"]
    except (MultiloggerError, OSError, LookupError, ValueError, TypeError, RuntimeError):
        return [traceback.format_exc(limit=-4)]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return wrong


def _work(workload: Workload, scratch: Path, faulty: FaultyDisk) -> Run:
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "data").mkdir(parents=True)
    ledger = Ledger()
    workload.prepare(scratch, ledger)
    run = Run(
        scratch,
        ledger,
        now=workload.now,
        alternate=workload.alternate,
        policies=workload.policies,
        relief=faulty.relieve,
    )
    with faulty.working():
        workload.body(run, lambda _: None)
    return run
