"""Which exchanges run, with which settings; it may change while they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn

import attrs
import trio

from multilogger.config import ExchangeConfig, SupervisionConfig
from multilogger.stats import Stats
from multilogger.supervision.generations import Succession
from multilogger.supervision.restart import keep_alive


@attrs.frozen
class Settings:
    """What one exchange runs with."""

    config: ExchangeConfig
    explicit: tuple[str, ...]
    """Venue symbols that are configured by name."""


MakeSuccession = Callable[[str, Settings], Succession[Settings]]


class Roster:
    """The exchanges that are to run.

    Args:
        wanted: at first, by name.
        make: makes what runs one, at its first mention.
        stats: of those that run.
        policy: of restarts.
        leaving: called with the name of one that is no longer wanted, after it has ended.
    """

    def __init__(
        self,
        wanted: Mapping[str, Settings],
        make: MakeSuccession,
        stats: Stats,
        policy: SupervisionConfig,
        leaving: Callable[[str], None],
    ) -> None:
        self._wanted = dict(wanted)
        self._make = make
        self._stats = stats
        self._policy = policy
        self._leaving = leaving
        self._successions: dict[str, Succession[Settings]] = {}
        self._changed = trio.Event()

    @property
    def names(self) -> list[str]:
        """Who is to run."""
        return list(self._wanted)

    def change(self, wanted: Mapping[str, Settings]) -> None:
        """Run these from now on, with these settings."""
        self._wanted = dict(wanted)
        for name, settings in wanted.items():
            if name in self._successions:
                self._successions[name].change(settings)
        self._changed.set()
        self._changed = trio.Event()

    async def run(self) -> NoReturn:
        """Keep all alive, each on its own, and follow changes; ends by cancellation."""
        scopes: dict[str, trio.CancelScope] = {}
        async with trio.open_nursery() as nursery:
            while True:
                changed = self._changed
                for name in self._wanted.keys() - scopes.keys():
                    scopes[name] = trio.CancelScope()
                    nursery.start_soon(self._run_one, name, self._succession(name), scopes[name])
                for name in scopes.keys() - self._wanted.keys():
                    scopes.pop(name).cancel()
                    del self._successions[name]
                await changed.wait()

    def _succession(self, name: str) -> Succession[Settings]:
        if name not in self._successions:
            self._successions[name] = self._make(name, self._wanted[name])
        return self._successions[name]

    async def _run_one(self, name: str, succession: Succession[Settings], scope: trio.CancelScope) -> None:
        with scope:
            await keep_alive(succession.life, self._stats.exchange(name), self._policy)
        # A pause and a stop end all of them from outside, and don't come here.
        if name not in self._wanted:
            self._stats.exchanges.pop(name, None)
            self._leaving(name)
