"""A file system as a power cut sees it: what is durable, and what was done since and may be lost.

Stricter than any real one. Each data write and each change of a file's size survives by itself. The names in
a directory survive up to some change, in order, whatever became of other directories and of the files' data.
``fsync`` of a file does not make its name durable. What a failed sync was for never becomes durable.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs
from durability_calls import (
    Call,
    Change,
    Create,
    FailedSync,
    FailedSyncAll,
    Link,
    MakeDirectory,
    Rename,
    Sync,
    SyncAll,
    SyncDirectory,
    Tree,
    Truncate,
    Unlink,
    Write,
    apply_change,
    base,
    parent,
    top,
)

Node = int | str | None
"""What a name stands for: a file's number, a symbolic link's target, None for a directory."""
_ALL: Final = 1.0


class Adversary:
    """Decides what survives of that which was not synced.

    Args:
        rng: of its decisions.
        keep: how likely a change survives.
    """

    def __init__(self, rng: random.Random, keep: float) -> None:
        self._rng = rng
        self._keep = keep

    def names(self, count: int) -> int:
        """Return how many of a directory's ``count`` changes survive."""
        if self._keep in (0.0, _ALL):
            return round(count * self._keep)
        return self._rng.choice((0, count, self._rng.randint(0, count)))

    def content(self, durable: bytes, changes: Sequence[Change]) -> bytes:
        """Return a file's surviving content: earlier writes may be missing, and leave holes of zeros."""
        if self._keep == 0 or not changes:
            return durable
        content = bytearray(durable)
        size = len(durable)
        for change in changes:
            size = max(size, change.offset + len(change.data) if isinstance(change, Write) else change.size)
            if self._rng.random() < self._keep:
                apply_change(content, change)
            elif isinstance(change, Write) and self._rng.random() < self._keep:
                apply_change(content, self._torn(change))
        if self._rng.random() < (1 - self._keep) / 2:
            content.extend(bytes(max(0, size - len(content))))
        return bytes(content)

    def _torn(self, write: Write) -> Write:
        half = len(write.data) // 2
        if self._rng.randrange(2):
            return Write(write.file, write.offset, write.data[:half])
        return Write(write.file, write.offset + half, write.data[half:])


def keep_all() -> Adversary:
    """Return one that loses nothing: the process was killed, and the machine went on."""
    return Adversary(random.Random(0), _ALL)


@attrs.define(eq=False)
class _File:
    disk: str
    """The first part of its path: what lies side by side at the top are disks of their own."""
    durable: bytes = b""
    pending: list[Change] = attrs.field(factory=list)
    lost: bool = False
    """A sync failed: nothing more becomes durable."""

    def sync(self) -> None:
        if self.pending and not self.lost:
            self.durable, self.pending = keep_all().content(self.durable, self.pending), []


@attrs.frozen(eq=False)
class _Naming:
    """A change of a directory's names."""

    removed: str
    added: str = ""
    node: Node = None

    def apply(self, names: dict[str, Node]) -> None:
        names.pop(self.removed, None)
        if self.added:
            names[self.added] = self.node


@attrs.define(eq=False)
class _Directory:
    durable: dict[str, Node] = attrs.field(factory=dict)
    pending: list[_Naming] = attrs.field(factory=list)
    now: dict[str, Node] = attrs.field(factory=dict)

    def change(self, naming: _Naming) -> None:
        naming.apply(self.now)
        self.pending.append(naming)

    def sync(self, count: int) -> None:
        for naming in self.pending[:count]:
            naming.apply(self.durable)
        del self.pending[:count]

    def after(self, count: int) -> dict[str, Node]:
        names = self.durable.copy()
        for naming in self.pending[:count]:
            naming.apply(names)
        return names


