"""Which files a symbol's table has on each day, and names that mean nothing."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from multilogger.archive import tree
from multilogger.archive.report import Problem
from multilogger.archive.tree import FileName, Kind, Place
from multilogger.storage.layout import Paths
from multilogger.tables import TABLES

_ALIASES: Final = frozenset({"id", "time", "nanos", "price", "size", "side"})
_LEFT_OVER: Final = "left over from an interrupted {}; the next start of the logger sees to it"
_INTERRUPTED: Final = {Kind.SWITCHING: "seal", Kind.UNFINISHED: "seal"}


@attrs.define
class DayNames:
    """The files of one day; of columns, those that the table has."""

    columns: dict[str, Path] = attrs.field(factory=dict)
    switching: dict[int, dict[str, Path]] = attrs.field(factory=lambda: defaultdict(dict))
    """By generation: columns that still have temporary names."""
    late: dict[int, dict[str, Path]] = attrs.field(factory=lambda: defaultdict(dict))
    """By generation."""
    sealed: bool = False
    removing: Path | None = None
    """The manifest of a day that was removed; it stays until two checkpoints know of that."""
    leftovers: list[Problem] = attrs.field(factory=list)
    """What is in order only while a logger runs."""

    def of_generation(self, generation: int) -> dict[str, Path]:
        """Return the columns that are the day's at that generation."""
        return {**self.columns, **self.switching.get(generation, {})}


@attrs.frozen
class Inventory:
    """The files of one table of one symbol."""

    days: dict[int, DayNames]
    problems: list[Problem]
    """Names that mean nothing."""


def take_inventory(place: Place) -> Inventory:
    """Return what the directories of a table hold.

    Raises:
        ArchiveError: they can't be read.
    """
    found = Inventory(defaultdict(DayNames), [])
    for folder, kinds in ((place.live, set(Kind) - {Kind.LATE}), (place.late, {Kind.LATE})):
        for name in tree.names(folder):
            parsed = tree.parse_name(name)
            if parsed is None or parsed.kind not in kinds:
                found.problems.append(Problem(folder / name, None, "no name of a file that belongs here"))
            elif parsed.column and parsed.column not in {column.name for column in place.table.columns}:
                found.problems.extend(_stranger(place, folder / name, parsed))
            else:
                _enter(found.days[parsed.day], parsed, folder / name)
    for day in found.days.values():
        if day.removing and day.columns:
            day.leftovers.append(Problem(day.removing, None, _LEFT_OVER.format("removal")))
    return found


def _enter(day: DayNames, parsed: FileName, path: Path) -> None:
    if parsed.kind is Kind.COLUMN:
        day.columns[parsed.column] = path
    elif parsed.kind is Kind.LATE:
        day.late[parsed.generation][parsed.column] = path
    elif parsed.kind is Kind.MANIFEST:
        day.sealed = True
    elif parsed.kind is Kind.SWITCHING:
        day.switching[parsed.generation][parsed.column] = path
    elif parsed.kind is Kind.REMOVING:
        day.removing = path
    if parsed.kind in _INTERRUPTED:
        day.leftovers.append(Problem(path, None, _LEFT_OVER.format(_INTERRUPTED[parsed.kind])))


def _stranger(place: Place, path: Path, parsed: FileName) -> Iterator[Problem]:
    """Return what is wrong with a file that is named for no column of its table; aliases are in order."""
    target = f"trade_{path.name}"
    may_be_alias = parsed.kind is Kind.COLUMN and place.table.name == "TRADES" and parsed.column in _ALIASES
    if not may_be_alias:
        yield Problem(path, None, f"{parsed.column} is no column of {place.table.name}")
    elif not path.is_symlink() or os.readlink(path) != target:  # noqa: PTH115 - as it is written, not resolved
        yield Problem(path, None, f"not a symbolic link to {target}, which this name is for")


def check_names(data: Path, exchange: str, directory: str) -> Iterator[Problem]:
    """Return what is no table in a symbol's directories."""
    known = {table.name for table in TABLES}
    for top in (data, Paths(data).late):
        folder = top / exchange / directory
        for name in tree.names(folder):
            if name not in known:
                yield Problem(folder / name, None, f"no table: there is {', '.join(sorted(known))}")


def check_symbols(data: Path, exchange: str) -> Iterator[Problem]:
    """Return what is no symbol in an exchange's directories."""
    for top in (data, Paths(data).late):
        for name in tree.names(top / exchange):
            path = top / exchange / name
            if "." in name or not path.is_dir():
                yield Problem(path, None, "no directory of a symbol")


def leftover_temporaries(data: Path) -> Iterator[Problem]:
    """Return temporary files among what is the logger's own."""
    paths = Paths(data)
    for folder in (paths.own, paths.journal):
        for name in tree.names(folder):
            if name.endswith(".tmp"):
                yield Problem(folder / name, None, _LEFT_OVER.format("write"))
