"""Messages a second, from counters that are looked at once a second."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NoReturn

import attrs
import trio

from multilogger.stats import Stats

WINDOW_NS: Final = 10_000_000_000
"""Rates are means over this long: short enough to show a stall, long enough to stand still."""
SAMPLE_SECS: Final = 1.0


@attrs.frozen
class _Sample:
    time_ns: int
    messages: int


class RateMeter:
    """The messages a second of each exchange over the last ten seconds.

    Args:
        stats: the counters.
        clock: nanoseconds since the epoch.
    """

    def __init__(self, stats: Stats, clock: Callable[[], int]) -> None:
        self._stats = stats
        self._clock = clock
        self._samples: dict[str, deque[_Sample]] = {}

    async def run(self) -> NoReturn:
        """Sample the counters once a second until cancelled."""
        while True:
            self.sample()
            await trio.sleep(SAMPLE_SECS)

    def sample(self) -> None:
        """Note the counters of all exchanges as they are now."""
        now_ns = self._clock()
        for name, exchange in self._stats.exchanges.items():
            samples = self._samples.setdefault(name, deque())
            if samples and now_ns <= samples[-1].time_ns:
                samples.clear()  # the clock was set back: older samples tell nothing any more
            samples.append(_Sample(now_ns, exchange.messages))
            while now_ns - samples[0].time_ns > WINDOW_NS:
                samples.popleft()

    def rates(self) -> dict[str, float]:
        """Return messages a second by exchange; 0 where there are not two samples yet."""
        return {name: _rate(samples) for name, samples in self._samples.items()}

    def rate(self, name: str) -> float:
        """Return messages a second of one exchange; 0 for one that is not known yet."""
        return self.rates().get(name, 0.0)


def _rate(samples: deque[_Sample]) -> float:
    first, last = samples[0], samples[-1]
    if last.time_ns == first.time_ns:
        return 0.0
    return (last.messages - first.messages) / ((last.time_ns - first.time_ns) / 1e9)