class Volume:
    """A file system, and what was done to it since its parts were synced last.

    Args:
        tree: what is there and durable.
    """

    def __init__(self, tree: Tree) -> None:
        self._files: list[_File] = []
        self._directories: dict[str, _Directory] = {"": _Directory()}
        self._moves: list[tuple[str, _Naming, str, _Naming]] = []
        """Renames from one directory to another, which survive in both or in none."""
        for path, found in sorted(tree.items()):
            node: Node = None
            if isinstance(found, bytes):
                node = len(self._files)
                self._files.append(_File(top(path), found))
            elif found is None:
                self._directories[path] = _Directory()
            else:
                node = found
            directory = self._directories[parent(path)]
            directory.durable[base(path)] = directory.now[base(path)] = node

    @property
    def file_count(self) -> int:
        """How many files there ever were: the number of the next one."""
        return len(self._files)

    def perform(self, calls: Iterable[Call]) -> Volume:
        """Go on by some calls."""
        for call in calls:
            if isinstance(call, (Write, Truncate)):
                self._files[call.file].pending.append(call)
            elif isinstance(call, Sync):
                self._files[call.file].sync()
            elif isinstance(call, SyncDirectory):
                self._sync_directory(call.path)
            elif isinstance(call, SyncAll):
                self._sync_all(call.disk)
            elif isinstance(call, FailedSync):
                self._files[call.file].lost = True
            elif isinstance(call, FailedSyncAll):
                for file in self._files:
                    file.lost = file.lost or (file.disk == call.disk and bool(file.pending))
            else:
                self._name(call)
        return self

    def _name(self, call: Create | MakeDirectory | Link | Rename | Unlink) -> None:
        if isinstance(call, Rename):
            self._rename(call)
            return
        path = call.path
        directory = self._directories[parent(path)]
        if isinstance(call, Unlink):
            directory.change(_Naming(base(path)))
            return
        node: Node = None
        if isinstance(call, Create):
            node = call.file
            self._files.append(_File(top(path)))
        elif isinstance(call, Link):
            node = call.target
        else:
            self._directories[path] = _Directory()
        directory.change(_Naming("", base(path), node))

    def _rename(self, call: Rename) -> None:
        old, new = parent(call.old), parent(call.new)
        node = self._directories[old].now[base(call.old)]
        if old == new:
            self._directories[old].change(_Naming(base(call.old), base(call.new), node))
            return
        leaving, coming = _Naming(base(call.old)), _Naming("", base(call.new), node)
        self._directories[old].change(leaving)
        self._directories[new].change(coming)
        self._moves.append((old, leaving, new, coming))

    def _sync_all(self, disk: str) -> None:
        for file in self._files:
            if file.disk == disk:
                file.sync()
        for path, directory in self._directories.items():
            if top(path) == disk:
                directory.sync(len(directory.pending))
        self._forget_moves()

    def _sync_directory(self, path: str) -> None:
        counts = dict.fromkeys(self._directories, 0)
        counts[path] = len(self._directories[path].pending)
        for old, leaving, new, coming in self._moves:
            if path in (old, new):
                counts[old] = max(counts[old], self._place(old, leaving) + 1)
                counts[new] = max(counts[new], self._place(new, coming) + 1)
        for name, count in counts.items():
            self._directories[name].sync(count)
        self._forget_moves()

    def _forget_moves(self) -> None:
        self._moves = [move for move in self._moves if self._place(move[0], move[1]) >= 0]

    def _place(self, path: str, naming: _Naming) -> int:
        pending = self._directories[path].pending
        return pending.index(naming) if naming in pending else -1

    def survivors(self, adversary: Adversary) -> Tree:
        """Return what is there after a power cut."""
        counts = {path: adversary.names(len(it.pending)) for path, it in self._directories.items()}
        for old, leaving, new, coming in reversed(self._moves):
            if (self._place(old, leaving) < counts[old]) != (self._place(new, coming) < counts[new]):
                counts[old] = min(counts[old], self._place(old, leaving))
                counts[new] = min(counts[new], self._place(new, coming))
        tree: Tree = {}
        self._collect("", counts, adversary, tree)
        return tree

    def _collect(self, path: str, counts: dict[str, int], adversary: Adversary, tree: Tree) -> None:
        for name, node in self._directories[path].after(counts[path]).items():
            inner = f"{path}/{name}" if path else name
            if isinstance(node, int):
                file = self._files[node]
                tree[inner] = adversary.content(file.durable, file.pending)
            else:
                tree[inner] = node
                if node is None:
                    self._collect(inner, counts, adversary, tree)

    def now(self) -> Tree:
        """Return what programs see."""
        return self.survivors(keep_all())

    def names(self) -> Iterator[tuple[str, Node]]:
        """Return every path there is now, and what it stands for."""
        for path, directory in self._directories.items():
            for name, node in directory.now.items():
                yield (f"{path}/{name}" if path else name), node
