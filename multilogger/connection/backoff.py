"""Delays between attempts."""

from __future__ import annotations

import random
from typing import Final

FIRST_SECS: Final = 0.1
MOST_SECS: Final = 30.0
HEALTHY_SECS: Final = 60.0
"""A connection that has streamed this long had recovered: its next failure begins the delays anew."""

_DOUBLINGS: Final = 9
"""After so many the delay is over the cap: 0.1 s * 2**9 = 51 s."""


class Backoff:
    """Endless delays that double from 0.1 s up to 30 s, with full jitter.

    Full jitter (each delay is uniform between 0 and the doubled value) spreads clients that were cut off
    together over the whole time; see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    Args:
        chance: where the jitter comes from.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._attempt = 0

    def next(self) -> float:
        """Return the next delay in seconds."""
        longest = min(MOST_SECS, FIRST_SECS * 2 ** min(self._attempt, _DOUBLINGS))
        self._attempt += 1
        return self._chance.uniform(0, longest)

    def reset(self) -> None:
        """Begin anew."""
        self._attempt = 0

    def reset_after(self, healthy_secs: float) -> None:
        """Begin anew if what has failed now had been healthy for a minute."""
        if healthy_secs >= HEALTHY_SECS:
            self.reset()
