"""Messages that take a detour: they are held back, or come once more, some time after their turn.

Which ones is drawn from a seeded generator. What is held back is entered in the ledger when it is sent, and
goes to those it was meant for; if none of them is there any more it was lost on the way, and never sent.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from typing import Final, Generic, TypeVar

import attrs
import trio

from multilogger.simulator.client import Client

_MOST_HELD: Final = 100
"""Messages of a topic that wait at a time; a recorder need not remember any number of missing ids."""

C = TypeVar("C", bound=Client)


@attrs.frozen
class Chance:
    """Whether a message takes the detour, and how long that is."""

    until: float
    """On Trio's clock."""
    share: float
    """Probability, from 0 to 1."""
    delays: tuple[float, float]
    """The shortest and the longest, in seconds."""
    random: random.Random

    def strikes(self) -> bool:
        """Return whether the next message is concerned."""
        return trio.current_time() < self.until and self.random.random() < self.share

    def due(self) -> float:
        """Return when a message that starts now arrives, on Trio's clock."""
        return trio.current_time() + self.random.uniform(*self.delays)


NEVER: Final = Chance(0.0, 0.0, (0.0, 0.0), random.Random(0))
"""No message."""


@attrs.frozen(eq=False)
class _Held(Generic[C]):
    topic: str
    clients: tuple[C, ...]
    deliver: Callable[[list[C]], None]


class Detour(Generic[C]):
    """All messages of one exchange that are under way on a detour.

    Args:
        on_hold: called whenever another message is held back: :attr:`next_due` may be sooner now.
    """

    def __init__(self, on_hold: Callable[[], None] = lambda: None) -> None:
        self.late = NEVER
        """For messages to come late."""
        self.again = NEVER
        """For messages to come a second time."""
        self.held_back = 0
        """Messages that were not sent at their turn, so far."""
        self.repeated = 0
        """Messages that were to be sent a second time, so far."""
        self._heap: list[tuple[float, int, _Held[C]]] = []
        self._numbers = count()
        self._waiting: Counter[str] = Counter()
        self._on_hold = on_hold

    @property
    def waiting(self) -> int:
        """Messages that are under way now."""
        return len(self._heap)

    @property
    def next_due(self) -> float:
        """When the next of them is due, on Trio's clock; infinite if there is none."""
        return self._heap[0][0] if self._heap else math.inf

    def send(
        self,
        topic: str,
        clients: Iterable[C],
        deliver: Callable[[list[C]], None],
        *,
        repeatable: bool = True,
    ) -> None:
        """Deliver a message to the clients, now or, as chance has it, later.

        The first of a topic is never late for a client: it could not tell that anything came before it.

        Args:
            topic: what it is about.
            clients: who subscribed that.
            deliver: sends it to some clients, and enters it in the ledger unless that was done before.
            repeatable: whether it may be sent twice.
        """
        receivers = list(clients)
        if not receivers:
            return
        if _all_told(receivers, topic) and self._waiting[topic] < _MOST_HELD and self.late.strikes():
            self.held_back += 1
            self._hold(self.late.due(), _Held(topic, tuple(receivers), deliver))
            return
        deliver(receivers)
        if repeatable and self._waiting[topic] < _MOST_HELD and self.again.strikes():
            self.repeated += 1
            self._hold(self.again.due(), _Held(topic, tuple(receivers), deliver))

    def deliver(self) -> None:
        """Deliver what is due by now, in the order in which it is due."""
        now = trio.current_time()
        while self._heap and self._heap[0][0] <= now:
            _, _, held = heapq.heappop(self._heap)
            self._waiting[held.topic] -= 1
            left = [client for client in held.clients if client.hears(held.topic)]
            if left:
                held.deliver(left)

    def _hold(self, due: float, held: _Held[C]) -> None:
        self._waiting[held.topic] += 1
        heapq.heappush(self._heap, (due, next(self._numbers), held))
        self._on_hold()


def _all_told(clients: Iterable[Client], topic: str) -> bool:
    """Note that clients are told of a topic; return whether all of them had been before."""
    known = True
    for client in clients:
        if topic not in client.told:
            client.told.add(topic)
            known = False
    return known
