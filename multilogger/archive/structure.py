"""Whether the files of a day fit together, by their names and lengths alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from multilogger.archive.inventory import DayNames
from multilogger.archive.report import Problem
from multilogger.archive.snapshot import generation_of
from multilogger.archive.tree import Place, read_manifest
from multilogger.errors import ArchiveError
from multilogger.storage.manifest import Manifest
from multilogger.tables import Table


@attrs.frozen
class Structure:
    """A day's files at one moment."""

    manifest: Manifest | None
    problems: list[Problem]
    sizes: dict[Path, int | None]
    """Of every file a problem is about, in bytes; None where it is missing."""
    complete: bool
    """Whether the columns that the day has to have are there, and its manifest can be read."""


def look_at(place: Place, day: int, names: DayNames, *, running: bool) -> Structure:
    """Return what is wrong with a day's files as a whole.

    Args:
        place: whose files.
        day: UTC, in days since the epoch.
        names: what the directories hold.
        running: whether a logger holds the data path.
    """
    try:
        manifest = read_manifest(place.manifest(day))
    except ArchiveError as error:
        return Structure(None, [within(place.manifest(day), error)], {}, complete=False)
    generation = generation_of(manifest)
    live = names.of_generation(generation)
    missing = list(_missing(place, day, live, manifest))
    late = names.late.get(generation, {})
    late_missing = [
        Problem(place.late_column(column.name, day, generation), None, _MISSING)
        for column in place.table.columns
        if late and column.name not in late
    ]
    problems = [*missing, *late_missing, *_orphans(names, generation, running=running)]
    sizes = {path: _size(path) for path in (*live.values(), *late.values())}
    if not manifest:
        problems += _uneven(place.table, live, sizes)
    problems += _uneven(place.table, late, sizes)
    about = {problem.path: sizes.get(problem.path) for problem in problems}
    return Structure(manifest, problems, about, complete=not (missing or late_missing))


_MISSING = "missing, though other columns of its day are there"


def _missing(
    place: Place, day: int, live: Mapping[str, Path], manifest: Manifest | None
) -> Iterator[Problem]:
    """Return the columns that have to be there and are not; a day with late rows only has none."""
    if manifest:
        wanted, words = set(manifest.columns), "missing, though the day's manifest has it"
    else:
        compatible = {column.name for column in place.table.columns if not column.exact}
        wanted, words = compatible if live else set(), _MISSING
    for name in sorted(wanted - live.keys()):
        yield Problem(place.column(name, day), None, words)


def _orphans(names: DayNames, generation: int, *, running: bool) -> Iterator[Problem]:
    """Return late files that no reader looks at."""
    for found, columns in names.late.items():
        # A seal removes the late rows that it folded in only after its next checkpoint.
        if found == generation or (running and found == generation - 1):
            continue
        why = "folded in by a seal already" if found < generation else "no reader finds these rows"
        words = f"late rows after generation {found}, but the day's is {generation}: {why}"
        for path in columns.values():
            yield Problem(path, None, words)


def _uneven(table: Table, files: Mapping[str, Path], sizes: Mapping[Path, int | None]) -> Iterator[Problem]:
    """Return the files that are longer than the rows that all columns have."""
    widths = {column.name: column.dtype.itemsize for column in table.columns}
    rows = {name: (sizes[path] or 0) // widths[name] for name, path in files.items()}
    shortest = min(rows, key=rows.__getitem__, default="")
    for name, path in files.items():
        over = (sizes[path] or 0) % widths[name]
        if not sizes[path]:
            yield Problem(path, None, "empty")
        elif over:
            yield Problem(path, rows[name], f"{over} bytes of a value of {widths[name]}")
        elif rows[name] > rows[shortest]:
            yield Problem(path, rows[shortest], f"{rows[name]:,} rows, {shortest} has {rows[shortest]:,}")


def within(path: Path, error: ArchiveError) -> Problem:
    """Return as a problem of ``path`` what an error says, which may begin with it."""
    return Problem(path, None, str(error).removeprefix(f"{path}").lstrip(" :/"))


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
