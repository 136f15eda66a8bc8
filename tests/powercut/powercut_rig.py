"""The rig: a store on ext4 on a disk with a volatile cache, whose power is cut again and again.

``python tests/powercut/powercut_rig.py --cuts 100 --seed 1`` prints a line for each cut and the totals, and
ends with 0 if no row was lost. It has to be a process of its own: it leaves the host's mount namespace.

A *series* is one disk: made new, and cut up to ten times. After each cut what survived is mounted again, the
store is opened, and every row that was acknowledged, or found after the cut before, has to be there, once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
from powercut_image import Loss
from powercut_kernel import die_with_parent, leave_the_hosts_mounts, missing
from powercut_machine import (
    Program,
    RigFailed,
    device,
    filesystem,
    filesystem_faults,
    new_disk,
    program,
    watch,
)

_CUTS_OF_A_SERIES: Final = 10
_WRONG: Final = ("lost", "doubled", "alien", "faults")
"""Figures of a check that have to be zero."""


@attrs.frozen
class Plan:
    """When a cut strikes, and how."""

    loss: Loss
    from_start: int | None = None
    """After so many writes and flushes since the start: in the mount, or a recovery, or later."""
    from_ready: int | None = None
    """The same since the workload began to write."""
    seconds: float | None = None
    """Since the workload began to write."""

    @classmethod
    def draw(cls, chance: random.Random) -> Plan:
        """Return any."""
        keep = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        loss = Loss(sector=chance.choice((512, 4096)), keep=keep, seed=chance.getrandbits(32))
        kind = chance.random()
        if kind < 0.2:
            return cls(loss, from_start=chance.randint(1, 150))
        if kind < 0.6:
            return cls(loss, from_ready=chance.randint(1, 400))
        return cls(loss, seconds=chance.uniform(0.02, 0.3))


@attrs.define
class Series:
    """One disk through its cuts, and what it has to hold."""

    directory: Path
    chance: random.Random
    late: bool
    without: str | None
    end: int = 1
    """Serial numbers below this have been tried."""
    began: int = 1
    """Where the commit under way begins."""
    promised: set[tuple[int, int]] = attrs.field(factory=set)
    """Ranges of serial numbers acknowledged since the last check."""
    kept: Any = attrs.field(factory=lambda: np.zeros(1, bool))
    """By serial number: found by the last check."""
    ready: float | None = None
    """When the workload began to write."""
    checks: list[dict[str, Any]] = attrs.field(factory=list)
    said: str = ""
    """The workload's last line."""

    def switched_on(self) -> None:
        """Forget the program before."""
        self.ready, self.said = None, "started"

    def hear(self, line: str) -> None:
        """Take a line of the workload."""
        self.said = line
        word, _, rest = line.partition(" ")
        if word == "try":
            self.began, self.end = self.end, int(rest)
        elif word == "ack":
            self.promised.add((self.began, int(rest)))
        elif word == "ready":
            self.ready = time.monotonic()
        elif word == "checked":
            self.checks.append(json.loads(rest))
            self.kept = np.load(self.directory / "found.npy") | self._required()
            self.promised.clear()

    def _required(self) -> Any:
        required = np.zeros(self.end, bool)
        required[: len(self.kept)] = self.kept
        for first, end in self.promised:
            required[first:end] = True
        return required

    def job(self, place: Path, *, work: bool) -> dict[str, Any]:
        """Return what the next process has to do."""
        np.save(self.directory / "promised.npy", self._required())
        return {
            "data": str(place / "data"),
            "end": self.end,
            "promised": str(self.directory / "promised.npy"),
            "found": str(self.directory / "found.npy"),
            "boot": str(self.chance.getrandbits(64)),
            "seed": self.chance.getrandbits(32),
            "late": self.late,
            "without": self.without,
            "work": work,
        }

    @property
    def required(self) -> int:
        """Rows that have to be there now."""
        return int(self._required().sum())

    def faults(self, since: int) -> list[str]:
        """Return what was wrong in the checks from number ``since`` on."""
        return [f"{name}: {check[name]}" for check in self.checks[since:] for name in _WRONG if check[name]]


def one_cut(series: Series, fd: int, plan: Plan) -> dict[str, Any]:
    """Switch the disk on, let the program run, and cut.

    Returns:
        The device's report, with ``stage``: how far the program had come.

    Raises:
        RigFailed: the program, or the mount, ended while there was power.
    """
    series.switched_on()
    with ExitStack() as stack:
        running = stack.enter_context(program(series.directory, series.hear))
        disk, file = stack.enter_context(device(fd, series.directory, plan.loss))
        if plan.from_start is not None:
            disk.arm(plan.from_start)
        try:
            place = stack.enter_context(filesystem(file, series.directory))
        except OSError as error:
            if disk.cut()["why"] == "commanded":
                raise RigFailed(f"the disk can't be mounted: {error}") from error
            return {**disk.cut(), "stage": "mount"}
        running.begin(series.job(place, work=True))

        def deadline() -> float | None:
            if series.ready is not None and plan.from_ready is not None:
                disk.arm(plan.from_ready)
            return series.ready + plan.seconds if series.ready and plan.seconds else None

        watch(disk, running, deadline)
        report = disk.cut()
        stop(series, running, report)
        return {**report, "stage": "work" if series.ready else "start"}


