"""What the storage does to a disk: one value a call."""

from __future__ import annotations

import attrs

Tree = dict[str, bytes | str | None]
"""What is below a root, by path: a file's content, a symbolic link's target, None for a directory."""


@attrs.frozen
class Create:
    """A file was made."""

    path: str
    file: int


@attrs.frozen
class MakeDirectory:
    """A directory was made."""

    path: str


@attrs.frozen
class Link:
    """A symbolic link was made."""

    path: str
    target: str


@attrs.frozen
class Rename:
    """A file got another name, in place of whatever had that name."""

    old: str
    new: str


@attrs.frozen
class Unlink:
    """A name was removed."""

    path: str


@attrs.frozen
class Write:
    """Data was written to a file."""

    file: int
    offset: int
    data: bytes


@attrs.frozen
class Truncate:
    """A file's size was set."""

    file: int
    size: int


@attrs.frozen
class Sync:
    """A file's data and size were made durable."""

    file: int


@attrs.frozen
class SyncDirectory:
    """The names in a directory were made durable."""

    path: str


@attrs.frozen
class SyncAll:
    """Everything on one disk was made durable."""

    disk: str


@attrs.frozen
class FailedSync:
    """A sync of a file failed."""

    file: int


@attrs.frozen
class FailedSyncAll:
    """A sync of everything on one disk failed."""

    disk: str


Change = Write | Truncate
Call = (
    Create
    | MakeDirectory
    | Link
    | Rename
    | Unlink
    | Write
    | Truncate
    | Sync
    | SyncDirectory
    | SyncAll
    | FailedSync
    | FailedSyncAll
)


def apply_change(content: bytearray, change: Change) -> None:
    """Do to a file's content what a call did."""
    size = len(content)
    if isinstance(change, Write):
        content.extend(bytes(max(0, change.offset - size)))
        content[change.offset : change.offset + len(change.data)] = change.data
    elif change.size < size:
        del content[change.size :]
    else:
        content.extend(bytes(change.size - size))


def halved(call: Call) -> Call | None:
    """Return what was done of a call that was interrupted half-way: nothing, but for writes."""
    return (
        Write(call.file, call.offset, call.data[: len(call.data) // 2]) if isinstance(call, Write) else None
    )


def parent(path: str) -> str:
    """Return the directory of a path, empty for the root."""
    return path.rpartition("/")[0]


def base(path: str) -> str:
    """Return the last part of a path."""
    return path.rpartition("/")[2]


def top(path: str) -> str:
    """Return the first part of a path: each is a disk of its own."""
    return path.partition("/")[0]
