"""What is durable in the journal and not in the column files yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import attrs

from multilogger.storage.extent import Extent

_TOGETHER_BYTES: Final = 1024 * 1024 * 1024
"""Applied by one visit to the files: each visit costs the same, whether for few rows or many."""


@attrs.frozen(eq=False)
class Commit:
    """The extents of one commit."""

    extents: Sequence[Extent]
    nbytes: int
    made_ns: int


class Backlog:
    """Commits in order; protected by the store's lock."""

    def __init__(self) -> None:
        self._commits: deque[Commit] = deque()
        self.nbytes = 0
        """Of all of them."""

    def add(self, extents: Sequence[Extent], made_ns: int) -> None:
        """Add a commit, made now."""
        nbytes = sum(extent.length for extent in extents)
        self._commits.append(Commit(extents, nbytes, made_ns))
        self.nbytes += nbytes

    def __len__(self) -> int:
        return len(self._commits)

    def first(self, most: int) -> list[Commit]:
        """Return the oldest commits, as many as are to be applied at once, at most ``most``; they stay."""
        found: list[Commit] = []
        size = 0
        for commit in self._commits:
            if size >= _TOGETHER_BYTES or len(found) == most:
                break
            found.append(commit)
            size += commit.nbytes
        return found

    def drop(self, applied: Sequence[Commit]) -> None:
        """Remove the oldest commits, which have been applied."""
        for commit in applied:
            if self._commits.popleft() is not commit:
                raise RuntimeError("commits applied out of order")
            self.nbytes -= commit.nbytes

    @property
    def oldest_ns(self) -> int:
        """When the oldest was made; 0 when there is none."""
        return self._commits[0].made_ns if self._commits else 0
