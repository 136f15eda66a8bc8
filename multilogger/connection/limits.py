"""Limits: what an exchange allows in a span of time, kept by waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import trio

from multilogger.exchanges.base import Allowance
from multilogger.stats import BudgetStats


class Window:
    """What was used of one allowance, use by use: a window that slides, as a fixed one lets twice as much by.

    Args:
        allowance: that must never be exceeded.
        gauge: shows what is used.
    """

    def __init__(self, allowance: Allowance, gauge: BudgetStats | None = None) -> None:
        self._amount = allowance.amount
        self._secs = allowance.secs
        self._uses: deque[tuple[float, float]] = deque()
        """Time and weight, the oldest first."""
        self._used = 0.0
        self.gauge = gauge or BudgetStats(allowance.amount, allowance.secs)

    def used(self, now: float) -> float:
        """Return what was used within the span that ends now."""
        while self._uses and self._uses[0][0] + self._secs <= now:
            self._used -= self._uses.popleft()[1]
        if not self._uses:
            self._used = 0.0  # sums of fractions drift
        self.gauge.used = self._used
        return self._used

    def free_at(self, weight: float, now: float) -> float:
        """Return when there is room for ``weight``: ``now``, or later.

        What weighs more than the whole allowance has to wait until nothing else is used.
        """
        excess = self.used(now) + min(weight, self._amount) - self._amount
        at = now
        for used_at, used in self._uses:
            if excess <= 0:
                break
            excess -= used
            at = used_at + self._secs
        return at

    def note(self, weight: float, now: float) -> None:
        """Note a use."""
        self._uses.append((now, weight))
        self._used += weight
        self.gauge.total += weight
        self.used(now)


class Turns:
    """Allowances that hold together: whoever wants to use them waits for room, first come first served.

    Nothing is used up by a wait that is cancelled. All times are Trio's.

    Args:
        allowances: none of them is ever exceeded, in whatever span of its length.
        gauges: one for each allowance; of its own without.
    """

    def __init__(self, allowances: Iterable[Allowance], gauges: Iterable[BudgetStats] | None = None) -> None:
        allowances = tuple(allowances)
        shown = [None] * len(allowances) if gauges is None else gauges
        self._windows = [Window(one, gauge) for one, gauge in zip(allowances, shown, strict=True)]
        self._queue = trio.StrictFIFOLock()
        self._held_until = 0.0

    async def take(self, weight: float = 1.0) -> None:
        """Wait until ``weight`` may be used, and use it."""
        self._count_waiting(1)
        try:
            async with self._queue:
                await self.wait_for_room(weight)
                self.note(weight)
        finally:
            self._count_waiting(-1)

    async def wait_for_room(self, weight: float = 1.0) -> None:
        """Wait until ``weight`` could be used; for callers who see to their order, and to :meth:`note`."""
        while (at := self._free_at(weight)) > trio.current_time():  # noqa: ASYNC110 - the time of it is known
            await trio.sleep_until(at)

    def _free_at(self, weight: float) -> float:
        now = trio.current_time()
        return max([self._held_until, *(window.free_at(weight, now) for window in self._windows)])

    def note(self, weight: float = 1.0) -> None:
        """Use ``weight`` now, room or not."""
        for window in self._windows:
            window.note(weight, trio.current_time())
        self.refresh()

    def note_used(self, used: float) -> None:
        """Note that of the first allowance ``used`` is gone, by the word of whoever counts it.

        Others may use it, too: what is above our own count was used by them, and as we can't know when, now.
        """
        now = trio.current_time()
        for window in self._windows[:1]:
            others = used - window.used(now)
            if others > 0:
                window.note(others, now)

    def hold_back(self, secs: float) -> None:
        """Give no turns for ``secs`` from now; a longer rest that is under way is not shortened."""
        self._held_until = max(self._held_until, trio.current_time() + secs)
        self.refresh()

    def held_secs(self) -> float:
        """Return for how long there will be no turns."""
        return max(0.0, self._held_until - trio.current_time())

    def refresh(self) -> None:
        """Bring the gauges up to date."""
        now = trio.current_time()
        for window in self._windows:
            window.used(now)
            window.gauge.held_back_secs = self.held_secs()

    def _count_waiting(self, change: int) -> None:
        for window in self._windows:
            window.gauge.waiting += change
