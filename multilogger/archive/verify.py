"""Every file below a data path against the rules, its manifest and the journal; nothing is changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Final

import attrs

from multilogger.archive import tree
from multilogger.archive.checkpoints import check_checkpoints
from multilogger.archive.contents import check_day
from multilogger.archive.inventory import (
    DayNames,
    check_names,
    check_symbols,
    leftover_temporaries,
    take_inventory,
)
from multilogger.archive.journal import check_journal
from multilogger.archive.reader import EPOCH, Archive, open_archive
from multilogger.archive.report import Counts, Problem, Progress, VerifyReport
from multilogger.archive.running import logger_runs
from multilogger.archive.snapshot import open_day
from multilogger.archive.structure import Structure, look_at, within
from multilogger.archive.tree import Place
from multilogger.errors import ArchiveError
from multilogger.storage.layout import Paths

__all__ = ["Counts", "Problem", "Progress", "VerifyReport", "logger_runs", "verify_archive"]

_SETTLE_SECS: Final = 5.0
"""A running logger may be in the midst of a day's files; longer than this it is not."""


def verify_archive(
    data_path: Path | str,
    *,
    exchange: str | None = None,
    symbol: str | None = None,
    day: date | None = None,
    journal_alternate: Path | None = None,
    progress: Progress | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> VerifyReport:
    """Check everything below a data path, or a part of it. Works beside a running logger.

    The journal and the checkpoints are looked at only where no part is asked for.

    Args:
        data_path: the data path.
        exchange: only this one.
        symbol: only this one, of ``exchange``; in the exchange's spelling, or its directory's name.
        day: only this UTC day.
        journal_alternate: where else segments of the journal may be.
        progress: told how far it is, after each day.
        wait: waits so many seconds. Called at most once, if files are uneven and a logger runs.

    Raises:
        ArchiveError: there is nothing to verify, or not what was asked for.
    """
    archive = open_archive(data_path)
    run = _Run(archive.data, logger_runs(archive.data), progress)
    only = None if day is None else (day - EPOCH).days
    places = run.find(archive, exchange, symbol)
    run.total_bytes = sum(tree.stored_bytes(place, only) for place in places)
    for place in places:
        run.check_place(place, only)
    run.check_again(wait)
    if exchange is None and day is None:
        run.check_own_files([] if journal_alternate is None else [journal_alternate])
    if run.counts == Counts() and not run.problems:
        what = "".join(f" {asked}" for asked in (exchange, symbol, day) if asked is not None)
        raise ArchiveError(f"nothing to verify in {archive.data}{f' of{what}' if what else ''}")
    return VerifyReport(run.counts, tuple(run.problems), run.running)


@attrs.define(eq=False)
class _Run:
    """One verification."""

    data: Path
    running: bool
    progress: Progress | None
    counts: Counts = attrs.field(factory=Counts)
    problems: list[Problem] = attrs.field(factory=list)
    total_bytes: int = 0
    doubtful: list[tuple[Place, int, Structure]] = attrs.field(factory=list)
    """Days that don't fit together, which may be because they are being written to."""

    def find(self, archive: Archive, exchange: str | None, symbol: str | None) -> list[Place]:
        """Return the tables that are to be checked; check the names on the way to them."""
        if symbol is not None and exchange is None:
            raise ArchiveError(f"symbol {symbol} of which exchange?")
        found: list[Place] = []
        for name in archive.exchanges() if exchange is None else [exchange]:
            if symbol is None:
                archive.symbols(name)  # an exchange that is not there is told
                directories: Iterable[str] = tree.directories(self.data, name)
                self.problems.extend(check_symbols(self.data, name))
            else:
                directories = [archive.directory(name, symbol)]
            for directory in directories:
                self.problems.extend(check_names(self.data, name, directory))
                found += tree.places(self.data, name, directory)
        return found

    def check_place(self, place: Place, only: int | None) -> None:
        """Check the days of a table."""
        inventory = take_inventory(place)
        if only is None:
            self.problems += inventory.problems
        for day in sorted(inventory.days):
            if only in (None, day):
                self.check_day(place, day, inventory.days[day])

    def check_day(self, place: Place, day: int, names: DayNames) -> None:
        """Check one day: that its files fit together, and what is in them."""
        self.counts.partitions += 1
        if not self.running:
            self.problems += names.leftovers
        structure = look_at(place, day, names, running=self.running)
        if self.running and structure.problems:
            self.doubtful.append((place, day, structure))
        else:
            self.problems += structure.problems
        if structure.complete:
            self._check_contents(place, day)
        if self.progress is not None:
            self.progress(self.counts.bytes, self.total_bytes, str(place.live))

    def _check_contents(self, place: Place, day: int) -> None:
        try:
            with open_day(place, day) as files:
                self.problems.extend(check_day(files, self.counts))
        except ArchiveError as error:
            self.problems.append(within(place.live, error))

    def check_own_files(self, alternates: list[Path]) -> None:
        """Check what the logger has for itself."""
        paths = Paths(self.data)
        self.counts.journal_frames, found = check_journal([paths.journal, *alternates], running=self.running)
        self.problems += found
        self.counts.checkpoints, found = check_checkpoints(self.data)
        self.problems += found
        if not self.running:
            self.problems.extend(leftover_temporaries(self.data))

    def check_again(self, wait: Callable[[float], None]) -> None:
        """Look once more at what may only have been growing, and keep the problems whose files did not."""
        if self.doubtful:
            wait(_SETTLE_SECS)
        for place, day, before in self.doubtful:
            names = take_inventory(place).days.get(day)
            if names is None:
                continue
            after = look_at(place, day, names, running=self.running)
            self.problems += [
                problem
                for problem in after.problems
                if problem.path in before.sizes and before.sizes[problem.path] == after.sizes[problem.path]
            ]
            if after.complete and not before.complete:
                self._check_contents(place, day)
