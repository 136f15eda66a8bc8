"""What happens in a virtual hour: all of it follows from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import combinations
from typing import Final

import attrs
from chaos_clock import NANOS

from multilogger.simulator.chaos import Strike, strikes
from multilogger.simulator.venues import VENUES

EXCHANGES: Final = ("coinbase", "binance")
"""Of scenarios that don't say otherwise."""
PAIRS: Final = tuple(combinations(VENUES, 2))
"""Every fourth hour takes turns with them, so that each exchange is in as many; the others are those of
:data:`EXCHANGES`, which take half the time."""
_PAIRED: Final = 4
HOUR_SECS: Final = 3600.0
FAULTS_SECS: Final = 3000.0
"""For so long faults may strike; then it must be possible to notice and mend what they did."""
_EVERY_SECS: Final = (100.0, 400.0)
"""Between two faults of an exchange, on average; of an hour, one such time is drawn from these."""
_LAST_KILL: Final = 0.9
"""Part of the hour."""
_MIDNIGHT_NS: Final = 1_900_022_400 * NANOS
"""Of some day: 2030-03-18."""
_DAY_SECS: Final = 86_400
_SHORT_LIFE_SECS: Final = (900.0, 2400.0)


@attrs.frozen(kw_only=True)
class Scenario:
    """A virtual hour, or another time."""

    seed: int
    secs: float = HOUR_SECS
    start_ns: int = _MIDNIGHT_NS + 8 * 3600 * NANOS
    exchanges: tuple[str, ...] = EXCHANGES
    struck: tuple[str, ...] = EXCHANGES
    """Exchanges that faults befall; the others must not notice."""
    without_history: tuple[str, ...] = ()
    """Exchanges whose missed trades can't be had. None of those that don't name their newest trade elsewhere:
    without asking, nobody could tell that a quiet market is a deaf subscription."""
    symbols_per_connection: int = 2
    lifetime_secs: float = _DAY_SECS
    """The logger replaces connections before this age, soon after which Binance cuts them."""
    kills: tuple[float, ...] = ()
    """Seconds at which the logger is killed."""
    strikes: Mapping[str, list[Strike]] = attrs.field(factory=dict)
    """Faults by exchange."""


def scenario_of(seed: int) -> Scenario:
    """Return the virtual hour of a seed."""
    chance = random.Random(seed)
    pair = PAIRS[seed % len(PAIRS)] if seed % _PAIRED == 1 else EXCHANGES
    struck = chance.choice((pair, pair, pair[:1], pair[1:]))
    kills = [chance.uniform(60.0, HOUR_SECS * _LAST_KILL) for _ in range(chance.choice((0, 0, 0, 1, 2)))]
    every = chance.uniform(*_EVERY_SECS)
    return Scenario(
        seed=seed,
        # A quarter of the hours has a midnight in it.
        start_ns=_MIDNIGHT_NS + int(chance.choice((-0.25, 2.0, 9.0, 17.0)) * 3600) * NANOS,
        exchanges=pair,
        struck=struck,
        without_history=tuple(
            name for name in chance.choice(((), (), (), pair[:1], pair[1:], pair)) if name in EXCHANGES
        ),
        symbols_per_connection=chance.choice((2, 4)),
        lifetime_secs=chance.choice((_DAY_SECS, chance.uniform(*_SHORT_LIFE_SECS))),
        kills=tuple(sorted(kills)),
        strikes={name: strikes(f"{seed} {name}", FAULTS_SECS, every) for name in struck},
    )
