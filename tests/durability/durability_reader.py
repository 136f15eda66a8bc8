"""A data path as readers take it: partitions by the published rules, from a tree of files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import attrs
import numpy as np
from durability_calls import Tree
from durability_ledger import SERIALS

from multilogger.storage.layout import parse_day
from multilogger.storage.manifest import Manifest, decode_manifest
from multilogger.storage.streams import ABSURD, LATE, LIVE
from multilogger.tables import TABLES, Array, Column, Table

_ROOTS: Final = {
    LATE: "data/.multilogger/late/",
    ABSURD: "data/.multilogger/quarantine/rows/",
    LIVE: "data/",
}
_FILE: Final = re.compile(r"(\w+)\.(\d\d\.\d\d\.\d\d)(?:\.(\d+))?\.bin", re.ASCII)
_MANIFEST: Final = re.compile(r"/manifest\.[\d.]+\.json$", re.ASCII)
_TABLES: Final = {table.name: table for table in TABLES}


@attrs.frozen
class Place:
    """A partition, or with kind :data:`LIVE` the day of a symbol's table."""

    kind: int
    exchange: str
    directory: str
    table: str
    day: str
    """As in the files' names."""

    @property
    def day_number(self) -> int:
        """In days since the epoch."""
        found = parse_day(self.day)
        if found is None:
            raise ValueError(self.day)
        return found

    @property
    def live(self) -> Place:
        """The live partition of the same day."""
        return attrs.evolve(self, kind=LIVE)


@attrs.define(eq=False)
class Seen:
    """A partition's files."""

    place: Place
    table: Table
    manifest: Manifest | None
    files: dict[str, bytes]
    """By column."""

    @property
    def generation(self) -> int:
        """Of its seal."""
        return self.manifest.generation if self.manifest else 0

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that it may have."""
        return self.table.raw_columns if self.place.kind == ABSURD else self.table.columns

    @property
    def rows(self) -> int:
        """How many all columns have."""
        return min(
            len(self.files.get(column.name, b"")) // column.dtype.itemsize
            for column in self.columns
            if column.name in self.files or not column.exact
        )

    @property
    def serials(self) -> Array:
        """The serial number of each row."""
        name = SERIALS[self.table.number]
        column = next(it for it in self.columns if it.name == name)
        values = np.frombuffer(self.files.get(name, b"")[: self.rows * column.dtype.itemsize], column.dtype)
        found: Array = np.nan_to_num(values, nan=0, posinf=0, neginf=0).astype(np.int64)
        return found


def partitions(tree: Tree) -> dict[Place, Seen]:
    """Return every partition that has files."""
    found: dict[Place, Seen] = {}
    for path, content in tree.items():
        taken = _parse(path)
        if taken is None or not isinstance(content, bytes):
            continue
        place, column, generation = taken
        seen = found.get(place)
        if seen is None:
            seen = found[place] = Seen(place, _TABLES[place.table], _manifest(tree, place), {})
        if place.kind == LATE and generation != seen.generation:
            continue
        replacement = tree.get(f"{path}.{seen.generation}.tmp") if place.kind == LIVE else None
        seen.files[column] = replacement if isinstance(replacement, bytes) else content
    return {place: seen for place, seen in found.items() if seen.files}


def _parse(path: str) -> tuple[Place, str, int] | None:
    kind = next((kind for kind, root in _ROOTS.items() if path.startswith(root)), None)
    if kind is None:
        return None
    parts = path.removeprefix(_ROOTS[kind]).split("/")
    if len(parts) != len(("exchange", "symbol", "table", "file")) or parts[0].startswith("."):
        return None
    match = _FILE.fullmatch(parts[3])
    if match is None or (match[3] is not None) != (kind == LATE):
        return None
    return Place(kind, parts[0], parts[1], parts[2], match[2]), match[1], int(match[3] or 0)


def _manifest(tree: Tree, place: Place) -> Manifest | None:
    path = f"data/{place.exchange}/{place.directory}/{place.table}/manifest.{place.day}.json"
    content = tree.get(path)
    return decode_manifest(content, path) if isinstance(content, bytes) and place.kind != ABSURD else None


def row_files(tree: Tree) -> dict[str, bytes]:
    """Return all files that rows are in, and the manifests."""
    return {
        path: content
        for path, content in tree.items()
        if isinstance(content, bytes) and (_parse(path) or _MANIFEST.search(path))
    }


def read_tree(root: Path) -> Tree:
    """Read what is below a directory, but the journal and what has no content that counts."""
    tree: Tree = {}
    for directory, directories, files in os.walk(root):
        inner = os.path.relpath(directory, root)
        inside = "" if inner == "." else f"{inner}/"
        tree.update(dict.fromkeys(f"{inside}{name}" for name in directories))
        for name in files:
            path = Path(directory, name)
            if path.is_symlink():
                tree[f"{inside}{name}"] = str(path.readlink())
            elif not name.startswith(("catalog.db", "lock")) and not name.endswith((".wal", ".free")):
                tree[f"{inside}{name}"] = path.read_bytes()
    return tree


def write_tree(root: Path, tree: Tree) -> None:
    """Make files."""
    root.mkdir(parents=True)
    for path, content in sorted(tree.items()):
        if content is None:
            (root / path).mkdir()
        elif isinstance(content, str):
            (root / path).symlink_to(content)
        else:
            (root / path).write_bytes(content)
