"""What lies below a data path, by the names of directories and files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from multilogger.storage import disk
from multilogger.storage.layout import Paths, manifest_name, parse_day
from multilogger.storage.streams import Streams
from multilogger.tables import TABLES, Table

_DIRECTORY: Final = re.compile(r"[^.]+")
"""What has a dot is the program's own, or nobody's."""
_EXCHANGE: Final = re.compile(r"[\w-]+")
"""Nor is it what a filesystem keeps for itself (``lost+found``)."""
_NAME: Final = re.compile(r"(?P<stem>\w+)\.(?P<day>\d\d\.\d\d\.\d\d)\.(?P<rest>.+)", re.ASCII)
_COLUMN: Final = "bin"
_SEALED: Final = "json"
_REMOVED: Final = "removed.tmp"
_SWITCHING: Final = re.compile(r"bin\.\d+\.tmp", re.ASCII)
_LATE: Final = re.compile(r"(\d+)\.bin", re.ASCII)
_MANIFEST: Final = "manifest"


@attrs.frozen
class Place:
    """Where one table of one symbol lies."""

    paths: Paths
    exchange: str
    directory: str
    table: Table

    @property
    def live(self) -> Path:
        """The directory of the column files."""
        return self.paths.data / self.exchange / self.directory / self.table.name

    @property
    def late(self) -> Path:
        """The directory of the late partitions."""
        return self.paths.late / self.exchange / self.directory / self.table.name

    def manifest(self, day: int) -> str:
        """Return where the manifest of a day is, or would be."""
        return f"{self.live}/{manifest_name(day)}"


@attrs.define
class Days:
    """The days that a place has, since the epoch; each set by what it says of them."""

    columns: set[int] = attrs.field(factory=set)
    """There are column files."""
    sealed: set[int] = attrs.field(factory=set)
    """There is a manifest."""
    switching: set[int] = attrs.field(factory=set)
    """A seal has not brought all columns to their places."""
    removed: set[int] = attrs.field(factory=set)
    """The manifest was set aside to remove the day."""


def names(directory: Path) -> list[str]:
    """Return the sorted names in a directory, none if there is no such directory."""
    try:
        return disk.names(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def exchanges(paths: Paths) -> list[str]:
    """Return the names of directories that may be exchanges, those with late rows only included."""
    return sorted(filter(_EXCHANGE.fullmatch, {*names(paths.data), *names(paths.late)}))


def places(paths: Paths, exchange: str | None = None) -> Iterator[Place]:
    """Return where tables lie, those with late rows only included.

    Args:
        paths: below the data path.
        exchange: only of this one.
    """
    for found in [exchange] if exchange else exchanges(paths):
        directories = {*names(paths.data / found), *names(paths.late / found)}
        for directory in sorted(filter(_DIRECTORY.fullmatch, directories)):
            for table in TABLES:
                yield Place(paths, found, directory, table)


def days(place: Place) -> Days:
    """Return what the names in a place's directory say."""
    found = Days()
    for name in names(place.live):
        parts = _NAME.fullmatch(name)
        day = parse_day(parts["day"]) if parts else None
        if parts is None or day is None:
            continue
        stem, rest = parts["stem"], parts["rest"]
        if stem == _MANIFEST:
            if rest in (_SEALED, _REMOVED):
                (found.sealed if rest == _SEALED else found.removed).add(day)
        elif rest == _COLUMN:
            found.columns.add(day)
        elif _SWITCHING.fullmatch(rest):
            found.switching.add(day)
    return found


def late_files(place: Place) -> dict[tuple[int, int], list[str]]:
    """Return the paths of late partitions' files, by day and generation."""
    found: dict[tuple[int, int], list[str]] = {}
    for name in names(place.late):
        parts = _NAME.fullmatch(name)
        day = parse_day(parts["day"]) if parts else None
        generation = _LATE.fullmatch(parts["rest"]) if parts else None
        if generation is not None and day is not None:
            found.setdefault((day, int(generation[1])), []).append(f"{place.late}/{name}")
    return found


class StreamIndex:
    """Tells the numbers of a place's streams.

    Args:
        streams: may get more.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._seen = 0
        self._numbers: dict[tuple[str, str, int], dict[int, int]] = {}

    def numbers(self, place: Place) -> dict[int, int]:
        """Return them by kind."""
        for stream in self._streams.all[self._seen :]:
            entry = stream.entry
            key = (entry.exchange, entry.directory, entry.table)
            self._numbers.setdefault(key, {})[entry.kind] = entry.number
        self._seen = len(self._streams.all)
        return self._numbers.get((place.exchange, place.directory, place.table.number), {})
