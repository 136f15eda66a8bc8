"""One exchange through the changes of its settings: the new ones prove themselves before the old ones go.

::

    life
    └─ generation        an exchange with its connections, as configured at one time
       └─ generation     the next one, on trial: until it streams, the one before goes on

A generation on trial that fails, or does not stream in time, is ended, and nothing has been lost. One that
streams takes over; if it falls silent while it is still on probation, the settings before come back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

import attrs
import structlog
import trio

from multilogger.config import SupervisionConfig
from multilogger.supervision.restart import Failure, contain

log = structlog.get_logger(__name__)

_LOOK_SECS: Final = 0.5
_UNHEALTHY_SECS: Final = 10.0
"""On probation, connections may be down for so long, as they may at any time."""


class Generation(Protocol):
    """An exchange with its connections."""

    async def run(self) -> None:
        """Record; ends by cancellation or a failure."""
        ...

    def is_streaming(self) -> bool:
        """Return whether all its connections stream and bring data."""
        ...

    def retire(self) -> None:
        """Let go of all symbols in order: another generation goes on, and it is cancelled soon."""
        ...


S = TypeVar("S")


@attrs.define(eq=False)
class _Running(Generic[S]):
    """A generation that runs."""

    settings: S
    generation: Generation
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    failure: Failure | None = None
    """How it ended, if it began on trial and was not cancelled."""
    ended: trio.Event = attrs.field(factory=trio.Event)


class Succession(Generic[S]):
    """The generations of one exchange.

    Args:
        name: of the exchange.
        settings: of the first.
        make: makes a generation of settings.
        policy: how long a new one is on probation.
        refused: told why new settings were not kept, empty once some are.
    """

    def __init__(
        self,
        name: str,
        settings: S,
        make: Callable[[S], Generation],
        policy: SupervisionConfig,
        refused: Callable[[str], None],
    ) -> None:
        self.settings = settings
        """The last that have proved themselves: a restart begins with them."""
        self._name = name
        self._make = make
        self._policy = policy
        self._refused = refused
        self._asked: S | None = None
        self._changed = trio.Event()

    def change(self, settings: S) -> None:
        """Ask for other settings; those asked for and not yet tried are forgotten."""
        self._asked = settings
        self._changed.set()

    async def life(self) -> None:
        """Run generation after generation; ends by cancellation, or as the generation in charge does."""
        async with trio.open_nursery() as nursery:
            current = _Running(self.settings, self._make(self.settings))
            nursery.start_soon(self._reign, current)
            while True:
                await self._changed.wait()
                self._changed = trio.Event()
                wanted, self._asked = self._asked, None
                if wanted is not None and wanted != current.settings:
                    current = await self._replace(nursery, current, wanted)
                    self.settings = current.settings

    @staticmethod
    async def _reign(running: _Running[S]) -> None:
        """Run a generation in charge: its failure is the life's."""
        with running.scope:
            await running.generation.run()
        if not running.scope.cancelled_caught:
            raise RuntimeError("ended without an error")

    async def _try(self, running: _Running[S]) -> None:
        """Run a generation on trial: its failure is only noted."""
        with running.scope:
            running.failure = await contain(running.generation.run, self._name)
        running.ended.set()

    async def _replace(self, nursery: trio.Nursery, old: _Running[S], wanted: S) -> _Running[S]:
        """Return who is in charge after a trial of new settings."""
        log.warning("new settings are tried", exchange=self._name)
        probation_over = trio.current_time() + self._policy.probation_secs
        new = _Running(wanted, self._make(wanted))
        nursery.start_soon(self._try, new)
        with trio.move_on_at(probation_over):
            await self._until_streaming(new)
        if new.failure is not None or not new.generation.is_streaming():
            self._dismiss(new)
            self._refuse("it did not stream", new.failure, "the earlier ones were kept")
            return old
        self._dismiss(old)
        with trio.move_on_at(probation_over):
            await self._until_unhealthy(new)
            self._dismiss(new)
            restored = _Running(old.settings, self._make(old.settings))
            nursery.start_soon(self._reign, restored)
            self._refuse("it stopped streaming", new.failure, "the earlier ones are restored")
            return restored
        log.warning("new settings are kept", exchange=self._name)
        self._refused("")
        nursery.start_soon(self._answer_for, new)
        return new

    @staticmethod
    def _dismiss(running: _Running[S]) -> None:
        running.generation.retire()
        running.scope.cancel()

    def _refuse(self, what: str, failure: Failure | None, then: str) -> None:
        why = failure.words if failure is not None else what
        log.error("new settings refused", exchange=self._name, why=why, then=then)
        self._refused(f"{self._name}: new settings refused: {why}; {then}")

    @staticmethod
    async def _until_streaming(running: _Running[S]) -> None:
        # Looked at from outside: a generation's connections come and go by themselves.
        while running.failure is None and not running.generation.is_streaming():  # noqa: ASYNC110
            await trio.sleep(_LOOK_SECS)

    @staticmethod
    async def _until_unhealthy(running: _Running[S]) -> None:
        healthy_at = trio.current_time()
        while running.failure is None and trio.current_time() - healthy_at < _UNHEALTHY_SECS:
            await trio.sleep(_LOOK_SECS)
            if running.generation.is_streaming():
                healthy_at = trio.current_time()

    @staticmethod
    async def _answer_for(running: _Running[S]) -> None:
        """Once it is in charge, a failure of the generation that was on trial is the life's."""
        await running.ended.wait()
        if running.failure is not None:
            raise RuntimeError(running.failure.words)
