"""Virtual time that repeats itself: an hour costs about a second, and the same seed gives the same hour."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs
import trio
from trio._core import _run as scheduler
from trio.testing import MockClock

NANOS = 1_000_000_000
T = TypeVar("T")


@attrs.frozen
class VirtualClock:
    """Tells Trio's time as nanoseconds since the epoch."""

    start_ns: int

    def __call__(self) -> int:
        """Return it."""
        return self.start_ns + round(trio.current_time() * NANOS)


async def run_inline(work: Callable[[], T]) -> T:
    """Do what blocks at once: a virtual clock would run on while a thread is at it."""
    await trio.lowlevel.checkpoint()
    return work()


@contextmanager
def replaced(owner: Any, **values: Any) -> Iterator[None]:
    """Let a module or class have other values for a while."""
    known = {name: getattr(owner, name) for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in known.items():
            setattr(owner, name, value)


def run_virtually(seed: int, main: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run an event loop on a clock that jumps over all waiting.

    Trio wakes tasks in random order on purpose; here the order is that of the seed.
    """
    with replaced(scheduler, _ALLOW_DETERMINISTIC_SCHEDULING=True, _r=random.Random(seed)):
        return trio.run(main, *args, clock=MockClock(autojump_threshold=0))
