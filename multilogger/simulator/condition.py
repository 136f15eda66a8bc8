"""How a simulated exchange fares: what faults have done to it, and until when."""

from __future__ import annotations

from typing import Generic, TypeVar

import trio

from multilogger.simulator.client import Client
from multilogger.simulator.detour import Detour

C = TypeVar("C", bound=Client)


class Condition(Generic[C]):
    """What a fault may set; see :class:`multilogger.simulator.faults.Site`."""

    def __init__(self) -> None:
        self.stalled_until = self.refusing_until = self.garbled_until = 0.0
        self.detour: Detour[C] = Detour()

    @property
    def silent(self) -> bool:
        """Whether nothing is sent now."""
        return trio.current_time() < self.stalled_until

    @property
    def garbled(self) -> bool:
        """Whether malformed frames stand between the good ones now."""
        return trio.current_time() < self.garbled_until

    def refuses(self) -> bool:
        """Whether new connections are refused now."""
        return trio.current_time() < self.refusing_until

    async def wait_flowing(self) -> None:
        """Wait for the end of a stall."""
        while self.silent:  # noqa: ASYNC110 - a stall ends by the clock, and may be prolonged
            await trio.sleep_until(self.stalled_until)
