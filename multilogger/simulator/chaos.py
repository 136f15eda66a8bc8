"""Chaos: faults of all kinds at random times, from a seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Final

import attrs

from multilogger.simulator import faults, feed_faults, rest_faults
from multilogger.simulator.site import Fault
from multilogger.simulator.venue import Venue

_LASTING: Final = (0.2, 2.0)
"""The shortest and the longest duration of a fault, as parts of the time between two."""
_SHORTEST_SECS: Final = 0.5
_MOST_LASTING: Final = 2
"""The kind that lasts longest does for this many times as long as the others."""
_TAIL: Final = 0.25
"""Part of the time, at its end, in which nothing strikes."""
_MOST_TAIL_SECS: Final = 120.0
_SEEDS: Final = 1 << 30
_BAN_SECS: Final = 120.0
"""Binance's shortest ban. Where there is no time for it, none is imposed."""

Maker = Callable[[Random, float], Fault]
"""Makes a fault, given chance and how long a lasting one should last, in seconds."""


def _seed(random: Random) -> int:
    return random.randrange(_SEEDS)


KINDS: Final[dict[str, Maker]] = {
    "cut": lambda random, _: faults.Cut(reset=random.choice((True, False))),
    "stall": lambda _, secs: faults.Stall(secs),
    "garbage": lambda _, secs: faults.Garbage(secs),
    "refuse": lambda _, secs: faults.Refuse(secs),
    "disorder": lambda random, secs: faults.Disorder(secs, random.uniform(0.02, 0.2), _seed(random)),
    "duplicate": lambda random, secs: faults.Duplicate(secs, random.uniform(0.02, 0.2), _seed(random)),
    "half-open": lambda _random, _secs: feed_faults.HalfOpen(),
    "stall-symbol": lambda random, secs: feed_faults.StallSymbol(_MOST_LASTING * secs, seed=_seed(random)),
    "silent-ack": lambda _, secs: feed_faults.SilentAck(secs),
    "replay": lambda random, _: feed_faults.Replay(random.randint(1, 50), _seed(random)),
    "oversize": lambda _random, _secs: feed_faults.Oversize(),
    "wrong-clock": lambda random, secs: feed_faults.WrongClock(secs, random.uniform(-20.0, 20.0)),
    "slow-rest": lambda random, secs: rest_faults.SlowRest(secs, random.uniform(0.5, 5.0)),
    "failing-rest": lambda random, secs: rest_faults.FailingRest(secs, random.choice((500, 502, 503))),
    "too-many-requests": lambda random, secs: rest_faults.TooManyRequests(
        secs, 429, random.choice((None, secs, 2 * secs))
    ),
    "ban": lambda _, secs: rest_faults.TooManyRequests(secs, 418, _BAN_SECS),
    "shutdown": lambda random, secs: feed_faults.Shutdown(random.uniform(0.0, 1.0) * secs),
    "storm": lambda random, secs: feed_faults.Storm(count := random.randint(2, 5), secs / count),
}
"""What makes each kind of fault, by its name."""
ALL: Final = tuple(KINDS)


@attrs.frozen
class Strike:
    """A fault at its time."""

    at: float
    """In seconds from the start."""
    kind: str
    fault: Fault
    lasts: float
    """After so many seconds at most it is over."""


def strikes(
    seed: int | str, secs: float, every: float, kinds: Sequence[str] = ALL, *, head: float | None = None
) -> list[Strike]:
    """Return faults at random times; every kind comes before any comes again.

    Lasting ones last for 0.2 to 2 times ``every``. Nothing strikes in the last quarter of the time, or the
    last two minutes if that is less, and what lasts is over in the middle of it: then repair can end.

    Args:
        seed: of everything.
        secs: the time for it all.
        every: seconds between two faults, on average.
        kinds: names in :data:`KINDS`.
        head: seconds at the start in which nothing strikes; as long as two faults are apart by default.
    """
    random = Random(seed)
    tail = min(_TAIL * secs, _MOST_TAIL_SECS)
    start = 2 * every if head is None else head
    names = _shuffled_for_ever(kinds, random)
    found = []
    for number in range(int((secs - tail - start) / every)):
        at = start + (number + random.random()) * every
        most = (secs - tail / 2 - at) / _MOST_LASTING
        lasting = max(_SHORTEST_SECS, min(random.uniform(*_LASTING) * every, most))
        kind = next(names)
        while kind == "ban" and at + lasting + _BAN_SECS > secs - tail / 2:
            kind = next(names)
        lasts = lasting + _BAN_SECS if kind == "ban" else _MOST_LASTING * lasting
        found.append(Strike(at, kind, KINDS[kind](random, lasting), lasts))
    return found


def chaos_schedule(
    seed: int,
    secs: float,
    every: float,
    kinds: Sequence[str] = ALL,
    venue: Venue[Any] | None = None,
    *,
    head: float | None = None,
) -> list[tuple[float, Fault]]:
    """Return a schedule for :func:`~multilogger.simulator.faults.run_schedule`; see :func:`strikes`.

    Args:
        seed: of everything.
        secs: the time for it all.
        every: seconds between two faults, on average.
        kinds: names in :data:`KINDS`.
        venue: for which it is; another one gets another schedule of the same seed.
        head: seconds at the start in which nothing strikes.
    """
    own = f"{seed} {venue.name if venue else ''}"
    return [(strike.at, strike.fault) for strike in strikes(own, secs, every, kinds, head=head)]


def _shuffled_for_ever(kinds: Sequence[str], random: Random) -> Iterator[str]:
    bag: deque[str] = deque()
    while True:
        if not bag:
            bag.extend(random.sample(kinds, len(kinds)))
        yield bag.popleft()
