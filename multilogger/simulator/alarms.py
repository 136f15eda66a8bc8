"""What a simulated exchange will do at some time: one task that sleeps until the next of it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import NoReturn

import trio


class Alarms:
    """Calls that are due at some time, on Trio's clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._changed = trio.Event()

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Have something called at a time; those of one time in the order in which they came."""
        heapq.heappush(self._heap, (when, next(self._numbers), call))
        self._changed.set()

    async def run(self) -> NoReturn:
        """Call what is due, until cancelled."""
        while True:
            next_due = self._heap[0][0] if self._heap else float("inf")
            with trio.move_on_at(next_due):
                await self._changed.wait()
                self._changed = trio.Event()
            while self._heap and self._heap[0][0] <= trio.current_time():
                heapq.heappop(self._heap)[2]()