def stop(series: Series, running: Program, report: dict[str, Any]) -> None:
    """Kill the program; if it had ended by itself, the cut must be the reason."""
    ended = running.ended
    running.kill()
    if words := running.last_words():
        report["stderr"] = words.splitlines()[-1]
    if ended and report["why"] == "commanded":
        raise RigFailed(f"the workload ended with power on: {series.said}\n{running.last_words()}")


def last_check(series: Series, fd: int) -> None:
    """Open and close the store without a cut, and check the filesystem.

    Raises:
        RigFailed: that did not go well.
    """
    loss = Loss(sector=512, keep=1.0, seed=0)
    with (
        program(series.directory, series.hear) as running,
        device(fd, series.directory, loss) as (disk, file),
        filesystem(file, series.directory) as place,
    ):
        running.begin(series.job(place, work=False))
        watch(disk, running, lambda: None)
        if series.said != "closed":
            raise RigFailed(f"the store does not open and close: {series.said}\n{running.last_words()}")
    if faults := filesystem_faults(fd):
        raise RigFailed(f"the filesystem is damaged\n{faults}")


def run_series(series: Series, cuts: int, totals: Counter[str]) -> list[str]:
    """Cut a new disk's power ``cuts`` times.

    Returns:
        What was wrong; the series ends with the cut that showed it.
    """
    fd = new_disk()
    faults: list[str] = []
    try:
        for number in range(cuts):
            plan, began, checks = Plan.draw(series.chance), time.monotonic(), len(series.checks)
            report = one_cut(series, fd, plan)
            totals.update({"cuts": 1, f"cuts_in_{report['stage']}": 1})
            totals.update({name: report[name] for name in ("writes", "flushes", "kept", "dropped")})
            faults = series.faults(checks)
            seconds = time.monotonic() - began
            print(f"  cut {number + 1}: {seconds:.2f} s, {plan}, {report}, {series.required} rows; {faults}")
            if faults:
                return faults
        checks = len(series.checks)
        last_check(series, fd)
        return series.faults(checks)
    except RigFailed as error:
        return [str(error)]
    finally:
        os.close(fd)
        totals["checks"] += len(series.checks)
        totals["required"] += series.required
        last = series.checks[-1] if series.checks else Counter()
        totals.update({name: last[name] for name in ("rows", "late", "sealed")})
        for name in ("lost", "doubled", "alien"):
            totals[name] += sum(check[name] for check in series.checks)


def run(
    directory: Path, cuts: int, seed: int, *, late: bool, without: str | None, until_lost: bool
) -> Counter[str]:
    """Cut the power ``cuts`` times, print what happens, and return totals; ``bad_series`` should be 0."""
    totals: Counter[str] = Counter(bad_series=0, lost=0, doubled=0, alien=0)
    while totals["cuts"] < cuts and not (until_lost and totals["lost"]):
        number = totals["series"]
        own = directory / str(number)
        own.mkdir()
        series = Series(own, random.Random(f"{seed}/{number}"), late, without)
        print(f"series {number} of seed {seed}", flush=True)
        tried = totals["cuts"]
        faults = run_series(series, min(_CUTS_OF_A_SERIES, cuts - totals["cuts"]), totals)
        totals["series"] += 1
        totals["bad_series"] += bool(faults)
        for fault in faults:
            print(f"  BAD {fault}")
        if totals["cuts"] == tried:
            totals["cuts"] += 1  # a series that fails at once must not go on for ever
    return totals


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-late", action="store_true", help="only rows in order")
    parser.add_argument(
        "--without", help="control: leave out a function of the disk module, such as sync_data"
    )
    parser.add_argument("--until-lost", action="store_true", help="end with the first series that lost rows")
    parser.add_argument("--directory", type=Path, help="to mount in; a temporary one if left out")
    given = parser.parse_args()
    if reason := missing():
        parser.error(reason)
    die_with_parent()
    leave_the_hosts_mounts()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        totals = run(
            Path(directory),
            given.cuts,
            given.seed,
            late=not given.no_late,
            without=given.without,
            until_lost=given.until_lost,
        )
    print(f"{time.monotonic() - started:.1f} s, totals:")
    print(json.dumps(totals))
    return 1 if totals["bad_series"] else 0


if __name__ == "__main__":
    sys.exit(main())
