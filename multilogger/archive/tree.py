"""What is in a data path, told by the names of directories and files."""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import attrs

from multilogger.errors import ArchiveError, StorageDamaged
from multilogger.storage.layout import Paths, day_suffix, manifest_name, parse_day, symbol_directory
from multilogger.storage.manifest import Manifest, decode_manifest
from multilogger.tables import TABLES, Table

_DAY: Final = r"(?P<day>\d\d\.\d\d\.\d\d)"
_EXCHANGE: Final = re.compile(r"[\w-]+")
"""No dot, which hides what is multilogger's own; nor what a filesystem keeps for itself (``lost+found``)."""


class Kind(enum.Enum):
    """What a file beside or below the columns is."""

    COLUMN = re.compile(rf"(?P<column>\w+)\.{_DAY}\.bin", re.ASCII)
    SWITCHING = re.compile(rf"(?P<column>\w+)\.{_DAY}\.bin\.(?P<generation>\d+)\.tmp", re.ASCII)
    """A sealed column that has not taken its place yet."""
    LATE = re.compile(rf"(?P<column>\w+)\.{_DAY}\.(?P<generation>\d+)\.bin", re.ASCII)
    MANIFEST = re.compile(rf"manifest\.{_DAY}\.json", re.ASCII)
    UNFINISHED = re.compile(rf"manifest\.{_DAY}\.json\.tmp", re.ASCII)
    """A manifest that has not taken its place yet."""
    REMOVING = re.compile(rf"manifest\.{_DAY}\.removed\.tmp", re.ASCII)
    """The manifest of a day that is being removed."""


@attrs.frozen
class FileName:
    """A file's name, understood."""

    kind: Kind
    day: int
    """UTC, in days since the epoch."""
    column: str = ""
    generation: int = 0


@attrs.frozen
class Place:
    """Where one table of one symbol lies."""

    data: Path
    exchange: str
    directory: str
    table: Table

    live: Path = attrs.field(init=False, eq=False)
    """The directory of the column files."""
    late: Path = attrs.field(init=False, eq=False)
    """The directory of the late partitions."""

    @live.default
    def _live(self) -> Path:
        return self.data / self.exchange / self.directory / self.table.name

    @late.default
    def _late(self) -> Path:
        return Paths(self.data).late / self.exchange / self.directory / self.table.name

    def manifest(self, day: int) -> Path:
        """Return where the manifest of a sealed day is."""
        return self.live / manifest_name(day)

    def column(self, name: str, day: int) -> Path:
        """Return a column's file."""
        return self.live / f"{name}{day_suffix(day)}"

    def late_column(self, name: str, day: int, generation: int) -> Path:
        """Return a late partition's file."""
        return self.late / f"{name}{day_suffix(day).removesuffix('bin')}{generation}.bin"


def parse_name(name: str) -> FileName | None:
    """Return what a file's name says, None if it is none of the program's."""
    for kind in Kind:
        found = kind.value.fullmatch(name)
        day = None if found is None else parse_day(found["day"])
        if found is not None and day is not None:
            parts = found.groupdict()
            return FileName(kind, day, parts.get("column", ""), int(parts.get("generation", 0)))
    return None


def names(folder: Path) -> list[str]:
    """Return the sorted names in a directory, none if there is no such directory.

    Raises:
        ArchiveError: it can't be read.
    """
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted, 10,000 at a time
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ArchiveError(f"{folder} can't be read: {error.strerror}") from error


def exchanges(data: Path) -> list[str]:
    """Return the names of directories that may be exchanges, those with late rows only included."""
    found = {*names(data), *names(Paths(data).late)}
    return sorted(name for name in found if _EXCHANGE.fullmatch(name) and _is_exchange(data, name))


def _is_exchange(data: Path, name: str) -> bool:
    return (data / name).is_dir() or (Paths(data).late / name).is_dir()


def directories(data: Path, exchange: str) -> list[str]:
    """Return the directories of an exchange's symbols, those with late rows only included."""
    found = {*names(data / exchange), *names(Paths(data).late / exchange)}
    return sorted(name for name in found if "." not in name)


def places(data: Path, exchange: str, directory: str) -> list[Place]:
    """Return the tables that a symbol's directory has."""
    found = (Place(data, exchange, directory, table) for table in TABLES)
    return [place for place in found if place.live.is_dir() or place.late.is_dir()]


def days(place: Place) -> list[int]:
    """Return the days that have rows, live or late, in order; nothing is opened but manifests."""
    live, sealed = set(), set()
    for found in filter(None, map(parse_name, names(place.live))):
        if found.column == place.table.time_column:
            live.add(found.day)
        elif found.kind is Kind.MANIFEST:
            sealed.add(found.day)
    late = {
        found.day for found in late_files(place) if found.day not in live | sealed and not found.generation
    }
    return sorted(live | sealed | late)


def stored_bytes(place: Place, only: int | None = None) -> int:
    """Return the size of a table's files, of one day or all, in bytes; what vanishes meanwhile has none."""
    total = 0
    for folder in (place.live, place.late):
        for name in names(folder):
            found = parse_name(name)
            if found and only in (None, found.day):
                with suppress(FileNotFoundError):
                    total += (folder / name).lstat().st_size
    return total


def late_files(place: Place) -> Iterator[FileName]:
    """Return the time columns of late partitions."""
    for found in filter(None, map(parse_name, names(place.late))):
        if found.kind is Kind.LATE and found.column == place.table.time_column:
            yield found


def read_manifest(path: Path) -> Manifest | None:
    """Return a day's manifest, None if it has none.

    Raises:
        ArchiveError: it can't be read or understood.
    """
    try:
        return decode_manifest(path.read_bytes(), path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArchiveError(f"{path} can't be read: {error.strerror}") from error
    except StorageDamaged as error:
        raise ArchiveError(str(error)) from error


def symbol_of(data: Path, exchange: str, directory: str) -> str:
    """Return the symbol in the exchange's spelling, as far as it can be told.

    Where no sealed day says it, the directory's name, decoded, is the best there is.
    """
    return _told_symbol(data, exchange, directory) or unquote(directory, errors="surrogatepass")


def _told_symbol(data: Path, exchange: str, directory: str) -> str | None:
    """Return what a manifest says; not looked for where the name leaves no doubt.

    ``_`` may stand for ``/``, and only a part of a long name is kept.
    """
    if "_" not in directory and "~" not in directory:
        return None
    for place in places(data, exchange, directory):
        for name in names(place.live):
            found = parse_name(name)
            manifest = read_manifest(place.live / name) if found and found.kind is Kind.MANIFEST else None
            if manifest is not None:
                return manifest.symbol
    return None


def find_directory(data: Path, exchange: str, symbol: str) -> str | None:
    """Return the directory of a symbol, or None.

    Args:
        data: the data path.
        exchange: whose symbol.
        symbol: in the exchange's spelling, or the directory's name.
    """
    found = set(directories(data, exchange))
    distinct, plain = symbol_directory(symbol, distinct=True), symbol_directory(symbol)
    if distinct in found:
        return distinct
    # "A_B" may be the directory of A/B, and must not be taken for it if it is A_B's.
    if plain in found and _told_symbol(data, exchange, plain) in (None, symbol):
        return plain
    return symbol if symbol in found else None
