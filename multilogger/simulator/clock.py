"""A clock whose days are short: a midnight every few seconds."""

from __future__ import annotations

from collections.abc import Callable

import attrs


@attrs.frozen
class ScaledClock:
    """Exchange time that runs so many times as fast as another clock; calling it tells it.

    It never goes back as long as the other doesn't.
    """

    start_ns: int
    """What it shows when it is made, nanoseconds since the epoch."""
    factor: float
    real: Callable[[], int]
    """The clock it follows, in nanoseconds; best a monotonic one, for its steps are stretched, too."""
    _origin_ns: int = attrs.field(init=False)

    @_origin_ns.default
    def _now(self) -> int:
        return self.real()

    def __call__(self) -> int:
        """Return nanoseconds since the epoch."""
        return self.start_ns + int((self.real() - self._origin_ns) * self.factor)
