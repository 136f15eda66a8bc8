"""How what blocks is run: in a thread, or, on a virtual clock, at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class RunBlocking(Protocol):
    """Runs what blocks, and returns what it returned; :func:`trio.to_thread.run_sync` is one.

    A virtual clock jumps on as soon as no task can run: a thread at work does not hold it. What has to be
    repeatable is therefore run on such a clock by something that stays in the event loop.
    """

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Return ``work()``."""
        ...
